"""Tables of both sides by group, for the evidence page; what decides about groups is in the checks."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.gate.judged import Judged
from tidegate.performance.loss import row_loss

SHOWN: Final = 30
"""Groups of a column that are told by name; the smaller ones are told as one."""


def group_table(model: Model, judged: Judged, block: NDArray[np.int64], column: str) -> list[dict[str, Any]]:
    """A row for each value of a segment or protected column, by size.

    Parameters
    ----------
    block : ndarray, shape (n,)
        The block of each row; an area under a curve is taken within blocks and averaged by their rows.

    Returns
    -------
    list of dict
        ``column``, ``value``, ``n``, ``share`` of the rows, ``actual`` (rate of positives, or mean target; absent
        for several classes), and for each side ``loss`` (mean log loss or absolute error) and, by kind:
        binary ``score``, ``roc_auc``, ``selected``, ``true_positive_rate``, ``false_positive_rate``; multiclass
        ``accuracy``; regression ``predicted`` and ``error``. NaN where not defined. Empty without the column.

    Examples
    --------
    >>> half = np.full(4, 0.5)
    >>> rows = Judged(np.full(4, "a"), np.array([0, 1, 0, 1]), half, half, half, half, {"g": np.array(list("xxxy"))})
    >>> made = group_table(Model.model_construct(kind="binary"), rows, np.zeros(4), "g")
    >>> [(r["value"], r["n"], r["ours"]["selected"]) for r in made]
    [('x', 3, 1.0), ('y', 1, 1.0)]
    """
    values = judged.groups.get(column)
    if values is None or not len(judged):
        return []
    texts = np.array([str(v) for v in values.tolist()], dtype=object)
    names, rows = np.unique(texts, return_counts=True)
    order = np.argsort(-rows, kind="stable")
    loss = {s: row_loss(model.kind, getattr(judged, s), judged.label) for s in ("ours", "theirs")}
    parts = [(str(names[i]), texts == names[i]) for i in order[:SHOWN]]
    if len(names) > SHOWN:
        parts.append((f"{len(names) - SHOWN} smaller groups", ~np.isin(texts, names[order[:SHOWN]])))
    return [_row(model, judged, block, column, value, mine, loss) for value, mine in parts]


def _row(
    model: Model,
    judged: Judged,
    block: NDArray[np.int64],
    column: str,
    value: str,
    mine: NDArray[np.bool_],
    loss: dict[str, NDArray[np.float64]],
) -> dict[str, Any]:
    some, n = judged.where(mine), int(mine.sum())
    out: dict[str, Any] = {"column": column, "value": value, "n": n, "share": n / len(judged)}
    if model.kind != "multiclass":
        out["actual"] = float(some.label.mean())
    for side in ("ours", "theirs"):
        scores, cuts = getattr(some, side), some.our_cut if side == "ours" else some.their_cut
        found = {"loss": float(loss[side][mine].mean())}
        if model.kind == "binary":
            found |= _binary(scores, cuts, some.label == 1, block[mine])
        elif model.kind == "multiclass":
            found["accuracy"] = float((scores.argmax(axis=1) == some.label).mean())
        else:
            found |= {"predicted": float(scores.mean()), "error": float((scores - some.label).mean())}
        out[side] = found
    return out


def _binary(
    p: NDArray[np.float64], cuts: NDArray[np.float64], positive: NDArray[np.bool_], block: NDArray[np.int64]
) -> dict[str, float]:
    chosen = p >= cuts
    parts = [block == b for b in np.unique(block)]
    areas, rows = np.array([auc(p[b], positive[b]) for b in parts]), np.array([b.sum() for b in parts])
    defined = ~np.isnan(areas)
    return {
        "score": float(p.mean()),
        "roc_auc": float(np.average(areas[defined], weights=rows[defined])) if defined.any() else math.nan,
        "selected": float(chosen.mean()),
        "true_positive_rate": float(chosen[positive].mean()) if positive.any() else math.nan,
        "false_positive_rate": float(chosen[~positive].mean()) if not positive.all() else math.nan,
    }


def auc(p: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """ROC AUC of scores, ties counting half (Hanley & McNeil 1982); NaN with one class only.

    Examples
    --------
    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])), auc(np.ones(1), np.array([True]))
    (0.75, nan)
    """
    n, k = len(p), int(positive.sum())
    if not k or k == n:
        return math.nan
    _, at, ties = np.unique(p, return_inverse=True, return_counts=True)
    ranks = np.cumsum(ties) - (ties - 1) / 2
    return float((ranks[at][positive].sum() - k * (k + 1) / 2) / (k * (n - k)))
