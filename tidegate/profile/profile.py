"""Profiles: mergeable summaries of a window, one column at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.errors import SourceError, UsageError
from tidegate.profile.column import (
    OTHER,
    ColumnProfile,
    category_column,
    merge_columns,
    number_column,
    resolution,
)
from tidegate.profile.grid import Axis, Grid, axis_of

__all__ = ["OTHER", "ColumnProfile", "Profile", "grid_of", "merge_all", "profile_of", "resolution"]


@dataclass(frozen=True)
class Profile:
    """The columns of one window, or of several merged, on one grid."""

    grid: Grid
    columns: Mapping[str, ColumnProfile]

    @property
    def n(self) -> int:
        """Rows profiled."""
        return max((c.n for c in self.columns.values()), default=0)

    def merge(self, other: Profile) -> Profile:
        """The profile of both windows' rows; raises `UsageError` if the grids differ."""
        return merge_all([self, other])


def merge_all(profiles: Sequence[Profile]) -> Profile:
    """The profile of all the windows' rows, in linear time.

    Counts are those of the whole table as long as no column has more categories than the
    grid's cap. Pass the windows in date order: the same order gives the same bits.

    Raises
    ------
    UsageError
        There is no profile, or the grids differ.
    """
    if not profiles:
        raise UsageError("profile merge", "at least one profile", "none", "check that the windows were profiled")
    grid = profiles[0].grid
    for p in profiles:
        if p.grid.digest != grid.digest:
            raise UsageError(
                "profile merge", f"grid {grid.digest[:12]}", f"grid {p.grid.digest[:12]}", "profile both on one grid"
            )
    return Profile(grid, {n: merge_columns([p.columns[n] for p in profiles], grid.max_categories) for n in grid.axes})


def grid_of(table: pa.Table, max_categories: int = 1000) -> Grid:
    """A grid fitted to a sample of rows; numbers, times and booleans are told by their type."""
    axes = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        axes[name] = axis_of(_floats(name, column)) if _is_number(column.type) else Axis("category")
    return Grid(axes, max_categories)


def profile_of(table: pa.Table, grid: Grid) -> Profile:
    """The profile of the grid's columns in a table; a column that is absent is all missing.

    Times are seconds since 1970 UTC, booleans 0 and 1, NaN is missing. An empty table gives
    zero counts everywhere. The order of the rows does not matter, to the last bit.

    Raises
    ------
    SourceError
        A number on the grid is text in the table, or a type that has no profile (list, struct).

    Examples
    --------
    >>> table = pa.table({"delay": [1.0, 1.0, None], "carrier": ["AA", "UA", "AA"]})
    >>> profile = profile_of(table, grid_of(table))
    >>> profile.columns["carrier"].counts, profile.columns["delay"].missing
    ({'AA': 2, 'UA': 1}, 1)
    """
    return Profile(grid, {name: _column(table, name, axis, grid.max_categories) for name, axis in grid.axes.items()})


def _column(table: pa.Table, name: str, axis: Axis, cap: int) -> ColumnProfile:
    if name not in table.column_names:
        return ColumnProfile(axis, n=table.num_rows, missing=table.num_rows)
    column = table[name]
    if axis.kind == "number":
        return number_column(_floats(name, column), axis)
    try:
        tally = column.cast(pa.string()).drop_null().value_counts()
    except pa.ArrowException as error:
        raise _no_profile(name, "text, number, boolean or time", column.type) from error
    # A million distinct values stay in Arrow; only the kept ones become Python strings.
    found = pa.table({"name": tally.field("values"), "rows": tally.field("counts")})
    order = [("rows", "descending"), ("name", "ascending")]
    kept = found.take(pc.select_k_unstable(found, k=cap, sort_keys=order)) if found.num_rows > cap else found
    counts: dict[str, int] = dict(zip(kept["name"].to_pylist(), kept["rows"].to_pylist(), strict=True))
    cut = len(column) - column.null_count - sum(counts.values())
    if cut:
        # One name more than the cap, so that category_column makes the final cut.
        counts[OTHER] = counts.get(OTHER, 0) + cut
    return category_column(counts, column.null_count, axis, cap)


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_number(kind: pa.DataType) -> bool:
    kind, t = _value_type(kind), pa.types
    return bool(
        t.is_integer(kind) or t.is_floating(kind) or t.is_boolean(kind) or t.is_temporal(kind) or t.is_decimal(kind)
    )


def _floats(name: str, column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A column as float64, nulls as NaN; large integers are rounded, not refused."""
    kind, t = _value_type(column.type), pa.types
    if not (_is_number(kind) or t.is_null(kind)):
        raise _no_profile(name, "number, boolean or time", column.type)
    try:
        if kind != column.type:
            column = column.cast(kind)
        if not t.is_temporal(kind):
            return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
        micros = column.cast(_micros(kind), safe=False).cast(pa.int64())
        return np.asarray(micros.to_numpy(), dtype=np.float64) / 1e6
    except pa.ArrowException as error:  # e.g. an interval of months
        raise _no_profile(name, "number, boolean or time", column.type) from error


def _micros(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_time(kind):
        return pa.time64("us")
    return pa.duration("us") if pa.types.is_duration(kind) else pa.timestamp("us", tz="UTC")


def _no_profile(name: str, expected: str, kind: pa.DataType) -> SourceError:
    return SourceError(f"column {name}", expected, str(kind), "convert it in the source, or leave it out of the grid")
