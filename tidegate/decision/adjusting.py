"""What a recalibration or another threshold would gain on a row, and how sure that is.

Each block of nights is judged with a map or a threshold that was fitted on nights that are not near it, so a fit that
only follows noise loses: where nothing changed the expected gain is below zero. The error is that of the jackknife
over blocks, widened for what nights carry over.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.performance.blocks import Estimate, cut, weighted, widened
from tidegate.performance.threshold import best_threshold
from tidegate.performance.worth import cost_threshold, has_kpi, row_worth
from tidegate.training.recalibration import apply_map, block_folds, fit_map, prior_rows, rest_of

Floats = NDArray[np.float64]
Cut = float | Floats


@dataclass(frozen=True, slots=True)
class Gain(Estimate):
    """A gain per row, in the KPI's unit or the loss's; where it cannot be told it is NaN, and `why` says so."""

    why: str = ""


@dataclass(frozen=True, eq=False)
class Fitted:
    """Rows as an adjustment makes them that was fitted without them: scores, the threshold of each, its fold."""

    scores: Floats
    cut: Floats
    fold: NDArray[np.int64]


def recalibration_gain(
    model: Model, scores: Floats, labels: NDArray[Any], nights: NDArray[Any], threshold: Cut
) -> Gain:
    """The gain per row of a calibration map over the scores as they are.

    Parameters
    ----------
    scores : ndarray
        What the champion said of matured rows that it was not trained on: (n,), for multiclass (n, classes).
    labels : ndarray, shape (n,)
        Class positions, or numbers.
    nights : ndarray of str, shape (n,)
        The window of each row; nights in any order.
    threshold : float or ndarray, shape (n,)
        Binary: the threshold in force. One for each row means thresholds by group: these go through the map with the
        scores, so decisions and KPI stay as they are.

    Returns
    -------
    Gain
        Of the KPI, without a KPI of the loss (less of it being a gain). NaN with fewer than `gate.min_blocks` blocks
        of nights, with labels of one class only, and where something is not finite.
    """
    return _gain(model, scores, labels, nights, threshold, lambda: recalibrated(model, scores, labels, nights,
                                                                                threshold))  # fmt: skip


def threshold_gain(model: Model, scores: Floats, labels: NDArray[Any], nights: NDArray[Any], threshold: Cut) -> Gain:
    """The gain per row of the best threshold of late over the one in force; parameters as of `recalibration_gain`.

    NaN, too, where the model is not binary, has no KPI, or decides by thresholds by group.
    """
    why = no_threshold(model, grouped=np.ndim(threshold) > 0)
    if why:
        return Gain(math.nan, math.nan, 0, why)
    return _gain(model, scores, labels, nights, threshold, lambda: rethresholded(model, scores, labels, nights))


def no_threshold(model: Model, *, grouped: bool) -> str:
    """Why this model's threshold cannot be moved, or an empty string."""
    if model.kind != "binary":
        return f"a {model.kind} model has no threshold"
    if not has_kpi(model):
        return "without a KPI no threshold is better than another"
    return "thresholds by group were approved as they are" if grouped else ""


def recalibrated(
    model: Model, scores: Floats, labels: NDArray[Any], nights: NDArray[Any], threshold: Cut
) -> Fitted | str:
    """Each row through a map that was fitted without its block, or why no map could be fitted."""
    prior = prior_rows(len(labels), _blocks(model, nights))
    out, at = np.array(scores, dtype=np.float64), np.broadcast_to(np.asarray(threshold, float), len(labels)).copy()

    def one(rest: NDArray[np.bool_], mine: NDArray[np.bool_]) -> str:
        found = fit_map(model.kind, scores[rest], labels[rest], prior=prior)
        if "error" in found:
            return str(found["error"])
        out[mine] = apply_map(model.kind, found, scores[mine])
        at[mine] = cuts_after(model, found, threshold if np.ndim(threshold) == 0 else np.asarray(threshold)[mine])
        return ""

    return _crossfit(model, nights, one, lambda fold: Fitted(out, at, fold))


