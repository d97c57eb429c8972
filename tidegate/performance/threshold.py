"""The decision threshold of a binary model, chosen by the KPI."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.performance.tally import BINS, tally_of


def best_threshold(model: Model, scores: NDArray[np.float64], labels: NDArray[Any]) -> float:
    """The threshold in [0, 1] with the best KPI on labelled scores.

    0.5 without rows, without a KPI, and for models that are not binary. Of equal thresholds
    the lowest. Choose it on rows on which it is not judged.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        Probabilities of the positive class.
    labels : ndarray, shape (n,)
        1 for positive, 0 for negative.
    """
    k = model.kpi
    if model.kind != "binary" or not len(labels):
        return 0.5
    if not any((k.true_positive, k.false_positive, k.false_negative, k.true_negative)):
        return 0.5
    negative, positive = tally_of(model, scores, labels).hist[0]
    # At threshold i / BINS every row in a bin below i is predicted negative.
    tn, fn = np.append(0, np.cumsum(negative)), np.append(0, np.cumsum(positive))
    value = k.true_negative * tn + k.false_negative * fn
    value = value + k.false_positive * (tn[-1] - tn) + k.true_positive * (fn[-1] - fn)
    return float(np.argmax(value)) / BINS
