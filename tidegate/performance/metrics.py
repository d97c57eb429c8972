"""The performance metrics, each computed from a tally.

Every metric is NaN where it is not defined (no rows, one class only).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from tidegate.performance.tally import Counts, Floats, Tally

Metric = Callable[[Tally], float]
HIGHER_IS_BETTER: Final = {
    "roc_auc": True,
    "pr_auc": True,
    "log_loss": False,
    "brier": False,
    "accuracy": True,
    "precision": True,
    "recall": True,
    "f1": True,
    "kpi": True,
    "r2": True,
    "mae": False,
    "rmse": False,
}


def _auc(hist: Counts) -> float:
    negative, positive = hist.astype(np.float64)
    pairs = negative.sum() * positive.sum()
    if not pairs:
        return math.nan
    below = np.cumsum(negative) - negative / 2
    return float(positive @ below / pairs)


def _nanmean(values: Floats) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan


def roc_auc(t: Tally) -> float:
    """Area under the ROC curve, in [0, 1]; of several classes, the mean of one against the rest.

    Scores are binned and pairs of rows in one bin count half (Hanley & McNeil 1982), so the
    area is off by at most half the share of (negative, positive) pairs that meet in a bin.
    """
    return _nanmean(np.array([_auc(h) for h in t.hist]))


def pr_auc(t: Tally) -> float:
    """Average precision of a binary model's positive class, in [0, 1]. Davis & Goadrich 2006.

    Rows of one score bin count as ties.
    """
    if not _binary(t):
        return math.nan
    negative, positive = t.hist[0][:, ::-1].astype(np.float64)
    if not positive.sum():
        return math.nan
    tp, seen = np.cumsum(positive), np.cumsum(positive + negative)
    return float(np.divide(tp, seen, out=np.zeros_like(tp), where=seen > 0) @ positive / positive.sum())


def _mean(name: str) -> Metric:
    def metric(t: Tally) -> float:
        return t.sums[name] / t.sums["n"] if t.n and name in t.sums else math.nan

    metric.__doc__ = f"Mean `{name}` per row."
    return metric


def accuracy(t: Tally) -> float:
    """Share of rows whose predicted class is the true one, in [0, 1]."""
    rows = t.confusion.sum()
    return float(np.trace(t.confusion) / rows) if rows else math.nan


def _binary(t: Tally) -> bool:
    # A multiclass model of two classes has two histograms, and macro averages.
    return len(t.hist) == 1


def _share(part: Counts, whole: Counts, of_none: float | Floats = math.nan) -> Floats:
    out = np.full(len(part), of_none, dtype=np.float64)
    return np.divide(part, whole, out=out, where=whole > 0)


def _precisions(t: Tally) -> Floats:
    true, predicted = t.confusion.sum(axis=1), t.confusion.sum(axis=0)
    # A class that is never predicted counts as 0, or giving up on a class would pay.
    missed = math.nan if _binary(t) else np.where(true > 0, 0.0, math.nan)
    return _share(np.diag(t.confusion), predicted, missed)


def _recalls(t: Tally) -> Floats:
    return _share(np.diag(t.confusion), t.confusion.sum(axis=1))


def _f1s(t: Tally) -> Floats:
    return _share(2 * np.diag(t.confusion), t.confusion.sum(axis=0) + t.confusion.sum(axis=1))


def _of_classes(t: Tally, values: Floats) -> float:
    if not t.confusion.size:
        return math.nan
    return float(values[1]) if _binary(t) else _nanmean(values)


def precision(t: Tally) -> float:
    """True share of the rows predicted positive, in [0, 1]; NaN if none is.

    Of several classes, the mean over those that occur; one that is never predicted counts 0.
    """
    return _of_classes(t, _precisions(t))


def recall(t: Tally) -> float:
    """Found share of the positive rows, in [0, 1]; of several classes, the mean over those that occur."""
    return _of_classes(t, _recalls(t))


def f1(t: Tally) -> float:
    """2TP/(2TP+FP+FN), in [0, 1]; of several classes, the mean over those that occur or are predicted."""
    return _of_classes(t, _f1s(t))


def r2(t: Tally) -> float:
    """Share of the target's variance explained, at most 1; NaN for a constant target."""
    if not t.n or "spread" not in t.sums:
        return math.nan
    n, spread = t.sums["n"], t.sums["spread"]
    # Twelve digits are all that the mean of large targets keeps: less is rounding, not spread.
    return 1 - t.sums["squared"] / spread if spread > n * (1e-12 * t.sums["y"] / n) ** 2 else math.nan


def mae(t: Tally) -> float:
    """Mean absolute error, in the target's unit."""
    return _mean("absolute")(t)


def rmse(t: Tally) -> float:
    """Root mean squared error, in the target's unit."""
    return math.sqrt(_mean("squared")(t))


METRICS: Final[dict[str, dict[str, Metric]]] = {
    "binary": {
        "roc_auc": roc_auc,
        "pr_auc": pr_auc,
        "log_loss": _mean("log_loss"),
        "brier": _mean("brier"),
        "accuracy": accuracy,
        "precision": precision,
        "recall": recall,
        "kpi": _mean("kpi"),
    },
    "multiclass": {
        "roc_auc": roc_auc,
        "log_loss": _mean("log_loss"),
        "brier": _mean("brier"),
        "accuracy": accuracy,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "kpi": _mean("kpi"),
    },
    "regression": {"r2": r2, "mae": mae, "rmse": rmse, "kpi": _mean("kpi")},
}


def metrics(kind: str, tally: Tally) -> dict[str, float]:
    """Every metric of a kind of model (binary, multiclass, regression); NaN without rows."""
    return {name: metric(tally) if tally.n else math.nan for name, metric in METRICS[kind].items()}


def per_class(tally: Tally) -> dict[int, dict[str, float]]:
    """Metrics of each class of a multiclass model, by class position; empty for other kinds.

    Each class against the rest: ``roc_auc``, ``precision``, ``recall``, ``f1``, and ``n``
    true rows. NaN where a class does not occur.

    Examples
    --------
    >>> import numpy as np
    >>> from tidegate.performance.tally import CLASS_BINS
    >>> counts = Tally({"n": 4.0}, np.zeros((2, 2, CLASS_BINS), int), np.array([[2, 1], [0, 1]]))
    >>> per_class(counts)[1]["precision"], per_class(counts)[0]["recall"]
    (0.5, 0.6666666666666666)
    """
    if len(tally.hist) < 2:
        return {}
    rows = {
        "roc_auc": np.array([_auc(h) for h in tally.hist]),
        "precision": _precisions(tally),
        "recall": _recalls(tally),
        "f1": _f1s(tally),
        "n": tally.confusion.sum(axis=1),
    }
    return {c: {name: float(values[c]) for name, values in rows.items()} for c in range(len(tally.hist))}
