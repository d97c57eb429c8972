"""How likely a candidate is to pass the gate, judged from gains on the nights that there are.

A later look has more nights. Its estimate is a weighted mean of today's and of what is to come, whose truth is as
uncertain as today's estimate: for a share `w` of nights that are known already its predictive standard deviation is
se·√(1 − w), and its own error se·√w (Spiegelhalter, Abrams & Myles, Bayesian approaches to clinical trials, 2004,
section 6: predictive power with a flat prior). The largest chance of any look is taken: a lower bound of the chance
that one of them passes. What another fit of the same recipe would give differs a little; `REFIT` allows for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from scipy.stats import norm
from scipy.stats import t as student

from tidegate.config.model import Model
from tidegate.gate.error import look_part, share
from tidegate.gate.performance import guardrails
from tidegate.performance.blocks import Estimate

REFIT = 0.3
"""Standard deviation between two fits of one recipe, in standard errors of the gain."""


def chance_to_pass(model: Model, gains: Mapping[str, Estimate], spent: float = 0.0) -> float:
    """The chance in [0, 1] that one of the gate's looks passes its performance check.

    Parameters
    ----------
    gains : mapping of str to Estimate
        Gain by metric, positive is better: the primary metric, the KPI, and the guardrails.
    spent : float
        Error of the year's other looks, as `gate.error.spent_in_year` sums it.

    Returns
    -------
    float
        0 where nothing that counts has a gain with an error; guardrails without one do not count against it.
    """
    gate = model.gate
    counts = {m: gains[m] for m in (model.metric.primary, "kpi") if m in gains and _known(gains[m])}
    if not counts:
        return 0.0
    out = 0.0
    for look in range(1, gate.looks + 1):
        error = share(gate, model.retrain.max_per_year, look, spent) / len(counts)
        if not error:
            continue
        later = (look - 1) * gate.look_every.days
        better = max(_clears(g, error, 0.0, later, gate.block_nights) for g in counts.values())
        alpha = gate.alpha * look_part(gate.looks, look)
        held = [
            _clears(gains[m], alpha, most, later, gate.block_nights)
            for m, most in guardrails(model).items()
            if m in gains and _known(gains[m])
        ]
        out = max(out, min([better, *held]))
    return out


def _known(gain: Estimate) -> bool:
    return math.isfinite(gain.value) and math.isfinite(gain.se) and gain.blocks >= 2


def _clears(gain: Estimate, alpha: float, margin: float, later: int, block: int) -> float:
    """The chance that a look `later` nights on finds the gain above −`margin` at level `alpha`."""
    if gain.se == 0:
        return float(gain.value > -margin) if margin == 0 else float(gain.value >= -margin)
    blocks = gain.blocks + later / block
    known = gain.blocks / blocks
    limit = float(student.isf(alpha, blocks - 1)) * gain.se * math.sqrt(known) - margin
    spread = gain.se * math.hypot(math.sqrt(1 - known), REFIT)
    return float(norm.sf((limit - gain.value) / spread))
