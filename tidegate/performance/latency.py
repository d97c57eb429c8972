"""Latencies as a mergeable histogram: quantiles of a year are those of its requests, never a mean of quantiles.

Buckets grow by a constant ratio, so that a value is known to 1 % wherever it lies (DDSketch: Masson, Rim & Lee 2019).
Histograms are counts: whatever they are merged from and in whichever order, the same requests give the same histogram.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

RESOLUTION = 0.01
"""Largest relative error of a quantile."""
LEAST, LARGEST = 1e-7, 1e5
"""Seconds that are told apart; what lies outside counts as the nearest of them."""
_RATIO = (1 + RESOLUTION) / (1 - RESOLUTION)
_STEP = math.log(_RATIO)
_FIRST, _LAST = math.floor(math.log(LEAST) / _STEP), math.ceil(math.log(LARGEST) / _STEP)


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile in seconds with its bounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Latencies:
    """How many requests took how long: counts by bucket, bucket ``b`` ending at ``ratio ** b`` seconds.

    Examples
    --------
    >>> morning, evening = Latencies.of([0.001] * 98 + [0.1] * 2), Latencies.of([0.001] * 100)
    >>> day = morning + evening
    >>> day.n, round(day.quantile(0.5).value, 4), round(day.quantile(0.995).value, 2)
    (200, 0.001, 0.1)
    >>> Latencies.from_dict(day.as_dict()) == day
    True
    """

    counts: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, seconds: Iterable[float] | NDArray[np.float64]) -> Latencies:
        """The histogram of some latencies in seconds, 0 or more.

        What is not finite or below 0 is left out: no clock gives it, and nothing is known of it.
        """
        values = np.asarray(seconds if isinstance(seconds, np.ndarray) else list(seconds), dtype=np.float64)
        values = values[np.isfinite(values) & (values >= 0)]
        at = np.ceil(np.log(np.clip(values, LEAST, LARGEST)) / _STEP).astype(np.int64)
        found, counts = np.unique(np.clip(at, _FIRST, _LAST), return_counts=True)
        return cls(dict(zip(found.tolist(), counts.tolist(), strict=True)))

    def __add__(self, other: Latencies) -> Latencies:
        """Both together."""
        keys = sorted({*self.counts, *other.counts})
        return Latencies({k: self.counts.get(k, 0) + other.counts.get(k, 0) for k in keys})

    @property
    def n(self) -> int:
        return sum(self.counts.values())

    def above(self, seconds: float) -> int:
        """How many surely took longer: those in buckets that begin at `seconds` or later."""
        return sum(c for b, c in self.counts.items() if math.exp((b - 1) * _STEP) >= seconds)

    def quantile(self, q: float, *, confidence: float = 0.95, design_effect: float = 1.0) -> Quantile:
        """A quantile with bounds from order statistics, which hold for whatever distribution.

        The value is within 1 % of the smallest latency that a share `q` of requests does not exceed. The ranks of
        the bounds are quantiles of a binomial distribution (David & Nagaraja 2003, 7.1), moved apart by the root of
        `design_effect` where requests hang together; the bounds are the outer ends of their buckets. Where too few
        requests lie beyond, the upper bound is infinite.

        Parameters
        ----------
        q : float
            In (0, 1).
        design_effect : float
            1 or more: requests that tell as much as one alone.

        Returns
        -------
        Quantile
            All NaN without requests.

        Examples
        --------
        >>> found = Latencies.of(np.linspace(0.001, 1.0, 1000)).quantile(0.5)
        >>> round(found.value, 2), round(found.low, 2), round(found.high, 2)
        (0.5, 0.47, 0.54)
        >>> Latencies.of([0.2] * 10).quantile(0.99).high
        inf
        >>> Latencies().quantile(0.5).value
        nan
        """
        n = self.n
        if not n:
            return Quantile(math.nan, math.nan, math.nan)
        buckets = sorted(self.counts)
        upto = np.cumsum([self.counts[b] for b in buckets])
        tail = (1 - confidence) / 2
        few = max(n / max(design_effect, 1.0), 1.0)
        # Ranks among as many as tell something, as shares of all.
        low, high = (float(binom.ppf(p, round(few), q)) / few * n for p in (tail, 1 - tail))

        def bucket(rank: float) -> int:
            return buckets[int(np.searchsorted(upto, max(rank, 1.0)))]

        middle = bucket(math.ceil(round(q * n, 9)))
        least = math.exp((bucket(low) - 1) * _STEP) if low >= 1 else 0.0
        most = math.exp(bucket(high + 1) * _STEP) if high + 1 <= n else math.inf
        return Quantile(2 * math.exp(middle * _STEP) / (1 + _RATIO), least, most)

    def as_dict(self) -> dict[str, int]:
        """As JSON takes it."""
        return {str(b): c for b, c in sorted(self.counts.items())}

    @classmethod
    def from_dict(cls, found: Mapping[str, int]) -> Latencies:
        """What `as_dict` gave."""
        return cls({int(b): int(c) for b, c in found.items()})


__all__ = ["LARGEST", "LEAST", "RESOLUTION", "Latencies", "Quantile"]
