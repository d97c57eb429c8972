"""The reference rows that are most like a row: what came of its likes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.errors import UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Neighbour:
    """A reference row and how far it is: ``distance`` in [0, 1], ``apart`` the part of each column in it."""

    place: int
    distance: float
    apart: dict[str, float]
    row: dict[str, Any]


def neighbours(
    row: pa.Table, reference: pa.Table, k: int, *, columns: tuple[str, ...] | None = None
) -> tuple[Neighbour, ...]:
    """The `k` rows of `reference` with the least Gower distance to `row`, the nearest first.

    The distance is the mean over columns (Gower 1971): of a number or a time, the difference as a share of the
    reference's range, at most 1; of any other value 0 or 1. A missing value is 0 from a missing one and 1 from any
    other, where Gower leaves it out: a missing value may matter.

    Parameters
    ----------
    row : Table of one row
    reference : Table
        n rows; what else it has (label, score, night) comes along in `Neighbour.row`.
    columns : tuple of str, optional
        Columns that are compared; by default all of `row`.

    Returns
    -------
    tuple of Neighbour
        Fewer than `k` if the reference has fewer rows. Equal distances stay in the reference's order.

    Raises
    ------
    UsageError
        If `row` is not one row, or a column is not in both.

    Examples
    --------
    >>> reference = pa.table({"temp": [10.0, 20.0, 30.0], "origin": ["JFK", "LGA", "JFK"], "late": [0, 1, 1]})
    >>> near = neighbours(pa.table({"temp": [26.0], "origin": ["JFK"]}), reference, 2)
    >>> [(n.place, round(n.distance, 2), n.row["late"]) for n in near]
    [(2, 0.1, 1), (0, 0.4, 0)]
    """
    names = tuple(row.column_names) if columns is None else columns
    if row.num_rows != 1:
        raise UsageError("neighbours", "one row", f"{row.num_rows}", "ask for each row by itself")
    if lacking := [c for c in names if c not in row.column_names or c not in reference.column_names]:
        raise UsageError("neighbours", f"columns {', '.join(lacking)} in row and reference", "none", "hand them over")
    if not reference.num_rows or not names:
        return ()
    apart = np.column_stack([_apart(row[c], reference[c]) for c in names])
    distance = apart.mean(axis=1)
    order = np.argsort(distance, kind="stable")[:k]
    found = reference.take(pa.array(order)).to_pylist()
    return tuple(
        Neighbour(int(i), float(distance[i]), dict(zip(names, apart[i].tolist(), strict=True)), r)
        for i, r in zip(order.tolist(), found, strict=True)
    )


def _apart(own: pa.ChunkedArray, others: pa.ChunkedArray) -> Floats:
    """Distances in one column, shape (n,)."""
    value = own[0].as_py()
    missing = others.is_null(nan_is_null=True).to_numpy()
    if value is None or value != value:  # noqa: PLR0124
        return np.where(missing, 0.0, 1.0)
    kind = others.type
    measured = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind)
    if not measured:
        text = pc.cast(others, pa.string())
        same = pc.equal(text, pc.cast(own, pa.string())[0]).fill_null(False).to_numpy()
        return np.where(missing, 1.0, np.where(same, 0.0, 1.0))
    x = _numbers(others)
    at = _numbers(own.cast(kind))[0]
    finite = x[np.isfinite(x)]
    span = float(np.ptp(finite)) if len(finite) else 0.0
    same = x == at
    gap = np.where(same, 0.0, np.minimum(np.abs(x - at) / span, 1.0)) if span > 0 else np.where(same, 0.0, 1.0)
    return np.where(missing, 1.0, np.nan_to_num(gap, nan=1.0))


def _numbers(column: pa.ChunkedArray) -> Floats:
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int64())
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
