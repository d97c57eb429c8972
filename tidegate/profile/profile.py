"""Profiles of tables: a grid fitted to a sample, and what falls into its buckets."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidegate.errors import UsageError
from tidegate.profile.arrow import (
    array,
    codes,
    family,
    floats,
    is_ordered,
    is_text,
    lengths,
    no_profile,
    tally,
    value_type,
)
from tidegate.profile.column import (
    OTHER,
    UNIT,
    ColumnProfile,
    category_column,
    number_column,
    resolution,
)
from tidegate.profile.fit import axis_of
from tidegate.profile.grid import Axis, Grid
from tidegate.profile.kernel import Kernel
from tidegate.profile.merging import merge_columns
from tidegate.profile.window import MISSING, SEGMENTS, Profile, merge_all

__all__ = ["MISSING", "OTHER", "ColumnProfile", "Profile", "grid_of", "merge_all", "profile_of", "resolution"]

SLICE = 16 * UNIT
"""Numbers of larger tables are counted in slices of so many rows."""
WORKING = 4
"""Parts of a whole keep so many times the grid's cap of categories, until the whole is cut."""


def grid_of(table: pa.Table, max_categories: int = 1000) -> Grid:
    """A grid fitted to a sample of rows; numbers, times and booleans are told by their type.

    Text is a category, unless the sample has more different ones than `max_categories` and hardly
    any twice (more than half as many as rows): then it is free text, of which the length is profiled.
    """
    return Grid({n: _axis(n, c, max_categories) for n, c in zip(table.column_names, table.columns, strict=True)},
                max_categories)  # fmt: skip


def _axis(name: str, column: pa.ChunkedArray, cap: int) -> Axis:
    if is_ordered(column.type):
        return axis_of(floats(name, column)[0])
    if is_text(value_type(column.type)):
        distinct = pc.count_distinct(column.cast(pa.string()) if is_text(column.type) is False else column).as_py()
        if distinct > max(cap, (len(column) - column.null_count) // 2):
            fitted = axis_of(lengths(name, column)[0])
            return Axis("number", fitted.offset, fitted.scale, fitted.cuts, fitted.cells, "length", distinct)
    return Axis("category")


def profile_of(table: pa.Table, grid: Grid, *, by: str | None = None) -> Profile:
    """The profile of the grid's columns in a table; a column that is absent is all missing.

    Times are seconds since 1970 UTC, booleans 0 and 1, NaN is missing. An empty table gives
    zero counts everywhere. Up to 65,536 rows their order does not matter, to the last bit; numbers
    of larger tables are summed as the rows come, in slices of a million.

    With `by` the profile also has one segment for each value of that column, at most 50.

    Raises
    ------
    SourceError
        A number on the grid is text in the table, or a type that has no profile (list, struct).
    UsageError
        The table has no column `by`.

    Examples
    --------
    >>> table = pa.table({"delay": [1.0, 1.0, None], "carrier": ["AA", "UA", "AA"]})
    >>> profile = profile_of(table, grid_of(table), by="carrier")
    >>> profile.columns["carrier"].counts, profile.columns["delay"].missing
    ({'AA': 2, 'UA': 1}, 1)
    >>> {carrier: segment.n for carrier, segment in profile.segments.items()}
    {'AA': 2, 'UA': 1}
    """
    return unit_profile(table, grid, by=by, slack=1)


def unit_profile(
    table: pa.Table, grid: Grid, *, by: str | None = None, kernel: Kernel | None = None, slack: int = WORKING
) -> Profile:
    """As `profile_of`, of a part of a whole: it keeps `slack` times the caps, for `merge_all` to cut."""
    kernel, cap = kernel or Kernel(), slack * grid.max_categories
    columns = {name: column_profile(table, name, axis, cap, kernel) for name, axis in grid.axes.items()}
    schema = {n: str(value_type(table.schema.field(n).type)) for n in sorted(grid.axes) if n in table.column_names}
    segments: dict[str, Profile] = {}
    if by is not None:
        parts = _split(table, by, SEGMENTS * slack)
        segments = {v: unit_profile(rows, grid, kernel=kernel, slack=slack) for v, rows in sorted(parts.items())}
    return Profile(grid, columns, schema, by, segments)


def column_profile(table: pa.Table, name: str, axis: Axis, cap: int, kernel: Kernel) -> ColumnProfile:
    """One column of a table, with at most `cap` categories."""
    if name not in table.column_names:
        return ColumnProfile(axis, n=table.num_rows, missing=table.num_rows)
    column = table[name]
    if axis.kind == "category":
        if family(column.type) == "none":
            raise no_profile(name, "text, number, boolean or time", column.type)
        counts, nulls = tally(name, column, cap)
        return category_column(counts, nulls, axis, cap)
    values, nulls = lengths(name, column) if axis.of == "length" else floats(name, column)
    parts = [number_column(values[i : i + SLICE], axis, kernel) for i in range(0, len(values), SLICE)]
    parts.append(ColumnProfile(axis, nulls, nulls))
    return merge_columns(parts, cap)


def _split(table: pa.Table, by: str, room: int) -> dict[str, pa.Table]:
    """The rows of each value of a column; beyond `room` values the smallest are together in OTHER."""
    if by not in table.column_names:
        raise UsageError("segments", f"a column {by}", f"only {', '.join(table.column_names)}", "name one of them")
    keys = table[by].cast(pa.string()).combine_chunks().dictionary_encode("encode")
    names, code = [MISSING if v is None else v for v in keys.dictionary.to_pylist()], codes(keys.indices)
    if len(names) > room:
        rows = np.bincount(code, minlength=len(names)).tolist()
        kept = sorted(range(len(names)), key=lambda i: (-rows[i], names[i]))[: room - 1]
        place = np.full(len(names), len(kept))
        place[kept] = np.arange(len(kept))
        names, code = [*(names[i] for i in kept), OTHER], place[code]
    order = np.argsort(code, kind="stable")
    ends = np.cumsum(np.bincount(code, minlength=len(names))).tolist()
    together = table.take(array(order))
    return {n: together.slice(a, b - a) for n, a, b in zip(names, [0, *ends][: len(names)], ends, strict=True)}
