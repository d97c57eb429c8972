"""Profiles of data files, a row group at a time.

The unit of work is a row group. However units are spread over threads, or files over calls whose
profiles are merged afterwards, counts and moments come out with the same bits.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from tidegate.adapters.datafiles import ParquetData, csv_blocks, data_files, is_csv
from tidegate.errors import UsageError
from tidegate.profile.arrow import array, family, is_text
from tidegate.profile.fit import SAMPLE
from tidegate.profile.grid import Axis, Grid
from tidegate.profile.kernel import Kernel
from tidegate.profile.profile import WORKING, grid_of, unit_profile
from tidegate.profile.window import Profile, merge_all

BATCH = 32 << 20
"""Bytes of decoded columns that a thread holds at a time, unless one column alone has more."""
FOLD = 64
"""Units are merged so many at a time: memory does not grow with their number."""


@dataclass(frozen=True)
class Unit:
    """Some columns of a row group; of a CSV file, all of it (group -1)."""

    path: Path
    group: int
    columns: tuple[str, ...]


class _Thread(threading.local):
    """What a thread keeps between units: scratch arrays and the open file."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.file: ParquetData | None = None

    def open(self, path: Path, texts: Sequence[str]) -> ParquetData:
        if self.file is None or self.file.path != path:
            if self.file is not None:
                self.file.close()
            self.file = ParquetData(path, texts)
        return self.file


class _Job:
    """One call's settings, shared by its threads."""

    def __init__(
        self, schemas: dict[Path, pa.Schema], like: Grid | None, by: str | None, cap: int, later: Sequence[Unit] = ()
    ) -> None:
        self.by, self.cap, self.local = by, cap, _Thread()
        self.schemas = schemas
        self.later = {n: unit for unit in reversed(later) for n in unit.columns if n in schemas[unit.path].names}
        # Free text is not read as a dictionary: of a million different ones that costs more than it saves.
        free = {n for n, axis in like.axes.items() if axis.of == "length"} if like else set()
        self.texts = {p: [f.name for f in s if is_text(f.type) and f.name not in free] for p, s in schemas.items()}

    def __call__(self, unit: Unit, grid: Grid | None) -> Profile:
        """The profile of a unit, on a grid or on one fitted to a sample of it."""
        if unit.group < 0:
            return self._csv(unit, grid)
        data = self.local.open(unit.path, self.texts[unit.path])
        wanted = dict.fromkeys([*unit.columns, *([self.by] if self.by else [])])
        table = data.read(unit.group, [n for n in wanted if n in data.schema.names])
        return self._profile(table, grid or self._grid(table, unit.columns))

    def _csv(self, unit: Unit, grid: Grid | None) -> Profile:
        parts: list[Profile] = []
        for table in csv_blocks(unit.path):
            # The first block has no rows, and so no say in the grid unless there is no other.
            if grid is None and table.num_rows:
                grid = self._grid(table, unit.columns)
                parts = []
            parts.append(self._profile(table, grid or self._grid(table, unit.columns)))
        return merge_all(parts, slack=WORKING)

    def _grid(self, table: pa.Table, columns: Sequence[str]) -> Grid:
        """Fitted to this table; what its file does not have, to the first unit of a file that does."""
        here = [n for n in columns if n in table.column_names]
        axes = dict(fitted(table.select(here), self.cap).axes) if here else {}
        return Grid({n: axes[n] if n in axes else self._elsewhere(n) for n in columns}, self.cap)

    def _elsewhere(self, column: str) -> Axis:
        unit = self.later.get(column)
        if unit is None:  # every file that has it is empty
            table = _nothing([column], self.schemas)
        elif unit.group < 0:
            blocks = csv_blocks(unit.path)
            empty = next(blocks)
            table = next(blocks, empty)
        else:
            table = self.local.open(unit.path, self.texts[unit.path]).read(unit.group, [column])
        return fitted(table.select([column]), self.cap).axes[column]

    def _profile(self, table: pa.Table, grid: Grid) -> Profile:
        if self.by is not None and self.by not in table.column_names:
            table = table.append_column(self.by, pa.nulls(table.num_rows, pa.string()))
        return unit_profile(table, grid, by=self.by, kernel=self.local.kernel, slack=WORKING)


