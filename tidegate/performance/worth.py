"""What single rows are worth: the KPI of each, or without a KPI its loss, less of it being better."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.performance.loss import row_loss

Floats = NDArray[np.float64]


def has_kpi(model: Model) -> bool:
    """Whether the outcomes of this kind of model have a value."""
    k = model.kpi
    return any({
        "binary": (k.true_positive, k.false_positive, k.false_negative, k.true_negative),
        "multiclass": (k.correct, k.wrong),
        "regression": (k.per_unit_error,),
    }[model.kind])  # fmt: skip


def worth_unit(model: Model) -> str:
    """The unit of `row_worth`."""
    if has_kpi(model):
        return model.kpi.unit
    return "units of absolute error" if model.kind == "regression" else "nats of log loss"


def row_worth(model: Model, scores: Floats, labels: NDArray[Any], cut: float | Floats) -> Floats:
    """The KPI of each row, or minus its loss, shape (n,); higher is better.

    Parameters
    ----------
    scores : ndarray
        (n,) probabilities of the positive class or predictions, (n, classes) for multiclass.
    labels : ndarray, shape (n,)
        Class positions, or numbers.
    cut : float or ndarray, shape (n,)
        Binary: positive from this score on; else ignored.

    Examples
    --------
    >>> from tidegate.config.model import Kpi
    >>> model = Model.model_construct(kind="binary", kpi=Kpi(true_positive=5, false_positive=-1))
    >>> row_worth(model, np.array([0.9, 0.9, 0.1]), np.array([1, 0, 1]), 0.5).tolist()
    [5.0, -1.0, 0.0]
    """
    k, y = model.kpi, np.asarray(labels)
    if not has_kpi(model):
        return -row_loss(model.kind, scores, y.astype(np.float64))
    if model.kind == "regression":
        return np.asarray(k.per_unit_error * np.abs(scores - y), dtype=np.float64)
    if model.kind == "multiclass":
        return np.where(scores.argmax(axis=1) == y, float(k.correct), float(k.wrong))
    positive = np.where(y == 1, float(k.true_positive), float(k.false_positive))
    return np.where(scores >= cut, positive, np.where(y == 1, float(k.false_negative), float(k.true_negative)))


def cost_threshold(model: Model) -> float | None:
    """The best threshold on true probabilities, from the KPI alone (Elkan 2001); None where the KPI gives none.

    A row is worth calling positive from the probability on at which a rightly called positive outweighs a false one.

    Examples
    --------
    >>> from tidegate.config.model import Kpi
    >>> cost_threshold(Model.model_construct(kind="binary", kpi=Kpi(true_positive=3, false_positive=-1)))
    0.25
    >>> cost_threshold(Model.model_construct(kind="binary", kpi=Kpi())) is None
    True
    """
    if model.kind != "binary":
        return None
    of_negative = model.kpi.true_negative - model.kpi.false_positive
    of_positive = model.kpi.true_positive - model.kpi.false_negative
    return of_negative / (of_negative + of_positive) if of_negative > 0 and of_positive > 0 else None
