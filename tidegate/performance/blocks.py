"""Differences and their errors when rows of one night, and nights of one week, hang together.

The unit of resampling is a block of nights. The error comes from the delete-one-block
jackknife with Student's t on blocks − 1 degrees of freedom (Künsch 1989; Efron & Stein
1981), which holds its level with the handful of blocks that a hold-out has;
`benchmarks/gate_size.py` measures by how much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from tidegate.errors import UsageError
from tidegate.performance.metrics import Metric
from tidegate.performance.tally import Tally, total


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
    return _weighted([metric(b) for b in blocks if b.n], [b.n for b in blocks if b.n])


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
    return _weighted([metric(a) - metric(b) for a, b in pairs], [a.n for a, _ in pairs])


def _weighted(values: Sequence[float], rows: Sequence[int]) -> Estimate:
    """The weighted mean of the defined values with the error of the delete-one-block jackknife."""
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
