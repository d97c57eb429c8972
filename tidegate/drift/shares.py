"""What sampling does to a share of rows: laws as in `tidegate.drift.sampling`, by the binomial."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import betainc, betainccinv, betaincinv

from tidegate.drift.sampling import UNKNOWN, Interval

# Smaller p-values are given as this one: the inverse of the binomial has no more digits.
LEAST = 1e-30


@dataclass(frozen=True, slots=True)
class Share:
    """A share of `m` rows (unseen categories), by the exact binomial; fractions of rows are allowed.

    Examples
    --------
    >>> seen = Share(0.0, m=1000)
    >>> seen.interval(0.95).low, round(seen.interval(0.95).high, 4), round(Share(0.02, m=1000).p_above(0.01), 4)
    (0.0, 0.0037, 0.0033)

    References
    ----------
    Clopper & Pearson 1934.
    """

    value: float
    m: float

    def interval(self, confidence: float) -> Interval:
        if not self.m > 0 or math.isnan(self.value):
            return UNKNOWN
        tail = (1 - confidence) / 2
        return Interval(*_clopper_pearson(self.value * self.m, self.m, tail))

    def p_above(self, margin: float) -> float:
        rows = self.value * self.m
        if not self.m > 0 or math.isnan(rows):
            return math.nan
        return float(betainc(rows, self.m - rows + 1, min(margin, 1.0))) if rows > 0 else 1.0

    def p_below(self, margin: float) -> float:
        rows = self.value * self.m
        if not self.m > 0 or math.isnan(rows):
            return math.nan
        return float(betainc(self.m - rows, rows + 1, 1 - min(margin, 1.0))) if rows < self.m else 1.0


@dataclass(frozen=True, slots=True)
class ShareDifference:
    """current − reference share (missing rows): each side's exact limits, squared and added.

    The margin is on the size of the difference; both directions are tested, each at α/2.

    Examples
    --------
    >>> change = ShareDifference(0.10, 60_000, 0.14, 1000)
    >>> [round(b, 3) for b in (change.interval(0.95).low, change.interval(0.95).high)], change.p_above(0.02) < 0.08
    ([0.019, 0.063], True)

    References
    ----------
    Newcombe, Interval estimation for the difference between independent proportions, 1998
    (method 10, here with Clopper-Pearson's limits, since Wilson's are too short for rare rows);
    Zou & Donner 2008.
    """

    reference: float
    n: float
    current: float
    m: float

    @property
    def value(self) -> float:
        return self.current - self.reference

    def interval(self, confidence: float) -> Interval:
        if not (self.n > 0 and self.m > 0) or math.isnan(self.value):
            return UNKNOWN
        return Interval(*self._limits((1 - confidence) / 2))

    def p_above(self, margin: float) -> float:
        if not (self.n > 0 and self.m > 0) or math.isnan(self.value):
            return math.nan
        side = 1.0 if self.value >= 0 else -1.0
        return min(1.0, 2 * _level(lambda tail: self._nearest(tail, side) - margin))

    def p_below(self, margin: float) -> float:
        if not (self.n > 0 and self.m > 0) or math.isnan(self.value):
            return math.nan
        return _level(lambda tail: margin - max(map(abs, self._limits(tail))))

    def _nearest(self, tail: float, side: float) -> float:
        low, high = self._limits(tail)
        return low if side > 0 else -high

    def _limits(self, tail: float) -> tuple[float, float]:
        p, q = self.current, self.reference
        (p_low, p_high), (q_low, q_high) = (
            _clopper_pearson(p * self.m, self.m, tail),
            _clopper_pearson(q * self.n, self.n, tail),
        )
        return p - q - math.hypot(p - p_low, q_high - q), p - q + math.hypot(p_high - p, q - q_low)


def _clopper_pearson(rows: float, n: float, tail: float) -> tuple[float, float]:
    rows = min(max(rows, 0.0), n)
    low = float(betaincinv(rows, n - rows + 1, tail)) if rows > 0 else 0.0
    high = float(betainccinv(rows + 1, n - rows, tail)) if rows < n else 1.0
    return min(low, rows / n), max(high, rows / n)


def _level(beyond: Callable[[float], float]) -> float:
    """The smallest tail at which `beyond`, which grows with it, is not negative; 1 if there is none up to ½."""
    if beyond(0.5) <= 0:
        return 1.0
    if beyond(LEAST) > 0:
        return LEAST
    return math.exp(brentq(lambda logarithm: beyond(math.exp(logarithm)), math.log(LEAST), math.log(0.5), xtol=1e-6))
