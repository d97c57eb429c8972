"""Reasons to retrain: proven decay, or much more data than the champion learned from."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tidegate.config.model import Model
from tidegate.performance.blocks import difference
from tidegate.performance.metrics import HIGHER_IS_BETTER, METRICS
from tidegate.performance.tally import Tally
from tidegate.verdicts import Verdict

LEAST = 3
"""Fewer blocks than this say nothing about their spread."""

LOOKS = 4
"""Nightly looks at overlapping stretches count as four looks at each; so simulated."""


def judge_decay(model: Model, reference: Sequence[Tally], recent: Sequence[Tally]) -> Verdict:
    """Has the primary metric fallen below the champion's held-out reference?

    Fails (decay) when the drop exceeds `retrain.decay_margin` and its upper confidence
    bound is below zero. The question is asked every night, so the yearly error
    `retrain.decay_alpha` is shared (Bonferroni) over the disjoint stretches of
    `retrain.decay_nights` in a year, `LOOKS` to each; `benchmarks/false_decay.py` measures
    what a year comes to.
    Inconclusive with too few blocks that have rows, or where the metric is not defined.

    Parameters
    ----------
    reference, recent : sequences of Tally
        One a block of nights, of rows that the champion did not train on.
    """
    policy, name = model.retrain, model.metric.primary
    before, now = [t for t in reference if t.n], [t for t in recent if t.n]
    wanted = max(LEAST, policy.decay_nights // model.gate.block_nights)
    if len(now) < wanted or len(before) < LEAST:
        what = f"{len(now)} blocks of matured nights, {wanted} needed"
        if len(before) < LEAST:
            what = f"{len(before)} blocks in the champion's reference, {LEAST} needed"
        return Verdict("inconclusive", (what,), {"metric": name, "blocks": len(now), "reference": len(before)})
    change = difference(METRICS[model.kind][name], now, before)
    alpha = policy.decay_alpha * min(1.0, policy.decay_nights / 365) / LOOKS
    better = HIGHER_IS_BETTER[name]
    gain = change.value if better else -change.value
    best = change.upper(alpha) if better else -change.lower(alpha)
    numbers = {
        "metric": name,
        "change": change.value,
        "se": change.se,
        "upper": best,
        "margin": policy.decay_margin,
        "alpha": alpha,
        "blocks": change.blocks,
    }
    if math.isnan(gain) or math.isinf(best):
        return Verdict("inconclusive", (f"{name} or its error is not defined on these nights",), numbers)
    if gain < -policy.decay_margin and best < 0:
        fell = f"{name} fell by {-gain:.4f} (margin {policy.decay_margin:g}), by {-best:.4f} at least"
        return Verdict("fail", (fell,), numbers)
    return Verdict("pass", (f"{name} changed by {gain:+.4f}, margin {policy.decay_margin:g} not proven",), numbers)


def judge_growth(model: Model, trained_rows: int, matured_rows: int) -> Verdict:
    """Is there `retrain.growth` times the labelled rows of the last training, promoted or not?

    Fails (there is) as decay does: a failing reason is a reason to act. A constant factor
    spaces retrains evenly on the learning curve, whose error falls as a power of the rows.
    An unknown training (no rows) is inconclusive.
    """
    wanted = model.retrain.growth
    growth = matured_rows / trained_rows if trained_rows > 0 else math.nan
    numbers = {"trained_rows": trained_rows, "matured_rows": matured_rows, "growth": growth, "wanted": wanted}
    if math.isnan(growth):
        return Verdict("inconclusive", ("the last training's rows are not known",), numbers)
    if growth >= wanted:
        reason = f"{matured_rows:,} labelled rows, {growth:.2f} times what was learned from last"
        return Verdict("fail", (reason,), numbers)
    return Verdict("pass", (f"{growth:.2f} times the last training's rows, {wanted:g} wanted",), numbers)
