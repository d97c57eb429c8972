"""Rows of both sides as one matrix of numbers for a tree-based classifier."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.errors import SourceError

# scikit-learn's histogram trees take at most 255 categories.
MOST_CATEGORIES = 250
FARTHEST = float(np.finfo(np.float32).max)


def encoded(table: pa.Table) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The matrix, shape (rows, columns), and which columns are categories.

    Nulls are NaN, ±inf the largest float32, times microseconds; the commonest categories have
    numbers in the order of their names, the rest share one more.

    Examples
    --------
    >>> x, categorical = encoded(pa.table({"a": [1.5, None], "b": ["y", "x"]}))
    >>> x.tolist(), categorical.tolist()
    ([[1.5, 1.0], [nan, 0.0]], [False, True])
    """
    columns, categorical = [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        columns.append(_codes(column.cast(pa.string())) if text else _floats(name, column.cast(kind)))
        categorical.append(text)
    matrix = np.column_stack(columns) if columns else np.empty((table.num_rows, 0))
    return matrix, np.array(categorical, dtype=np.bool_)


def _codes(column: pa.ChunkedArray) -> NDArray[np.float64]:
    tally = column.drop_null().value_counts()
    found = pa.table({"name": tally.field("values"), "rows": tally.field("counts")})
    found = found.sort_by([("rows", "descending"), ("name", "ascending")])
    kept = found["name"].slice(0, MOST_CATEGORIES).combine_chunks().sort()
    codes = pc.fill_null(pc.index_in(column, kept), len(kept)).to_numpy().astype(np.float64)
    return np.where(column.is_null().to_numpy(), np.nan, codes)


def _floats(name: str, column: pa.ChunkedArray) -> NDArray[np.float64]:
    try:
        if pa.types.is_temporal(column.type):
            column = column.cast(pa.int64())
        values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    except pa.ArrowException as error:
        raise SourceError(
            f"column {name}", "text, number, boolean or time", str(column.type), "leave it out of the columns"
        ) from error
    return np.clip(values, -FARTHEST, FARTHEST)
