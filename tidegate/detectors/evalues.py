"""E-values: nonnegative numbers whose mean is at most 1 if nothing happened; large is evidence.

All take arrays of shape (tests,) and ignore NaN, which is a test that could not be made.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidegate.errors import UsageError

Floats = NDArray[np.float64]


def average(evalues: ArrayLike, weights: ArrayLike | None = None) -> float:
    """One e-value from several, however they depend on each other; NaN if there is none.

    Examples
    --------
    >>> average([40.0, 0.5, float("nan"), 1.5])
    14.0

    References
    ----------
    Vovk & Wang, E-values: calibration, combination and applications, 2021.
    """
    e = checked(evalues)
    w = np.ones_like(e) if weights is None else np.broadcast_to(np.asarray(weights, dtype=np.float64), e.shape)
    known = ~np.isnan(e) & (w > 0)
    if not np.all(w >= 0):
        raise UsageError("weights of e-values", "numbers ≥ 0", str(w.tolist()))
    return float(np.average(e[known], weights=w[known])) if known.any() else math.nan


def product(evalues: ArrayLike) -> float:
    """One e-value from several of which each is one given those before it (nights, cohorts).

    NaN if there is none.

    Examples
    --------
    >>> product([2.0, float("nan"), 0.5, 3.0])
    3.0
    """
    e = checked(evalues)
    e = e[~np.isnan(e)]
    if not len(e):
        return math.nan
    if (e == 0).any():
        return 0.0
    with np.errstate(over="ignore"):
        return float(np.prod(e))


def from_p(p: ArrayLike) -> Floats:
    """E-values from p-values, (1 − p + p·ln p)/(p·ln² p): the mean of all bets κ·p^(κ−1), κ in (0, 1).

    Examples
    --------
    >>> from_p([0.0001, 0.01, 0.5, 1.0]).round(2).tolist()
    [117.76, 4.45, 0.64, 0.5]

    References
    ----------
    Vovk & Wang 2021, as `average`.
    """
    x = np.asarray(p, dtype=np.float64)
    if np.any((x < 0) | (x > 1)):
        raise UsageError("p-values", "numbers from 0 to 1", f"{np.nanmin(x):g} to {np.nanmax(x):g}")
    x = np.maximum(x, 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        e = (1 - x + x * np.log(x)) / (x * np.log(x) ** 2)
    return np.where(x > 1 - 1e-4, 0.5, e)


def checked(evalues: ArrayLike) -> Floats:
    """E-values as an array; raises `UsageError` unless each is ≥ 0 or NaN."""
    e = np.atleast_1d(np.asarray(evalues, dtype=np.float64))
    if e.ndim != 1 or np.any(e < 0):
        raise UsageError("e-values", "numbers ≥ 0, shape (tests,)", f"shape {e.shape}, least {np.nanmin(e):g}")
    return e
