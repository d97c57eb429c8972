"""The rates that groups are compared by, and what Fairlearn says of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.gate.disparity import Floats, Ints
from tidegate.gate.judged import Judged


@dataclass(frozen=True, eq=False)
class Rate:
    """One rate of every row: the values of both sides where it is defined (`of`)."""

    name: str
    ours: Floats
    theirs: Floats
    of: NDArray[np.bool_]


def decisions(model: Model, scores: Floats, cuts: Floats) -> Floats:
    """The predicted class positions of rows (regression: the predictions), shape (n,); NaN where a score is."""
    if model.kind == "regression":
        return scores
    if model.kind == "multiclass":
        return np.where(np.isfinite(scores).all(axis=1), scores.argmax(axis=1), math.nan)
    return np.where(np.isfinite(scores), scores >= cuts, math.nan)


def texts(values: NDArray[Any]) -> NDArray[Any]:
    """Values of a column as text; nulls and NaN are a group of their own, `missing`."""
    lost = (None, "nan", "<NA>")
    return np.array(["missing" if v in lost or str(v) in lost else str(v) for v in values.tolist()], dtype=object)


def rates_of(model: Model, judged: Judged, criterion: str) -> list[Rate]:
    """What a criterion compares; none where it is not defined."""
    ours = decisions(model, judged.ours, judged.our_cut)
    theirs = decisions(model, judged.theirs, judged.their_cut)
    label, every = np.asarray(judged.label, dtype=np.float64), np.ones(len(judged), dtype=bool)
    if model.kind == "regression":
        sd = float(label.std())
        if criterion == "four_fifths" or not sd > 0:
            return []
        if criterion == "demographic_parity":
            return [Rate("mean prediction", ours / sd, theirs / sd, every)]
        return [Rate("mean error", (ours - label) / sd, (theirs - label) / sd, every)]
    classes = [1] if model.kind == "binary" else range(len(model.label.classes or ()))
    rates = []
    for c in classes:
        mine, other = (ours == c).astype(np.float64), np.where(np.isnan(theirs), math.nan, theirs == c)
        tail = "" if model.kind == "binary" else f" of class {(model.label.classes or ())[c]}"
        if criterion == "equalized_odds":
            rates.append(Rate(f"true positive rate{tail}", mine, other, label == c))
            rates.append(Rate(f"false positive rate{tail}", mine, other, label != c))
        else:
            rates.append(Rate(f"selection rate{tail}", mine, other, every))
    return rates


def widest(rate: Rate, at: Ints, groups: Sequence[str], *, log: bool) -> float:
    """Fairlearn's figure for a rate over the known groups: largest difference, or smallest ratio."""
    from fairlearn.metrics import MetricFrame, mean_prediction

    used = at >= 0
    frame = MetricFrame(
        metrics=mean_prediction, y_true=np.zeros(int(used.sum())), y_pred=rate.ours[used],
        sensitive_features=np.array(groups, dtype=object)[at[used]],
    )  # fmt: skip
    if not log:
        return float(frame.difference(method="between_groups"))
    return float(frame.ratio(method="between_groups")) if float(frame.group_max()) > 0 else math.nan


def told(model: Model, judged: Judged, values: NDArray[Any]) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """The rates of every group, and Fairlearn's four figures over all groups, for the evidence."""
    from fairlearn import metrics as fl

    label, guess = np.asarray(judged.label, dtype=np.float64), decisions(model, judged.ours, judged.our_cut)
    rows = []
    for name in sorted(set(values.tolist())):
        at = values == name
        y, p = label[at], guess[at]
        row: dict[str, Any] = {"group": name, "n": int(at.sum()), "label": _mean(y), "prediction": _mean(p)}
        if model.kind == "binary":
            row |= {"selection_rate": _mean(p), "true_positive_rate": _mean(p[y == 1]),
                    "false_positive_rate": _mean(p[y == 0]), "accuracy": _mean(p == y)}  # fmt: skip
        elif model.kind == "multiclass":
            row |= {"accuracy": _mean(p == y), "selection_rates": [_mean(p == c) for c in range(judged.ours.shape[1])]}
        else:
            row |= {"error": _mean(p - y)}
        rows.append(row)
    # Fairlearn divides by the positives of each group: without some it has no answer.
    whole = model.kind == "binary" and all(r["true_positive_rate"] is not None for r in rows)
    whole = whole and all(r["false_positive_rate"] is not None for r in rows) and bool(guess.any())
    names = ("demographic_parity_difference", "demographic_parity_ratio", "equalized_odds_difference",
             "equalized_odds_ratio")  # fmt: skip
    if not whole:
        return rows, {}
    figures = {n: float(getattr(fl, n)(label, guess, sensitive_features=values)) for n in names}
    return rows, {n: v for n, v in figures.items() if math.isfinite(v)}


def _mean(values: NDArray[Any]) -> float | None:
    return float(np.mean(values)) if len(values) else None
