"""How unusual a value is: the distribution of one series on nights without drift, with its tails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

TAIL = 0.08
"""Share of the nights on each side that the tail is fitted to."""
FEWEST = 8
"""Nights that a tail is fitted to, at least."""
FARTHEST = 8.0
"""Standard scores are cut off here: 8 is one in 10¹⁵."""


@dataclass(frozen=True, eq=False)
class Marginal:
    """Values of a series to standard scores: N(0, 1) on nights without drift.

    Between the tails the scores follow the nights' own ranks (ties share the middle of theirs), beyond
    them an exponential whose scale is the mean excess (a generalised Pareto of shape 0: safe for tails that
    are no heavier; what heavier ones cost, the tolerance of the calibration takes in). Values within `floor`
    of the median are at the median, and no tail is shorter than `floor`, so that a series which never moved
    is not alarmed at by a hair.

    ``points`` and ``shares``: shape (k,), distances from the median, ascending, and the share of the nights up to each.

    References
    ----------
    Pickands, Statistical inference using extreme order statistics, 1975.
    """

    median: float
    floor: float
    points: Floats
    shares: Floats
    low: float
    high: float
    below: float
    above: float
    scale_low: float
    scale_high: float

    @classmethod
    def fit(cls, values: ArrayLike, floor: float) -> Marginal | None:
        """Fitted to a series on nights without drift; None with fewer than 21 finite values.

        Examples
        --------
        >>> m = Marginal.fit(np.arange(101.0), floor=0.0)
        >>> m.z(np.array([50.0, np.nan, 1e9])).round(2).tolist()
        [0.0, nan, 8.0]
        """
        x = np.asarray(values, dtype=np.float64)
        x = x[np.isfinite(x)]
        n = len(x)
        if n < 21:
            return None
        median = float(np.median(x))
        d = np.sort(_beyond(x - median, floor))
        points, count = np.unique(d, return_counts=True)
        m = max(FEWEST, int(TAIL * n))
        low, high = float(d[m]), float(d[-m - 1])
        over, under = d[d > high] - high, low - d[d < low]
        return cls(
            median, floor, points, np.cumsum(count) / n, low, high,
            max(len(under), 1) / n, max(len(over), 1) / n,
            _scale(under, floor, points), _scale(over, floor, points),
        )  # fmt: skip

    def z(self, values: Floats) -> Floats:
        """Standard scores, any shape; NaN stays NaN (no information), ±inf is ±8."""
        d = _beyond(values - self.median, self.floor)
        z = ndtri(np.interp(d, self.points, self.shares - np.diff(self.shares, prepend=0.0) / 2))
        with np.errstate(invalid="ignore", under="ignore", over="ignore"):
            above = -ndtri(np.maximum(self.above * np.exp(-(d - self.high) / self.scale_high), 1e-16))
            below = ndtri(np.maximum(self.below * np.exp(-(self.low - d) / self.scale_low), 1e-16))
            z = np.where(d > self.high, above, np.where(d < self.low, below, z))
        # With a single point np.interp gives it for NaN, too.
        return np.where(np.isnan(values), np.nan, np.clip(z, -FARTHEST, FARTHEST))

    def value(self, z: Floats) -> Floats:
        """Values with these standard scores, any shape: the nights' own, beyond the tails the exponential's."""
        p = ndtr(z)
        with np.errstate(divide="ignore"):
            d = self.points[np.minimum(np.searchsorted(self.shares, p), len(self.points) - 1)]
            d = np.where(1 - p < self.above, self.high - self.scale_high * np.log((1 - p) / self.above), d)
            d = np.where(p < self.below, self.low + self.scale_low * np.log(p / self.below), d)
        return np.asarray(d + np.sign(d) * self.floor + self.median, dtype=np.float64)

    def as_dict(self) -> dict[str, Any]:
        body = {k: getattr(self, k) for k in self.__dataclass_fields__}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in body.items()}

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> Marginal:
        arrays = {k: np.asarray(body[k], dtype=np.float64) for k in ("points", "shares")}
        return cls(**{**body, **arrays})


def scores_of(marginals: Sequence[Marginal | None], values: Floats) -> Floats:
    """Standard scores of values, both of shape (…, series); NaN for a series without a marginal."""
    out = np.full(values.shape, np.nan)
    for j, marginal in enumerate(marginals):
        if marginal is not None:
            out[..., j] = marginal.z(values[..., j])
    return out


def _beyond(distance: Floats, floor: float) -> Floats:
    return np.asarray(np.sign(distance) * np.maximum(np.abs(distance) - floor, 0.0), dtype=np.float64)


def _scale(excess: Floats, floor: float, points: Floats) -> float:
    """The tail's mean excess; the floor, or a hair of the range, where nothing exceeds."""
    least = max(floor, 1e-3 * float(points[-1] - points[0]), 1e-12)
    return max(float(excess.mean()) if len(excess) else 0.0, least)
