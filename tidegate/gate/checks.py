"""The gate's lines of one gain: proven better, held within a margin, not proven worse.

A gain is the candidate's metric minus the other's on paired blocks of nights, positive is better, in
the metric's unit. A gain or error that is not defined leaves every line inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tidegate.gate.line import Line
from tidegate.gate.power import more_nights, power
from tidegate.performance.blocks import Estimate, paired_nights
from tidegate.performance.metrics import HIGHER_IS_BETTER, METRICS
from tidegate.performance.tally import Tally, total
from tidegate.verdicts import Outcome

SAME = 1e-9
"""Gains below this part of the metric are rounding: the two models are the same."""


def gain_of(
    kind: str, name: str, ours: Mapping[str, Tally], theirs: Mapping[str, Tally], blocks: Sequence[Sequence[str]]
) -> Estimate:
    """The candidate's gain; 0 ± 0 where only rounding tells the two apart.

    Parameters
    ----------
    ours, theirs : mappings of str to Tally
        A tally a night, of the same rows.
    blocks : sequence of sequences of str
        The nights of each block.
    """
    metric = METRICS[kind][name]
    gain = paired_nights(metric, ours, theirs, blocks)
    tiny = SAME * abs(metric(total(list(theirs.values())))) if theirs else 0.0
    if abs(gain.value) <= tiny and gain.se <= tiny:
        return Estimate(0.0, 0.0, gain.blocks)
    return gain if HIGHER_IS_BETTER[name] else Estimate(-gain.value, gain.se, gain.blocks)


def superior(
    name: str, gain: Estimate, alpha: float, *, block: int, margin: float = 0.0, against: str = "the champion"
) -> Line:
    """Passes when the gain is proven above `margin`, fails when that is ruled out.

    Parameters
    ----------
    alpha : float
        One-sided error in (0, 0.5), of each of the two.
    block : int
        Nights in a block, to say how many more would settle it.

    Examples
    --------
    >>> superior("roc_auc", Estimate(0.02, 0.005, 7), 0.05, block=3).outcome
    'pass'
    >>> superior("roc_auc", Estimate(0.02, 0.02, 7), 0.05, block=3).reason
    'roc_auc: gain +0.0200 over the champion, at worst -0.0189: about 59 more nights would settle it'
    """
    low, high = gain.lower(alpha), gain.upper(alpha)
    outcome: Outcome = "pass" if low > margin else "fail" if high < margin else "inconclusive"
    wanted = f" ({margin:g} wanted)" if margin else ""
    tail = {"pass": f"at least {low:+.4f}", "fail": f"at most {high:+.4f}"}.get(outcome) or _open(
        gain, low, margin, block
    )
    reason = f"{name}: gain {_signed(gain.value)} over {against}{wanted}, {tail}"
    return _line(name, "better", outcome, gain, (low, high), margin, reason)


def holds(name: str, gain: Estimate, alpha: float, *, block: int, margin: float) -> Line:
    """Passes when a worsening beyond `margin` is ruled out, fails when it is proven.

    Parameters as of `superior`.

    Examples
    --------
    >>> holds("brier", Estimate(-0.002, 0.001, 7), 0.05, block=3, margin=0.005).reason
    'brier: change -0.0020 (-0.005 allowed), at worst -0.0039'
    """
    low, high = gain.lower(alpha), gain.upper(alpha)
    # A worsening of just the margin is allowed: a copy of the champion holds at margin 0.
    outcome: Outcome = "pass" if low >= -margin else "fail" if high < -margin else "inconclusive"
    tail = {"pass": f"at worst {low:+.4f}", "fail": f"at best {high:+.4f}"}.get(outcome) or _open(
        gain, low, -margin, block
    )
    reason = f"{name}: change {_signed(gain.value)} ({-margin:g} allowed), {tail}"
    return _line(name, "guardrail", outcome, gain, (low, high), -margin, reason)


def not_worse(name: str, gain: Estimate, alpha: float, *, margin: float = 0.0) -> Line:
    """Fails only when the candidate is proven worse by more than `margin`.

    Examples
    --------
    >>> not_worse("recall", Estimate(-0.04, 0.01, 7), 0.05).reason
    'recall: change -0.0400, proven worse, at best -0.0206'
    """
    low, high = gain.lower(alpha), gain.upper(alpha)
    unknown = math.isnan(high) or math.isinf(high)
    outcome: Outcome = "inconclusive" if unknown else "fail" if high < -margin else "pass"
    than = f" than {-margin:g}" if margin else ""
    tail = {
        "inconclusive": "no bound",
        "fail": f"proven worse{than}, at best {high:+.4f}",
        "pass": f"not proven worse{than}",
    }
    reason = f"{name}: change {_signed(gain.value)}, {tail[outcome]}"
    return _line(name, "other", outcome, gain, (low, high), -margin, reason)


def with_rows(line: Line, blocks: int, n: int, n_eff: float) -> Line:
    """The line with the rows behind it, when its metric is defined."""
    return replace(line, n=n, n_eff=n_eff) if blocks else line


def with_power(line: Line, gain: Estimate, effect: float, alpha: float, last: float, block: int) -> Line:
    """The line with its chance to pass at `alpha` when the truth is `effect` above its limit.

    ``more_nights`` is for the error `last` of the attempt's last look, since more nights come with a later look.
    """
    nights = more_nights(effect, gain.se, gain.blocks, last, block)
    reason = line.reason
    if line.role == "better" and line.outcome == "inconclusive" and nights > 0 and math.isfinite(nights):
        reason += f"; {nights_for(nights / block, block)} would prove a gain of {effect:g} in 4 of 5 cases"
    return replace(line, power=power(effect, gain.se, gain.blocks, alpha), more_nights=nights, reason=reason)


def nights_for(blocks: float, block: int) -> str:
    """How many nights make that many blocks, in words."""
    nights = math.ceil(blocks * block)
    return f"about {nights} more nights" if nights <= 365 else "more than another year of nights"


def _line(
    name: str, role: str, outcome: Outcome, gain: Estimate, bounds: tuple[float, float], limit: float, reason: str
) -> Line:
    return Line(name, role, outcome, gain.value, limit, reason, se=gain.se, lower=bounds[0], upper=bounds[1])


def _signed(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:+.4f}"


def _open(gain: Estimate, low: float, limit: float, block: int) -> str:
    """Why a check is open, and what would settle a gain of this size."""
    if math.isnan(gain.value):
        return "not defined on these nights"
    if math.isinf(low):
        return "its error is not defined on these nights"
    if gain.value == 0 and gain.se == 0:
        return "the two are the same on every block"
    if gain.value <= limit:
        return f"between {low:+.4f} and {2 * gain.value - low:+.4f}"
    # The reach of the bound shrinks with the root of the blocks.
    wanted = gain.blocks * ((gain.value - low) / (gain.value - limit)) ** 2
    return f"at worst {low:+.4f}: {nights_for(wanted - gain.blocks, block)} would settle it"
