"""The profile of one column: exact counts per bucket or category, moments, missing rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import UsageError
from tidegate.profile.grid import Axis, bucket_of

OTHER = "\x00other"
FARTHEST = 1e150


def _no_ints() -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


def _no_floats() -> NDArray[np.float64]:
    return np.empty(0, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class ColumnProfile:
    """Counts of one column over the rows of one or more windows.

    ``n`` rows, of which ``missing`` are null or NaN and ``infinite`` are ±inf; the rest is
    `present`. Numbers have sorted ``buckets`` and categories sorted ``names``, with ``rows``
    beside them; ``atoms`` is the one value a bucket holds, or NaN if it holds several.
    ``total`` and ``squares`` are sums of ``x - offset`` and of its square over the finite
    values (a distance beyond 1e150 counts as 1e150, so that they stay finite).
    """

    axis: Axis
    n: int = 0
    missing: int = 0
    infinite: int = 0
    total: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    buckets: NDArray[np.int64] = field(default_factory=_no_ints)
    atoms: NDArray[np.float64] = field(default_factory=_no_floats)
    names: tuple[str, ...] = ()
    rows: NDArray[np.int64] = field(default_factory=_no_ints)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ColumnProfile):
            return NotImplemented
        pairs = [(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)]
        return all(np.array_equal(a, b, equal_nan=True) if isinstance(a, np.ndarray) else a == b for a, b in pairs)

    @property
    def counts(self) -> dict[int | str, int]:
        """Rows by bucket number (numbers) or by value (categories)."""
        keys: Sequence[int | str] = self.names or self.buckets.tolist()
        return dict(zip(keys, self.rows.tolist(), strict=True))

    @property
    def present(self) -> int:
        """Rows that have a finite value or a category."""
        return self.n - self.missing - self.infinite

    @property
    def mean(self) -> float:
        """Mean of the finite values in the column's unit; NaN without any, and for categories."""
        if not self.present or self.axis.kind == "category":
            return math.nan
        return self.axis.offset + self.total / self.present

    @property
    def std(self) -> float:
        """Standard deviation (divisor n) in the column's unit; NaN as `mean`, exactly 0 for a constant."""
        if not self.present or self.axis.kind == "category":
            return math.nan
        if self.low == self.high:  # the difference of two sums would leave rounding noise
            return 0.0
        return math.sqrt(max(self.squares / self.present - (self.total / self.present) ** 2, 0.0))

    def merge(self, other: ColumnProfile, cap: int) -> ColumnProfile:
        """The profile of both sides' rows; see `merge_columns`."""
        return merge_columns([self, other], cap)


def number_column(values: NDArray[np.float64], axis: Axis) -> ColumnProfile:
    """The profile of numbers (NaN is missing), the same bits in whatever order the rows come.

    Examples
    --------
    >>> c = number_column(np.array([3.0, 1.0, np.nan, 1.0, np.inf]), Axis("number"))
    >>> c.present, c.missing, c.infinite, c.rows.tolist(), c.atoms.tolist()
    (3, 1, 1, [2, 1], [1.0, 3.0])
    """
    infinite = int(np.isinf(values).sum())
    x = np.sort(values[np.isfinite(values)]) + 0.0
    missing = len(values) - len(x) - infinite
    if not len(x):
        return ColumnProfile(axis, len(values), missing, infinite)
    buckets = bucket_of(x, axis)
    starts = np.flatnonzero(np.concatenate(([True], buckets[1:] != buckets[:-1])))
    rows = np.diff(starts, append=len(x))
    first, last = x[starts], x[starts + rows - 1]
    with np.errstate(over="ignore", under="ignore"):
        shifted = np.clip(x - axis.offset, -FARTHEST, FARTHEST)
        squares = float((shifted * shifted).sum())
    return ColumnProfile(
        axis,
        len(values),
        missing,
        infinite,
        float(shifted.sum()),
        squares,
        float(x[0]),
        float(x[-1]),
        buckets[starts],
        np.where(first == last, first, np.nan),
        (),
        rows,
    )


