"""The gate: is the candidate better on what counts, and not worse on the guardrails?

Both are scored on the same blocks of nights, which neither saw in training. Better:
proven on the primary metric or the KPI, which share the error of a look. A guardrail
holds when a worsening beyond its margin is ruled out. Any other metric fails only when
proven worse. Not enough evidence is inconclusive, never a pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.config.model import Model
from tidegate.performance.blocks import Estimate, level, paired_difference
from tidegate.performance.metrics import HIGHER_IS_BETTER, METRICS
from tidegate.performance.tally import Tally
from tidegate.verdicts import Outcome, Verdict


@dataclass(frozen=True)
class Check:
    """One check: gain of the candidate (positive is better, the metric's unit) with bounds."""

    name: str
    role: str
    outcome: Outcome
    gain: float
    se: float
    lower: float
    upper: float
    limit: float
    reason: str


@dataclass(frozen=True)
class GateResult:
    """The verdict and the checks behind it, ``n`` rows in ``blocks`` blocks."""

    verdict: Verdict
    checks: tuple[Check, ...]
    n: int
    blocks: int
    look: int


def judge_candidate(model: Model, candidate: Sequence[Tally], champion: Sequence[Tally], *, look: int = 1) -> GateResult:
    """Judge a candidate against the champion on paired blocks.

    Parameters
    ----------
    candidate, champion : sequences of Tally
        The same rows in the same blocks, in order.
    look : int
        Which look at this candidate this is; each gets ``gate.alpha / gate.looks``.
    """
    gate, n = model.gate, sum(t.n for t in candidate)
    if len(candidate) < gate.min_blocks:
        reason = f"{len(candidate)} hold-out blocks of {gate.block_nights} nights, {gate.min_blocks} needed"
        return GateResult(Verdict("inconclusive", (reason,), {"blocks": len(candidate)}), (), n, len(candidate), look)
    alpha = gate.alpha / gate.looks
    counts = [model.metric.primary] + (["kpi"] if model.metric.primary != "kpi" and _has_kpi(model) else [])
    better = [_superior(model, name, candidate, champion, alpha / len(counts)) for name in counts]
    guards = [_holds(model, name, margin, candidate, champion, alpha) for name, margin in model.metric.must_hold.items()]
    named = {c.name for c in (*better, *guards)}
    rest = [name for name in METRICS[model.kind] if name not in named]
    others = [_not_worse(model, name, candidate, champion, alpha / max(len(rest), 1)) for name in rest]
    return GateResult(_verdict(model, better, guards, others, len(candidate)), (*better, *guards, *others), n, len(candidate), look)


def judge_first(model: Model, candidate: Sequence[Tally], dummy: Sequence[Tally]) -> GateResult:
    """Judge a first model against a constant prediction on the rows that its members did not see."""
    metric = "mae" if model.kind == "regression" else "log_loss"
    n = sum(t.n for t in candidate)
    if len(candidate) < gate_blocks(model):
        reason = f"{len(candidate)} held-out blocks, {gate_blocks(model)} needed"
        return GateResult(Verdict("inconclusive", (reason,), {}), (), n, len(candidate), 1)
    check = _superior(model, metric, candidate, dummy, model.gate.alpha, margin=model.gate.min_gain_over_dummy, against="a constant prediction")
    return GateResult(Verdict(check.outcome, (check.reason,), {metric: check.gain}), (check,), n, len(candidate), 1)


def gate_blocks(model: Model) -> int:
    return model.gate.min_blocks


def _has_kpi(model: Model) -> bool:
    k = model.kpi
    return any((k.true_positive, k.false_positive, k.false_negative, k.true_negative, k.correct, k.wrong, k.per_unit_error))


def _gain(model: Model, name: str, ours: Sequence[Tally], theirs: Sequence[Tally]) -> Estimate:
    d = paired_difference(METRICS[model.kind][name], ours, theirs)
    return d if HIGHER_IS_BETTER[name] else Estimate(-d.value, d.se, d.blocks)


def _superior(model: Model, name: str, ours: Sequence[Tally], theirs: Sequence[Tally], alpha: float, *, margin: float = 0.0, against: str = "the champion") -> Check:
    gain = _gain(model, name, ours, theirs)
    low, high = gain.lower(alpha), gain.upper(alpha)
    outcome: Outcome = "pass" if low > margin else "fail" if high < margin else "inconclusive"
    reason = f"{name}: gain {gain.value:+.4f} over {against}, at least {low:+.4f}"
    if outcome == "inconclusive" and gain.value > margin and math.isfinite(low):
        reach = (gain.value - low) / (gain.value - margin)
        reason += f"; about {math.ceil(gain.blocks * (reach**2 - 1) * model.gate.block_nights)} more nights would settle a gain of this size"
    return Check(name, "better", outcome, gain.value, gain.se, low, high, margin, reason)


def _holds(model: Model, name: str, margin: float, ours: Sequence[Tally], theirs: Sequence[Tally], alpha: float) -> Check:
    gain = _gain(model, name, ours, theirs)
    low, high = gain.lower(alpha), gain.upper(alpha)
    outcome: Outcome = "pass" if low > -margin else "fail" if high < -margin else "inconclusive"
    return Check(name, "guardrail", outcome, gain.value, gain.se, low, high, -margin, f"{name}: change {gain.value:+.4f}, at worst {low:+.4f}, limit {-margin:+.4f}")


def _not_worse(model: Model, name: str, ours: Sequence[Tally], theirs: Sequence[Tally], alpha: float) -> Check:
    gain = _gain(model, name, ours, theirs)
    low, high = gain.lower(alpha), gain.upper(alpha)
    outcome: Outcome = "fail" if high < 0 else "pass"
    return Check(name, "other", outcome, gain.value, gain.se, low, high, 0.0, f"{name}: change {gain.value:+.4f}, {'proven worse' if outcome == 'fail' else 'not proven worse'}")


def _verdict(model: Model, better: list[Check], guards: list[Check], others: list[Check], blocks: int) -> Verdict:
    numbers = {c.name: c.gain for c in (*better, *guards, *others)} | {"blocks": blocks}
    failed = [c.reason for c in (*guards, *others) if c.outcome == "fail"]
    if failed or all(c.outcome == "fail" for c in better):
        return Verdict("fail", tuple(failed or [c.reason for c in better]), numbers)
    if any(c.outcome == "pass" for c in better) and all(c.outcome == "pass" for c in guards):
        return Verdict("pass", tuple(c.reason for c in better if c.outcome == "pass"), numbers)
    open_ = [c.reason for c in guards if c.outcome == "inconclusive"] or [c.reason for c in better]
    return Verdict("inconclusive", tuple(open_), numbers)
