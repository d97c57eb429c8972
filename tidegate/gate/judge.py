"""The gate: is the candidate better on what counts, and not worse on the guardrails?

Both are scored on the same blocks of nights, which neither saw in training. Better:
proven on the primary metric or the KPI, which share the error of a look. A guardrail
holds when a worsening beyond its margin is ruled out. Any other metric fails only when
proven worse; where a KPI prices the trade of precision for recall, these two, accuracy and
F1 are shown and do not decide. Not enough evidence is inconclusive, never a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.gate.checks import Check, gain_of, holds, nights_for, not_worse, superior
from tidegate.performance.metrics import METRICS
from tidegate.performance.tally import Tally
from tidegate.verdicts import Verdict

__all__ = ["PRICED", "Check", "GateResult", "judge_candidate", "judge_first"]

PRICED = ("accuracy", "precision", "recall", "f1")
"""What a threshold trades off. With a KPI its price is known: these are shown and do not decide."""


@dataclass(frozen=True)
class GateResult:
    """The verdict and the checks behind it, ``n`` rows in ``blocks`` blocks."""

    verdict: Verdict
    checks: tuple[Check, ...]
    n: int
    blocks: int
    look: int


def judge_candidate(
    model: Model, candidate: Sequence[Tally], champion: Sequence[Tally], *, look: int = 1
) -> GateResult:
    """Judge a candidate against the champion on paired blocks.

    Passes when the primary metric or the KPI is proven better and every guardrail of
    `metric.must_hold` proven to hold; fails when a guardrail is proven broken or anything
    without one proven worse; otherwise inconclusive, as it is with fewer than
    `gate.min_blocks` blocks that have rows, and beyond `gate.looks`: the error is spent.

    Parameters
    ----------
    candidate, champion : sequences of Tally
        The same rows in the same blocks, in order. Blocks without rows count nothing.
    look : int
        Which look at this candidate this is, from 1; each gets ``gate.alpha / gate.looks``.

    Raises
    ------
    UsageError
        If the two do not have the same rows, or `look` is below 1.
    """
    gate, kind, primary = model.gate, model.kind, model.metric.primary
    if look < 1:
        raise UsageError("look at a candidate", "1 or more", str(look))
    ours, theirs = _with_rows(candidate, champion)
    if look > gate.looks:
        return _open(f"all {gate.looks} looks at this candidate are taken", ours, look)
    if len(ours) < gate.min_blocks:
        return _open(_too_few(model, len(ours)), ours, look)
    alpha, block = gate.alpha / gate.looks, gate.block_nights
    gains = {m: gain_of(kind, m, ours, theirs) for m in METRICS[kind] if m in (primary, *_judged(model))}
    counts = [m for m in gains if m in (primary, "kpi")]
    better = [superior(m, gains[m], alpha / len(counts), block=block) for m in counts]
    guards = [holds(m, gains[m], alpha, block=block, margin=most) for m, most in model.metric.must_hold.items()]
    rest = [m for m in gains if m not in counts and m not in model.metric.must_hold]
    checks = {m: not_worse(m, gains[m], alpha / len(rest)) for m in rest}
    priced = [replace(checks.pop(m), role="priced") for m in rest if m in PRICED and "kpi" in gains]
    verdict = _verdict(better, guards, list(checks.values()), len(ours))
    return GateResult(verdict, (*better, *guards, *checks.values(), *priced), sum(t.n for t in ours), len(ours), look)


def judge_first(model: Model, candidate: Sequence[Tally], dummy: Sequence[Tally]) -> GateResult:
    """Judge a first model against a constant prediction on the rows that its members did not see.

    Passes when log loss (regression: mean absolute error) is proven better by more than
    `gate.min_gain_over_dummy`, fails when that is ruled out. A second look would see the
    same rows, so the error is not shared over looks.
    """
    metric = "mae" if model.kind == "regression" else "log_loss"
    ours, theirs = _with_rows(candidate, dummy)
    if len(ours) < model.gate.min_blocks:
        return _open(_too_few(model, len(ours)), ours, 1)
    check = superior(
        metric,
        gain_of(model.kind, metric, ours, theirs),
        model.gate.alpha,
        block=model.gate.block_nights,
        margin=model.gate.min_gain_over_dummy,
        against="a constant prediction",
    )
    verdict = Verdict(check.outcome, (check.reason,), {metric: check.gain, "blocks": len(ours)})
    return GateResult(verdict, (check,), sum(t.n for t in ours), len(ours), 1)


def _judged(model: Model) -> list[str]:
    """The metrics of a gate; a KPI without values is none, unless it was asked for."""
    k = model.kpi
    values = {
        "binary": (k.true_positive, k.false_positive, k.false_negative, k.true_negative),
        "multiclass": (k.correct, k.wrong),
        "regression": (k.per_unit_error,),
    }
    return [m for m in METRICS[model.kind] if m != "kpi" or any(values[model.kind]) or m in model.metric.must_hold]


def _with_rows(ours: Sequence[Tally], theirs: Sequence[Tally]) -> tuple[list[Tally], list[Tally]]:
    if [t.n for t in ours] != [t.n for t in theirs]:
        found = f"{[t.n for t in ours]} and {[t.n for t in theirs]} rows"
        raise UsageError("blocks of the gate", "the same rows for both models", found, "score both on the same rows")
    return [t for t in ours if t.n], [t for t in theirs if t.n]


def _open(reason: str, ours: Sequence[Tally], look: int) -> GateResult:
    return GateResult(
        Verdict("inconclusive", (reason,), {"blocks": len(ours)}), (), sum(t.n for t in ours), len(ours), look
    )


def _too_few(model: Model, blocks: int) -> str:
    gate = model.gate
    more = nights_for(gate.min_blocks - blocks, gate.block_nights)
    return f"{blocks} hold-out blocks of {gate.block_nights} nights, {gate.min_blocks} needed: {more}"


def _verdict(better: Sequence[Check], guards: Sequence[Check], others: Sequence[Check], blocks: int) -> Verdict:
    numbers = {c.name: c.gain for c in (*better, *guards, *others)} | {"blocks": blocks}
    # A guardrail says how far its metric may fall, so long as something else is better.
    guarded = {c.name for c in guards}
    failed = [c.reason for c in (*guards, *others) if c.outcome == "fail"]
    failed += [c.reason for c in better if c.outcome == "fail" and c.name not in guarded]
    if failed or all(c.outcome == "fail" for c in better):
        return Verdict("fail", tuple(failed or [c.reason for c in better]), numbers)
    proven = [c.reason for c in better if c.outcome == "pass"]
    unproven = [c.reason for c in guards if c.outcome != "pass"]
    if proven and not unproven:
        return Verdict("pass", tuple(proven), numbers)
    return Verdict("inconclusive", tuple(unproven if proven else [*(c.reason for c in better), *unproven]), numbers)
