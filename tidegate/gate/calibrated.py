"""Calibration: do the candidate's probabilities hold what the champion's did?

Two lines. The Brier score must be proven not to rise by more than its margin. The expected calibration error is above
zero for a perfect model, too, so what is compared is its excess over that null, for each side with its own scores and
day shocks; the check fails when the rise of the excess is proven above its margin. Several classes count one against
the rest, averaged (classwise; Nixon et al. 2019, Kull et al. 2019). Whether "over-confident by luck" can be told from
"over-confident" is a matter of blocks: the error is that of the jackknife over blocks of nights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from tidegate.config.model import Model
from tidegate.gate.checks import gain_of, holds, nights_for, not_worse, with_power
from tidegate.gate.error import look_part
from tidegate.gate.judged import Judged
from tidegate.gate.line import Check, Line, not_asked, verdict_of
from tidegate.gate.usable import unusable
from tidegate.performance.blocks import Estimate, blocks_of, carried, cut, effective_rows, widening
from tidegate.performance.calibration import Bins, binned, calibration
from tidegate.performance.loss import row_loss
from tidegate.performance.metrics import METRICS
from tidegate.performance.tally import Tally, total
from tidegate.verdicts import Outcome, Verdict


def calibrated(model: Model, judged: Judged, *, look: int = 1, first: bool = False) -> Check:
    """Judge the candidate's probabilities against the champion's; for a first model against the dummy's.

    The Brier score passes when a rise above its margin (`metric.must_hold`, else `gate.brier_margin`) is ruled out;
    with `first`, when none is proven. The calibration error fails when its excess is proven to have risen by more
    than `gate.ece_margin`, else passes. Inconclusive with fewer than `gate.min_blocks` blocks; not asked of a
    regression.

    Parameters
    ----------
    judged : Judged
        Rows that neither saw.
    look : int
        Which look this is, from 1: it gets its part of `gate.alpha`.
    first : bool
        Whether ``theirs`` is a constant prediction.
    """
    gate = model.gate
    if model.kind == "regression":
        return not_asked("calibration", "a regression gives no probabilities")
    bad = unusable(model, judged)
    if bad:
        return Check("calibration", bad, n=len(judged))
    cuts = cut(judged.nights(), gate.block_nights)
    if len(cuts) < gate.min_blocks:
        more = nights_for(gate.min_blocks - len(cuts), gate.block_nights)
        few = f"{len(cuts)} hold-out blocks of {gate.block_nights} nights, {gate.min_blocks} needed: {more}"
        return Check("calibration", Verdict("inconclusive", (few,)), n=len(judged))
    alpha = gate.alpha if first else gate.alpha * look_part(gate.looks, min(look, gate.looks))
    last = gate.alpha if first else gate.alpha * look_part(gate.looks, gate.looks)
    ours, theirs = judged.tallies(model, "ours"), judged.tallies(model, "theirs")
    gain, margin = (
        gain_of(model.kind, "brier", ours, theirs, cuts),
        model.metric.must_hold.get("brier", gate.brier_margin),
    )
    brier = (
        not_worse("brier", gain, alpha)
        if first
        else with_power(
            holds("brier", gain, alpha, block=gate.block_nights, margin=margin),
            gain, margin, alpha, last, gate.block_nights,
        )
    )  # fmt: skip
    nights = [n for block in cuts for n in block]
    score = METRICS[model.kind]["brier"]
    kept = widening(carried([score(ours[n]) - score(theirs[n]) for n in nights]), gate.block_nights)
    rise = excess_rise(blocks_of(ours, cuts), blocks_of(theirs, cuts))
    rise = replace(rise, se=rise.se * math.sqrt(kept))
    ece = _ece(rise, alpha, gate.ece_margin)
    labels = judged.label.astype(np.float64)
    apart = row_loss(model.kind, judged.ours, labels) - row_loss(model.kind, judged.theirs, labels)
    n, n_eff = sum(ours[night].n for night in nights), effective_rows(apart, judged.night, gate.block_nights)
    lines = tuple(replace(line, role="calibration", n=n, n_eff=n_eff) for line in (brier, ece))
    curves = {}
    if model.kind == "binary":
        sides = {"candidate": ours, "dummy" if first else "champion": theirs}
        curves = {side: asdict(calibration(total(list(t.values())))) for side, t in sides.items()}
    return Check("calibration", verdict_of(lines), lines, n, n_eff, extra={"alpha": alpha, "reliability": curves})


def excess_rise(ours: Sequence[Tally], theirs: Sequence[Tally]) -> Estimate:
    """How much further above its null the calibration error of `ours` is, with its jackknife error over blocks.

    Parameters
    ----------
    ours, theirs : sequences of Tally
        One a block with rows, the same rows.

    Returns
    -------
    Estimate
        NaN without blocks.
    """
    each = [(binned(a), binned(b)) for a, b in zip(ours, theirs, strict=True)]
    if not each:
        return Estimate(math.nan, math.nan, 0)
    sides = [Bins.joined([pair[side] for pair in each]) for side in (0, 1)]
    alike = [side.alike() for side in sides]

    def rise(without: int | None) -> float:
        a, b = (
            (bins.sums if without is None else bins.without(without)).excess(icc)
            for bins, icc in zip(sides, alike, strict=True)
        )
        return a - b

    b = len(each)
    if b < 2:
        return Estimate(rise(None), math.nan, b)
    left = np.array([rise(i) for i in range(b)])
    return Estimate(rise(None), float(np.sqrt((b - 1) / b * ((left - left.mean()) ** 2).sum())), b)


def _ece(rise: Estimate, alpha: float, margin: float) -> Line:
    low, high = rise.lower(alpha), rise.upper(alpha)
    unknown = math.isnan(rise.value) or math.isinf(low)
    outcome: Outcome = "inconclusive" if unknown else "fail" if low > margin else "pass"
    tail = {
        "inconclusive": "its error is not defined",
        "fail": f"at least {low:+.4f}: proven above {margin:g}",
        "pass": f"not proven above {margin:g} ({low:+.4f} to {high:+.4f})",
    }
    value = "unknown" if math.isnan(rise.value) else f"{rise.value:+.4f}"
    reason = f"calibration error beyond its null: {value} against the other's, {tail[outcome]}"
    # Of a gain: positive is better.
    return Line("ece", "calibration", outcome, -rise.value, -margin, reason, rise.se, -high, -low)
