"""What each row is worth to the business: the KPI row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.performance.loss import row_loss

Floats = NDArray[np.float64]


def priced(model: Model) -> bool:
    """Whether the KPI has a value for an outcome that this kind of model can have."""
    k = model.kpi
    if model.kind == "binary":
        return any((k.true_positive, k.false_positive, k.false_negative, k.true_negative))
    return any((k.correct, k.wrong)) if model.kind == "multiclass" else bool(k.per_unit_error)


def unit_of(model: Model) -> str:
    """The unit of `row_value`, for people."""
    if priced(model):
        return model.kpi.unit
    return "absolute error" if model.kind == "regression" else "log loss"


def row_value(model: Model, scores: Floats, predicted: NDArray[Any], labels: NDArray[Any]) -> Floats:
    """The KPI of each row, shape (n,); without a priced KPI, minus its loss. More is better.

    Parameters
    ----------
    scores : ndarray, shape (n,) or (n, classes)
        As `tally_of` takes them.
    predicted : ndarray, shape (n,)
        The class positions that were decided for; of a regression the predictions.
    labels : ndarray, shape (n,)
        Class positions, or the target's values; without NaN.

    Examples
    --------
    >>> from tidegate.config.model import Kpi, Label, Model
    >>> from tidegate.config.dataset import Source
    >>> label = Label(column="y", source=Source(files="x"), classes=(0, 1), positive=1)
    >>> kpi = Kpi(false_negative=-20, false_positive=-5)
    >>> m = Model(name="m", dataset="d", kind="binary", label=label, features=("x",), kpi=kpi)
    >>> row_value(m, np.array([0.9, 0.9, 0.1]), np.array([1, 1, 0]), np.array([1, 0, 1])).tolist()
    [0.0, -5.0, -20.0]
    """
    y, k = np.asarray(labels), model.kpi
    if not len(y):
        return np.zeros(0)
    if not priced(model):
        return -np.asarray(row_loss(model.kind, scores, y.astype(np.float64)), dtype=np.float64)
    if model.kind == "regression":
        return np.asarray(k.per_unit_error * np.abs(predicted - y), dtype=np.float64)
    if model.kind == "multiclass":
        return np.where(predicted == y, k.correct, k.wrong).astype(np.float64)
    of = np.array([[k.true_negative, k.false_positive], [k.false_negative, k.true_positive]], dtype=np.float64)
    return np.asarray(of[y.astype(np.int64), predicted.astype(np.int64)], dtype=np.float64)
