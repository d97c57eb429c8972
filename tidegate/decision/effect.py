"""What a drifted column does to decisions: the scores as they are against the scores with the drift undone.

If the drift is a fault in the data, the undone scores are nearer to the truth; then the difference in value is
what the fault costs: "if this is a fault". What it costs if the world itself changed is another question, which
`tidegate.decision.harm` answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Kpi, Model
from tidegate.performance.blocks import Estimate, weighted
from tidegate.verdicts import Effect

Floats = NDArray[np.float64]

PER_ROW = "a row"
"""How the unit of what a row costs ends: those can be told apart by size."""


def effect_of_drift(
    model: Model,
    now: Floats,
    undone: Floats,
    threshold: float | Floats,
    usual: float,
    least: float,
    *,
    draws: Sequence[Floats] = (),
    scrambled: Floats | None = None,
    residuals: Floats | None = None,
    confidence: float = 0.95,
) -> Effect:
    """The cost per row of deciding by the scores `now` if the `undone` scores were right.

    Parameters
    ----------
    now, undone : float arrays, shape (n,) or (n, classes)
        Scores of the same rows, in the order they came in: probabilities, or predictions of a regression.
    threshold : float or ndarray, shape (n,)
        Of a binary model, one or each row's.
    usual : float
        The KPI per row on the reference (or the loss, for a model without a KPI): `least` is a share of it.
    draws : sequence of float arrays as `undone`, optional
        The drift undone once more where it is undone by lot: the cost is the mean over all of them.
    scrambled : float array as `undone`, optional
        The scores with the column redrawn regardless of what it says: the most that a fault in it could cost, which
        is in the upper bound. What is right in the counts and wrong in the rows leaves no other trace.
    residuals : float array, optional
        Of a regression, target minus prediction on rows whose target is known. With them the cost is the rise of the
        absolute error, without them all that the prediction moved counts as error.
    confidence : float in (½, 1)
        Of the bounds, by Student's t over stretches of rows (rows that came together hang together: Künsch 1989) and
        the spread of the draws; NaN for a single row.

    Returns
    -------
    Effect
        In the KPI's unit per row; without a KPI the rise of the log loss (nats) or of the absolute error. Zero for no
        rows.
    """
    unit = unit_of(model)
    if not len(now):
        return Effect(0.0, unit, "no rows", False, "fault")
    every = [undone, *draws]
    costs = np.stack([row_cost(model, now, u, threshold, residuals) for u in every])
    value = float(costs.mean())
    error = _error(costs)
    reach = math.nan if math.isnan(error.se) else error.upper((1 - confidence) / 2) - error.value
    high = value + reach
    if scrambled is not None:
        most = _error(row_cost(model, now, scrambled, threshold, residuals)[None])
        high = max(high, most.upper((1 - confidence) / 2))
    share = value / abs(usual) if usual else math.inf if value else 0.0
    differ = ""
    if model.kind != "regression":
        mine = _chosen(now, threshold)
        differ = f"{np.mean([(mine != _chosen(u, threshold)).mean() for u in every]):.1%} of decisions differ, "
    words = f"if this is a fault: {differ}{value:.3g} {unit} a row lost ({share:.1%} of the usual)"
    benign = bool(usual) and high < least * abs(usual)
    return Effect(
        value, f"{unit} {PER_ROW}", words, share >= least, "fault", max(value - reach, 0.0), high, benign=benign
    )


def row_cost(
    model: Model, now: Floats, undone: Floats, threshold: float | Floats, residuals: Floats | None = None
) -> Floats:
    """The cost of each row, shape (n,), of deciding by `now` if `undone` were right; see `effect_of_drift`."""
    kpi = model.kpi if model.kpi.priced else None
    if model.kind == "regression":
        return _error_rise(now - undone, residuals) * (abs(kpi.per_unit_error) if kpi else 1.0)
    if kpi is None:
        return _divergence(now, undone)
    return _lost(kpi, _chosen(now, threshold), _chosen(undone, threshold), undone)


STRETCHES = 20
"""Parts of a night, in the order in which its rows came, that its error is taken from."""


def _error(costs: Floats) -> Estimate:
    """The mean of costs, shape (draws, rows), with its error by stretches of rows and by draws."""
    mean = costs.mean(axis=0)
    parts = np.array_split(mean, min(STRETCHES, len(mean)))
    found = weighted([float(p.mean()) for p in parts], [len(p) for p in parts])
    if len(costs) < 2:
        return found
    lots = float(costs.mean(axis=1).std(ddof=1)) / math.sqrt(len(costs))
    return Estimate(found.value, math.hypot(found.se, lots), found.blocks)


def _error_rise(off: Floats, residuals: Floats | None) -> Floats:
    """Mean over the residuals r of |off − r| − |r|, for each row; |off| without residuals."""
    if residuals is None or not len(residuals):
        return np.abs(off)
    r = np.sort(residuals)
    n, below = len(r), np.searchsorted(r, off)
    sums = np.concatenate([[0.0], np.cumsum(r)])
    # Σ|off − r|: those below off as they are, those above turned.
    total = 2 * (below * off - sums[below]) - (n * off - sums[-1])
    return np.asarray(total / n - np.abs(r).mean(), dtype=np.float64)


def effect_of_loss(model: Model, now: float, usual: float, least: float) -> Effect:
    """What came true: the KPI per row (or the loss, without one) of matured nights against the reference's."""
    priced = model.kpi.priced
    value = (usual - now) if priced else (now - usual)
    share = value / abs(usual) if usual else math.nan
    unit = f"{unit_of(model)} {PER_ROW}"
    change = f"{'a loss' if value > 0 else 'a gain'} of {abs(share):.1%}"
    words = f"{'KPI' if priced else 'loss'} {now:.3g} {unit} against {usual:.3g} on the reference, {change}"
    return Effect(value, unit, words, bool(share >= least), "concept")