def category_column(counts: Mapping[str, int], missing: int, axis: Axis, cap: int) -> ColumnProfile:
    """The profile of categories from rows by value; at most `cap` names, the rarest in OTHER
    (ties: the later names). A value that is spelled as OTHER counts as OTHER."""
    n = sum(counts.values()) + missing
    if len(counts) > cap:
        named = sorted((k for k in counts if k != OTHER), key=lambda k: (-counts[k], k))[: cap - 1]
        kept = {k: counts[k] for k in named}
        counts = {**kept, OTHER: n - missing - sum(kept.values())}
    names = tuple(sorted(counts))
    return ColumnProfile(axis, n, missing, names=names, rows=np.array([counts[k] for k in names], dtype=np.int64))


def merge_columns(columns: Sequence[ColumnProfile], cap: int) -> ColumnProfile:
    """The profile of all the rows, in time linear in the number of buckets.

    Counts are exactly those of the whole; moments are summed from left to right, so the same
    order gives the same bits. More than `cap` categories are cut once, at the end: what one of
    the parts had already put into OTHER stays there.

    Raises
    ------
    UsageError
        The columns are on different axes, or there is none.
    """
    if not columns:
        raise UsageError("profile merge", "at least one profile", "none", "check that the windows were profiled")
    first, rest = columns[0], columns[1:]
    for c in rest:
        if c.axis != first.axis:
            raise UsageError("profile merge", f"the same axis {first.axis}", str(c.axis), "profile both on one grid")
    n, missing = sum(c.n for c in columns), sum(c.missing for c in columns)
    if first.axis.kind == "category":
        counts: dict[str, int] = {}
        for c in columns:
            for name, count in zip(c.names, c.rows.tolist(), strict=True):
                counts[name] = counts.get(name, 0) + count
        return category_column(counts, missing, first.axis, cap)
    total, squares = first.total, first.squares
    for c in rest:
        total, squares = total + c.total, squares + c.squares
    low, high = min(c.low for c in columns), max(c.high for c in columns)
    infinite = sum(c.infinite for c in columns)
    return ColumnProfile(first.axis, n, missing, infinite, total, squares, low, high, *_merged_buckets(columns))


def _merged_buckets(
    columns: Sequence[ColumnProfile],
) -> tuple[NDArray[np.int64], NDArray[np.float64], tuple[str, ...], NDArray[np.int64]]:
    buckets = np.concatenate([c.buckets for c in columns])
    if not len(buckets):
        return _no_ints(), _no_floats(), (), _no_ints()
    order = np.argsort(buckets.astype(np.uint16), kind="stable")  # a radix sort: linear
    buckets, atoms = buckets[order], np.concatenate([c.atoms for c in columns])[order]
    starts = np.flatnonzero(np.concatenate(([True], buckets[1:] != buckets[:-1])))
    rows = np.add.reduceat(np.concatenate([c.rows for c in columns])[order], starts)
    least, most = np.minimum.reduceat(atoms, starts), np.maximum.reduceat(atoms, starts)
    return buckets[starts], np.where(least == most, least, np.nan), (), rows


def resolution(column: ColumnProfile) -> float:
    """The largest share of present rows in one non-atomic bucket, in [0, 1].

    It bounds the error of KS: |KS on the grid − exact KS| ≤ ``resolution(reference)``, whatever
    the other side is, as long as that side's rows in the reference's atomic buckets are at the
    atom. A bucket with a single row counts as non-atomic. Above .0005 a finer grid is wanted.
    Categories give 0 (they have no order), a column without present rows NaN.

    Why: inside a bucket each distribution function rises by at most its mass there, so the gap
    between the two exceeds the gaps at the bucket's edges by at most the smaller of the masses.

    Examples
    --------
    >>> axis = Axis("number")
    >>> resolution(number_column(np.array([1000.0, 1001.0, 2.0, 2.0]), axis))
    0.5
    >>> resolution(number_column(np.array([1.0, 1.0, 2.0, 2.0]), axis))
    0.0
    """
    if column.axis.kind == "category":
        return 0.0
    if not column.present:
        return math.nan
    mixed = np.isnan(column.atoms) | (column.rows == 1)
    return float(column.rows[mixed].max(initial=0) / column.present)
