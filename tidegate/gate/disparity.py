"""How far apart groups of rows are in a rate, with errors that know of the nights' dependence.

Every pair of groups is one comparison: the difference of a rate, or the log of its ratio. Its standard error is
the larger of two: that of independent rows (Agresti & Caffo 2000 for differences, Katz et al. 1978 for log
ratios, so that it does not vanish at a rate of 0 or 1), and the delete-one-block jackknife over blocks of nights
(Künsch 1989), with Student's t on the blocks of the rarer group less one. Rows of a night hang together, so the
second one usually decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of one rate over the rows of each block and group, shape (blocks, groups).

    ``hits`` sums the values (0 or 1 for a share), ``squared`` their squares, ``rows`` counts.
    """

    hits: Floats
    rows: Floats
    squared: Floats
    share: bool

    def present(self) -> Ints:
        """Blocks in which each group has rows, shape (groups,)."""
        return np.asarray((self.rows > 0).sum(axis=0), dtype=np.int64)


def sums_of(values: Floats, group: Ints, block: Ints, groups: int, blocks: int, *, share: bool = True) -> Sums:
    """Sum `values` (shape (n,)) by block and group; rows with a negative group or block are left out."""
    used = (group >= 0) & (block >= 0)
    at, v = (block * groups + group)[used], values[used]

    def total(weights: Floats | None) -> Floats:
        counted = np.bincount(at, weights=weights, minlength=blocks * groups)
        return np.asarray(counted, dtype=np.float64).reshape(blocks, groups)

    return Sums(total(v), total(None), total(v * v), share)


@dataclass(frozen=True, eq=False)
class Contrasts:
    """Every pair of groups of one rate.

    ``apart``: difference or log ratio, first minus second, shape (m,); ``without``: the same without each block,
    shape (blocks, m); ``row_se``: error of independent rows, ``df`` degrees of freedom, ``n`` rows of the pair.
    """

    rate: str
    first: Ints
    second: Ints
    apart: Floats
    without: Floats
    row_se: Floats
    df: Ints
    n: Ints

    @property
    def se(self) -> Floats:
        """The deciding standard error, shape (m,)."""
        return np.maximum(jackknife(self.without), self.row_se)

    def effect(self) -> Floats:
        """Design effect: how many times the rows' independence overstates what is known, at least 1."""
        row_se = np.where(self.row_se > 0, self.row_se, math.inf)
        return np.maximum(1.0, (jackknife(self.without) / row_se) ** 2)

    def lower(self, alpha: float) -> Floats:
        """Lower bound of the distance |apart| of each pair, at two-sided error `alpha`; 0 at least."""
        return np.maximum(0.0, np.abs(self.apart) - reach(alpha / 2, self.df) * self.se)

    def upper(self, alpha: float) -> Floats:
        """Upper bound of the distance of each pair, at one-sided error `alpha`."""
        return np.abs(self.apart) + reach(alpha, self.df) * self.se


def contrasts(rate: str, sums: Sums, *, log: bool = False) -> Contrasts:
    """Every pair of groups of `sums`, as differences or, with `log`, as log ratios.

    A group must have rows in two blocks or more; fewer than two groups give no pairs. In log ratios a rate that is
    0 or 1 (also without some block) gets half a row more (Walter 1975).

    Examples
    --------
    >>> one = Sums(np.full((10, 2), [40.0, 50.0]), np.full((10, 2), 100.0), np.full((10, 2), [40.0, 50.0]), True)
    >>> both = contrasts("selection rate", one)
    >>> both.apart.round(3).tolist(), both.se.round(4).tolist(), both.df.tolist()
    ([-0.1], [0.0221], [9])
    """
    hits, rows = sums.hits.sum(axis=0), sums.rows.sum(axis=0)
    h, n = hits - sums.hits, rows - sums.rows
    add = np.where(((h <= 0) | (h >= n)).any(axis=0) | (hits <= 0) | (hits >= rows), 0.5, 0.0) if log else 0.0
    whole, left = _level(hits, rows, add, log), _level(h, n, add, log)
    a, b = np.triu_indices(len(rows), 1)
    variance = _row_variance(sums, hits, rows, add, log)
    present = sums.present()
    return Contrasts(
        rate, a.astype(np.int64), b.astype(np.int64), whole[a] - whole[b], left[:, a] - left[:, b],
        np.sqrt(variance[a] + variance[b]), np.minimum(present[a], present[b]) - 1,
        (rows[a] + rows[b]).astype(np.int64),
    )  # fmt: skip


