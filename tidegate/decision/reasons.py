"""Reasons to retrain: proven decay, or much more data than the champion learned from."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tidegate.config.model import Model
from tidegate.performance.blocks import difference
from tidegate.performance.metrics import HIGHER_IS_BETTER, METRICS
from tidegate.performance.tally import Tally
from tidegate.verdicts import Verdict


def judge_decay(model: Model, reference: Sequence[Tally], recent: Sequence[Tally]) -> Verdict:
    """Has the primary metric fallen below the champion's held-out reference?

    Fails (decay) when the drop exceeds `retrain.decay_margin` and its upper confidence
    bound is below zero. The yearly error `retrain.decay_alpha` is shared over the number
    of disjoint stretches of `retrain.decay_nights` in a year (Bonferroni), since the
    question is asked every night.

    Parameters
    ----------
    reference, recent : sequences of Tally
        One a block of nights, of rows that the champion did not train on.
    """
    policy, name = model.retrain, model.metric.primary
    wanted = max(3, policy.decay_nights // model.gate.block_nights)
    if len(recent) < wanted or len(reference) < 3:
        return Verdict("inconclusive", (f"{len(recent)} blocks of matured nights, {wanted} needed",), {"metric": name, "blocks": len(recent)})
    sign = 1 if HIGHER_IS_BETTER[name] else -1
    change = difference(METRICS[model.kind][name], recent, reference)
    alpha = policy.decay_alpha * policy.decay_nights / 365
    gain, best = sign * change.value, (change.upper(alpha) if sign > 0 else -change.lower(alpha))
    numbers = {"metric": name, "change": change.value, "se": change.se, "upper": best, "margin": policy.decay_margin, "alpha": alpha, "blocks": change.blocks}
    if math.isnan(gain):
        return Verdict("inconclusive", (f"{name} is not defined on these nights",), numbers)
    if gain < -policy.decay_margin and best < 0:
        return Verdict("fail", (f"{name} fell by {-gain:.4f} (margin {policy.decay_margin:g}), at best by {-best:.4f}",), numbers)
    return Verdict("pass", (f"{name} changed by {gain:+.4f}, margin {policy.decay_margin:g} not proven",), numbers)


def judge_growth(model: Model, trained_rows: int, matured_rows: int) -> Verdict:
    """Is there `retrain.growth` times the labelled rows that the champion was trained on?

    Fails (there is) as decay does: a failing reason is a reason to act. A constant factor
    spaces retrains evenly on the learning curve, whose error falls as a power of the rows.
    """
    growth = matured_rows / trained_rows if trained_rows else math.inf
    numbers = {"trained_rows": trained_rows, "matured_rows": matured_rows, "growth": growth, "wanted": model.retrain.growth}
    if growth >= model.retrain.growth:
        return Verdict("fail", (f"{matured_rows:,} labelled rows, {growth:.2f} times what the champion learned from",), numbers)
    return Verdict("pass", (f"{growth:.2f} times the champion's rows, {model.retrain.growth:g} wanted",), numbers)
