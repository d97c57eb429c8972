"""The loss of single rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
EPS = 1e-7


def row_loss(kind: str, scores: Floats, labels: Floats) -> Floats:
    """Log loss in nats (classification) or absolute error (regression) of each row, shape (n,).

    `scores` as a model gives them, (n,) or (n, classes); `labels` class positions or numbers. NaN stays NaN.

    Examples
    --------
    >>> row_loss("binary", np.array([0.5, 0.9]), np.array([0.0, 1.0])).round(4).tolist()
    [0.6931, 0.1054]
    """
    if kind == "regression":
        return np.abs(scores - labels)
    y = labels.astype(np.int64)
    mine = scores[np.arange(len(y)), y] if scores.ndim == 2 else np.where(y == 1, scores, 1 - scores)
    return np.asarray(-np.log(np.clip(mine, EPS, 1.0)), dtype=np.float64)
