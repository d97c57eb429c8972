"""The performance metrics, each computed from a tally.

Every metric is NaN where it is not defined (no rows, one class only).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tidegate.performance.tally import BINS, Tally

Metric = Callable[[Tally], float]
HIGHER_IS_BETTER: Final = {
    "roc_auc": True, "pr_auc": True, "log_loss": False, "brier": False, "accuracy": True, "precision": True, "recall": True, "f1": True,
    "kpi": True, "r2": True, "mae": False, "rmse": False,
}


def _auc(hist: NDArray[np.float64]) -> float:
    negative, positive = hist
    pairs = negative.sum() * positive.sum()
    if not pairs:
        return math.nan
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / pairs)


def roc_auc(t: Tally) -> float:
    """Area under the ROC curve; one class against the rest, averaged, for several classes.

    Scores are binned at 1/1000; pairs within a bin count half. Hanley & McNeil 1982.
    """
    areas = [a for a in map(_auc, t.hist) if not math.isnan(a)]
    return float(np.mean(areas)) if areas else math.nan


def pr_auc(t: Tally) -> float:
    """Average precision of the positive class over the score bins. Davis & Goadrich 2006."""
    if len(t.hist) != 1:
        return math.nan
    negative, positive = t.hist[0][:, ::-1]
    if not positive.sum():
        return math.nan
    tp, all_ = np.cumsum(positive), np.cumsum(positive + negative)
    precision = np.divide(tp, all_, out=np.zeros(BINS), where=all_ > 0)
    return float((precision * positive).sum() / positive.sum())


def _mean(name: str) -> Metric:
    def metric(t: Tally) -> float:
        return t.sums[name] / t.sums["n"] if t.n and name in t.sums else math.nan

    metric.__doc__ = f"Mean `{name}` per row."
    return metric


def accuracy(t: Tally) -> float:
    """Share of rows whose predicted class is the true one."""
    return float(np.trace(t.confusion) / t.confusion.sum()) if t.confusion.sum() else math.nan


def _ratios(t: Tally, axis: int) -> float:
    whole = t.confusion.sum(axis=axis)
    right = np.diag(t.confusion)
    share = np.divide(right, whole, out=np.full(len(right), math.nan), where=whole > 0)
    if len(share) == 2:
        return float(share[1])
    return float(np.nanmean(share)) if np.isfinite(share).any() else math.nan


def precision(t: Tally) -> float:
    """True share of the rows predicted positive; macro average for several classes."""
    return _ratios(t, 0) if t.confusion.size else math.nan


def recall(t: Tally) -> float:
    """Found share of the positive rows; macro average for several classes."""
    return _ratios(t, 1) if t.confusion.size else math.nan


def f1(t: Tally) -> float:
    """Macro average over classes of 2TP/(2TP+FP+FN)."""
    if not t.confusion.size:
        return math.nan
    both = t.confusion.sum(axis=0) + t.confusion.sum(axis=1)
    share = np.divide(2 * np.diag(t.confusion), both, out=np.full(len(both), math.nan), where=both > 0)
    return float(share[1]) if len(share) == 2 else float(np.nanmean(share)) if np.isfinite(share).any() else math.nan


def r2(t: Tally) -> float:
    """Share of the target's variance explained."""
    n = t.sums.get("n", 0.0)
    spread = t.sums.get("yy", 0.0) - t.sums.get("y", 0.0) ** 2 / n if n else 0.0
    return 1 - t.sums["squared"] / spread if spread > 0 else math.nan


def mae(t: Tally) -> float:
    """Mean absolute error, in the target's unit."""
    return t.sums["absolute"] / t.sums["n"] if t.n else math.nan


def rmse(t: Tally) -> float:
    """Root mean squared error, in the target's unit."""
    return math.sqrt(t.sums["squared"] / t.sums["n"]) if t.n else math.nan


METRICS: Final[dict[str, dict[str, Metric]]] = {
    "binary": {"roc_auc": roc_auc, "pr_auc": pr_auc, "log_loss": _mean("log_loss"), "brier": _mean("brier"), "accuracy": accuracy,
               "precision": precision, "recall": recall, "kpi": _mean("kpi")},
    "multiclass": {"roc_auc": roc_auc, "log_loss": _mean("log_loss"), "brier": _mean("brier"), "accuracy": accuracy,
                   "precision": precision, "recall": recall, "f1": f1, "kpi": _mean("kpi")},
    "regression": {"r2": r2, "mae": mae, "rmse": rmse, "kpi": _mean("kpi")},
}


def metrics(kind: str, tally: Tally) -> dict[str, float]:
    """Every metric of a kind of model (binary, multiclass, regression)."""
    return {name: metric(tally) if tally.n else math.nan for name, metric in METRICS[kind].items()}
