"""What a fault really cost, row by row, in what came true."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.performance.loss import row_loss

Floats = NDArray[np.float64]


def row_values(model: Model, scores: Floats, labels: Floats, threshold: float | Floats) -> Floats:
    """The KPI of each row, shape (n,); for a model without a KPI its loss, negative.

    Parameters
    ----------
    scores : float array, shape (n,) or (n, classes)
    labels : float array, shape (n,)
        Class positions or amounts; NaN gives NaN.
    threshold : float or float array, shape (n,)
        Of a binary model.
    """
    if not len(labels):
        return np.zeros(0)
    kpi = model.kpi
    if not kpi.priced:
        known = np.isfinite(labels)
        return np.where(known, -row_loss(model.kind, scores, np.where(known, labels, 0.0)), np.nan)
    if model.kind == "regression":
        return np.asarray(kpi.per_unit_error * np.abs(scores - labels), dtype=np.float64)
    if model.kind == "binary":
        yes = np.where(labels == 1, kpi.true_positive, kpi.false_positive)
        no = np.where(labels == 1, kpi.false_negative, kpi.true_negative)
        out = np.where(scores >= threshold, yes, no)
    else:
        out = np.where(scores.argmax(axis=1) == labels, kpi.correct, kpi.wrong)
    return np.where(np.isfinite(labels), out, np.nan)


def with_fault(index: NDArray[np.int64], values: Floats, without: Floats) -> tuple[float, int]:
    """The sum of the values of a night under a fault, and the rows that it is over.

    Parameters
    ----------
    index : int array, shape (m,)
        Which row each delivered one is: positions among the night's n rows, n and above are new rows. What comes
        twice is paid for twice and earned once; what does not come is decided without a score.
    values : float array, shape (m,)
        Of the delivered rows; NaN where a label is not known: that row does not count.
    without : float array, shape (n,)
        Of each of the night's rows, had it no score.

    Examples
    --------
    >>> with_fault(np.array([0, 1, 1]), np.array([5.0, -2.0, -2.0]), np.array([-1.0, -1.0, -1.0]))
    (0.0, 3)
    """
    _, first = np.unique(index, return_index=True)
    again = np.ones(len(index), dtype=bool)
    again[first] = False
    paid = np.where(again, np.minimum(values, 0.0), values)
    absent = np.ones(len(without), dtype=bool)
    absent[index[index < len(without)]] = False
    rest = without[absent]
    rows = int(np.isfinite(values[~again]).sum() + np.isfinite(rest).sum())
    return float(np.nansum(paid) + np.nansum(rest)), rows
