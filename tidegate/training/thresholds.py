"""A decision threshold for each group of a protected column: what a mitigation changes, and all that it changes.

Fairlearn's `ThresholdOptimizer` (Hardt et al. 2016) draws lots between two thresholds, so the same row may get two
answers. Here every group has one threshold: the same row always gets the same answer, and an auditor can read why.
Of the thresholds that meet what is aimed at, those of the best KPI are taken (without a KPI, of the best balanced
accuracy). `tests/unit/training/test_thresholds.py` holds the search against all pairs of thresholds and against
Fairlearn's optimum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.errors import SourceError
from tidegate.performance.threshold import best_threshold

Floats = NDArray[np.float64]

STEPS = 100
"""Thresholds tried for a group: that many quantiles of its scores."""
SWEEPS = 20


@dataclass(frozen=True)
class Chosen:
    """Thresholds by group; ``stretch`` is the widest gap left as a multiple of the one aimed at, 1 or less is met."""

    column: str
    overall: float
    by: Mapping[str, float]
    stretch: float

    def as_spec(self) -> dict[str, Any]:
        """What `spec.json` keeps."""
        return {"column": self.column, "by": dict(self.by)}


def cuts(spec: Mapping[str, Any], groups: Mapping[str, NDArray[Any]], rows: int) -> Floats:
    """The threshold in force for each of `rows` rows, shape (rows,).

    Parameters
    ----------
    spec : mapping
        A package's ``spec.json``: ``threshold``, and ``group_thresholds`` where it was mitigated.
    groups : mapping of str to ndarray of str, shape (rows,)
        Values by column, ``missing`` for nulls. Values without a threshold of their own get the overall one.

    Raises
    ------
    SourceError
        If the thresholds go by a column that `groups` lacks: deciding without it would undo the mitigation.

    Examples
    --------
    >>> spec = {"threshold": 0.5, "group_thresholds": {"column": "sex", "by": {"f": 0.4}}}
    >>> cuts(spec, {"sex": np.array(["f", "m", "missing"])}, 3).tolist(), cuts({"threshold": 0.5}, {}, 2).tolist()
    ([0.4, 0.5, 0.5], [0.5, 0.5])
    """
    overall, own = float(spec["threshold"]), spec.get("group_thresholds")
    if not own or not rows:
        return np.full(rows, overall)
    if own["column"] not in groups:
        found, do = ", ".join(groups) or "none", "bring the column with the rows"
        raise SourceError("thresholds by group", f"the column {own['column']}", found, do)
    values = groups[own["column"]].tolist()
    return np.array([own["by"].get(str(v), overall) for v in values], dtype=np.float64).reshape(rows)


def cuts_of(spec: Mapping[str, Any], table: pa.Table) -> Floats:
    """`cuts` of the rows of a batch, or of inferences and outcomes, where the column is `segment_<column>`."""
    own = spec.get("group_thresholds")
    if not own or not table.num_rows:
        return cuts(spec, {}, table.num_rows)
    name = own["column"]
    found = next((c for c in (f"segment_{name}", name) if c in table.column_names), None)
    if found is None:
        return cuts(spec, {c: np.empty(0) for c in table.column_names[:12]}, table.num_rows)
    values = table[found].cast(pa.string()).fill_null("missing").to_numpy(zero_copy_only=False)
    return cuts(spec, {name: values}, table.num_rows)


def choose(model: Model, scores: Floats, labels: NDArray[Any], values: NDArray[Any], column: str) -> Chosen:
    """Thresholds that bring the gaps of a binary model to `fairness.aim` of their limits, at the least cost.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        Scores of rows that the model was not trained on.
    labels : ndarray, shape (n,)
        0 or 1.
    values : ndarray of str, shape (n,)
        The protected column. Groups with fewer than `fairness.min_rows` rows keep the overall threshold and are
        not aimed at; true or false positive rates over fewer rows are not aimed at either.

    Returns
    -------
    Chosen
        Where the aim cannot be met at all, the thresholds that come nearest, `stretch` above 1. Without two groups
        of a size, no thresholds and a stretch of NaN.
    """
    y, overall = np.asarray(labels, dtype=np.int64), best_threshold(model, scores, labels)
    names = sorted(n for n in set(values.tolist()) if (values == n).sum() >= model.gate.fairness.min_rows)
    if len(names) < 2:
        return Chosen(column, overall, {}, math.nan)
    gains = _gains(model, y)
    options = [_options(scores[values == n], y[values == n], overall, gains, model) for n in names]
    at, stretch = _search(model, options)
    by = {n: float(o.threshold[i]) for n, o, i in zip(names, options, at, strict=True)}
    return Chosen(column, overall, by, stretch)


def crossfit(
    model: Model,
    scores: Floats,
    labels: NDArray[Any],
    values: NDArray[Any] | None,
    fold: NDArray[np.int64],
    column: str,
) -> Floats:
    """The threshold of each row, chosen on the rows of the other folds; `values` None gives one for all groups.

    With one fold only there are no other rows: 0.5.
    """
    out = np.full(len(labels), 0.5)
    for k in np.unique(fold):
        mine = fold == k
        rest = ~mine
        if values is None:
            out[mine] = best_threshold(model, scores[rest], labels[rest])
            continue
        found = choose(model, scores[rest], labels[rest], values[rest], column)
        spec = {"threshold": found.overall, "group_thresholds": found.as_spec()}
        out[mine] = cuts(spec, {column: values[mine]}, int(mine.sum()))
    return out


def _gains(model: Model, y: NDArray[np.int64]) -> tuple[float, float, float, float]:
    """What a true and false negative, a false and true positive row add: KPI per row, or balanced accuracy."""
    k, n = model.kpi, max(len(y), 1)
    values = (k.true_negative, k.false_negative, k.false_positive, k.true_positive)
    if any(values):
        tn, fn, fp, tp = (v / n for v in values)
        return tn, fn, fp, tp
    return 0.5 / max(int((y == 0).sum()), 1), 0.0, 0.0, 0.5 / max(int((y == 1).sum()), 1)


@dataclass(frozen=True, eq=False)
class _Options:
    """The thresholds of one group: rates (T, 3) selected, true positive, false positive; NaN where not aimed at."""

    threshold: Floats
    rates: Floats
    value: Floats


def _options(
    scores: Floats, y: NDArray[np.int64], overall: float, gains: tuple[float, float, float, float], model: Model
) -> _Options:
    # Four digits, as the overall threshold has: they can be read, and float noise decides nothing.
    tried = np.unique(np.append(np.round(np.quantile(scores, np.linspace(0, 1, STEPS + 1)), 4), overall))
    negative, positive = np.sort(scores[y == 0]), np.sort(scores[y == 1])
    fp = len(negative) - np.searchsorted(negative, tried, side="left")
    tp = len(positive) - np.searchsorted(positive, tried, side="left")
    tn, fn = len(negative) - fp, len(positive) - tp
    least = model.gate.fairness.min_rows
    odds = len(positive) >= least and len(negative) >= least
    unknown = np.full(len(tried), math.nan)
    rates = [(fp + tp) / len(y), tp / len(positive) if odds else unknown, fp / len(negative) if odds else unknown]
    value = gains[0] * tn + gains[1] * fn + gains[2] * fp + gains[3] * tp
    return _Options(tried, np.column_stack(rates), np.asarray(value, dtype=np.float64))


def _search(model: Model, options: list[_Options]) -> tuple[list[int], float]:
    """The option of each group with the least stretch above 1, then the most value.

    Group after group is moved to its best option, the others held, until none moves; from many starts at once, in
    which all groups have the same threshold, or the same rate of one kind.
    """
    state = _starts(options)
    cost = np.full(len(state), math.inf)
    for _ in range(SWEEPS):
        before = state.copy()
        for g, mine in enumerate(options):
            others = [k for k in range(len(options)) if k != g]
            rates = np.stack([options[k].rates[state[:, k]] for k in others])
            kept = np.sum([options[k].value[state[:, k]] for k in others], axis=0)
            high = np.fmax.reduce(rates, axis=0)[:, None, :]
            low = np.fmin.reduce(rates, axis=0)[:, None, :]
            stretch = _stretch(model, np.fmax(high, mine.rates), np.fmin(low, mine.rates))
            total = 1e3 * (np.maximum(stretch, 1.0) - 1) - (kept[:, None] + mine.value)
            state[:, g] = total.argmin(axis=1)
            cost = total.min(axis=1)
        if (state == before).all():
            break
    best = state[int(cost.argmin())]
    chosen = np.stack([o.rates[i] for o, i in zip(options, best, strict=True)])
    reached = _stretch(model, np.fmax.reduce(chosen, axis=0), np.fmin.reduce(chosen, axis=0))
    return [int(i) for i in best], float(reached)


def _stretch(model: Model, high: Floats, low: Floats) -> Floats:
    """The widest gap as a multiple of the one aimed at, from the largest and smallest rates, shape (…, 3)."""
    settings = model.gate.fairness
    gap = np.nan_to_num(high - low, nan=0.0) / (settings.max_gap * settings.aim)
    out = np.zeros(high.shape[:-1])
    if "demographic_parity" in settings.criteria:
        out = np.maximum(out, gap[..., 0])
    if "equalized_odds" in settings.criteria:
        out = np.maximum(out, gap[..., 1:].max(axis=-1))
    if "four_fifths" in settings.criteria:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(high[..., 0] / low[..., 0])
        # Where nobody is selected there is no ratio, and nothing was made fair.
        ratio = np.where(low[..., 0] > 0, ratio, 1e3)
        out = np.maximum(out, ratio / (-math.log(settings.min_ratio) * settings.aim))
    return np.asarray(out, dtype=np.float64)


def _starts(options: list[_Options]) -> NDArray[np.int64]:
    """Options of every group for each start, shape (starts, groups)."""
    levels = np.linspace(0, 1, STEPS // 2 + 1)
    starts = [[np.abs(o.threshold[None, :] - levels[:, None]).argmin(axis=1) for o in options]]
    for rate in range(3):
        near = [np.abs(np.nan_to_num(o.rates[None, :, rate]) - levels[:, None]).argmin(axis=1) for o in options]
        starts.append(near)
    return np.concatenate([np.stack(s, axis=1) for s in starts]).astype(np.int64)
