"""How well scores rank outcomes, on one scale for every kind of model: .5 is chance, 1 is perfect."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

Floats = NDArray[np.float64]


def ranked(kind: str, scores: Floats, label: NDArray[Any]) -> float:
    """ROC AUC (binary), the mean of one against the rest (multiclass), or concordance (regression).

    The concordance, (Kendall's τ + 1) / 2, is the chance that of two rows the one with the larger label has the
    larger score: for two classes, the ROC AUC. NaN where it is not defined: no rows, one class, one value.

    Parameters
    ----------
    scores : ndarray, shape (n,) or (n, classes)
    label : ndarray, shape (n,)
        Class positions, or the regression target.

    Examples
    --------
    >>> ranked("binary", np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.75
    >>> ranked("regression", np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0])).__round__(4)
    0.6667

    References
    ----------
    Hanley & McNeil 1982; Kendall 1938; Harrell's c (1996) is the same concordance.
    """
    if kind == "regression":
        if len(label) < 2 or np.ptp(label) == 0 or np.ptp(scores) == 0:
            return math.nan
        return float(kendalltau(scores, label).statistic + 1) / 2
    if scores.ndim == 1:
        return auc(scores, label == 1)
    each = [auc(scores[:, c], label == c) for c in range(scores.shape[1])]
    known = [a for a in each if not math.isnan(a)]
    return float(np.mean(known)) if known else math.nan


def auc(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve, ties count half (Mann & Whitney 1947); NaN without rows of both classes."""
    ups = int(positive.sum())
    downs = len(positive) - ups
    if not ups or not downs:
        return math.nan
    return float((rankdata(scores)[positive].sum() - ups * (ups + 1) / 2) / (ups * downs))