def rise(ours: Contrasts, theirs: Contrasts, changed: Sums, alpha: float, *, rates: Floats | None = None) -> Floats:
    """Upper bound of how much further apart `ours` treats each pair of groups than `theirs`, on the same rows.

    Parameters
    ----------
    changed : Sums
        Of ours minus theirs, row by row: a change that no row happened to show is not ruled out.
    alpha : float
        One-sided error of each pair.
    rates : ndarray, shape (groups,)
        For log ratios: the smaller of both rates of each group.

    Returns
    -------
    ndarray, shape (m,)
        Bound of |ours| − |theirs|. With either sign of ours, against the better of the two signs of theirs, at half
        the error each: no kink at zero.
    """
    n = changed.rows.sum(axis=0)
    off = changed.squared.sum(axis=0)
    variance = (off + 1) / (n + 2) / n if changed.share else off / n**2
    if rates is not None:
        variance = variance / np.maximum(rates, 0.5 / n) ** 2
    least = np.sqrt(variance[ours.first] + variance[ours.second])
    size = reach(alpha / 2, ours.df)
    bounds = [
        [
            s * ours.apart
            - t * theirs.apart
            + size * np.maximum(jackknife(s * ours.without - t * theirs.without), least)
            for t in (1, -1)
        ]
        for s in (1, -1)
    ]
    return np.asarray(np.max([np.min(b, axis=0) for b in bounds], axis=0), dtype=np.float64)


def jackknife(without: Floats) -> Floats:
    """Standard errors from values without each block, shape (blocks, m) → (m,); NaN below two blocks."""
    b = len(without)
    if b < 2:
        return np.full(without.shape[1], math.nan)
    return np.asarray(np.sqrt((b - 1) / b * ((without - without.mean(axis=0)) ** 2).sum(axis=0)), dtype=np.float64)


def reach(alpha: float, df: Ints) -> Floats:
    """Student's quantile at one-sided error `alpha`; infinite without degrees of freedom."""
    return np.where(df > 0, student.ppf(1 - alpha, np.maximum(df, 1)), math.inf)


def ratio_interval(a: float, n: float, b: float, m: float, confidence: float = 0.95) -> tuple[float, float, float]:
    """The ratio of a/n to b/m with its two-sided log-ratio interval, rows independent (Katz et al. 1978).

    Counts of 0 get half a row more, on either side (Walter 1975); NaN and (0, inf) without rows.

    Examples
    --------
    >>> [round(x, 3) for x in ratio_interval(40, 100, 50, 100)]
    [0.8, 0.587, 1.091]
    >>> ratio_interval(0, 0, 5, 10)
    (nan, 0.0, inf)
    """
    if not (n > 0 and m > 0):
        return math.nan, 0.0, math.inf
    ratio = (a / n) / (b / m) if b else math.nan
    if not (a and b):
        a, n, b, m = a + 0.5, n + 0.5, b + 0.5, m + 0.5
    centre, se = math.log((a / n) / (b / m)), math.sqrt(1 / a - 1 / n + 1 / b - 1 / m)
    z = float(norm.ppf((1 + confidence) / 2))
    return ratio, math.exp(centre - z * se), math.exp(centre + z * se)


def _level(hits: Floats, rows: Floats, add: Floats | float, log: bool) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = (hits + add) / (rows + add)
        return np.asarray(np.log(rate) if log else rate, dtype=np.float64)


def _row_variance(sums: Sums, hits: Floats, rows: Floats, add: Floats | float, log: bool) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        if log:
            return np.asarray(1 / (hits + add) - 1 / (rows + add), dtype=np.float64)
        if sums.share:
            p = (hits + 1) / (rows + 2)
            return np.asarray(p * (1 - p) / (rows + 2), dtype=np.float64)
        mean = hits / rows
        return np.asarray(np.maximum(sums.squared.sum(axis=0) / rows - mean**2, 0.0) / rows, dtype=np.float64)
