"""Tallies of rows that have a weight, and of rows whose outcome is known as a probability only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.performance.tally import BINS, CLASS_BINS, EMPTY, EPS, NO_CONFUSION, NO_HIST, Tally

Floats = NDArray[np.float64]


def weighted_tally(
    model: Model, scores: Floats, truth: Floats, threshold: float | Floats = 0.5, weight: Floats | None = None
) -> Tally:
    """A tally whose counts are weights: every metric of it is the weighted metric.

    Parameters
    ----------
    scores : float array, shape (n,) or (n, classes)
        As a model gives them.
    truth : float array
        Of a classifier the probability of the positive class, shape (n,), or of each class, (n, classes): 0 and 1 where
        labels are known. Of a regression the target, shape (n,).
    weight : float array, shape (n,), optional
        None below zero; default one each. A tally's ``n`` is its sum, rounded.

    Returns
    -------
    Tally
        Not to be stored: its histograms are no whole numbers. No rows give an empty one.

    Raises
    ------
    UsageError
        If a weight is negative or not finite, or not one a row.

    Examples
    --------
    >>> from tidegate.performance.metrics import roc_auc
    >>> labels = {"column": "y", "source": {"files": "y"}, "classes": [0, 1], "positive": 1}
    >>> body = {"name": "m", "dataset": "d", "kind": "binary", "features": ["x"], "label": labels}
    >>> model = Model.model_validate(body)
    >>> sure = weighted_tally(model, np.array([0.2, 0.8]), np.array([0.0, 1.0]))
    >>> half = weighted_tally(model, np.array([0.2, 0.8]), np.array([0.5, 0.5]))
    >>> roc_auc(sure), roc_auc(half)
    (1.0, 0.5)
    """
    n = len(scores)
    w = np.ones(n) if weight is None else np.asarray(weight, dtype=np.float64)
    if w.shape != (n,) or not (np.isfinite(w) & (w >= 0)).all():
        raise UsageError("weights of rows", f"{n} finite ones, none below zero", f"shape {w.shape}")
    if not n:
        return EMPTY
    if model.kind == "regression":
        return _regression(model, scores, truth, w)
    p = np.column_stack([1 - scores, scores]) if scores.ndim == 1 else scores
    y = np.column_stack([1 - truth, truth]) if truth.ndim == 1 else truth
    guess = (scores >= threshold).astype(np.int64) if scores.ndim == 1 else scores.argmax(axis=1)
    classes = p.shape[1]
    confusion = np.zeros((classes, classes))
    for c in range(classes):
        confusion[:, c] = (y * w[:, None])[guess == c].sum(axis=0)
    shown, bins = ([1], BINS) if scores.ndim == 1 else (range(classes), CLASS_BINS)
    hist = np.stack([_hist(p[:, c], y[:, c], w, bins) for c in shown])
    loss = -(y * np.log(np.clip(p, EPS, 1.0))).sum(axis=1)
    brier = ((p**2).sum(axis=1) - 2 * (p * y).sum(axis=1) + 1) / (2 if scores.ndim == 1 else 1)
    sums = {
        "n": float(w.sum()),
        "log_loss": float(w @ loss),
        "brier": float(w @ brier),
        "predicted": float(w @ scores) if scores.ndim == 1 else 0.0,
        "kpi": _kpi(model, confusion),
    }
    return Tally(sums, hist, confusion)  # type: ignore[arg-type]


def _kpi(model: Model, confusion: Floats) -> float:
    k = model.kpi
    if model.kind == "binary":
        (tn, fp), (fn, tp) = confusion
        return float(k.true_negative * tn + k.false_positive * fp + k.false_negative * fn + k.true_positive * tp)
    right = np.trace(confusion)
    return float(k.correct * right + k.wrong * (confusion.sum() - right))


def _hist(p: Floats, y: Floats, w: Floats, bins: int) -> Floats:
    at = np.clip((p * bins).astype(np.int64), 0, bins - 1)
    return np.stack([np.bincount(at, w * (1 - y), bins), np.bincount(at, w * y, bins)])


def _regression(model: Model, scores: Floats, y: Floats, w: Floats) -> Tally:
    error = scores - y
    off = float(w @ np.abs(error))
    mean = float(w @ y / w.sum()) if w.sum() else 0.0
    sums = {
        "n": float(w.sum()), "error": float(w @ error), "absolute": off, "squared": float(w @ error**2),
        "y": float(w @ y), "spread": float(w @ (y - mean) ** 2), "kpi": float(model.kpi.per_unit_error * off),
    }  # fmt: skip
    return Tally(sums, NO_HIST, NO_CONFUSION)
