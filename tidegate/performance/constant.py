"""The best constant prediction: what any model has to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model

Floats = NDArray[np.float64]


def constant_scores(model: Model, label: Floats) -> Floats:
    """The labels' own median, share of positives, or shares of the classes, for each row: no constant is stronger.

    Parameters
    ----------
    label : ndarray, shape (n,)
        Class positions, or the target's values. No rows give no scores.

    Returns
    -------
    ndarray, shape (n,) or (n, classes)
    """
    if not len(label):
        return np.zeros((0, len(model.label.classes or ())) if model.kind == "multiclass" else 0)
    if model.kind == "regression":
        return np.full(len(label), float(np.median(label)))
    if model.kind == "binary":
        return np.full(len(label), float(label.mean()))
    shares = np.bincount(label.astype(int), minlength=len(model.label.classes or ())) / len(label)
    return np.tile(shares, (len(label), 1))
