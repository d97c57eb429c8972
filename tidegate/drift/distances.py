"""Distances between two distributions given as counts over the same bins."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2


def _smoothed(counts: ArrayLike) -> NDArray[np.float64]:
    c = np.asarray(counts, dtype=np.float64) + 0.5
    return np.asarray(c / c.sum(), dtype=np.float64)


def psi(reference: ArrayLike, current: ArrayLike) -> float:
    """Population stability index, Σ(p−q)·ln(p/q), over counts of the same bins.

    Half a row is added to each bin. Range [0, ∞), no unit; NaN when either side is empty.

    Examples
    --------
    >>> round(psi([500_000, 500_000], [600_000, 400_000]), 6)
    0.040546
    """
    if np.sum(reference) <= 0 or np.sum(current) <= 0:
        return math.nan
    p, q = _smoothed(current), _smoothed(reference)
    return float(np.sum((p - q) * np.log(p / q)))


def psi_limit(bins: int, n: float, m: float, confidence: float = 0.95) -> float:
    """The PSI that `n` and `m` undrifted rows stay below with this probability.

    Without drift PSI/(1/n+1/m) is about χ² with ``bins - 1`` degrees of freedom.

    Examples
    --------
    >>> round(psi_limit(10, 1000, 1000), 6)
    0.033838
    """
    if bins < 2 or n <= 0 or m <= 0:
        return math.nan
    return float(chi2.ppf(confidence, bins - 1) * (1 / n + 1 / m))


def kl(reference: ArrayLike, current: ArrayLike) -> float:
    """Kullback-Leibler divergence of `current` from `reference`, in nats, smoothed as `psi`.

    Examples
    --------
    >>> round(kl([500_000, 500_000], [400_000, 600_000]), 5)
    0.02014
    """
    if np.sum(reference) <= 0 or np.sum(current) <= 0:
        return math.nan
    p, q = _smoothed(current), _smoothed(reference)
    return float(np.sum(p * np.log(p / q)))


def js(reference: ArrayLike, current: ArrayLike) -> float:
    """Jensen-Shannon distance, base 2, in [0, 1], smoothed as `psi`.

    Examples
    --------
    >>> js([1, 0], [1, 0])
    0.0
    """
    if np.sum(reference) <= 0 or np.sum(current) <= 0:
        return math.nan
    p, q = _smoothed(current), _smoothed(reference)
    m = (p + q) / 2
    return float(np.sqrt(max(0.0, (np.sum(p * np.log2(p / m)) + np.sum(q * np.log2(q / m))) / 2)))


def ks(reference: ArrayLike, current: ArrayLike) -> float:
    """Kolmogorov-Smirnov distance over ordered bins, in [0, 1]; NaN when a side is empty.

    Examples
    --------
    >>> ks([10, 0], [0, 10])
    1.0
    """
    r, c = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if r.sum() <= 0 or c.sum() <= 0:
        return math.nan
    return float(np.max(np.abs(np.cumsum(r) / r.sum() - np.cumsum(c) / c.sum())))


def w1(values: ArrayLike, reference: ArrayLike, current: ArrayLike) -> float:
    """Wasserstein-1 distance of counts at ordered `values`, in the values' unit.

    Examples
    --------
    >>> w1([0.0, 2.0], [1, 0], [0, 1])
    2.0
    """
    x = np.asarray(values, dtype=np.float64)
    r, c = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if r.sum() <= 0 or c.sum() <= 0:
        return math.nan
    gap = np.abs(np.cumsum(r) / r.sum() - np.cumsum(c) / c.sum())[:-1]
    return float(np.sum(gap * np.diff(x)))
