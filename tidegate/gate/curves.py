"""What an evidence page draws of the rows that a gate judged on: curves of both sides, their levels by block.

Nothing here decides. Scores of members that differ in level must not be mixed, so ROC and precision-recall curves
are taken within each block of nights and averaged with the blocks' rows as weights, vertically (Fawcett 2006): the
area under the drawn ROC curve is the ROC AUC that the gate judges.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.gate.groups import group_table
from tidegate.gate.judged import Judged
from tidegate.gate.reliability import deciles, reliability
from tidegate.performance.blocks import blocks_of, cut, level
from tidegate.performance.metrics import METRICS

POINTS: Final = 101
"""Points of a curve."""
CLASSES: Final = 8
"""Classes of a multiclass model that are drawn, the most frequent."""
BARS: Final = 20
"""Bins of a score histogram."""
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
SIDES: Final = ("ours", "theirs")
BY_BLOCK: Final = {
    "binary": ("roc_auc", "log_loss"),
    "multiclass": ("roc_auc", "log_loss"),
    "regression": ("mae", "r2"),
}

Floats = NDArray[np.float64]


def curves(model: Model, judged: Judged) -> dict[str, Any]:
    """Curves, levels and tables of both sides, as plain values.

    Parameters
    ----------
    judged : Judged
        Rows as the gate judged them. Those of the short rest before the first whole block are left out, as there.

    Returns
    -------
    dict
        ``levels`` has each metric of both sides with a two-sided 95 % block interval, ``by_block`` the main ones by
        block. ``classes`` (classification) has for each class and side ``roc``, ``precision_recall``,
        ``reliability`` and ``histogram``; ``deciles`` and ``residuals`` (regression) have predicted against actual.
        ``segments`` and ``protected`` are tables by group. What is not there is in ``absent``, with why.
        NaN and infinities stay; the evidence document writes them as null.

    Examples
    --------
    >>> nothing = np.zeros(0)
    >>> curves(Model.model_construct(kind="binary"), Judged(*[nothing] * 6))["absent"]
    {'all': 'no labelled row that neither model was trained on'}
    """
    out: dict[str, Any] = {"kind": model.kind, "absent": {}}
    absent: dict[str, str] = out["absent"]
    why = _unusable(judged)
    if why:
        absent["all"] = why
        return out
    nights = cut(judged.nights(), model.gate.block_nights)
    at = {night: i for i, block in enumerate(nights) for night in block}
    block = np.array([at.get(str(n), -1) for n in judged.night.tolist()])
    if not (block >= 0).any():
        absent["all"] = f"fewer nights than one block of {model.gate.block_nights}"
        return out
    judged, block = judged.where(block >= 0), block[block >= 0]
    out |= {"n": len(judged), "blocks": len(np.unique(block))} | _levels(model, judged, nights)
    if model.kind == "regression":
        out["deciles"] = {s: deciles(getattr(judged, s), judged.label, block) for s in SIDES}
        out["residuals"] = {s: _residuals(getattr(judged, s) - judged.label) for s in SIDES}
    else:
        _classes(model, judged, block, out)
    for name, columns in (("segments", model.segments), ("protected", model.protected)):
        out[name] = [row for c in columns for row in group_table(model, judged, block, c)]
        if not out[name]:
            absent[name] = f"no rows by group: {', '.join(columns)}" if columns else f"no {name} columns declared"
    return out


def _unusable(judged: Judged) -> str:
    if not len(judged):
        return "no labelled row that neither model was trained on"
    for who, scores in (("the candidate", judged.ours), ("the other side", judged.theirs)):
        bad = int((~np.isfinite(scores)).any(axis=1).sum() if scores.ndim == 2 else (~np.isfinite(scores)).sum())
        if bad:
            return f"{bad} scores of {who} are not finite"
    bad = int((~np.isfinite(judged.label.astype(np.float64))).sum())
    return f"{bad} labels are not finite" if bad else ""


def _levels(model: Model, judged: Judged, nights: list[tuple[str, ...]]) -> dict[str, Any]:
    """Each metric of both sides over all blocks, and the main ones by block."""
    tallies = {"ours": judged.tallies(model, "ours"), "theirs": judged.tallies(model, "theirs")}
    blocks = {s: blocks_of(t, nights) for s, t in tallies.items()}
    levels = {}
    for name, metric in METRICS[model.kind].items():
        if name == "kpi" and not model.kpi.priced:
            continue
        estimates = {s: level(metric, b) for s, b in blocks.items()}
        levels[name] = {
            s: {"value": e.value, "lower": e.lower(0.025), "upper": e.upper(0.025)} for s, e in estimates.items()
        }
    main = dict.fromkeys((*BY_BLOCK[model.kind], *([model.metric.primary] if model.metric.primary in levels else [])))
    used = [b for b in nights if any(n in tallies["ours"] for n in b)]
    by_block = [
        {"first": b[0], "last": b[-1], "n": ours.n}
        | {s: {m: METRICS[model.kind][m](t) for m in main} for s, t in (("ours", ours), ("theirs", theirs))}
        for b, ours, theirs in zip(used, blocks["ours"], blocks["theirs"], strict=True)
    ]
    return {"levels": levels, "by_block": by_block}


def _classes(model: Model, judged: Judged, block: NDArray[np.int64], out: dict[str, Any]) -> None:
    names = [str(c) for c in model.label.classes or ()]
    truth = judged.label.astype(np.int64)
    rows = np.bincount(truth, minlength=len(names))
    if model.kind == "binary":
        # Label 1 is the positive class, whatever its place in the model file.
        drawn, names = [1], ["", str(model.label.positive)]
    else:
        drawn = np.argsort(-rows, kind="stable")[:CLASSES].tolist()
        if len(names) > CLASSES:
            out["absent"]["classes"] = f"{len(names) - CLASSES} rarer classes are not drawn"
    out["classes"] = []
    for c in drawn:
        is_class = truth == c
        made: dict[str, Any] = {"name": names[c], "rows": int(rows[c])}
        if is_class.all() or not is_class.any():
            out["absent"][f"curves of {names[c]}"] = "all rows are of one class"
        for side in SIDES:
            scores = getattr(judged, side)
            p = scores if scores.ndim == 1 else scores[:, c]
            made[side] = _of_class(p, is_class, block)
        out["classes"].append(made)


def _of_class(p: Floats, is_class: NDArray[np.bool_], block: NDArray[np.int64]) -> dict[str, Any]:
    at = np.minimum((p * BARS).astype(int), BARS - 1)
    return {
        "roc": _averaged(roc, p, is_class, block, ("fpr", "tpr")),
        "precision_recall": _averaged(precision_recall, p, is_class, block, ("recall", "precision")),
        "reliability": reliability(p, is_class, block),
        "histogram": {
            "negative": np.bincount(at[~is_class], minlength=BARS).tolist(),
            "positive": np.bincount(at[is_class], minlength=BARS).tolist(),
        },
    }


def _averaged(
    of: Callable[[Floats, NDArray[np.bool_]], tuple[Floats, float]],
    p: Floats,
    is_class: NDArray[np.bool_],
    block: NDArray[np.int64],
    axes: tuple[str, str],
) -> dict[str, Any] | None:
    """The mean curve over blocks that have both classes; None where none has."""
    heights, areas, weights = [], [], []
    for b in np.unique(block):
        mine = block == b
        if is_class[mine].all() or not is_class[mine].any():
            continue
        height, area = of(p[mine], is_class[mine])
        heights.append(height)
        areas.append(area)
        weights.append(mine.sum())
    if not heights:
        return None
    mean = np.average(heights, axis=0, weights=weights)
    grid = np.linspace(0, 1, POINTS)
    return {
        axes[0]: grid.round(4).tolist(),
        axes[1]: mean.round(5).tolist(),
        "area": float(np.average(areas, weights=weights)),
        "blocks": len(heights),
    }


def _cumulated(p: Floats, is_class: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Positives and rows above each distinct score, from the highest on."""
    order = np.argsort(-p, kind="stable")
    last = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)
    return np.cumsum(is_class[order])[last].astype(np.float64), (last + 1).astype(np.float64)


