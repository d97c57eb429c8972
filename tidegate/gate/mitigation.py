"""What a mitigation would bring and cost: thresholds by group, priced on rows that they were not chosen on."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.gate.disparity import Floats
from tidegate.gate.fairness import fairness
from tidegate.gate.grouprates import decisions, texts
from tidegate.gate.judged import Judged
from tidegate.gate.line import Check
from tidegate.performance.blocks import cut, paired_difference
from tidegate.performance.metrics import METRICS
from tidegate.training.thresholds import choose, crossfit

FOLDS = 5
CAUTION = (
    "deciding by a protected column may itself be unlawful, even to make groups more alike: ask the counsel of those "
    "who answer for the model before you approve it"
)


def offered(model: Model, judged: Judged, look: int = 1) -> Check:
    """The fairness check, with the offer of a mitigation in ``extra["offer"]`` where it does not pass."""
    check = fairness(model, judged, look)
    if not check.asked or check.verdict.passed:
        return check
    return replace(check, extra={**check.extra, "offer": offer(model, judged, look, check=check)})


def offer(
    model: Model,
    judged: Judged,
    look: int = 1,
    *,
    check: Check | None = None,
    fold: NDArray[np.int64] | None = None,
    column: str | None = None,
) -> dict[str, Any]:
    """Gaps before and after thresholds by group, and their price; plain values, None where not defined.

    Parameters
    ----------
    check : Check
        `fairness` of the same rows, if it is at hand.
    fold : ndarray, shape (n,)
        Folds of the rows: each row's threshold is chosen on the others, so the price is not flattered. Left out,
        blocks of nights in turn.
    column : str
        The protected column to go by; left out, the one with the widest gap for its limit.

    Returns
    -------
    dict
        ``offered`` False with ``why`` where none can be made (not binary, nothing to measure). Else ``by``: threshold
        of each group, chosen on all rows; ``verdict``: the check's outcome afterwards; ``gaps``, ``groups``, ``price``.
    """
    check = check or fairness(model, judged, look)
    if model.kind != "binary":
        return {"offered": False, "why": f"thresholds by group are for binary models, this is a {model.kind} one"}
    column = column or worst_column(check)
    if column is None or column not in judged.groups or not len(judged):
        return {"offered": False, "why": "; ".join(check.verdict.reasons) or "no gap could be measured"}
    values, labels = texts(judged.groups[column]), np.asarray(judged.label, dtype=np.int64)
    chosen = choose(model, judged.ours, labels, values, column)
    if not chosen.by:
        least = model.gate.fairness.min_rows
        return {"offered": False, "why": f"fewer than two groups of {column} with {least} rows"}
    fold = _folds(model, judged) if fold is None else fold
    after_cut = crossfit(model, judged.ours, labels, values, fold, column)
    after = fairness(model, replace(judged, our_cut=after_cut), look)
    return {
        "offered": True,
        "column": column,
        "overall": chosen.overall,
        "by": dict(chosen.by),
        "verdict": after.verdict.outcome,
        "reasons": list(after.verdict.reasons),
        "gaps": _gaps(check, after),
        "price": _price(model, judged, after_cut),
        "groups": _groups(model, judged, values, after_cut),
        "caution": CAUTION,
    }


def worst_column(check: Check) -> str | None:
    """The protected column whose gap is the widest for its limit; None where no gap was measured."""
    wide: dict[str, float] = {}
    for line in check.lines:
        if line.role == "fairness" and math.isfinite(line.observed) and line.limit > 0:
            ratio = line.name.startswith("four_fifths")
            # A ratio of 0 is as far off as can be.
            far = math.log(max(line.observed, 1e-9)) / math.log(line.limit) if ratio else line.observed / line.limit
            column = line.name.split(" [", 1)[1].rstrip("]")
            wide[column] = max(far, wide.get(column, 0.0))
    return max(wide, key=lambda c: wide[c]) if wide else None


def _folds(model: Model, judged: Judged) -> NDArray[np.int64]:
    blocks = cut(judged.nights(), model.gate.block_nights)
    of = {n: i % FOLDS for i, block in enumerate(blocks) for n in block}
    return np.array([of.get(n, 0) for n in judged.night.tolist()], dtype=np.int64)


def _gaps(before: Check, after: Check) -> list[dict[str, Any]]:
    then = {line.name: line for line in after.lines}
    return [
        {"name": line.name, "limit": _plain(line.limit), "before": _plain(line.observed),
         "after": _plain(now.observed), "lower": _plain(now.lower), "upper": _plain(now.upper),
         "outcome_before": line.outcome, "outcome_after": now.outcome}
        for line in before.lines
        if line.role == "fairness" and (now := then.get(line.name, line)) is not None
    ]  # fmt: skip


def _price(model: Model, judged: Judged, after_cut: Floats) -> dict[str, Any]:
    """What is lost a row: positive is a cost. Bounds at 95 %, blocks of nights resampled, where there is a KPI."""
    before, after = replace(judged, theirs=judged.ours, their_cut=judged.our_cut), replace(judged, our_cut=after_cut)
    old, new = decisions(model, judged.ours, judged.our_cut), decisions(model, judged.ours, after_cut)
    y = np.asarray(judged.label)
    out: dict[str, Any] = {
        "changed": float((old != new).mean()),
        "accuracy_before": float((old == y).mean()),
        "accuracy_after": float((new == y).mean()),
    }
    if not model.kpi.priced:
        was, now = _balanced(y, old), _balanced(y, new)
        bounds = {"lower": None, "upper": None}
        return {"unit": "balanced accuracy", "before": was, "after": now, "a_row": _less(was, now), **bounds, **out}
    metric = METRICS["binary"]["kpi"]
    sides = after.blocks(model, "ours"), before.blocks(model, "theirs")
    lost = paired_difference(metric, sides[1], sides[0])
    rows = sum(t.n for t in sides[0])
    was, now = (sum(metric(t) * t.n for t in side) / rows if rows else None for side in reversed(sides))
    return {
        "unit": f"{model.kpi.unit} a row", "before": was, "after": now, "a_row": _plain(lost.value),
        "lower": _plain(lost.lower(0.025)), "upper": _plain(lost.upper(0.025)), **out,
    }  # fmt: skip


def _groups(model: Model, judged: Judged, values: NDArray[Any], after_cut: Floats) -> list[dict[str, Any]]:
    old, new = decisions(model, judged.ours, judged.our_cut), decisions(model, judged.ours, after_cut)
    y, k = np.asarray(judged.label), model.kpi
    worth = np.array([[k.true_negative, k.false_positive], [k.false_negative, k.true_positive]], dtype=np.float64)
    out = []
    for name in sorted(set(values.tolist())):
        at = values == name
        row: dict[str, Any] = {"group": name, "n": int(at.sum()), "changed": float((old != new)[at].mean())}
        for when, guess in (("before", old), ("after", new)):
            row[f"selection_rate_{when}"] = float(guess[at].mean())
            row[f"accuracy_{when}"] = float((guess == y)[at].mean())
            value = float(worth[y[at].astype(int), guess[at].astype(int)].mean()) if k.priced else None
            row[f"worth_{when}"] = value if k.priced else _balanced(y[at], guess[at])
        out.append(row | {"price": _less(row["worth_before"], row["worth_after"])})
    return out


def _balanced(y: NDArray[Any], guess: Floats) -> float | None:
    if not (y == 1).any() or not (y == 0).any():
        return None
    return float(((guess[y == 1] == 1).mean() + (guess[y == 0] == 0).mean()) / 2)


def _less(was: float | None, now: float | None) -> float | None:
    return None if was is None or now is None else was - now


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
