"""What a check of the gate says: lines with numbers, and a verdict over them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.verdicts import Outcome, Verdict

NAMES = ("performance", "segments", "calibration", "fairness", "robustness", "servability")
"""The six checks, in the order in which they are told."""

NEVER_SKIPPED = ("leakage", "servability", "digests")
"""Roles of lines that nobody's override skips."""

SHOWN = ("shown", "priced")
"""Roles of lines that do not decide."""


@dataclass(frozen=True)
class Line:
    """One measurement of a check.

    Parameters
    ----------
    name : str
        What was measured: ``roc_auc``, ``log_loss [origin=JFK]``, ``noise``.
    role : str
        Why it is here: ``better``, ``guardrail``, ``other``, ``priced``; ``segment``, ``calibration``, ``fairness``,
        ``robustness``, ``leakage``, ``poisoning``, ``servability``, ``digests``, ``behaviour``. ``shown`` and
        ``priced`` lines do not decide.
    observed, se, lower, upper : float
        The value (of a gain: positive is better) with its standard error and one-sided bounds at the line's own
        error, in the measure's unit; NaN or infinite where there is none.
    limit : float
        What it is compared with.
    n : int
        Rows; 0 where rows are not what was counted.
    n_eff : float
        Rows after dependence (rows / design effect); NaN where it is not known.
    power : float
        Chance that this line passes if the useful effect is there, in [0, 1]; NaN where it has no meaning.
    more_nights : float
        Nights still needed for a power of 80 %; 0 where none are, NaN where it has no meaning.
    """

    name: str
    role: str
    outcome: Outcome
    observed: float
    limit: float
    reason: str
    se: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    n: int = 0
    n_eff: float = math.nan
    power: float = math.nan
    more_nights: float = math.nan


@dataclass(frozen=True)
class Check:
    """One of the six checks: its verdict and the lines behind it.

    ``asked`` is False where the model file declares nothing to check (no segments, no protected groups): such a
    check is told and does not decide. ``extra`` is what the evidence page draws (curves, tables), plain values.
    """

    name: str
    verdict: Verdict
    lines: tuple[Line, ...] = ()
    n: int = 0
    n_eff: float = math.nan
    asked: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)


def not_asked(name: str, why: str) -> Check:
    """A check that the model file does not ask for.

    Examples
    --------
    >>> not_asked("segments", "no segments declared").verdict.reasons
    ('not asked: no segments declared',)
    """
    return Check(name, Verdict("inconclusive", (f"not asked: {why}",)), asked=False)


def unknown(name: str, why: str) -> Check:
    """A check that could not be made: inconclusive, with the reason."""
    return Check(name, Verdict("inconclusive", (why,)))


def verdict_of(lines: Sequence[Line]) -> Verdict:
    """Fails if a deciding line fails; passes if one passes and no other is needed; else inconclusive.

    ``shown`` and ``priced`` lines do not count. Reasons are those of the lines that made the verdict.

    Examples
    --------
    >>> one = Line("noise", "robustness", "pass", 0.01, 0.1, "noise: fine")
    >>> verdict_of([one]).outcome, verdict_of([]).outcome
    ('pass', 'inconclusive')
    """
    deciding = [line for line in lines if line.role not in SHOWN]
    for outcome in ("fail", "inconclusive"):
        reasons = tuple(line.reason for line in deciding if line.outcome == outcome)
        if reasons:
            return Verdict("fail" if outcome == "fail" else "inconclusive", reasons)
    if not deciding:
        return Verdict("inconclusive", ("nothing could be measured",))
    return Verdict("pass", tuple(line.reason for line in deciding))


def overall(checks: Sequence[Check]) -> Verdict:
    """The gate's verdict: fail if a check fails, pass if all that were asked pass, else inconclusive.

    Examples
    --------
    >>> fine = Check("performance", Verdict("pass", ("better",)))
    >>> overall([fine, not_asked("fairness", "no groups")]).outcome, overall([fine, unknown("segments", "?")]).reasons
    ('pass', ('segments: ?',))
    >>> overall([]).outcome
    'inconclusive'
    """
    asked = [c for c in checks if c.asked]
    for outcome in ("fail", "inconclusive"):
        found = [c for c in asked if c.verdict.outcome == outcome]
        if found:
            reasons = tuple(f"{c.name}: {r}" for c in found for r in c.verdict.reasons)
            return Verdict("fail" if outcome == "fail" else "inconclusive", reasons)
    if not asked:
        return Verdict("inconclusive", ("nothing was checked",))
    return Verdict("pass", tuple(f"{c.name}: {c.verdict.reasons[0]}" for c in asked if c.verdict.reasons))
