"""Many tests at once: which to believe so that a stated share of the believed is false at most.

All take arrays of shape (tests,) and give flags of the same shape. NaN is a test that could not
be made: never believed, and still counted, so that what goes missing does not loosen the rest.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

from tidegate.detectors.evalues import checked
from tidegate.errors import UsageError

Flags = NDArray[np.bool_]


def benjamini_hochberg(p: ArrayLike, rate: float) -> Flags:
    """Tests to believe with a false discovery rate of at most `rate`, if independent or positively dependent.

    Examples
    --------
    >>> int(benjamini_hochberg([0.001, 0.012, 0.6, float("nan")], 0.05).sum())
    2

    References
    ----------
    Benjamini & Hochberg, Controlling the false discovery rate, 1995.
    """
    return _controlled(p, rate, "bh")


def benjamini_yekutieli(p: ArrayLike, rate: float) -> Flags:
    """As `benjamini_hochberg`, under any dependence, for about ln(tests) more evidence.

    Examples
    --------
    >>> int(benjamini_yekutieli([0.001, 0.012, 0.6, float("nan")], 0.05).sum())
    2

    References
    ----------
    Benjamini & Yekutieli, The control of the false discovery rate under dependency, 2001.
    """
    return _controlled(p, rate, "by")


def bonferroni(p: ArrayLike, rate: float) -> Flags:
    """Tests to believe so that even one false one has a probability of at most `rate`.

    Examples
    --------
    >>> bonferroni([0.001, 0.04], 0.05).tolist()
    [True, False]
    """
    x = _p_values(p, rate)
    return x <= rate / max(len(x), 1)


def e_benjamini_hochberg(evalues: ArrayLike, rate: float) -> Flags:
    """The most tests k whose e-values are all at least tests/(rate·k): false discoveries ≤ `rate`, any dependence.

    Examples
    --------
    >>> e_benjamini_hochberg([90.0, 41.0, 1.0, float("nan")], 0.05).tolist()
    [True, True, False, False]

    References
    ----------
    Wang & Ramdas, False discovery rate control with e-values, 2022.
    """
    e = np.nan_to_num(checked(evalues), nan=0.0, posinf=np.inf)
    _p_values([], rate)
    ranked = np.sort(e)[::-1]
    enough = np.flatnonzero(ranked * rate * np.arange(1, len(e) + 1) >= len(e))
    return e >= ranked[enough[-1]] if len(enough) else np.zeros(len(e), dtype=np.bool_)


def any_false(tests: int, level: float) -> float:
    """The probability that at least one of so many independent tests at this level fires for nothing.

    Examples
    --------
    >>> round(any_false(50, 0.05), 3)
    0.923
    """
    return float(-np.expm1(tests * np.log1p(-level)))


def _controlled(p: ArrayLike, rate: float, method: Literal["bh", "by"]) -> Flags:
    x = _p_values(p, rate)
    return np.asarray(false_discovery_control(x, method=method)) <= rate if len(x) else np.zeros(0, dtype=np.bool_)


def _p_values(p: ArrayLike, rate: float) -> NDArray[np.float64]:
    x = np.atleast_1d(np.asarray(p, dtype=np.float64))
    if not 0 < rate < 1:
        raise UsageError("false discovery rate", "a number between 0 and 1", str(rate), "for example 0.05")
    if x.ndim != 1 or np.any((x < 0) | (x > 1)):
        raise UsageError("p-values", "numbers from 0 to 1, shape (tests,)", f"shape {x.shape}")
    return np.where(np.isnan(x), 1.0, x)
