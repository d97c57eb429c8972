"""Fixed thresholds: the two rules that people wire up by hand, to compare the evidence policy with.

`drift` retrains when a feature's PSI passes .2, the limit that monitoring libraries and credit scoring call a
significant shift (Siddiqi 2006); `performance` when a week's metric falls by a margin. Neither asks for an error, a
budget or a gate; both keep `retrain.cooldown`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from tidegate.config.model import Model
from tidegate.performance.blocks import level
from tidegate.performance.metrics import HIGHER_IS_BETTER, METRICS
from tidegate.performance.tally import Tally
from tidegate.verdicts import Action, Verdict

FIXED: Final = ("drift", "performance")
UNGATED: Final = ("monthly", *FIXED)
"""Policies that promote without a gate, in a replay only."""
PSI_LIMIT: Final = 0.2
LASTS: Final = 2
OF: Final = 3
"""Nights past the limit, out of so many, that count as lasting."""
WEEK: Final = 7


def judge_psi(nights: Sequence[Mapping[str, float]]) -> Verdict:
    """Was PSI above .2, for any feature, on two of the last three nights?

    Parameters
    ----------
    nights : sequence of mappings of str to float
        PSI by feature, a night each, the newest last; at most the last three count. NaN counts as no drift, as a
        comparison with it comes out.

    Returns
    -------
    Verdict
        Fails if so; inconclusive with fewer than two nights.

    Examples
    --------
    >>> judge_psi([{"temp": 0.3}, {"temp": 0.1}, {"dewp": 0.21}]).reasons
    ('PSI above 0.2 on 2 of 3 nights: temp 0.30, dewp 0.21',)
    >>> judge_psi([{"temp": 0.3}, {"temp": 0.1}]).outcome, judge_psi([{"temp": 0.3}]).outcome
    ('pass', 'inconclusive')
    """
    seen = nights[-OF:]
    if len(seen) < LASTS:
        return Verdict("inconclusive", (f"{len(seen)} nights with a profile, {LASTS} needed",))
    past = [{c: v for c, v in night.items() if v > PSI_LIMIT} for night in seen]
    worst = {c: max(night[c] for night in past if c in night) for c in sorted({c for night in past for c in night})}
    lasting = sum(map(bool, past))
    numbers = {"nights": lasting, "of": len(seen), "psi": worst}
    if lasting >= LASTS:
        most = sorted(worst.items(), key=lambda item: -item[1])[:3]
        told = ", ".join(f"{c} {v:.2f}" for c, v in most)
        return Verdict("fail", (f"PSI above {PSI_LIMIT} on {lasting} of {len(seen)} nights: {told}",), numbers)
    return Verdict("pass", (f"PSI above {PSI_LIMIT} on {lasting} of {len(seen)} nights",), numbers)


def judge_week(model: Model, reference: Sequence[Tally], recent: Tally, nights: int) -> Verdict:
    """Is the primary metric of the newest matured week below the champion's held-out weeks by `retrain.decay_margin`?

    Parameters
    ----------
    reference : sequence of Tally
        One a week of rows that the champion did not train on.
    recent : Tally
        The newest matured nights since its training, in one.
    nights : int
        How many those are; seven are needed.

    Returns
    -------
    Verdict
        Fails if so, with no regard to chance; inconclusive with too few nights, or where the metric is not defined.
    """
    name, margin = model.metric.primary, model.retrain.decay_margin
    if nights < WEEK:
        return Verdict("inconclusive", (f"{nights} matured nights of the champion, {WEEK} needed",))
    metric = METRICS[model.kind][name]
    before, now = level(metric, reference).value, metric(recent) if recent.n else math.nan
    gain = now - before if HIGHER_IS_BETTER[name] else before - now
    numbers = {"metric": name, "reference": before, "week": now, "margin": margin}
    if math.isnan(gain):
        return Verdict("inconclusive", (f"{name} is not defined on these nights",), numbers)
    told = f"{name} {now:.4f} in the newest matured week, {before:.4f} in the champion's reference"
    return Verdict("fail" if gain < -margin else "pass", (told,), numbers)


def fixed(
    model: Model, window: date, attempts: Sequence[date], evidence: Mapping[str, Verdict]
) -> tuple[Action, str, dict[str, str]]:
    """The choice under a fixed threshold: retrain when it is passed, but not within `retrain.cooldown` of an attempt.

    Parameters
    ----------
    attempts : sequence of date
        Windows of the retrain attempts so far.
    evidence : mapping
        The policy's own verdict, under its name.
    """
    policy = model.retrain.policy
    verdict = evidence.get(policy, Verdict("inconclusive", ("nothing was measured",)))
    why = "; ".join(verdict.reasons)
    if verdict.outcome != "fail":
        return "nothing", f"policy {policy}: threshold not passed", {f"retrain for {policy}": why}
    if attempts and window - max(attempts) < model.retrain.cooldown:
        nights = -(-model.retrain.cooldown // timedelta(days=1))
        return "nothing", f"cooldown until {max(attempts) + timedelta(days=nights)}", {"retrain": why}
    return "retrain", policy, {"nothing": why}