def profile_files(
    paths: Sequence[str | Path],
    like: Grid | None = None,
    by: str | None = None,
    threads: int = 2,
    columns: Sequence[str] | None = None,
    max_categories: int = 1000,
) -> Profile:
    """The profile of all rows of Parquet or CSV files, folders, patterns or Delta tables.

    Without a grid to profile `like`, one is fitted to at most 65,536 rows of the first row group
    that has rows. With `by`, also of the rows of each value of that column, in `Profile.segments`.
    A column that only some files have is missing in the rows of the others, and its grid is fitted
    to the first of those that have it.
    Memory is bounded by a few columns of a row group, not by the files.

    Raises
    ------
    SourceError
        A file cannot be read, or a column has another type than its grid.
    UsageError
        There is no such file, or a column that no file has.
    """
    files = data_files(paths)
    schemas, sizes = {}, {}
    for path in files:
        if is_csv(path):
            schemas[path], sizes[path] = next(csv_blocks(path)).schema, [-1]
        else:
            data = ParquetData(path)
            schemas[path], sizes[path] = data.schema, data.rows
            data.close()
    names = _names(schemas, like, by, columns)
    if like is not None:
        like = Grid({n: like.axes[n] for n in names}, like.max_categories)
    units = [u for path in files for u in _units(path, sizes[path], names, schemas[path])]
    job = _Job(schemas, like, by, like.max_categories if like else max_categories, units)
    parts: list[Profile] = []
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        if like is None:
            # The grid is fitted where the first rows are counted: they are decoded once.
            first = [u for u in units if (u.path, u.group) == (units[0].path, units[0].group)] if units else []
            units = units[len(first) :]
            parts = [_joined(list(pool.map(job, first, [None] * len(first))))] if first else []
            like = parts[0].grid if parts else grid_of(_nothing(names, schemas), max_categories)
            job = _Job(schemas, like, by, max_categories)  # the grid says by now which text is free
        grids = [Grid({n: like.axes[n] for n in u.columns}, like.max_categories) for u in units]
        done = zip(units, pool.map(job, units, grids), strict=True)
        for _, batches in groupby(done, lambda pair: (pair[0].path, pair[0].group)):
            parts.append(_on(like, _joined([profile for _, profile in batches])))
            if len(parts) == FOLD:
                parts = [merge_all(parts, slack=WORKING)]
    return merge_all(parts or [unit_profile(_nothing([*names, *([by] if by else [])], schemas), like, by=by)])


def fitted(table: pa.Table, cap: int) -> Grid:
    """A grid fitted to at most 65,536 of a table's rows, evenly spread."""
    step = -(-table.num_rows // SAMPLE)
    return grid_of(table.take(array(np.arange(0, table.num_rows, step))) if step > 1 else table, cap)


def _names(
    schemas: dict[Path, pa.Schema], like: Grid | None, by: str | None, columns: Sequence[str] | None
) -> list[str]:
    """The columns to profile: those asked for, else the grid's, else all that can be profiled."""
    known = {f.name: f.type for schema in schemas.values() for f in schema}
    if like is not None and columns is not None and (extra := [n for n in columns if n not in like.axes]):
        raise UsageError("columns", f"some of the grid's: {', '.join(like.axes)}", ", ".join(extra), "correct them")
    wanted = columns if columns is not None else list(like.axes) if like else None
    for name in [*(wanted or []), *([by] if by else [])]:
        if name not in known:
            raise UsageError(
                f"column {name}", f"one of {', '.join(known)}", "no such column", "name another, or leave it out"
            )
    return list(wanted) if wanted is not None else [n for n, kind in known.items() if family(kind) != "none"]


def _units(path: Path, rows: Sequence[int], names: Sequence[str], schema: pa.Schema) -> Iterator[Unit]:
    """A file's row groups that have rows, cut into batches of columns."""
    if is_csv(path):
        yield Unit(path, -1, tuple(names))
        return
    for group, n in enumerate(rows):
        here = iter(names)
        # 16 bytes: a number and its copy, or a short text; a column is never cut.
        while n and (batch := tuple(islice(here, max(1, BATCH // (16 * n))))):
            yield Unit(path, group, batch)


def _joined(batches: Sequence[Profile]) -> Profile:
    """One unit's batches of columns as one profile: the same rows and segments in each."""
    first = batches[0]
    if len(batches) == 1:
        return first
    grid = Grid({n: a for b in batches for n, a in b.grid.axes.items()}, first.grid.max_categories)
    segments = {value: _joined([b.segments[value] for b in batches]) for value in first.segments}
    return Profile(
        grid,
        {n: c for b in batches for n, c in b.columns.items()},
        dict(sorted((n, kind) for b in batches for n, kind in b.schema.items())),
        first.by,
        segments,
    )


def _on(grid: Grid, profile: Profile) -> Profile:
    """The profile on the very grid it is equal to: comparing digests of every unit would cost more."""
    segments = {value: _on(grid, segment) for value, segment in profile.segments.items()}
    return replace(profile, grid=grid, segments=segments)


def _nothing(names: Sequence[str], schemas: dict[Path, pa.Schema]) -> pa.Table:
    """A table without rows, with the types of the first file that has each column."""
    known = {f.name: f.type for schema in reversed(schemas.values()) for f in schema}
    return pa.schema([(n, known[n]) for n in dict.fromkeys(names)]).empty_table()
