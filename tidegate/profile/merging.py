"""Merging the profiles of one column: exact, and the same bits in whatever order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

from tidegate.errors import UsageError
from tidegate.profile.column import ColumnProfile, capped
from tidegate.profile.exact import Expansion, expansion
from tidegate.profile.points import Points, merged


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
    if axis.kind == "category":
        return _categories(columns, cap)
    return _numbers(columns, merged([(c.buckets, c.atoms, c.rows) for c in columns]))


def _numbers(columns: Sequence[ColumnProfile], points: Points) -> ColumnProfile:
    total, totals = _sum(c.carries[0] for c in columns)
    squares, square = _sum(c.carries[1] for c in columns)
    return ColumnProfile(
        columns[0].axis,
        sum([c.n for c in columns]),
        sum([c.missing for c in columns]),
        sum([c.infinite for c in columns]),
        total,
        squares,
        min([c.low for c in columns]),
        max([c.high for c in columns]),
        points[0],
        points[1],
        (),
        points[2],
        (totals, square),
    )


def _sum(parts: Iterable[Expansion]) -> tuple[float, Expansion]:
    exact = expansion(chain.from_iterable(parts))
    return (exact[0] if exact else 0.0), exact


def _categories(columns: Sequence[ColumnProfile], cap: int) -> ColumnProfile:
    first, missing = columns[0], sum(c.missing for c in columns)
    most = max(columns, key=lambda c: len(c.names))
    names, places = most.names, most.places
    if more := set[str]().union(*(c.names for c in columns if c.names is not names)) - places.keys():
        names = tuple(sorted([*names, *sorted(more)]))
        places = dict(zip(names, range(len(names)), strict=True))
    rows = np.zeros(len(names), dtype=np.int64)
    for c in columns:
        rows[[places[name] for name in c.names] if c.names != names else slice(None)] += c.rows
    return capped(ColumnProfile(first.axis, int(rows.sum()) + missing, missing, names=names, rows=rows), cap)
