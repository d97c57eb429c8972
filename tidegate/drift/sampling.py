"""What sampling does to a distance: an interval around it, and tests against a margin.

Each law holds one distance and what its error depends on. All have

- ``interval(confidence)``: holds the true distance with at least this probability;
- ``p_above(margin)``: the p-value of "the true distance is at most the margin". A test that
  rejects at p ≤ α has size ≤ α at the margin itself, however many rows there are;
- ``p_below(margin)``: the p-value of "the true distance is at least the margin".

They hold for independent rows, or for ``n`` and ``m`` divided by the design effect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import chndtr, chndtrinc, ndtr, ndtri, stdtr, stdtrit

Shares = NDArray[np.float64]

# Above it the root of a noncentral χ² is normal, to 0.5 % of an interval's width; the series are slow there.
LARGE = 1e5


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, both in the distance's unit; NaN when it cannot be told, inf when unbounded."""

    low: float
    high: float


UNKNOWN = Interval(math.nan, math.nan)


class Law(Protocol):
    """The error of one distance; see the module."""

    @property
    def value(self) -> float: ...
    def interval(self, confidence: float) -> Interval: ...
    def p_above(self, margin: float) -> float: ...
    def p_below(self, margin: float) -> float: ...


@dataclass(frozen=True, slots=True)
class Divergence:
    """PSI, KL or JS²: ``value · local / scale`` is about noncentral χ² with ``bins − 1`` degrees of freedom.

    ``local`` makes the divergence a χ² distance near zero (PSI 1, KL 2, JS² in bits 8·ln 2),
    ``scale`` is 1/n + 1/m. Far from zero the delta method's ``variance`` is larger than the
    noncentral χ² has it; then the scale is raised until they agree. ``root`` says that the distance
    is the root of the divergence (JS), ``sparse`` that the rows are too few for so many bins (Cochran:
    five a bin): half a row in each then hides what there is, and nothing bounds the distance above.

    Examples
    --------
    >>> law = Divergence(0.05, bins=10, scale=1 / 1000 + 1 / 60_000, local=1.0, variance=0.0)
    >>> [round(b, 4) for b in (law.interval(0.95).low, law.interval(0.95).high)], round(law.p_above(0.02), 3)
    ([0.0191, 0.0726], 0.031)

    References
    ----------
    Yurdakul & Naranjo 2020 (χ² without drift); Read & Cressie, Goodness-of-fit statistics, 1988,
    ch. 4 (noncentral χ²); Johnson, Kotz & Balakrishnan 1995, ch. 29 (its root is normal).
    """

    divergence: float
    bins: int
    scale: float
    local: float
    variance: float
    root: bool = False
    sparse: bool = False

    @property
    def value(self) -> float:
        return math.sqrt(max(self.divergence, 0.0)) if self.root else self.divergence

    def _unit(self) -> float:
        """What one unit of χ² is in units of the divergence."""
        far = self.variance * self.local / (4 * self.divergence * self.scale) if self.divergence > 0 else 1.0
        return self.scale * max(1.0, far) / self.local

    def interval(self, confidence: float) -> Interval:
        if self.bins < 2 or not self.scale > 0:
            return UNKNOWN
        unit, tail, df = self._unit(), (1 - confidence) / 2, self.bins - 1
        low, high = (unit * _noncentrality(self.divergence / unit, df, p) for p in (1 - tail, tail))
        # The estimate is biased upwards: of an unusually good match it may lie above its own limit.
        low, high = min(low, self.divergence), math.inf if self.sparse else max(high, self.divergence)
        return Interval(math.sqrt(max(low, 0.0)), math.sqrt(high)) if self.root else Interval(low, high)

    def p_above(self, margin: float) -> float:
        return 1.0 - self._below(margin)

    def p_below(self, margin: float) -> float:
        return 1.0 if self.sparse else self._below(margin)

    def _below(self, margin: float) -> float:
        if self.bins < 2 or not self.scale > 0:
            return math.nan
        unit = self._unit()
        return _noncentral_cdf(self.divergence / unit, self.bins - 1, (margin**2 if self.root else margin) / unit)


