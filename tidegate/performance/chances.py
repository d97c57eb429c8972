"""From scores to chances: scores calibrated on held-out outcomes, for what is expected of rows without labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from tidegate.performance.tally import Floats

LEAST = 50
"""Rows of the rarer class below which a curve would follow single rows: scores are then taken as they are."""


@dataclass(frozen=True, eq=False)
class Chances:
    """A map from scores to chances.

    ``curves`` holds the knots of a rising curve for each class (a binary model: of its positive class alone),
    shape (2, knots); empty where scores are taken as they are. ``gain`` is how much the curves lower the Brier score
    of rows that they were not fitted on; NaN where nobody could tell.
    """

    curves: tuple[Floats, ...] = ()
    gain: float = math.nan

    def of(self, scores: Floats) -> Floats:
        """The chance of each class, shape (n, classes), a binary model's positive class last; rows sum to 1.

        No rows give no chances; a NaN score gives NaN.

        Examples
        --------
        >>> Chances().of(np.array([0.2, 0.9])).tolist()
        [[0.8, 0.2], [0.09999999999999998, 0.9]]
        """
        s = np.asarray(scores, dtype=np.float64)
        if s.ndim == 1:
            p = np.interp(s, *self.curves[0]) if self.curves else s
            return np.column_stack([1 - p, p])
        if not self.curves:
            return s
        p = np.column_stack([np.interp(s[:, c], *curve) for c, curve in enumerate(self.curves)])
        whole = p.sum(axis=1, keepdims=True)
        # Where no curve gives a class any chance, the scores are all there is.
        return np.where(whole > 0, p / np.where(whole > 0, whole, 1.0), s)


def fit_chances(scores: Floats, labels: NDArray[Any], fold: NDArray[np.int64] | None = None) -> Chances:
    """Isotonic curves of held-out scores, one class against the rest, where they help.

    They help when curves fitted on the other folds lower the Brier score (a proper score, so a lower one is a
    better chance) of a fold's rows. Without `fold` nobody asks, and curves are always taken.

    Parameters
    ----------
    scores : ndarray, shape (n,) or (n, classes)
        Probabilities of rows that the model did not learn from.
    labels : ndarray, shape (n,)
        Class positions; 1 is positive for a binary model.
    fold : ndarray of int, shape (n,), optional
        Rows of one night, and of nights that hang together, are in one fold.

    Returns
    -------
    Chances
        Scores as they are for no rows, one class only, all scores the same, or fewer than `LEAST` rows of a class.

    References
    ----------
    Zadrozny & Elkan 2002 (isotonic, one class against the rest). NannyML calibrates so before CBPE.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> p = rng.random(4000)
    >>> y = (rng.random(4000) < p**2).astype(int)
    >>> found = fit_chances(p, y, np.arange(4000) % 4)
    >>> bool(found.gain > 0), bool(abs(found.of(np.array([0.5]))[0, 1] - 0.25) < 0.05)
    (True, True)
    >>> fit_chances(p, np.ones(4000)).curves
    ()
    """
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    known = np.isfinite(s) if s.ndim == 1 else np.isfinite(s).all(axis=1)
    s, y = s[known], y[known]
    classes = s.shape[1] if s.ndim == 2 else 2
    if not len(y) or np.bincount(y, minlength=classes).min() < LEAST or not np.ptp(s, axis=0).max() > 0:
        return Chances()
    whole = Chances(_curves(s, y))
    if fold is None:
        return whole
    fold, parts = fold[known], np.unique(fold[known])
    if len(parts) < 2:
        return Chances()
    curved = np.empty((len(y), classes))
    for k in parts:
        mine = fold == k
        curved[mine] = Chances(_curves(s[~mine], y[~mine])).of(s[mine])
    truth = np.eye(classes)[y]
    gain = float((((Chances().of(s) - truth) ** 2).sum(axis=1) - ((curved - truth) ** 2).sum(axis=1)).mean())
    return Chances(whole.curves if gain > 0 else (), gain)


def _curves(scores: Floats, y: NDArray[np.int64]) -> tuple[Floats, ...]:
    if scores.ndim == 1:
        return (_curve(scores, y == 1),)
    return tuple(_curve(scores[:, c], y == c) for c in range(scores.shape[1]))


def _curve(score: Floats, hit: NDArray[np.bool_]) -> Floats:
    """Knots (scores, chances) of the least-squares rising step function; between its steps it is linear."""
    at, where, rows = np.unique(score, return_inverse=True, return_counts=True)
    rate = np.bincount(where, hit) / rows
    fitted = isotonic_regression(rate, weights=rows).x
    # Of a stretch of equal chances the two ends are enough.
    inner = np.ones(len(at), dtype=bool)
    inner[1:-1] = (fitted[1:-1] != fitted[:-2]) | (fitted[1:-1] != fitted[2:])
    return np.stack([at[inner], fitted[inner]])
