"""What a bound on a gain could show: its power, and the blocks that a power of 80 % takes.

The estimate over its error is taken as Student's t, noncentral where the truth is not at the limit (Lehmann &
Romano 2005, section 5.3); where scipy's noncentral law gives no number, the normal approximation of Johnson &
Welch 1940 stands in.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import nct, norm
from scipy.stats import t as student

WANTED = 0.8
FAR = 10 * 365
"""More nights than this are as good as never."""


def power(effect: float, se: float, blocks: float, alpha: float) -> float:
    """The chance that a one-sided bound at `alpha` clears its limit when the truth is `effect` above it.

    Parameters
    ----------
    effect, se : float
        Distance of the truth from the limit, and the standard error, in one unit.
    blocks : float
        Blocks behind the error.
    alpha : float
        One-sided error in (0, 1).

    Returns
    -------
    float
        In [0, 1]; NaN where the error or the effect is unknown.

    Examples
    --------
    >>> round(power(0.02, 0.005, 20, 0.05), 3), round(power(0.0, 0.005, 20, 0.05), 3), power(0.02, 0.0, 20, 0.05)
    (0.986, 0.05, 1.0)
    """
    if not (math.isfinite(effect) and math.isfinite(se)) or blocks < 2 or not 0 < alpha < 1:
        return math.nan
    if se == 0:
        return float(effect >= 0)
    df, shift = blocks - 1, effect / se
    limit = float(student.isf(alpha, df))
    with np.errstate(all="ignore"):
        exact = float(nct.sf(limit, df, shift))
    if 0 <= exact <= 1:
        return exact
    return float(norm.sf((limit * (1 - 1 / (4 * df)) - shift) / math.sqrt(1 + limit**2 / (2 * df))))


def more_nights(effect: float, se: float, blocks: int, alpha: float, block: int) -> float:
    """Nights still needed for a power of 80 %, if nights go on as they were; 0 where none are.

    Infinite above ten years or where the effect is not beyond the limit; NaN as for `power`.

    Parameters
    ----------
    block : int
        Nights in a block.

    Examples
    --------
    >>> more_nights(0.02, 0.008, 10, 0.004, 3), more_nights(0.02, 0.001, 10, 0.004, 3)
    (42.0, 0.0)
    """
    now = power(effect, se, blocks, alpha)
    if math.isnan(now):
        return math.nan
    if now >= WANTED:
        return 0.0
    if effect <= 0:
        return math.inf
    low, high = blocks, blocks
    while power(effect, se * math.sqrt(blocks / high), high, alpha) < WANTED:
        low, high = high, 2 * high
        if (high - blocks) * block > FAR:
            return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        if power(effect, se * math.sqrt(blocks / middle), middle, alpha) < WANTED:
            low = middle
        else:
            high = middle
    return float((high - blocks) * block)
