"""What a drifted column does to decisions: the scores as they are against the scores with the drift undone.

If the drift is a fault in the data, the undone scores are nearer to the truth; then the difference in value is
what the fault costs. If the world itself changed, the model's own view is right and the cost is nothing: it is
a bound on harm, "if this is a fault", and never silences anything by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Kpi, Model
from tidegate.verdicts import Effect

Floats = NDArray[np.float64]


def effect_of_drift(
    model: Model, now: Floats, undone: Floats, threshold: float | Floats, usual: float, least: float
) -> Effect:
    """The cost per row of deciding by the scores `now` if the `undone` scores were right.

    Parameters
    ----------
    now, undone : float arrays, shape (n,) or (n, classes)
        Scores of the same rows: probabilities, or predictions of a regression.
    threshold : float or ndarray, shape (n,)
        Of a binary model, one or each row's.
    usual : float
        The KPI per row on the reference (or the loss, for a model without a KPI): `least` is a share of it.

    Returns
    -------
    Effect
        In the KPI's unit per row; without a KPI the rise of the log loss (nats) or the mean absolute change of
        the prediction. Zero for no rows.
    """
    if not len(now):
        return Effect(0.0, _unit(model), "no rows", False)
    kpi = model.kpi if model.kpi.priced else None
    if model.kind == "regression":
        value = float(np.abs(now - undone).mean()) * (abs(kpi.per_unit_error) if kpi else 1.0)
        changed = math.nan
    else:
        mine, truth = _chosen(now, threshold), _chosen(undone, threshold)
        changed = float((mine != truth).mean())
        value = _lost(kpi, mine, truth, undone) if kpi else _divergence(now, undone)
    share = value / abs(usual) if usual else math.inf if value else 0.0
    differ = "" if math.isnan(changed) else f"{changed:.1%} of decisions differ, "
    words = f"if this is a fault: {differ}{value:.3g} {_unit(model)} a row lost ({share:.1%} of the usual)"
    return Effect(value, f"{_unit(model)} a row", words, share >= least)


def effect_of_loss(model: Model, now: float, usual: float, least: float) -> Effect:
    """What came true: the KPI per row (or the loss, without one) of matured nights against the reference's."""
    priced = model.kpi.priced
    value = (usual - now) if priced else (now - usual)
    share = value / abs(usual) if usual else math.nan
    unit = f"{_unit(model)} a row"
    change = f"{'a loss' if value > 0 else 'a gain'} of {abs(share):.1%}"
    words = f"{'KPI' if priced else 'loss'} {now:.3g} {unit} against {usual:.3g} on the reference, {change}"
    return Effect(value, unit, words, bool(share >= least))


ROWS = 0.3
"""Share of the usual rows whose coming or going is material."""


def effect_of_rows(log_ratio: float) -> Effect:
    """What it means that a night has exp(`log_ratio`) times the usual rows."""
    share = math.exp(log_ratio) - 1
    return Effect(abs(share), "of the usual rows", f"{share:+.0%} rows against the same weekdays", abs(share) >= ROWS)


def _unit(model: Model) -> str:
    if model.kpi.priced:
        return model.kpi.unit
    return "units of the prediction" if model.kind == "regression" else "nats of log loss"


def _chosen(scores: Floats, threshold: float | Floats) -> NDArray[np.int64]:
    return np.asarray(scores.argmax(axis=1) if scores.ndim == 2 else scores >= threshold, dtype=np.int64)


def _lost(kpi: Kpi, mine: NDArray[np.int64], truth: NDArray[np.int64], undone: Floats) -> float:
    if undone.ndim == 2:
        rows: Sequence[int] | NDArray[np.int64] = np.arange(len(mine))
        return float(((undone[rows, truth] - undone[rows, mine]) * (kpi.correct - kpi.wrong)).mean())
    yes = undone * kpi.true_positive + (1 - undone) * kpi.false_positive
    no = undone * kpi.false_negative + (1 - undone) * kpi.true_negative
    return float((np.where(truth == 1, yes, no) - np.where(mine == 1, yes, no)).mean())


def _divergence(now: Floats, undone: Floats) -> float:
    """Mean Kullback-Leibler divergence in nats: how much the log loss rises by believing `now`."""
    q = np.column_stack([1 - now, now]) if now.ndim == 1 else now
    p = np.column_stack([1 - undone, undone]) if undone.ndim == 1 else undone
    q, p = np.clip(q, 1e-7, 1.0), np.clip(p, 1e-7, 1.0)
    return float((p * np.log(p / q)).sum(axis=1).mean())
