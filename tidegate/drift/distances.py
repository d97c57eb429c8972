"""Distances between two distributions given as counts over the same bins.

All take reference and current counts, shape (bins,), each ≥ 0 and finite; fractions are
allowed. All give NaN when either side has no rows, and raise `UsageError` when the shapes
differ or a count is negative or not finite.

The formulas are in `divergences` and `gaps`, which take many columns at once, one after
another in one array: a night has twenty columns of a few bins, and a NumPy call costs more
than ten bins do.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, rel_entr

from tidegate.errors import UsageError

Counts = NDArray[np.float64]
Index = NDArray[np.int64]


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
    return _one(divergences, reference, current)[0]


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
    return _one(divergences, reference, current)[1]


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
    return _one(divergences, reference, current)[2]


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
    return _one(lambda r, c, starts: gaps(np.zeros(len(r)), r, c, starts), reference, current)[0]


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
    x = np.asarray(values, dtype=np.float64)
    return _one(lambda r, c, starts: gaps(x, r, c, starts), reference, current)[1]


def divergences(reference: Counts, current: Counts, starts: Index) -> tuple[Counts, Counts, Counts]:
    """PSI, KL and JS of several columns, each of shape (columns,).

    Parameters
    ----------
    reference, current : float arrays, shape (bins of all columns,)
        Counts, column after column. Each column needs rows on both sides.
    starts : int array, shape (columns,)
        Where each column begins; ascending, the first is 0.
    """
    bins = np.diff(starts, append=len(reference))
    q, p = (_shares(side, starts, bins) for side in (reference, current))
    surprise = np.log(p / q)
    m = (p + q) / 2
    bits = np.add.reduceat(rel_entr(p, m) + rel_entr(q, m), starts) / (2 * math.log(2))
    return (
        np.add.reduceat((p - q) * surprise, starts),
        np.add.reduceat(rel_entr(q, p), starts),
        np.sqrt(np.maximum(bits, 0.0)),  # rounding may leave a tiny negative
    )


def gaps(values: Counts, reference: Counts, current: Counts, starts: Index) -> tuple[Counts, Counts]:
    """KS and W1 of several columns at ascending `values`, as `divergences`."""
    bins = np.diff(starts, append=len(reference))
    gap = np.abs(_cumulated(reference, starts, bins) - _cumulated(current, starts, bins))
    with np.errstate(over="ignore", invalid="ignore"):
        width = np.diff(values, append=0.0)
        width[starts + bins - 1] = 0.0  # no way to go from one column to the next
        return np.maximum.reduceat(gap, starts), np.add.reduceat(gap * width, starts)


def _shares(counts: Counts, starts: Index, bins: Index) -> Counts:
    """Shares with half a row more in each bin (Jeffreys)."""
    return np.asarray((counts + 0.5) / np.repeat(np.add.reduceat(counts, starts) + 0.5 * bins, bins), dtype=np.float64)


def _cumulated(counts: Counts, starts: Index, bins: Index) -> Counts:
    """Each column's distribution function; sums of whole numbers are exact, so no column sees its neighbours."""
    running = np.cumsum(counts)
    before = running[starts] - counts[starts]
    rows = running[starts + bins - 1] - before
    return np.asarray((running - np.repeat(before, bins)) / np.repeat(rows, bins), dtype=np.float64)


def _one(
    distances: Callable[[Counts, Counts, Index], tuple[Counts, ...]], reference: ArrayLike, current: ArrayLike
) -> tuple[float, ...]:
    """The distances of a single column, checked; NaN when a side has no rows."""
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
    if not (n and m):
        return (math.nan,) * 3
    return tuple(float(d[0]) for d in distances(r, c, np.zeros(1, dtype=np.int64)))