def rethresholded(model: Model, scores: Floats, labels: NDArray[Any], nights: NDArray[Any]) -> Fitted | str:
    """Each row with the best threshold of rows that are not near it, or why there is none."""
    at = np.empty(len(labels))

    def one(rest: NDArray[np.bool_], mine: NDArray[np.bool_]) -> str:
        if len(np.unique(labels[rest])) < 2:
            return "labels of one class only"
        at[mine] = best_threshold(model, scores[rest], labels[rest])
        return ""

    return _crossfit(model, nights, one, lambda fold: Fitted(np.asarray(scores, dtype=np.float64), at, fold))


def cuts_after(model: Model, found: dict[str, Any], threshold: Cut) -> Cut:
    """The threshold on mapped scores: by the KPI alone, since they are probabilities; those by group are mapped.

    Without a KPI the threshold stays. Simulated (12 to 28 nights with day shocks, base rate shifted or not), this
    decides better than the threshold of the best KPI on the rows that the map was fitted on.
    """
    if model.kind != "binary":
        return threshold
    if np.ndim(threshold):
        return apply_map("binary", found, np.asarray(threshold, dtype=np.float64))
    by_cost = cost_threshold(model)
    return threshold if by_cost is None else by_cost


def paired_gain(
    model: Model, nights: NDArray[Any], labels: NDArray[Any], ours: tuple[Floats, Cut], theirs: tuple[Floats, Cut]
) -> Gain:
    """The gain per row of one side's scores and thresholds over the other's on the same rows, by blocks of nights."""
    gate = model.gate
    blocks = cut(sorted(set(nights.tolist())), gate.block_nights)
    if len(blocks) < gate.min_blocks:
        few = f"{len(blocks)} blocks of {gate.block_nights} matured nights, {gate.min_blocks} needed"
        return Gain(math.nan, math.nan, len(blocks), few)
    better = row_worth(model, ours[0], labels, ours[1]) - row_worth(model, theirs[0], labels, theirs[1])
    if not np.isfinite(better).all():
        return Gain(math.nan, math.nan, len(blocks), "scores or labels that are not finite")
    names, at = np.unique(nights.astype(str), return_inverse=True)
    # The short rest before the first whole block is left out, as the gate leaves it.
    skip = len(names) - len(blocks) * gate.block_nights
    rows, sums = np.bincount(at)[skip:], np.bincount(at, better)[skip:]
    each = rows.reshape(-1, gate.block_nights).sum(axis=1)
    means = sums.reshape(-1, gate.block_nights).sum(axis=1) / each
    found = widened(weighted(means, each), sums / rows, gate.block_nights)
    return Gain(found.value, found.se, found.blocks)


def _gain(
    model: Model,
    scores: Floats,
    labels: NDArray[Any],
    nights: NDArray[Any],
    threshold: Cut,
    fit: Callable[[], Fitted | str],
) -> Gain:
    blocks = _blocks(model, nights)
    if blocks < model.gate.min_blocks:
        few = f"{blocks} blocks of {model.gate.block_nights} matured nights, {model.gate.min_blocks} needed"
        return Gain(math.nan, math.nan, blocks, few)
    if not (np.isfinite(scores).all() and np.isfinite(np.asarray(labels, dtype=np.float64)).all()):
        return Gain(math.nan, math.nan, blocks, "scores or labels that are not finite")
    if model.kind != "regression" and len(np.unique(labels)) < 2:
        return Gain(math.nan, math.nan, blocks, "labels of one class only")
    found = fit()
    if isinstance(found, str):
        return Gain(math.nan, math.nan, blocks, found)
    return paired_gain(model, nights, labels, (found.scores, found.cut), (scores, threshold))


def _blocks(model: Model, nights: NDArray[Any]) -> int:
    return len(set(nights.tolist())) // model.gate.block_nights


def _crossfit(
    model: Model,
    nights: NDArray[Any],
    one: Callable[[NDArray[np.bool_], NDArray[np.bool_]], str],
    done: Callable[[NDArray[np.int64]], Fitted],
) -> Fitted | str:
    names, night = np.unique(nights.astype(str), return_inverse=True)
    folds = block_folds(names.tolist(), model.gate.block_nights)
    fold = np.array([folds[n] for n in names.tolist()], dtype=np.int64)[night]
    for held in np.unique(fold).tolist():
        rest = rest_of(fold, night, held, model.gate.block_nights)
        why = one(rest, fold == held)
        if why:
            return f"{why} on the nights away from {names[night[fold == held].min()]}"
    return done(fold)
