"""What to do about one night: nothing, mend the data, retrain, or look at the candidate again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from tidegate.config.model import Model
from tidegate.decision.thresholds import UNGATED, fixed
from tidegate.verdicts import Action, Decision, Verdict

YEAR = timedelta(days=365)
Choice = tuple[Action, str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a model stands on the evening of a window.

    ``attempts`` are the windows of the retrain attempts so far; ``unseen_nights`` the
    matured nights since the champion's training; ``next_look`` the window of a waiting
    candidate's next look, None if it has not had its first; ``frozen`` by whom, until when
    and why the model is frozen, empty if it is not.
    """

    window: date
    champion: int | None
    matured_nights: int
    unseen_nights: int
    attempts: tuple[date, ...] = ()
    next_look: date | None = None
    candidate: int | None = None
    blocked: bool = False
    frozen: str = ""


def decide(model: Model, at: Standing, evidence: Mapping[str, Verdict]) -> Decision:
    """Choose an action; the options that lost are kept with the reason.

    A blocked window asks for its data first. A candidate that waits for evidence is looked
    at before another is trained. A first model needs nights, a later one a reason; both
    keep the cooldown and the budget, so that a loop of failing attempts cannot start. Of a
    frozen model what would have been done is told as what lost.

    Parameters
    ----------
    evidence : mapping
        Reasons to retrain by name (``decay``, ``more_data``), the strongest first; one that
        failed speaks for it, an inconclusive one does not.
    """
    action, reason, losing = _choose(model, at, evidence)
    if at.frozen and action != "fix_data" and model.estimator.build is not None:
        lost = losing.get("retrain", reason) if action == "nothing" else reason
        losing = {**losing, "retrain": lost} | ({action: reason} if action == "regate" else {})
        action, reason = "nothing", at.frozen
    numbers = {name: dict(v.numbers) for name, v in evidence.items()}
    return Decision(at.window.isoformat(), action, reason, losing, numbers)


def _choose(model: Model, at: Standing, evidence: Mapping[str, Verdict]) -> Choice:
    if at.blocked:
        return "fix_data", "the window's batch is blocked", {"retrain": "a quality failure blocks decisions"}
    if model.estimator.build is None:
        return "nothing", "monitor-only model", {"retrain": "monitor-only model"}
    if at.candidate is not None or at.champion is None:
        return _waiting(at) if at.candidate is not None else _first(model, at)
    if model.retrain.policy == "never":
        return "nothing", "policy: never retrain", {"retrain": "policy: never"}
    if model.retrain.policy in UNGATED:
        monthly = model.retrain.policy == "monthly"
        return _monthly(at) if monthly else fixed(model, at.window, at.attempts, evidence)
    return _reasoned(model, at, evidence)


def _waiting(at: Standing) -> Choice:
    losing = {"retrain": f"candidate {at.candidate} is waiting for evidence"}
    if at.next_look is None:
        return "regate", f"candidate {at.candidate} has not been looked at", losing
    if at.window >= at.next_look:
        return "regate", f"candidate {at.candidate} has enough new nights for another look", losing
    return "nothing", f"candidate {at.candidate} waits for its look on {at.next_look}", losing


def _first(model: Model, at: Standing) -> Choice:
    if at.matured_nights < model.retrain.first_nights:
        wanted = f"{at.matured_nights} matured nights, {model.retrain.first_nights} needed for a first model"
        return "nothing", wanted, {"retrain": wanted}
    against = _spent(model, at)
    if against:
        return "nothing", against, {"retrain": against}
    return "retrain", "first_model", {"nothing": "there is no champion"}


def _monthly(at: Standing) -> Choice:
    """On the first good window of a month, unless there was a training in the two weeks before the month."""
    done = [a for a in at.attempts if a >= at.window.replace(day=1) - timedelta(weeks=2)]
    if done:
        return "nothing", f"retrained on {max(done)}, next month again", {"retrain": "not due"}
    return "retrain", "calendar", {"nothing": "policy: monthly"}


def _reasoned(model: Model, at: Standing, evidence: Mapping[str, Verdict]) -> Choice:
    reasons = [name for name, verdict in evidence.items() if verdict.outcome == "fail"]
    losing = {f"retrain for {name}": "; ".join(v.reasons) for name, v in evidence.items() if name not in reasons}
    if not reasons:
        return "nothing", "no reason to retrain", losing
    needed = model.gate.min_blocks * model.gate.block_nights
    against = _spent(model, at)
    if at.unseen_nights < needed:
        against = f"{at.unseen_nights} nights since the champion's training, {needed} needed to gate"
    if against:
        return "nothing", against, losing | {"retrain": against}
    return "retrain", reasons[0], losing | {"nothing": "; ".join(evidence[reasons[0]].reasons)}


def _spent(model: Model, at: Standing) -> str:
    """Why another attempt must wait, or an empty string."""
    policy = model.retrain
    # An attempt after this window counts, too: a rerun of an old window starts nothing.
    if at.attempts and at.window - max(at.attempts) < policy.cooldown:
        nights = -(-policy.cooldown // timedelta(days=1))
        return f"cooldown until {max(at.attempts) + timedelta(days=nights)}"
    recent = [a for a in at.attempts if at.window - a < YEAR]
    if len(recent) >= policy.max_per_year:
        return f"retrain budget of {policy.max_per_year} a year is used"
    return ""