ROWS = 0.3
"""Share of the usual rows whose coming or going is material."""


def effect_of_rows(log_ratio: float) -> Effect:
    """What it means that a night has exp(`log_ratio`) times the usual rows."""
    share = math.exp(log_ratio) - 1
    return Effect(
        abs(share), "of the usual rows", f"{share:+.0%} rows against the same weekdays", abs(share) >= ROWS, "fault"
    )


def unit_of(model: Model) -> str:
    """What costs are counted in: the KPI's unit, or the loss's."""
    if model.kpi.priced:
        return model.kpi.unit
    return "units of the prediction" if model.kind == "regression" else "nats of log loss"


def _chosen(scores: Floats, threshold: float | Floats) -> NDArray[np.int64]:
    return np.asarray(scores.argmax(axis=1) if scores.ndim == 2 else scores >= threshold, dtype=np.int64)


def _lost(kpi: Kpi, mine: NDArray[np.int64], truth: NDArray[np.int64], undone: Floats) -> Floats:
    if undone.ndim == 2:
        rows = np.arange(len(mine))
        return np.asarray((undone[rows, truth] - undone[rows, mine]) * (kpi.correct - kpi.wrong), dtype=np.float64)
    yes = undone * kpi.true_positive + (1 - undone) * kpi.false_positive
    no = undone * kpi.false_negative + (1 - undone) * kpi.true_negative
    return np.asarray(np.where(truth == 1, yes, no) - np.where(mine == 1, yes, no), dtype=np.float64)


def _divergence(now: Floats, undone: Floats) -> Floats:
    """Kullback-Leibler divergence in nats: how much the log loss rises by believing `now`."""
    q = np.column_stack([1 - now, now]) if now.ndim == 1 else now
    p = np.column_stack([1 - undone, undone]) if undone.ndim == 1 else undone
    q, p = np.clip(q, 1e-7, 1.0), np.clip(p, 1e-7, 1.0)
    return np.asarray((p * np.log(p / q)).sum(axis=1), dtype=np.float64)
