"""Realised − estimated: how far estimates are off, whether they may be trusted, and whether the gap stays.

An estimate without labels assumes that the same inputs lead to the same outcomes. When late labels come and the gap to
the estimate is larger than it was on the reference, night after night, that assumption has failed: the gap is the
monitor of concept drift that covariate drift alone does not set off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from tidegate.performance.blocks import Estimate, carried, weighted, widened, widening
from tidegate.performance.metrics import HIGHER_IS_BETTER, Metric
from tidegate.performance.tally import Tally

ALLOWANCE = 0.5
"""Of the CUSUM, in standard errors of a block: half the gap that is found fastest."""
CAP = 3.0
"""One block counts no more than this: a storm is no persistent gap."""
LEAST = 3
"""Fewer blocks than this say nothing about their spread."""


@dataclass(frozen=True, slots=True)
class NightGap:
    """One matured night: realised − estimated, realised − usual, and its labelled rows."""

    gap: float
    off: float
    n: int


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What a metric and its gap were on the reference, whose estimates came from other folds.

    ``usual``: the realised metric, the constant that an estimate must beat. ``bias`` and ``spread``: mean and standard
    deviation of a night's gap; ``block_spread`` that of a block's, with what nights carry over. ``rows``: labelled rows
    of a night. All in the metric's unit, NaN where there are too few nights.
    """

    usual: float
    bias: float
    spread: float
    block_spread: float
    rows: float
    nights: int
    blocks: int

    def se(self, n: int) -> float:
        """The error of an estimate for `n` rows: their chance, the nights' own shocks and the calibration together.

        More rows than usual do not lower it, since rows of a night hang together; fewer raise it as if they did not.
        """
        if not n or not self.rows:
            return math.nan
        return math.sqrt(self.spread**2 * max(1.0, self.rows / n) + self.bias**2)

    def beyond(self, gap: float) -> float:
        """How far a gap is beyond all that lies between none and the reference's own.

        The reference's scores are of single members, each blind to some nights; what serves is their mean, whose
        estimates need not be off in the same way.
        """
        return gap - min(max(gap, min(self.bias, 0.0)), max(self.bias, 0.0))


def yardstick(metric: Metric, realised: Mapping[str, Tally], estimated: Mapping[str, Tally], block: int) -> Yardstick:
    """The yardstick of one metric from nightly tallies of held-out rows; nights where it is not defined are left out.

    Parameters
    ----------
    realised, estimated : mappings of str to Tally
        By night, YYYY-MM-DD; the estimates from a calibration that did not see the night's block.
    block : int
        Nights of a block.

    Examples
    --------
    >>> from tidegate.performance.metrics import mae
    >>> from tidegate.performance.tally import NO_CONFUSION, NO_HIST
    >>> def night(error):
    ...     return Tally({"n": 2.0, "absolute": 2 * error}, NO_HIST, NO_CONFUSION)
    >>> days = [f"2024-01-0{d}" for d in range(1, 7)]
    >>> found = yardstick(mae, {d: night(2 + i % 2) for i, d in enumerate(days)}, {d: night(2) for d in days}, 1)
    >>> found.usual, found.bias, round(found.spread, 3), round(found.se(2), 3)
    (2.5, 0.5, 0.548, 0.742)
    """
    nights = sorted(n for n in realised if n in estimated)
    rows = {n: (metric(realised[n]), metric(estimated[n]), realised[n].n) for n in nights}
    rows = {n: r for n, r in rows.items() if math.isfinite(r[0]) and math.isfinite(r[1]) and r[2]}
    if len(rows) < 2:
        return Yardstick(math.nan, math.nan, math.nan, math.nan, math.nan, len(rows), 0)
    value, guess, n = np.array(list(rows.values())).T
    gaps = {night: NightGap(r[0] - r[1], 0.0, r[2]) for night, r in rows.items()}
    whole = in_blocks(gaps, block)
    means = [g.gap for g in whole.values()]
    bias = float(np.average(value - guess, weights=n))
    off = value - guess - bias
    spread = math.sqrt(float((off**2).sum()) / (len(off) - 1))
    kept = widening(carried(value - guess), block)
    block_spread = float(np.std(means, ddof=1)) * math.sqrt(kept) if len(means) > 1 else math.nan
    usual = float(np.average(value, weights=n))
    return Yardstick(usual, bias, spread, block_spread, float(n.mean()), len(rows), len(means))


