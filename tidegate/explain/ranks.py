"""How sure an order of importance is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 200
STABLE = 0.8
"""A column whose place holds in at least this share of the draws is called stable."""


def keeps_place(draws: Floats, whole: Floats) -> Floats:
    """Share of the draws in which each column keeps its place in the order of importance, give or take one.

    Parameters
    ----------
    draws : ndarray, shape (draws, columns)
        Importances of resamples; a draw with a value that is not finite is left out.
    whole : ndarray, shape (columns,)
        Importances of the whole sample. Equal ones share the mean of their places.

    Returns
    -------
    ndarray, shape (columns,)
        In [0, 1]; NaN without a draw.

    Examples
    --------
    >>> whole = np.array([0.5, 0.3, 0.2, 0.1])
    >>> keeps_place(np.array([[0.5, 0.3, 0.2, 0.1], [0.1, 0.3, 0.2, 0.5]]), whole).tolist()
    [0.5, 1.0, 1.0, 0.5]
    """
    from scipy.stats import rankdata

    draws = draws[np.isfinite(draws).all(axis=1)]
    if not len(draws):
        return np.full(whole.shape, math.nan)
    places = rankdata(-draws, axis=1)
    return np.asarray((np.abs(places - rankdata(-whole)) <= 1).mean(axis=0), dtype=np.float64)


def agreement(one: Floats, other: Floats) -> float:
    """Kendall's τ-b (1945) between two orders, in [-1, 1]; NaN where one of them has no order.

    Examples
    --------
    >>> agreement(np.array([3.0, 2.0, 1.0]), np.array([30.0, 10.0, 20.0])).__round__(3)
    0.333
    >>> agreement(np.zeros(3), np.arange(3.0))
    nan
    """
    from scipy.stats import kendalltau

    if len(one) < 2 or not (np.ptp(one) > 0 and np.ptp(other) > 0):
        return math.nan
    return float(kendalltau(one, other).statistic)
