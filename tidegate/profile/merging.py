"""Merging the profiles of one column: exact, and the same bits in whatever order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import UsageError
from tidegate.profile.column import ColumnProfile, category_column
from tidegate.profile.exact import Expansion, expansion

Buckets = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]


def merge_columns(columns: Sequence[ColumnProfile], cap: int) -> ColumnProfile:
    """The profile of all the rows, in time linear in the number of buckets.

    Counts are exactly those of the whole and moments are summed exactly, so neither the order nor
    the grouping of the parts changes a bit. More than `cap` categories are cut once, at the end:
    what one of the parts had already put into OTHER stays there.

    Raises
    ------
    UsageError
        The columns are on different axes, or there is none.
    """
    if not columns:
        raise UsageError("profile merge", "at least one profile", "none", "check that the windows were profiled")
    axis = columns[0].axis
    for c in columns[1:]:
        if c.axis is not axis and c.axis != axis:
            raise UsageError("profile merge", f"the same axis {axis}", str(c.axis), "profile both on one grid")
    n, missing = sum(c.n for c in columns), sum(c.missing for c in columns)
    if axis.kind == "category":
        return _categories(columns, missing, cap)
    low, high = min(c.low for c in columns), max(c.high for c in columns)
    total, totals = _sum([c.carries[0] for c in columns])
    squares, square = _sum([c.carries[1] for c in columns])
    buckets, atoms, rows = _buckets(columns)
    return ColumnProfile(
        axis, n, missing, sum(c.infinite for c in columns), total, squares, low, high, buckets, atoms, (), rows,
        (totals, square),
    )  # fmt: skip


def _sum(parts: Sequence[Expansion]) -> tuple[float, Expansion]:
    exact = expansion([p for part in parts for p in part])
    return (exact[0] if exact else 0.0), exact


def _categories(columns: Sequence[ColumnProfile], missing: int, cap: int) -> ColumnProfile:
    first = columns[0]
    if all(c.names == first.names for c in columns) and len(first.names) <= cap:
        rows: NDArray[np.int64] = np.array([c.rows for c in columns], dtype=np.int64).sum(axis=0)
        return ColumnProfile(first.axis, int(rows.sum()) + missing, missing, names=first.names, rows=rows)
    counts: dict[str, int] = {}
    for c in columns:
        for name, count in zip(c.names, c.rows.tolist(), strict=True):
            counts[name] = counts.get(name, 0) + count
    return category_column(counts, missing, columns[0].axis, cap)


def _buckets(columns: Sequence[ColumnProfile]) -> Buckets:
    columns = [c for c in columns if len(c.buckets)] or list(columns[:1])
    if len(columns) == 1:
        return columns[0].buckets, columns[0].atoms, columns[0].rows
    if len(columns) == 2:
        small, big = sorted(columns, key=lambda c: len(c.buckets))
        return _inserted(big, small)
    buckets = np.concatenate([c.buckets for c in columns])
    order = np.argsort(buckets, kind="stable")  # merges the sorted runs
    buckets, atoms = buckets[order], np.concatenate([c.atoms for c in columns])[order]
    new = np.concatenate(([True], buckets[1:] != buckets[:-1]))
    starts = np.flatnonzero(new)
    # Sums between ends and a look at who differs: `reduceat` is slow on many short groups.
    ends = np.cumsum(np.concatenate([c.rows for c in columns])[order])[np.append(starts[1:] - 1, len(new) - 1)]
    whole, group = atoms[starts], np.cumsum(new) - 1
    whole[group[atoms != whole[group]]] = np.nan
    return buckets[starts], whole, np.diff(ends, prepend=0)


def _inserted(big: ColumnProfile, small: ColumnProfile) -> Buckets:
    """A night into a long history: in time that hardly grows with the history's buckets."""
    at = np.searchsorted(big.buckets, small.buckets)
    known = big.buckets[np.minimum(at, len(big.buckets) - 1)] == small.buckets
    hit = at[known]
    rows, atoms = big.rows.copy(), big.atoms.copy()
    rows[hit] += small.rows[known]
    atoms[hit[atoms[hit] != small.atoms[known]]] = np.nan  # NaN differs from all: it stays NaN
    if known.all():
        return big.buckets, atoms, rows
    added = ~known
    place = at[added] + np.arange(np.count_nonzero(added))
    old = np.ones(len(rows) + len(place), dtype=bool)
    old[place] = False
    out: list[NDArray[Any]] = []
    for mine, theirs in ((big.buckets, small.buckets), (atoms, small.atoms), (rows, small.rows)):
        merged = np.empty(len(old), dtype=mine.dtype)
        merged[old], merged[place] = mine, theirs[added]
        out.append(merged)
    return out[0], out[1], out[2]
