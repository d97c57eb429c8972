"""Rows as small whole numbers and back, so that a numeric library can mix the cells of rows of any type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.errors import UsageError

MOST_ROWS = 20_000
"""Codes stay so small that the tolerance of a float comparison (1e-5 of the value) cannot take one for another."""


@dataclass(frozen=True, eq=False)
class Codes:
    """The distinct values of each column, null among them; the code of a value is its place there."""

    schema: pa.Schema
    values: tuple[pa.Array, ...]

    def decode(self, codes: NDArray[np.float64]) -> pa.Table:
        """The rows that codes of shape (n, columns) stand for, every cell bit for bit as it was."""
        places = np.asarray(codes).astype(np.int64)
        columns = [pool.take(pa.array(places[:, i])) for i, pool in enumerate(self.values)]
        return pa.Table.from_arrays(columns, schema=self.schema)


def encode(tables: Sequence[pa.Table]) -> tuple[Codes, list[NDArray[np.float64]]]:
    """Codes of tables with the same columns, and each table as a matrix of them, shape (rows, columns).

    Times, categories, integers beyond 2**53, nulls and NaN survive alike: what is encoded is a value's place, not
    the value.

    Raises
    ------
    UsageError
        If the tables have more than 20,000 rows together.

    Examples
    --------
    >>> codes, (matrix,) = encode([pa.table({"carrier": ["UA", None, "UA"], "temp": [1.5, 2.5, None]})])
    >>> matrix.tolist()
    [[0.0, 0.0], [1.0, 1.0], [0.0, 2.0]]
    >>> codes.decode(matrix[[1]]).to_pylist()
    [{'carrier': None, 'temp': 2.5}]
    """
    whole = pa.concat_tables([_plain(t) for t in tables])
    if whole.num_rows > MOST_ROWS:
        raise UsageError("rows to encode", f"at most {MOST_ROWS:,}", f"{whole.num_rows:,}", "draw a sample of them")
    coded = [c.combine_chunks().dictionary_encode(null_encoding="encode") for c in whole.columns]
    parts = [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in coded]
    matrix = np.zeros((whole.num_rows, whole.num_columns))
    for i, part in enumerate(parts):
        matrix[:, i] = part.indices.to_numpy(zero_copy_only=False)
    edges = np.cumsum([t.num_rows for t in tables])[:-1]
    return Codes(whole.schema, tuple(p.dictionary for p in parts)), np.split(matrix, edges)


def _plain(table: pa.Table) -> pa.Table:
    """Columns that are dictionaries already as their values."""
    fields = [pa.field(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in table.schema]
    return table.cast(pa.schema(fields))