def roc(p: Floats, is_class: NDArray[np.bool_]) -> tuple[Floats, float]:
    """True positive rate at `POINTS` false positive rates in [0, 1], and the area (ties count half).

    Both classes must be there. `p` and `is_class` have shape (n,).

    Examples
    --------
    >>> heights, area = roc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    >>> heights[[0, 49, 50, 100]].round(4).tolist(), area
    ([0.5, 0.5, 1.0, 1.0], 0.75)
    """
    positive, seen = _cumulated(p, is_class)
    tpr = np.insert(positive / positive[-1], 0, 0.0)
    fpr = np.insert((seen - positive) / (seen[-1] - positive[-1]), 0, 0.0)
    area = float(((fpr[1:] - fpr[:-1]) * (tpr[1:] + tpr[:-1]) / 2).sum())
    # A straight rise is made a steep one, of which the upper end counts.
    steep = fpr + 1e-12 * np.arange(len(fpr))
    return np.interp(np.linspace(0, 1, POINTS) + 1e-6, steep, tpr), area


def precision_recall(p: Floats, is_class: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Precision at `POINTS` recalls in [0, 1], and the average precision (Davis & Goadrich 2006: no line between).

    Examples
    --------
    >>> heights, area = precision_recall(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    >>> heights[[0, 50, 51]].round(4).tolist(), round(area, 4)
    ([1.0, 1.0, 0.6667], 0.8333)
    """
    positive, seen = _cumulated(p, is_class)
    recall, precision = positive / positive[-1], positive / seen
    at = np.searchsorted(recall, np.linspace(0, 1, POINTS) - 1e-12)
    return precision[np.minimum(at, len(recall) - 1)], float((np.diff(recall, prepend=0.0) * precision).sum())


def _residuals(error: Floats) -> dict[str, float]:
    """Quantiles of prediction − actual, and its mean."""
    found = {f"{q:g}": float(v) for q, v in zip(QUANTILES, np.quantile(error, QUANTILES), strict=True)}
    return found | {"mean": float(error.mean()) if len(error) else math.nan}
