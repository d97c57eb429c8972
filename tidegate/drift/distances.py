"""Distances between two distributions given as counts over the same bins.

All take reference and current counts, shape (bins,), each ≥ 0 and finite; fractions are
allowed. All give NaN when either side has no rows, and raise `UsageError` when the shapes
differ or a count is negative or not finite.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, rel_entr

from tidegate.errors import UsageError

Counts = NDArray[np.float64]


def psi(reference: ArrayLike, current: ArrayLike) -> float:
    """Population stability index, Σ(p−q)·ln(p/q), over counts of the same bins.

    Half a row is added to each bin. Range [0, ∞), no unit, the same both ways round.

    Examples
    --------
    >>> round(psi([500_000, 500_000], [600_000, 400_000]), 6)
    0.040546

    References
    ----------
    Yurdakul & Naranjo, Statistical properties of the population stability index, 2020.
    """
    q, p = _smoothed(reference, current)
    return float(np.sum((p - q) * np.log(p / q)))


def psi_limit(bins: int, n: float, m: float, confidence: float = 0.95) -> float:
    """The PSI that `n` and `m` undrifted rows stay below with this probability in (0, 1).

    Without drift PSI/(1/n+1/m) is about χ² with ``bins - 1`` degrees of freedom, if the rows are
    independent and no bin expects fewer than about five of either side's. NaN with fewer than two
    bins or without rows: there is nothing to judge.

    Examples
    --------
    >>> round(psi_limit(10, 1000, 1000), 6)
    0.033838

    References
    ----------
    Yurdakul & Naranjo 2020, as `psi`.
    """
    if not 0 < confidence < 1:
        raise UsageError("confidence", "a number between 0 and 1", str(confidence), "for example 0.99")
    if bins < 2 or n <= 0 or m <= 0:
        return math.nan
    return float(chdtri(bins - 1, 1 - confidence) * (1 / n + 1 / m))


def kl(reference: ArrayLike, current: ArrayLike) -> float:
    """Kullback-Leibler divergence Σ q·ln(q/p) of the reference q from the current p.

    In nats, range [0, ∞), smoothed as `psi`: what coding the reference's rows with the window's
    distribution would waste.

    Examples
    --------
    >>> round(kl([500_000, 500_000], [600_000, 400_000]), 6)
    0.020411

    References
    ----------
    Kullback & Leibler, On information and sufficiency, 1951.
    """
    q, p = _smoothed(reference, current)
    return float(np.sum(rel_entr(q, p)))


def js(reference: ArrayLike, current: ArrayLike) -> float:
    """Jensen-Shannon distance (the root of the divergence), base 2, in [0, 1], smoothed as `psi`.

    Examples
    --------
    >>> round(js([500_000, 500_000], [600_000, 400_000]), 6)
    0.085435

    References
    ----------
    Endres & Schindelin, A new metric for probability distributions, 2003.
    """
    q, p = _smoothed(reference, current)
    m = (p + q) / 2
    bits = np.sum(rel_entr(p, m) + rel_entr(q, m)) / (2 * math.log(2))
    return float(np.sqrt(np.maximum(bits, 0.0)))  # rounding may leave a tiny negative; NaN stays NaN


def ks(reference: ArrayLike, current: ArrayLike) -> float:
    """Kolmogorov-Smirnov distance over ordered bins, in [0, 1].

    Examples
    --------
    >>> ks([10, 0], [0, 10])
    1.0

    References
    ----------
    Smirnov, Table for estimating the goodness of fit of empirical distributions, 1948.
    """
    gap = _gap(reference, current)
    return float(np.max(np.abs(gap))) if len(gap) else math.nan


def w1(values: ArrayLike, reference: ArrayLike, current: ArrayLike) -> float:
    """Wasserstein-1 distance of counts at ascending `values`, shape (bins,), in the values' unit.

    Examples
    --------
    >>> w1([0.0, 2.0], [1, 0], [0, 1])
    2.0

    References
    ----------
    Vallender, Calculation of the Wasserstein distance between probability distributions on the
    line, 1974.
    """
    gap = _gap(reference, current)
    return float(np.sum(np.abs(gap[:-1]) * np.diff(np.asarray(values, dtype=np.float64)))) if len(gap) else math.nan


def _pair(reference: ArrayLike, current: ArrayLike) -> tuple[Counts, Counts, float, float]:
    """Both sides and their rows."""
    r, c = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    n, m = float(r.sum()), float(c.sum())
    least = min(r.min(initial=0.0), c.min(initial=0.0))
    if r.ndim != 1 or r.shape != c.shape or least < 0 or not math.isfinite(n + m):
        raise UsageError(
            "distance",
            "finite counts ≥ 0 over the same bins",
            f"shapes {r.shape} and {c.shape}, least {least:g}, sums {n:g} and {m:g}",
            "bin both sides on the reference's bins",
        )
    return r, c, n, m


def _smoothed(reference: ArrayLike, current: ArrayLike) -> tuple[Counts, Counts]:
    """Shares of both sides with half a row more in each bin (Jeffreys); NaN if a side is empty."""
    r, c, n, m = _pair(reference, current)
    if not (n and m):
        return np.full(1, math.nan), np.full(1, math.nan)
    return (r + 0.5) / (n + 0.5 * len(r)), (c + 0.5) / (m + 0.5 * len(c))


def _gap(reference: ArrayLike, current: ArrayLike) -> Counts:
    """Difference of the distribution functions at each bin's end; empty if a side is empty."""
    r, c, n, m = _pair(reference, current)
    if not (n and m):
        return np.empty(0)
    return np.asarray(np.cumsum(r) / n - np.cumsum(c) / m, dtype=np.float64)
