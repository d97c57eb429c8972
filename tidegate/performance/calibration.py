"""Calibration of a binary model, from its tally."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tidegate.performance.tally import BINS, Tally


@dataclass(frozen=True)
class Calibration:
    """Reliability of scores: mean score and rate of positives in each of ``bins`` bins.

    ``ece`` is the expected calibration error in [0, 1]; it is above zero for a perfect
    model too, so ``ece_null`` (mean for a perfect model on these rows) stands beside it.
    """

    predicted: float
    observed: float
    ece: float
    ece_null: float
    score: tuple[float, ...]
    rate: tuple[float, ...]
    rows: tuple[int, ...]


def calibration(tally: Tally, bins: int = 15) -> Calibration:
    """Naeini et al. 2015 (ECE over equal-width bins); everything NaN without rows."""
    if not tally.n or len(tally.hist) != 1:
        return Calibration(math.nan, math.nan, math.nan, math.nan, (), (), ())
    negative, positive = tally.hist[0]
    middle = (np.arange(BINS) + 0.5) / BINS
    at = np.minimum((middle * bins).astype(int), bins - 1)
    n = np.bincount(at, negative + positive, bins)
    used = n > 0
    score = np.bincount(at, (negative + positive) * middle, bins)[used] / n[used]
    rate = np.bincount(at, positive, bins)[used] / n[used]
    n = n[used]
    ece = float((n * np.abs(score - rate)).sum() / n.sum())
    # A perfect model's |rate − score| is about a folded normal with this mean.
    null = float((n * np.sqrt(2 / math.pi * score * (1 - score) / n)).sum() / n.sum())
    return Calibration(tally.sums["predicted"] / tally.n, float(positive.sum() / n.sum()), ece, null, tuple(score.tolist()), tuple(rate.tolist()), tuple(n.astype(int).tolist()))