@dataclass(frozen=True, slots=True)
class Gap:
    """KS: the largest gap of two distribution functions, within √(scale·ln(2/α)/2) of the true one.

    That is the Dvoretzky-Kiefer-Wolfowitz band for two samples. It covers any two distributions,
    equal or not: the pointwise variance of the difference is never above ``scale``/4. The grid may
    hide a gap of up to ``hidden`` inside a bucket, never make one up.

    Examples
    --------
    >>> band = Gap(0.05, scale=1 / 1000 + 1 / 60_000).interval(0.95)
    >>> round(band.low, 4), round(band.high, 4)
    (0.0067, 0.0933)

    References
    ----------
    Massart 1990; Wei & Dudley, Two-sample Dvoretzky-Kiefer-Wolfowitz inequalities, 2012.
    """

    value: float
    scale: float
    hidden: float = 0.0

    def interval(self, confidence: float) -> Interval:
        if not self.scale > 0 or math.isnan(self.value):
            return UNKNOWN
        reach = math.sqrt(self.scale * math.log(2 / (1 - confidence)) / 2)
        return Interval(max(self.value - reach, 0.0), min(self.value + self.hidden + reach, 1.0))

    def p_above(self, margin: float) -> float:
        return self._tail(self.value - margin)

    def p_below(self, margin: float) -> float:
        return self._tail(margin - self.value - self.hidden)

    def _tail(self, beyond: float) -> float:
        if not self.scale > 0 or math.isnan(beyond):
            return math.nan
        return min(1.0, 2 * math.exp(-2 * beyond * beyond / self.scale)) if beyond > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Transport:
    """W1: two samples lie ``bias`` apart even without drift, give or take ``error``.

    ``bias`` = √(2/π)·∫√(F(1−F)/n + G(1−G)/m) dx is the mean of the L1 norm of both empirical
    processes. That norm changes by at most ``error`` = √(Var X/n + Var Y/m) standard normals
    (each φ with slope ≤ 1 has Var φ(X) ≤ Var X; Gaussian concentration), so that
    value − bias − z·error ≤ W1 ≤ value + z·error. In the limit of many rows with a finite
    variance; Student's t stands in for z when the smaller side is small.

    Examples
    --------
    >>> band = Transport(0.25, bias=0.04, error=0.03, freedom=999).interval(0.95)
    >>> round(band.low, 3), round(band.high, 3)
    (0.151, 0.309)

    References
    ----------
    del Barrio, Giné & Matrán, Central limit theorems for the Wasserstein distance, 1999;
    Borell 1975.
    """

    value: float
    bias: float
    error: float
    freedom: float

    def interval(self, confidence: float) -> Interval:
        if math.isnan(self.value + self.bias + self.error):
            return UNKNOWN
        if not self.freedom > 0:
            return Interval(0.0, math.inf)
        reach = float(stdtrit(self.freedom, (1 + confidence) / 2)) * self.error
        return Interval(max(self.value - self.bias - reach, 0.0), self.value + reach)

    def p_above(self, margin: float) -> float:
        return self._tail(self.value - self.bias - margin)

    def p_below(self, margin: float) -> float:
        return self._tail(margin - self.value)

    def _tail(self, beyond: float) -> float:
        if math.isnan(beyond + self.error):
            return math.nan
        if not self.freedom > 0:
            return 1.0
        if not self.error > 0:
            return 0.0 if beyond > 0 else 1.0
        return float(stdtr(self.freedom, -beyond / self.error))


def _noncentral_cdf(x: float, df: int, noncentrality: float) -> float:
    if max(x, noncentrality) > LARGE:
        return float(ndtr(math.sqrt(max(x, 0.0)) - math.sqrt(noncentrality + (df - 1) / 2)))
    return float(min(max(chndtr(x, df, noncentrality), 0.0), 1.0))


def _noncentrality(x: float, df: int, p: float) -> float:
    """The noncentrality with which χ² stays below `x` with probability `p`; 0 if none is small enough."""
    if x > LARGE:
        return max((math.sqrt(x) - float(ndtri(p))) ** 2 - (df - 1) / 2, 0.0)
    if chndtr(x, df, 0.0) <= p:
        return 0.0
    return float(chndtrinc(x, df, p))
