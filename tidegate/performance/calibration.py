"""Calibration of a binary model, from its tally."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from tidegate.performance.tally import Floats, Tally


@dataclass(frozen=True)
class Calibration:
    """Reliability of scores: mean score and rate of positives in each bin that has rows.

    ``predicted`` and ``observed`` are means over all rows. ``ece`` is the expected
    calibration error in [0, 1]; it is above zero for a perfect model too, so ``ece_null``
    (its mean for a perfect model on these rows) stands beside it.
    """

    predicted: float
    observed: float
    ece: float
    ece_null: float
    score: tuple[float, ...]
    rate: tuple[float, ...]
    rows: tuple[int, ...]


def calibration(tally: Tally, bins: int = 15) -> Calibration:
    """Expected calibration error over `bins` equal-width bins (Naeini et al. 2015).

    Everything is NaN without rows, and for a model that is not binary. Rows are taken as
    independent in ``ece_null``; day shocks push a sound model above it.
    """
    if not tally.n or len(tally.hist) != 1:
        return Calibration(math.nan, math.nan, math.nan, math.nan, (), (), ())
    negative, positive = tally.hist[0]
    every = negative + positive
    middle = (np.arange(len(every)) + 0.5) / len(every)
    at = np.minimum((middle * bins).astype(int), bins - 1)
    rows = np.bincount(at, every, bins)
    used = rows > 0
    n = rows[used].astype(np.float64)
    score = np.bincount(at, every * middle, bins)[used] / n
    rate = np.bincount(at, positive, bins)[used] / n
    return Calibration(
        tally.sums["predicted"] / tally.n,
        float(positive.sum() / n.sum()),
        float(n @ np.abs(score - rate) / n.sum()),
        float(_mean_deviation(n, score).sum() / n.sum()),
        tuple(score.tolist()),
        tuple(rate.tolist()),
        tuple(n.astype(int).tolist()),
    )


def _mean_deviation(n: Floats, p: Floats) -> Floats:
    """E|X − np| of binomial counts (de Moivre 1730; Diaconis & Zabell 1991).

    The folded normal overstates it twofold in a bin of a few unlikely rows.

    Examples
    --------
    >>> _mean_deviation(np.array([1.0, 2.0]), np.array([0.1, 0.5])).round(12).tolist()
    [0.18, 0.5]
    """
    above = np.floor(n * p) + 1
    out: Floats = 2 * above * (1 - p) * binom.pmf(above, n, p)
    return out
