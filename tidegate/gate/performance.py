"""Performance: is the candidate better on what counts, and not worse on the guardrails?

Both are scored on the same blocks of nights, which neither saw in training. Better:
proven on the primary metric or the KPI, which share the error of a look. A guardrail
holds when a worsening beyond its margin is ruled out. Any other metric fails only when
proven worse; where a KPI prices the trade of precision for recall, these two, accuracy and
F1 are shown and do not decide. Not enough evidence is inconclusive, never a pass.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.gate.checks import gain_of, holds, nights_for, not_worse, superior, with_power, with_rows
from tidegate.gate.error import exhausted, look_part, share, spent_in_year
from tidegate.gate.judged import Judged
from tidegate.gate.line import Check, Line
from tidegate.gate.rowtests import row_tests
from tidegate.gate.usable import unusable
from tidegate.performance.blocks import Estimate, cut, effective_rows
from tidegate.performance.loss import row_loss
from tidegate.performance.metrics import METRICS
from tidegate.performance.tally import Tally
from tidegate.verdicts import Verdict

PRICED = ("accuracy", "precision", "recall", "f1")
"""What a threshold trades off. With a KPI its price is known: these are shown and do not decide."""
LOG_LOSS_MARGIN = 0.01
"""Largest rise of log loss, in nats, where the model file declares no guardrails."""


def performance(
    model: Model,
    judged: Judged,
    *,
    look: int,
    spent: Sequence[tuple[str, float]],
    window: str,
    taken: float = math.inf,
    same: Collection[str] = (),
) -> Check:
    """Judge a candidate against the champion, on its `look`-th look.

    Passes when the primary metric or the KPI is proven better and every guardrail proven to hold; fails when a
    guardrail is proven broken or anything without one proven worse; otherwise inconclusive, as it is with fewer
    than `gate.min_blocks` blocks of nights, beyond `gate.looks`, and when the year's error is spent.

    Parameters
    ----------
    judged : Judged
        Rows that neither saw, ``theirs`` the champion.
    look : int
        Which look at this candidate this is, from 1.
    spent : sequence of (window, error)
        The errors of all other looks, as ``extra["error"]`` had them; those less than 365 days away count.
    window : str
        The date of this look, ``YYYY-MM-DD``.
    taken : float
        What the ledger has of this look: no more is spent, whatever the settings say by now.
    same : collection of str
        Metrics that cannot differ by what the candidate is: their gain is 0 ± 0, whatever the bins of the scores do to
        them, and the error goes to the other metric that counts.

    Returns
    -------
    Check
        ``extra["error"]`` is what this look spends of the year's error: 0 where nothing could be proven.

    Raises
    ------
    UsageError
        If the two sides do not have the same rows, or `look` is below 1.
    """
    gate, primary = model.gate, model.metric.primary
    if look < 1:
        raise UsageError("look at a candidate", "1 or more", str(look))
    if look > gate.looks:
        return _open(f"all {gate.looks} looks at this candidate are taken", judged, look)
    found = _gains(model, judged, look, same)
    if isinstance(found, Check):
        return found
    attempts = model.retrain.max_per_year
    error = min(taken, share(gate, attempts, look, spent_in_year(spent, window)))
    last = share(gate, attempts, gate.looks, 0.0)
    alpha, last_alpha = gate.alpha * look_part(gate.looks, look), gate.alpha * look_part(gate.looks, gate.looks)
    counts = [m for m in found.gains if m in (primary, "kpi") and m not in same] or [primary]
    better = []
    for m in counts:
        # Without error left nothing can be proven: no bound.
        gain = found.gains[m] if error else replace(found.gains[m], se=math.nan)
        line = superior(m, gain, error / len(counts) or gate.alpha, block=gate.block_nights)
        effect = model.metric.useful_gain if m == primary else math.nan
        line = with_power(line, gain, effect, error / len(counts), last / len(counts), gate.block_nights)
        better.append(line if error else replace(line, reason=f"{m}: {exhausted(gate, spent, window)}"))
    guards = [
        with_power(
            holds(m, found.gains[m], alpha, block=gate.block_nights, margin=most),
            found.gains[m],
            most,
            alpha,
            last_alpha,
            gate.block_nights,
        )
        for m, most in guardrails(model).items()
    ]
    # Of two that count one is enough; the other may be open, but not proven worse at the error of any other metric.
    held = {line.name for line in guards}
    told = [not_worse(m, found.gains[m], alpha / len(counts)) for m in counts if m not in held]
    worse = [line for line in told if line.outcome == "fail"]
    named = {*counts, *held}
    rest = [m for m in found.gains if m not in named]
    others = {m: not_worse(m, found.gains[m], alpha / len(rest)) for m in rest}
    priced = [replace(others.pop(m), role="priced") for m in rest if m in PRICED and "kpi" in found.gains]
    verdict = _verdict(better, guards, [*worse, *others.values()], found.blocks)
    lines = found.told([*better, *guards, *worse, *others.values(), *priced]) + row_tests(model, judged)
    extra = {"error": error, "alpha": alpha, "look": look, "blocks": found.blocks, "nights": found.nights}
    return Check("performance", verdict, lines, found.n, found.n_eff, extra=extra)


def first_performance(model: Model, judged_vs_dummy: Judged, judged_vs_baseline: Judged | None = None) -> Check:
    """Judge a first model against a constant prediction, and against the declared baseline where there is one.

    Passes when log loss (regression: mean absolute error) is proven better than the constant's by more than
    `gate.min_gain_over_dummy` and, with a baseline, the primary metric or the KPI is proven better and no guardrail
    proven worse than its margin. Fails when any of that is ruled out; otherwise inconclusive, as when
    `gate.baseline` is declared and its scores are not there. A second look would see the same rows, so the error
    `gate.alpha` is not shared over looks.

    Parameters
    ----------
    judged_vs_dummy, judged_vs_baseline : Judged
        Out-of-fold rows, ``theirs`` the constant or the baseline.
    """
    gate, primary = model.gate, model.metric.primary
    found = _gains(model, judged_vs_dummy, 1)
    if isinstance(found, Check):
        return found
    metric, margin = "mae" if model.kind == "regression" else "log_loss", gate.min_gain_over_dummy
    gain = gain_of(model.kind, metric, found.ours, found.theirs, found.cuts)
    against = "a constant prediction"
    dummy = superior(metric, gain, gate.alpha, block=gate.block_nights, margin=margin, against=against)
    dummy = replace(dummy, name=f"{metric} over a constant")
    lines, extra = found.told([dummy]), {"error": 0.0, "alpha": gate.alpha, "look": 1, "blocks": found.blocks}
    if judged_vs_baseline is None:
        if gate.baseline is None or dummy.outcome == "fail":
            verdict = Verdict(dummy.outcome, (dummy.reason,), {metric: dummy.observed, "blocks": found.blocks})
        else:
            verdict = Verdict("inconclusive", (f"the declared baseline {gate.baseline} gave no scores",))
        return Check("performance", verdict, lines, found.n, found.n_eff, extra=extra)
    base = _gains(model, judged_vs_baseline, 1)
    if isinstance(base, Check):
        verdict = Verdict("fail", (dummy.reason,)) if dummy.outcome == "fail" else base.verdict
        return replace(base, verdict=verdict, lines=lines)
    counts = [m for m in base.gains if m in (primary, "kpi")]
    against, alpha = "the baseline", gate.alpha / len(counts)
    better = [superior(m, base.gains[m], alpha, block=gate.block_nights, against=against) for m in counts]
    guards = [
        replace(not_worse(m, base.gains[m], gate.alpha, margin=most), role="guardrail")
        for m, most in guardrails(model).items()
    ]
    verdict = _verdict(better, guards, [], base.blocks)
    if dummy.outcome != "pass":
        worse = verdict.reasons if verdict.outcome == "fail" else ()
        verdict = Verdict("fail" if worse else dummy.outcome, (dummy.reason, *worse), verdict.numbers)
    elif verdict.passed:
        verdict = Verdict("pass", (dummy.reason, *verdict.reasons), verdict.numbers)
    lines = lines + base.told([*better, *guards])
    return Check("performance", verdict, lines, found.n, found.n_eff, extra=extra)


def guardrails(model: Model) -> dict[str, float]:
    """Metric to the largest worsening allowed: `metric.must_hold`, or log loss and Brier for a classification."""
    if model.metric.must_hold or model.kind == "regression":
        return dict(model.metric.must_hold)
    return {"log_loss": LOG_LOSS_MARGIN, "brier": model.gate.brier_margin}


@dataclass(frozen=True)
class _Gains:
    """The gains of every metric that is judged, and what is behind them."""

    gains: Mapping[str, Estimate]
    ours: Mapping[str, Tally]
    theirs: Mapping[str, Tally]
    cuts: Sequence[tuple[str, ...]]
    n: int
    n_eff: float

    @property
    def blocks(self) -> int:
        return len(self.cuts)

    @property
    def nights(self) -> int:
        return sum(len(c) for c in self.cuts)

    def told(self, lines: Sequence[Line]) -> tuple[Line, ...]:
        return tuple(with_rows(line, 0 if math.isnan(line.observed) else self.blocks, self.n, self.n_eff)
                     for line in lines)  # fmt: skip


def _gains(model: Model, judged: Judged, look: int, same: Collection[str] = ()) -> _Gains | Check:
    """The paired gains, or the check where these rows cannot be judged."""
    bad = unusable(model, judged)
    if bad:
        return Check("performance", bad, n=len(judged), extra={"error": 0.0, "look": look, "blocks": 0})
    gate, nights = model.gate, judged.nights()
    cuts = cut(nights, gate.block_nights)
    if len(cuts) < gate.min_blocks:
        more = nights_for(gate.min_blocks - len(nights) / gate.block_nights, gate.block_nights)
        few = f"{len(cuts)} hold-out blocks of {gate.block_nights} nights, {gate.min_blocks} needed: {more}"
        return _open(few, judged, look, len(cuts))
    ours, theirs = judged.tallies(model, "ours"), judged.tallies(model, "theirs")
    gains = {m: gain_of(model.kind, m, ours, theirs, cuts) for m in _judged(model)}
    gains = {m: replace(g, value=0.0, se=0.0) if m in same else g for m, g in gains.items()}
    # Of a metric that few blocks define (recall of rare positives) the spread between blocks says nothing.
    gains = {m: g if g.blocks >= gate.min_blocks else replace(g, se=math.nan) for m, g in gains.items()}
    labels = judged.label.astype(np.float64)
    better = row_loss(model.kind, judged.theirs, labels) - row_loss(model.kind, judged.ours, labels)
    n_eff = effective_rows(better, judged.night, gate.block_nights)
    kept = {night for block in cuts for night in block}
    return _Gains(gains, ours, theirs, cuts, sum(ours[n].n for n in kept), n_eff)


def _judged(model: Model) -> list[str]:
    """The metrics of a gate; a KPI without values is none, unless it was asked for."""
    k = model.kpi
    values = {
        "binary": (k.true_positive, k.false_positive, k.false_negative, k.true_negative),
        "multiclass": (k.correct, k.wrong),
        "regression": (k.per_unit_error,),
    }
    asked = (model.metric.primary, *model.metric.must_hold)
    return [m for m in METRICS[model.kind] if m != "kpi" or any(values[model.kind]) or m in asked]


def _open(reason: str, judged: Judged, look: int, blocks: int = 0) -> Check:
    verdict = Verdict("inconclusive", (reason,), {"blocks": blocks})
    extra = {"error": 0.0, "look": look, "blocks": blocks}
    return Check("performance", verdict, n=len(judged), extra=extra)


def _verdict(better: Sequence[Line], guards: Sequence[Line], others: Sequence[Line], blocks: int) -> Verdict:
    numbers = {c.name: c.observed for c in (*better, *guards, *others)} | {"blocks": blocks}
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
    open_ = unproven if proven else [*dict.fromkeys(c.reason for c in better), *unproven]
    return Verdict("inconclusive", tuple(open_), numbers)
