"""What to do about one night: nothing, mend the data, retrain, or look at the candidate again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from tidegate.config.model import Model
from tidegate.verdicts import Decision, Verdict


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a model stands on the evening of a window.

    ``attempts`` are the windows of earlier retrain attempts; ``unseen_nights`` the matured
    nights since the champion's training; ``next_look`` the window of a waiting candidate's
    next look, if there is one.
    """

    window: date
    champion: int | None
    matured_nights: int
    unseen_nights: int
    attempts: tuple[date, ...] = ()
    next_look: date | None = None
    candidate: int | None = None
    blocked: bool = False


def decide(model: Model, at: Standing, evidence: Mapping[str, Verdict]) -> Decision:
    """Choose an action; the options that lost are kept with the reason.

    Parameters
    ----------
    evidence : mapping
        Reasons to retrain by name (``decay``, ``more_data``); one that failed speaks for it.
    """
    losing: dict[str, str] = {}
    numbers = {name: dict(v.numbers) for name, v in evidence.items()}

    def chose(action: str, reason: str) -> Decision:
        return Decision(at.window.isoformat(), action, reason, losing, numbers)  # type: ignore[arg-type]

    if at.blocked:
        losing["retrain"] = "a quality failure blocks decisions"
        return chose("fix_data", "the window's batch is blocked")
    if model.retrain.policy == "never" and at.champion is not None:
        losing["retrain"] = "policy: never"
        return chose("nothing", "policy: never retrain")
    if model.estimator.build is None:
        losing["retrain"] = "monitor-only model"
        return chose("nothing", "monitor-only model")
    if at.candidate is not None:
        losing["retrain"] = f"candidate {at.candidate} is waiting for evidence"
        if at.next_look is not None and at.window >= at.next_look:
            return chose("regate", f"candidate {at.candidate} has enough new nights for another look")
        return chose("nothing", f"candidate {at.candidate} waits for more nights")
    if at.champion is None:
        if at.matured_nights < model.retrain.first_nights:
            return chose("nothing", f"{at.matured_nights} matured nights, {model.retrain.first_nights} needed for a first model")
        return chose("retrain", "first_model")
    if model.retrain.policy == "monthly":
        due = at.window.day == 1
        return chose("retrain" if due else "nothing", "calendar" if due else "not the first of the month")
    reasons = [name for name, verdict in evidence.items() if verdict.outcome == "fail"]
    for name, verdict in evidence.items():
        if name not in reasons:
            losing[f"retrain for {name}"] = "; ".join(verdict.reasons)
    if not reasons:
        return chose("nothing", "no reason to retrain")
    against = _against(model, at)
    if against:
        losing["retrain"] = against
        return chose("nothing", against)
    losing["nothing"] = "; ".join(evidence[reasons[0]].reasons)
    return chose("retrain", reasons[0])


def _against(model: Model, at: Standing) -> str:
    """Why a reasoned retrain must wait, or an empty string."""
    policy = model.retrain
    needed = model.gate.min_blocks * model.gate.block_nights
    if at.unseen_nights < needed:
        return f"{at.unseen_nights} nights since the champion's training, {needed} needed to gate"
    if at.attempts and at.window - max(at.attempts) < policy.cooldown:
        return f"cooldown until {max(at.attempts) + policy.cooldown}"
    recent = [a for a in at.attempts if at.window - a < timedelta(days=365)]
    if len(recent) >= policy.max_per_year:
        return f"retrain budget of {policy.max_per_year} a year is used"
    return ""
