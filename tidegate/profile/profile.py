"""Profiles: mergeable summaries of a window, one column at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidegate.errors import UsageError
from tidegate.profile.grid import Axis, Grid, axis_of, bucket_of

OTHER = "\x00other"


@dataclass(frozen=True)
class ColumnProfile:
    """Counts of one column.

    ``counts`` maps bucket numbers (numbers) or values (categories) to rows; ``missing``
    counts nulls and NaN, ``infinite`` ±inf; both are outside ``counts``. ``total`` and
    ``squares`` are sums of ``x - offset`` and its square over the finite values.
    """

    axis: Axis
    n: int = 0
    missing: int = 0
    infinite: int = 0
    total: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    counts: Mapping[int | str, int] = field(default_factory=dict)

    @property
    def present(self) -> int:
        return self.n - self.missing - self.infinite

    @property
    def mean(self) -> float:
        return self.axis.offset + self.total / self.present if self.present else math.nan

    @property
    def std(self) -> float:
        if not self.present:
            return math.nan
        return math.sqrt(max(self.squares / self.present - (self.total / self.present) ** 2, 0.0))

    def merge(self, other: ColumnProfile, cap: int) -> ColumnProfile:
        if self.axis != other.axis:
            raise UsageError("profile merge", f"the same axis {self.axis}", f"{other.axis}", "profile both on one grid")
        counts = dict(self.counts)
        for key, count in other.counts.items():
            counts[key] = counts.get(key, 0) + count
        if self.axis.kind == "category":
            counts = capped(counts, cap)
        return ColumnProfile(self.axis, self.n + other.n, self.missing + other.missing, self.infinite + other.infinite,
                             self.total + other.total, self.squares + other.squares, min(self.low, other.low), max(self.high, other.high), counts)


@dataclass(frozen=True)
class Profile:
    """The columns of one window, or of several merged, on one grid."""

    grid: Grid
    columns: Mapping[str, ColumnProfile]

    @property
    def n(self) -> int:
        return max((c.n for c in self.columns.values()), default=0)

    def merge(self, other: Profile) -> Profile:
        """The profile of both windows' rows; raises `UsageError` if the grids differ."""
        if self.grid.digest != other.grid.digest:
            raise UsageError("profile merge", f"grid {self.grid.digest[:12]}", f"grid {other.grid.digest[:12]}", "profile both on one grid")
        return Profile(self.grid, {n: c.merge(other.columns[n], self.grid.max_categories) for n, c in self.columns.items()})


def capped(counts: dict[int | str, int], cap: int) -> dict[int | str, int]:
    """At most `cap` categories; the rarest go to OTHER (ties by name)."""
    if len(counts) <= cap:
        return counts
    named = sorted(((k, v) for k, v in counts.items() if k != OTHER), key=lambda kv: (-kv[1], str(kv[0])))
    kept: dict[int | str, int] = dict(named[: cap - 1])
    kept[OTHER] = counts.get(OTHER, 0) + sum(v for _, v in named[cap - 1:])
    return kept


def grid_of(table: pa.Table, max_categories: int = 1000) -> Grid:
    """A grid fitted to a sample of rows; numbers, times and booleans are told by their type."""
    axes = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        axes[name] = axis_of(_floats(column)) if _is_number(column.type) else Axis("category")
    return Grid(axes, max_categories)


def profile_of(table: pa.Table, grid: Grid) -> Profile:
    """The profile of the grid's columns in a table; a column that is absent is all missing.

    An empty table gives zero counts everywhere.
    """
    return Profile(grid, {name: _column(table, name, axis, grid.max_categories) for name, axis in grid.axes.items()})


def _column(table: pa.Table, name: str, axis: Axis, cap: int) -> ColumnProfile:
    if name not in table.column_names:
        return ColumnProfile(axis, n=table.num_rows, missing=table.num_rows)
    column = table[name]
    if axis.kind == "category":
        pairs = column.cast(pa.string()).drop_null().value_counts()
        counts: dict[int | str, int] = {p["values"]: p["counts"] for p in pairs.to_pylist()}
        return ColumnProfile(axis, n=len(column), missing=column.null_count, counts=capped(dict(sorted(counts.items(), key=str)), cap))
    x = _floats(column)
    finite = np.isfinite(x)
    infinite = int(np.isinf(x).sum())
    x = x[finite]
    buckets, rows = np.unique(bucket_of(x, axis), return_counts=True)
    shifted = x - axis.offset
    return ColumnProfile(
        axis, n=len(column), missing=len(column) - len(x) - infinite, infinite=infinite,
        total=float(shifted.sum()), squares=float((shifted * shifted).sum()),
        low=float(x.min()) if len(x) else math.inf, high=float(x.max()) if len(x) else -math.inf,
        counts=dict(zip(buckets.tolist(), rows.tolist(), strict=True)),
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind))


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_temporal(column.type):
        column = pc.cast(column, pa.timestamp("us", tz="UTC")).cast(pa.int64())
        return np.asarray(column.to_numpy(), dtype=np.float64) / 1e6
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
