"""Tidegate's own rule as one number a night: the factor on its limits up to which it would page.

At factor 1 it is the rule that watches live: past a limit that is certified for the budget, lasting, surely above its
margin, with a material effect, of the furthest excesses whose effect is asked for. A limit and a sum that reach the
same share of their limits count the same, so that one threshold sweeps both.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tidegate.alarms.calibration import Calibration
from tidegate.alarms.pages import cumulative, lasting
from tidegate.alarms.series import adding_up

Floats = NDArray[np.float64]

LEAST = 0.3
"""Factors below are not told apart: a page there would be for nearly nothing."""
FARTHEST = 1e6


def factors(limits: Calibration, track: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """How many times its limit each direction of each series reaches on the last night, and which series it is.

    Parameters
    ----------
    track : float array, shape (nights, series)
        Standard scores as known on each evening, the last one tonight; NaN where nothing is known.
    """
    z = limits.directed(track)[None]
    held = lasting(z, limits.rule.nights, limits.rule.within)[0, -1] / limits.sudden
    adding = adding_up(limits.series)
    sums = np.where(adding, cumulative(z)[0, -1], 0.0) / limits.gradual
    which = np.concatenate([np.arange(len(limits.series)), np.flatnonzero(limits.signed)])
    return np.maximum(held, sums), which


def judged(
    reached: Floats,
    which: NDArray[np.int64],
    matters: Callable[[int], bool],
    material: Callable[[int], bool],
    asked: int,
) -> float:
    """The largest factor at which one of the `asked` furthest excesses that matter is material; 0 below `LEAST`.

    Examples
    --------
    >>> far, which = np.array([0.4, 3.0, 2.0, 0.1]), np.array([0, 1, 2, 3])
    >>> judged(far, which, matters=lambda s: s != 1, material=lambda s: True, asked=2)
    2.0
    """
    left = asked
    for j in np.argsort(-reached, kind="stable"):
        if reached[j] < LEAST or not left:
            return 0.0
        series = int(which[j])
        if not matters(series):
            continue
        left -= 1
        if material(series):
            return float(reached[j])
    return 0.0