def in_blocks(nights: Mapping[str, NightGap], block: int, through: str = "9999-12-30") -> dict[str, NightGap]:
    """Row-weighted means of whole blocks of `block` dates, by the first date of each that has rows.

    Dates are cut where the calendar cuts them, so a block is the same on every evening and none overlaps another; a
    block whose last date is after `through` is not over yet, and left out.

    Examples
    --------
    >>> nights = {"2024-01-01": NightGap(1.0, 0.0, 1), "2024-01-02": NightGap(4.0, 0.0, 2)}
    >>> list(in_blocks(nights, 1).values()) == list(nights.values()), in_blocks(nights, 2, "2024-01-01")
    (True, {})
    """
    parts: dict[int, list[str]] = {}
    for night in sorted(nights):
        if math.isfinite(nights[night].gap) and nights[night].n:
            parts.setdefault(_number(night) // block, []).append(night)
    last = _number(through)
    return {names[0]: _mean([nights[m] for m in names]) for at, names in parts.items() if (at + 1) * block - 1 <= last}


@lru_cache(maxsize=4096)
def _number(night: str) -> int:
    return date.fromisoformat(night).toordinal()


def _mean(nights: Sequence[NightGap]) -> NightGap:
    n = sum(g.n for g in nights)
    return NightGap(sum(g.gap * g.n for g in nights) / n, sum(g.off * g.n for g in nights) / n, n)


@dataclass(frozen=True, slots=True)
class Chart:
    """Where the CUSUM of one metric's gap stands.

    ``worse`` and ``better`` are its sums, in standard errors, against ``limit``. ``since`` is the first night of the
    present run towards worse (or better, where that is larger), with ``nights`` so far; ``gap`` its mean beyond the
    reference's own, ``se`` the error of that. Nothing has run up: an empty ``since``.
    """

    metric: str
    worse: float
    better: float
    limit: float
    since: str
    nights: int
    gap: float
    se: float

    @property
    def persistent(self) -> bool:
        """Whether performance is worse than estimated, and stays so."""
        return self.worse > self.limit


def chart(
    metric: str, nights: Mapping[str, NightGap], known: Yardstick, block: int, limit: float, through: str
) -> Chart | None:
    """Page's CUSUM of the gap, standardised by the reference's own, a step each whole block of nights.

    It does not restart at its limit: as long as the gap stays the sum does, and when the gap closes it falls.

    Parameters
    ----------
    nights : mapping of str to NightGap
        The matured nights of one champion, by date.
    known : Yardstick
    limit : float
        In standard errors, as `limit_for` gives it.

    Returns
    -------
    Chart or None
        None where the reference has fewer than `LEAST` blocks, or its gap never varied.

    References
    ----------
    Page 1954; on standardising by the long-run deviation under autocorrelation, Johnson & Bagshaw 1974.
    """
    if known.blocks < LEAST or not known.block_spread > 0:
        return None
    sign = -1.0 if HIGHER_IS_BETTER[metric] else 1.0
    sums, began = [0.0, 0.0], ["", ""]
    blocks = in_blocks(nights, block, through)
    for night, b in blocks.items():
        spread = known.block_spread * math.sqrt(max(1.0, known.rows * block / b.n))
        z = float(np.clip(sign * known.beyond(b.gap) / spread, -CAP, CAP))
        for side, step in enumerate((z, -z)):
            grown = max(0.0, sums[side] + step - ALLOWANCE)
            began[side] = "" if not grown else began[side] or night
            sums[side] = grown
    since = began[0] if sums[0] >= sums[1] else began[1]
    run = {n: b for n, b in blocks.items() if since and n >= since}
    mean = weighted([known.beyond(b.gap) for b in run.values()], [b.n for b in run.values()]).value
    se = known.block_spread / math.sqrt(len(run)) if run else math.nan
    count = sum(since <= n <= through for n in nights) if since else 0
    return Chart(metric, sums[0], sums[1], limit, since, count, mean, se)


def limit_for(blocks: int, block: int, per_year: float, rng: np.random.Generator, years: int = 4000) -> float:
    """The limit that a chart passes in a year with probability `per_year` where nothing drifts, on either side.

    Simulated, since mean and spread come from `blocks` blocks of reference only: with a chart's formula for known ones
    it would be passed several times as often (Jones, Champ & Rigdon 2004).

    Parameters
    ----------
    blocks : int
        Of the reference, 2 at least.
    block : int
        Nights of a block.
    per_year : float, in (0, 1)

    Examples
    --------
    >>> from tidegate.performance.gap import limit_for
    >>> few, many = (limit_for(b, 3, 0.05, np.random.default_rng(1)) for b in (24, 2400))
    >>> bool(few > many > 4)
    True
    """
    bias = rng.normal(0.0, 1 / math.sqrt(blocks), years)
    spread = np.sqrt(rng.chisquare(blocks - 1, years) / (blocks - 1))
    up, down, most = np.zeros(years), np.zeros(years), np.zeros(years)
    for _ in range(math.ceil(365 / block)):
        z = np.clip((rng.normal(size=years) - bias) / spread, -CAP, CAP)
        up, down = np.maximum(up + z - ALLOWANCE, 0), np.maximum(down - z - ALLOWANCE, 0)
        most = np.maximum(most, np.maximum(up, down))
    return float(np.quantile(most, 1 - per_year))


def advantage(nights: Mapping[str, NightGap], block: int) -> Estimate:
    """Squared error of the estimates less that of the constant, a mean over blocks of nights; below 0 they are better.

    The constant is the reference's realised value. NaN without nights, an error of NaN below two blocks.
    """
    known = {n: g for n, g in nights.items() if math.isfinite(g.gap) and math.isfinite(g.off) and g.n}
    lost = {n: NightGap(g.gap**2 - g.off**2, 0.0, g.n) for n, g in known.items()}
    blocks = in_blocks(lost, block).values()
    plain = weighted([b.gap for b in blocks], [b.n for b in blocks])
    return widened(plain, [g.gap for g in lost.values()], block)


def loudest(found: Sequence[Chart]) -> Chart | None:
    """The chart that has most to say: of those that call a gap the one furthest past its limit."""
    return max(found, key=lambda c: max(c.worse, 0.999 * c.better) / c.limit, default=None)
