"""The profile of one column: exact counts per bucket or category, moments, missing rows."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tidegate.profile.exact import Expansion, expansion
from tidegate.profile.grid import Axis, bucket_of
from tidegate.profile.kernel import FARTHEST, Counted, Kernel

OTHER = "\x00other"
UNIT = 65_536
"""Up to so many rows are sorted, which finds every atom and makes the order of rows immaterial."""


def _no_ints() -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


def _no_floats() -> NDArray[np.float64]:
    return np.empty(0, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class ColumnProfile:
    """Counts of one column over the rows of one or more windows.

    ``n`` rows, of which ``missing`` are null or NaN and ``infinite`` are ±inf; the rest is
    `present`. Numbers have sorted ``buckets`` and categories sorted ``names``, with ``rows``
    beside them; ``atoms`` is the one value a bucket holds, or NaN if it holds several or that was
    not looked into (units of more than 65,536 rows, buckets with few of them).
    ``total`` and ``squares`` are sums of ``x - offset`` and of its square over the finite values
    (a distance beyond 1e150 counts as 1e150, so that they stay finite: `mean` and `std` are then not
    told), and ``carries`` what rounding left of the two, so that merging is exact.
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
    carries: tuple[Expansion, Expansion] = ((), ())

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

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each category is in ``names``."""
        return dict(zip(self.names, range(len(self.names)), strict=True))

    @property
    def present(self) -> int:
        """Rows that have a finite value or a category."""
        return self.n - self.missing - self.infinite

    @property
    def mean(self) -> float:
        """Mean of the finite values in the column's unit; NaN without any, and for categories.

        NaN also where values differ and one is farther than 1e150 from the offset: their squares have no float.

        Examples
        --------
        >>> number_column(np.array([1.0, 2.0, 1e200]), Axis("number")).mean
        nan
        """
        if not self.present or self.axis.kind == "category":
            return math.nan
        if self._far:
            return self.low if self.low == self.high else math.nan
        return self.axis.offset + self.total / self.present

    @property
    def std(self) -> float:
        """Standard deviation (divisor n) in the column's unit; NaN as `mean`, exactly 0 for a constant."""
        if not self.present or self.axis.kind == "category":
            return math.nan
        if self.low == self.high:  # the difference of two sums would leave rounding noise
            return 0.0
        if self._far:
            return math.nan
        return math.sqrt(max(self.squares / self.present - (self.total / self.present) ** 2, 0.0))

    @property
    def _far(self) -> bool:
        """Whether the sums hold a distance that was cut to `FARTHEST`."""
        return max(self.high - self.axis.offset, self.axis.offset - self.low) > FARTHEST

    def merge(self, other: ColumnProfile, cap: int) -> ColumnProfile:
        """The profile of both sides' rows; see `merge_columns`."""
        from tidegate.profile.merging import merge_columns

        return merge_columns([self, other], cap)


def number_column(values: NDArray[np.float64], axis: Axis, kernel: Kernel | None = None) -> ColumnProfile:
    """The profile of one unit of numbers (NaN is missing).

    Up to 65,536 rows give the same bits in whatever order they come, and every atom is told. More
    rows are counted in one pass: the same counts, sums in the order of the rows, atoms of heavy
    buckets only.

    Examples
    --------
    >>> c = number_column(np.array([3.0, 1.0, np.nan, 1.0, np.inf]), Axis("number"))
    >>> c.present, c.missing, c.infinite, c.rows.tolist(), c.atoms.tolist()
    (3, 1, 1, [2, 1], [1.0, 3.0])
    """
    n = len(values)
    c = _sorted(values, axis) if n <= UNIT else (kernel or Kernel()).count(values, axis)
    missing = n - c.infinite - int(c.rows.sum())
    return ColumnProfile(
        axis, n, missing, c.infinite, c.total, c.squares, c.low, c.high, c.buckets, c.atoms, (), c.rows,
        (expansion([c.total]), expansion([c.squares])),
    )  # fmt: skip


def _sorted(values: NDArray[np.float64], axis: Axis) -> Counted:
    x = np.sort(values) + 0.0
    infinite = 0
    if len(x) and not (np.isfinite(x[0]) and np.isfinite(x[-1])):  # NaN sorts last
        infinite = int(np.isinf(x).sum())
        x = x[np.isfinite(x)]
    if not len(x):
        return Counted(_no_ints(), _no_ints(), _no_floats(), 0.0, 0.0, math.inf, -math.inf, infinite)
    buckets = bucket_of(x, axis)
    starts = np.flatnonzero(np.concatenate(([True], buckets[1:] != buckets[:-1])))
    rows = np.diff(starts, append=len(x))
    first, last = x[starts], x[starts + rows - 1]
    with np.errstate(over="ignore", under="ignore"):
        shifted = np.clip(x - axis.offset, -FARTHEST, FARTHEST)
        squares = float((shifted * shifted).sum())
    atoms = np.where(first == last, first, np.nan)
    return Counted(buckets[starts], rows, atoms, float(shifted.sum()), squares, float(x[0]), float(x[-1]), infinite)


def category_column(counts: Mapping[str, int], missing: int, axis: Axis, cap: int) -> ColumnProfile:
    """The profile of categories from rows by value, with at most `cap` names; see `capped`."""
    names = tuple(sorted(counts))
    rows = np.array([counts[k] for k in names], dtype=np.int64)
    return capped(ColumnProfile(axis, int(rows.sum()) + missing, missing, names=names, rows=rows), cap)


def capped(column: ColumnProfile, cap: int) -> ColumnProfile:
    """At most `cap` names, the rarest in OTHER (ties: the later names). A value that is spelled as
    OTHER counts as OTHER."""
    names, rows = column.names, column.rows
    if len(names) <= cap:
        return column
    named = np.flatnonzero([name != OTHER for name in names])
    kept = np.sort(named[np.argsort(-rows[named], kind="stable")[: cap - 1]])  # the names are in order
    other = int(rows.sum() - rows[kept].sum())
    place = bisect_left(names, OTHER)
    at = int(np.searchsorted(kept, place))
    cut = [names[i] for i in kept.tolist()]
    cut.insert(at, OTHER)
    return replace(column, names=tuple(cut), rows=np.insert(rows[kept], at, other))


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
    >>> resolution(number_column(np.array([1000.0, 1000.2, 2.0, 2.0]), axis))
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
