"""The tally that rows are expected to have before their labels come: every metric of it is an estimate.

Of classes the expected confusion of calibrated scores (confidence-based performance estimation), of numbers the
errors that a model of the errors expects (direct loss estimation). Both hold only while the same inputs lead to the
same outcomes as they did: an estimate says nothing of concept drift.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from tidegate.config.model import Model
from tidegate.performance.tally import BINS, CLASS_BINS, EMPTY, EPS, NO_CONFUSION, NO_HIST, Counts, Floats, Tally


def expected_outcomes(model: Model, scores: Floats, chances: Floats, threshold: float | Floats = 0.5) -> Tally:
    """The expected tally of a classifier's rows; its counts are fractions of rows. No rows give `EMPTY`.

    Each row counts for every class with its chance, so `metrics` of the tally are what the realised ones estimate:
    exact in expectation for means (log loss, Brier, accuracy, KPI), to the first order for ratios and areas.

    Parameters
    ----------
    scores : ndarray, shape (n,) or (n, classes)
        As the model gives them; what it decides by.
    chances : ndarray, shape (n, classes)
        Calibrated (`Chances.of`), a binary model's positive class last.
    threshold : float or ndarray, shape (n,)
        Binary: predict positive when the score is at least this.

    Examples
    --------
    >>> from tidegate.performance.metrics import accuracy
    >>> model = Model.model_validate({"name": "m", "dataset": "d", "kind": "binary", "features": ["x"], "label":
    ...     {"column": "y", "source": {"files": "{date}.csv"}, "classes": [0, 1], "positive": 1}})
    >>> p = np.array([0.2, 0.9])
    >>> round(accuracy(expected_outcomes(model, p, np.column_stack([1 - p, p]))), 3)
    0.85

    References
    ----------
    NannyML, Confidence-based Performance Estimation; Garg et al. 2022 on why no such estimate can be always right.
    """
    s = np.asarray(scores, dtype=np.float64)
    n = len(s)
    if not n:
        return EMPTY
    binary = s.ndim == 1
    p = np.column_stack([1 - s, s]) if binary else s
    guess = (s >= threshold).astype(np.int64) if binary else s.argmax(axis=1)
    classes = p.shape[1]
    confusion = np.stack([np.bincount(guess, chances[:, c], classes) for c in range(classes)])
    shown, bins = ([1], BINS) if binary else (range(classes), CLASS_BINS)
    hist = np.stack([_hist(p[:, c], chances[:, c], bins) for c in shown])
    k = model.kpi
    if model.kind == "binary":
        (tn, fp), (fn, tp) = confusion
        kpi = k.true_negative * tn + k.false_positive * fp + k.false_negative * fn + k.true_positive * tp
    else:
        right = np.trace(confusion)
        kpi = k.correct * right + k.wrong * (n - right)
    # The distance of the scores to class c, summed over the classes, and its mean over the chances of c.
    brier = ((p**2).sum(axis=1) + (chances * (1 - 2 * p)).sum(axis=1)).sum() / (2 if binary else 1)
    sums = {
        "n": float(n),
        "log_loss": float(-(chances * np.log(np.clip(p, EPS, 1.0))).sum()),
        "brier": float(brier),
        "predicted": float(s.sum()) if binary else 0.0,
        "kpi": float(kpi),
    }
    # Counts of rows elsewhere; here what they come to on average.
    return Tally(sums, cast(Counts, hist), confusion)


def expected_errors(model: Model, absolute: Floats, squared: Floats) -> Tally:
    """The expected tally of a regression's rows from the errors expected of each; no rows give `EMPTY`.

    It has no spread of the target, so R² of it is not defined.

    Examples
    --------
    >>> from tidegate.performance.metrics import mae, rmse
    >>> model = Model.model_validate({"name": "m", "dataset": "d", "kind": "regression", "features": ["x"],
    ...     "metric": {"primary": "mae"}, "label": {"column": "y", "source": {"files": "{date}.csv"}}})
    >>> found = expected_errors(model, np.array([1.0, 3.0]), np.array([1.0, 17.0]))
    >>> mae(found), rmse(found)
    (2.0, 3.0)
    """
    n = len(absolute)
    if not n:
        return EMPTY
    off = float(np.sum(absolute))
    sums = {"n": float(n), "absolute": off, "squared": float(np.sum(squared)), "kpi": model.kpi.per_unit_error * off}
    return Tally(sums, NO_HIST, NO_CONFUSION)


def _hist(p: Floats, chance: Floats, bins: int) -> Floats:
    at = np.clip((p * bins).astype(np.int64), 0, bins - 1)
    return np.stack([np.bincount(at, 1 - chance, bins), np.bincount(at, chance, bins)])
