"""Differences and their errors when rows of one night, and nights of one week, hang together.

The unit of resampling is a block of nights. The error comes from the delete-one-block
jackknife with Student's t on blocks − 1 degrees of freedom (Künsch 1989; Efron & Stein
1981). That takes blocks as independent: where a night keeps .3 of the last one's shock, it is
wrong twice as often as it says at a level of .001. A paired difference is therefore widened by
what the nights' own autocorrelation says (`carried`); `benchmarks/gate_figures.py` measures it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import UsageError
from tidegate.performance.metrics import Metric
from tidegate.performance.tally import Floats, Tally, total

MOST_CARRIED = 0.8
"""Highest autocorrelation that is reckoned with."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value in its metric's unit, its standard error, and the blocks behind it.

    Examples
    --------
    >>> e = Estimate(0.03, 0.01, 7)
    >>> round(e.lower(0.05), 4), round(e.upper(0.05), 4), Estimate(0.03, 0.01, 1).lower(0.05)
    (0.0106, 0.0494, -inf)
    """

    value: float
    se: float
    blocks: int

    def lower(self, alpha: float) -> float:
        """One-sided lower confidence bound at level 1 − alpha; −inf where the error is unknown."""
        return self.value - self._reach(alpha)

    def upper(self, alpha: float) -> float:
        """One-sided upper confidence bound at level 1 − alpha; +inf where the error is unknown."""
        return self.value + self._reach(alpha)

    def _reach(self, alpha: float) -> float:
        if self.blocks < 2 or math.isnan(self.se):
            return math.inf
        # Here and not above: every verb imports this module, and a second of import is a second of a rollback.
        from scipy.stats import t as student

        return float(student.ppf(1 - alpha, self.blocks - 1)) * self.se


def cut(nights: Sequence[str], block: int) -> list[tuple[str, ...]]:
    """Neighbouring nights in blocks of `block`; a short rest at the start is left out.

    Examples
    --------
    >>> cut(["a", "b", "c", "d", "e"], 2)
    [('b', 'c'), ('d', 'e')]
    """
    skip = len(nights) % block
    return [tuple(nights[i : i + block]) for i in range(skip, len(nights), block)]


def blocks_of(tallies: Mapping[str, Tally], blocks: Sequence[Sequence[str]]) -> list[Tally]:
    """One tally a block; nights without a tally count nothing, empty blocks are left out."""
    summed = [total([tallies[n] for n in block if n in tallies]) for block in blocks]
    return [t for t in summed if t.n]


def level(metric: Metric, blocks: Sequence[Tally]) -> Estimate:
    """The mean of a metric within blocks, weighted by their rows, with its jackknife error.

    For a mean over rows (log loss, KPI) this is the metric over all rows. An area under a
    curve is taken within each block: pooled over blocks it would mix the scores of members
    that differ in level, and be pulled down by each member's blindness to its own blocks
    (Forman & Scholz 2010). Blocks without rows, or in which the metric is not defined, count
    nothing; NaN without any, and an error of NaN below two.
    """
    return weighted([metric(b) for b in blocks if b.n], [b.n for b in blocks if b.n])


def paired_difference(metric: Metric, ours: Sequence[Tally], theirs: Sequence[Tally]) -> Estimate:
    """The mean within blocks of metric(ours) − metric(theirs), on the same blocks of rows in the same order.

    NaN and undefined blocks as for `level`.

    Raises
    ------
    UsageError
        If the blocks do not hold the same numbers of rows: they would not be paired.
    """
    if [t.n for t in ours] != [t.n for t in theirs]:
        raise UsageError("paired blocks", f"rows {[t.n for t in ours]}", str([t.n for t in theirs]))
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.n]
    return weighted([metric(a) - metric(b) for a, b in pairs], [a.n for a, _ in pairs])


def paired_nights(
    metric: Metric, ours: Mapping[str, Tally], theirs: Mapping[str, Tally], blocks: Sequence[Sequence[str]]
) -> Estimate:
    """`paired_difference` of nightly tallies in blocks of nights, its error widened for what nights carry over.

    Parameters
    ----------
    ours, theirs : mappings of str to Tally
        A tally a night, of the same rows.
    blocks : sequence of sequences of str
        The nights of each block, in order, as `cut` gives them.
    """
    plain = paired_difference(metric, blocks_of(ours, blocks), blocks_of(theirs, blocks))
    nights = [n for block in blocks for n in block if n in ours and ours[n].n]
    return widened(plain, [metric(ours[n]) - metric(theirs[n]) for n in nights], len(blocks[0]) if blocks else 1)


def widened(estimate: Estimate, nightly: Sequence[float] | Floats, block: int) -> Estimate:
    """The estimate with its error widened for the autocorrelation of its nightly values, blocks of `block` nights."""
    return Estimate(estimate.value, estimate.se * math.sqrt(widening(carried(nightly), block)), estimate.blocks)


def carried(nightly: Sequence[float] | Floats) -> float:
    """How much of a night's value the next one keeps, at most: in [0, 0.8].

    The lag-one autocorrelation, freed of its bias (Kendall 1954), plus one standard error (1/√n): with a few weeks
    of nights the plain estimate is too often too low just when the difference is large. NaN and infinite values
    are passed over; 0.8 where fewer than three nights are left, 0 where all are the same.

    Examples
    --------
    >>> carried([1.0, 1.0, 1.0]), carried([1.0]), round(carried(np.tile([1.0, 2.0], 50)), 2)
    (0.0, 0.8, 0.0)
    """
    x = np.asarray(nightly, dtype=np.float64)
    x = x[np.isfinite(x)]
    n = len(x)
    if n < 3:
        return MOST_CARRIED
    off = x - x.mean()
    square = float((off**2).sum())
    if square <= n * (1e-12 * float(np.abs(x).max())) ** 2:
        return 0.0
    r = float((off[1:] * off[:-1]).sum()) / square
    return min(MOST_CARRIED, max(0.0, r + (1 + 3 * r) / n + 1 / math.sqrt(n)))


def widening(kept: float, block: int) -> float:
    """The variance of a mean over that of a mean of independent blocks, when a night keeps `kept` of the last one.

    A first-order autoregression (Priestley 1981): (1+ρ)/(1−ρ) over what blocks of `block` nights already have in
    them, 1 + 2·Σ(1−k/block)·ρᵏ.

    Examples
    --------
    >>> widening(0.0, 3), round(widening(0.3, 3), 3), round(widening(0.3, 1), 3)
    (1.0, 1.272, 1.857)
    """
    inside = 1 + 2 * sum((1 - k / block) * kept**k for k in range(1, block))
    return (1 + kept) / (1 - kept) / inside


def weighted(values: Sequence[float] | Floats, rows: Sequence[int] | Floats) -> Estimate:
    """The weighted mean of the defined values, one a block, with the error of the delete-one-block jackknife.

    NaN without any, and an error of NaN below two.

    Examples
    --------
    >>> weighted([1.0, 3.0], [10, 10])
    Estimate(value=2.0, se=1.0, blocks=2)
    """
    x, n = np.asarray(values, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    x, n = x[np.isfinite(x)], n[np.isfinite(x)]
    b = len(x)
    if not b:
        return Estimate(math.nan, math.nan, 0)
    mean = float((x * n).sum() / n.sum())
    if b < 2:
        return Estimate(mean, math.nan, b)
    without = ((x * n).sum() - x * n) / (n.sum() - n)
    return Estimate(mean, float(np.sqrt((b - 1) / b * ((without - without.mean()) ** 2).sum())), b)


def difference(metric: Metric, ours: Sequence[Tally], theirs: Sequence[Tally]) -> Estimate:
    """metric(ours) − metric(theirs) of separate rows; the fewer blocks of the two count."""
    a, b = level(metric, ours), level(metric, theirs)
    return Estimate(a.value - b.value, math.hypot(a.se, b.se), min(a.blocks, b.blocks))


def design_effect(metric: Metric, blocks: Sequence[Tally], row_variance: float) -> float:
    """How many times the rows' independence overstates what `blocks` tell about a mean.

    ``n · se² / row_variance`` (Kish 1965); 1 at least, NaN where the error is unknown.
    """
    estimate = level(metric, blocks)
    if math.isnan(estimate.se) or not row_variance > 0:
        return math.nan
    return max(1.0, sum(t.n for t in blocks) * estimate.se**2 / row_variance)


def effective_rows(values: Floats, night: NDArray[Any], block: int) -> float:
    """Rows after dependence: what independent rows would bound the mean of `values` as well.

    ``n`` over the design effect ``n · se² / variance`` (Kish 1965) of whole blocks of `block` nights, at most the
    ``n`` rows in them; NaN where all values are the same or the error is unknown.

    Parameters
    ----------
    values : ndarray, shape (n,)
        One a row, such as a paired difference of losses.
    night : ndarray of str, shape (n,)

    Examples
    --------
    >>> effective_rows(np.array([0.0, 1.0, 0.0, 1.0]), np.array(["a", "a", "b", "b"]), 1)
    4.0
    >>> effective_rows(np.array([0.0, 0.0, 1.0, 1.0, 0.5, 0.5]), np.array(["a", "a", "b", "b", "c", "c"]), 1)
    2.0
    """
    names, at = np.unique(night, return_inverse=True)
    rows, sums = np.bincount(at), np.bincount(at, values)
    nightly = np.divide(sums, rows)
    parts = [np.arange(i, min(i + block, len(names))) for i in range(len(names) % block, len(names), block)]
    means = [float(sums[p].sum() / rows[p].sum()) for p in parts]
    found = widened(weighted(means, [int(rows[p].sum()) for p in parts]), nightly, block)
    variance = float(np.var(values)) if len(values) else 0.0
    if not variance > 0 or math.isnan(found.se):
        return math.nan
    n = int(sum(rows[p].sum() for p in parts))
    return n / max(1.0, n * found.se**2 / variance)
