"""Tests that take rows as independent: shown beside the gate's lines, never deciding.

On flights' day shocks they call one of two equal models better in a third of the cases at a nominal 5 %. People know
their numbers from elsewhere, so they are told, with that warning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from tidegate.config.model import Model
from tidegate.gate.judged import Judged
from tidegate.gate.line import Line
from tidegate.verdicts import Outcome

Floats = NDArray[np.float64]
LEVEL = 0.05
BESIDE = "rows taken as independent, so this is shown and does not decide"


@dataclass(frozen=True)
class DeLong:
    """Two areas under ROC curves of the same rows, their variances and covariance, and z of the difference."""

    areas: tuple[float, float]
    variances: tuple[float, float]
    covariance: float
    z: float
    p: float

    @property
    def se(self) -> float:
        """Standard error of the difference."""
        return math.sqrt(max(0.0, sum(self.variances) - 2 * self.covariance))


def delong(ours: Floats, theirs: Floats, labels: NDArray[np.integer]) -> DeLong:
    """The difference of two paired ROC AUCs (DeLong, DeLong & Clarke-Pearson 1988; Sun & Xu 2014).

    Parameters
    ----------
    ours, theirs : ndarray, shape (n,)
        Finite scores, higher is more positive.
    labels : ndarray, shape (n,)
        1 positive, 0 negative.

    Returns
    -------
    DeLong
        ``p`` is two-sided. All NaN with fewer than two rows of a class; ``z`` and ``p`` also where the two rank the
        rows alike.

    Examples
    --------
    >>> y = np.array([0, 0, 0, 1, 1, 1])
    >>> found = delong(np.array([0.1, 0.2, 0.6, 0.4, 0.8, 0.9]), np.array([0.3, 0.7, 0.5, 0.4, 0.6, 0.8]), y)
    >>> [round(float(a), 4) for a in found.areas], round(found.z, 4)
    ([0.8889, 0.6667], 0.8944)
    """
    positive = labels == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if m < 2 or n < 2:
        nan = math.nan
        return DeLong((nan, nan), (nan, nan), nan, nan, nan)
    of_positive, of_negative = np.empty((2, m)), np.empty((2, n))
    for i, scores in enumerate((ours, theirs)):
        every = rankdata(scores)
        of_positive[i] = (every[positive] - rankdata(scores[positive])) / n
        of_negative[i] = 1 - (every[~positive] - rankdata(scores[~positive])) / m
    cov = np.cov(of_positive) / m + np.cov(of_negative) / n
    areas = of_positive.mean(axis=1)
    spread = float(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    # Below rounding the two rank alike.
    z = float(areas[0] - areas[1]) / math.sqrt(spread) if spread > 1e-15 else math.nan
    variances = (float(cov[0, 0]), float(cov[1, 1]))
    return DeLong((float(areas[0]), float(areas[1])), variances, float(cov[0, 1]), z, float(2 * norm.sf(abs(z))))


def mcnemar(only_ours: int, only_theirs: int, *, exact: bool | None = None) -> tuple[float, float]:
    """McNemar's test (1947) of two paired accuracies, by statsmodels: (statistic, two-sided p).

    Parameters
    ----------
    only_ours, only_theirs : int
        Rows that only one of the two got right.
    exact : bool, optional
        The binomial test; by default with fewer than 25 such rows, else χ² with Edwards' correction (1948).

    Examples
    --------
    >>> statistic, p = mcnemar(25, 15, exact=False)
    >>> round(statistic, 3), round(p, 5), round(mcnemar(25, 15, exact=True)[1], 5), mcnemar(0, 0)
    (2.025, 0.15473, 0.15386, (nan, nan))
    """
    if only_ours + only_theirs == 0:
        return math.nan, math.nan
    from statsmodels.stats.contingency_tables import mcnemar as test

    few = only_ours + only_theirs < 25 if exact is None else exact
    found = test([[0, only_ours], [only_theirs, 0]], exact=few, correction=True)
    return float(found.statistic), float(found.pvalue)


def non_inferiority_rows(margin: float, discordant: float, *, power: float = 0.8, alpha: float = 0.025) -> int:
    """Rows to show that an accuracy is not lower by `margin`, if it is the same and rows are independent.

    (z₁₋α + z_power)² · discordant / margin² (Liu et al. 2002): times the design effect, the rows that are needed.

    Parameters
    ----------
    margin, discordant : float
        Largest fall allowed, and share of rows that only one of the two gets right, in (0, 1].

    Examples
    --------
    >>> non_inferiority_rows(0.01, 0.05)
    3925
    """
    return math.ceil((norm.ppf(1 - alpha) + norm.ppf(power)) ** 2 * discordant / margin**2)


def row_tests(model: Model, judged: Judged) -> tuple[Line, ...]:
    """DeLong (binary) and McNemar (classification) as lines of role ``shown``; none for a regression."""
    if model.kind == "regression" or not len(judged):
        return ()
    labels = judged.label.astype(np.int64)
    if model.kind == "multiclass":
        guesses = judged.ours.argmax(axis=1), judged.theirs.argmax(axis=1)
        return (_accuracy(guesses[0] == labels, guesses[1] == labels),)
    right = ((judged.ours >= judged.our_cut) == labels, (judged.theirs >= judged.their_cut) == labels)
    return (_areas(delong(judged.ours, judged.theirs, labels), len(labels)), _accuracy(*right))


def _areas(found: DeLong, n: int) -> Line:
    gain = found.areas[0] - found.areas[1]
    low, high = (gain + sign * float(norm.ppf(1 - LEVEL / 2)) * found.se for sign in (-1, 1))
    areas = "not defined" if math.isnan(gain) else f"{found.areas[0]:.4f} against {found.areas[1]:.4f}"
    reason = f"ROC AUC over all rows {areas}, {_p(found.p)} (DeLong): {BESIDE}"
    return Line("delong", "shown", _outcome(gain, found.p), gain, 0.0, reason, found.se, low, high, n)


def _accuracy(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> Line:
    n, b, c = len(ours), int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    _, p = mcnemar(b, c)
    gain = (b - c) / n
    se = math.sqrt(max(0.0, (b + c) / n - gain**2) / n)
    low, high = (gain + sign * float(norm.ppf(1 - LEVEL / 2)) * se for sign in (-1, 1))
    rows = (
        f"; {non_inferiority_rows(0.01, (b + c) / n):,} independent rows would show a fall below .01" if b + c else ""
    )
    reason = (
        f"accuracy: {b:,} rows only the candidate got right, {c:,} only the other, {_p(p)} (McNemar){rows}: {BESIDE}"
    )
    return Line("mcnemar", "shown", _outcome(gain, p), gain, 0.0, reason, se, low, high, n)


def _p(p: float) -> str:
    return "no p" if math.isnan(p) else f"p = {p:.3g}"


def _outcome(gain: float, p: float) -> Outcome:
    if not p < LEVEL:
        return "inconclusive"
    return "pass" if gain > 0 else "fail"
