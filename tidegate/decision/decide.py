"""What to do about one night: nothing, mend the data, change the model, or look at the candidate again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tidegate.config.model import Model
from tidegate.decision.limits import Attempt, against
from tidegate.decision.options import best, words
from tidegate.decision.thresholds import UNGATED, fixed
from tidegate.verdicts import Action, Decision, Option, Verdict

Choice = tuple[Action, str, dict[str, str]]
ACTS: tuple[Action, ...] = ("recalibrate", "move_threshold", "retrain", "roll_back", "regate")
"""What changes a model, or takes a look at a change."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a model stands on the evening of a window.

    ``attempts`` are those to change the model so far; ``unseen_nights`` the matured nights since the champion's
    training; ``next_look`` the window of a waiting candidate's next look, None if it has not had its first;
    ``next_weighing`` when options are weighed again; ``frozen`` by whom, until when and why the model is frozen, empty
    if it is not.
    """

    window: date
    champion: int | None
    matured_nights: int
    unseen_nights: int
    attempts: tuple[Attempt, ...] = ()
    next_look: date | None = None
    candidate: int | None = None
    next_weighing: date | None = None
    blocked: bool = False
    frozen: str = ""


def decide(
    model: Model, at: Standing, evidence: Mapping[str, Verdict], options: Sequence[Option] | None = None
) -> Decision:
    """Choose an action; the options that lost are kept with the reason.

    A blocked window asks for its data first. A candidate that waits for evidence is looked at before anything else is
    tried. A first model needs nights; after it, an action has to pay: of those whose net gain is surely above zero the
    one that gains most is chosen, unless cooldown, budget or breaker hold it. Of a frozen model what would have been
    done is told as what lost; in mode `recommend` it is the decision, and nobody acts on it by himself.

    Parameters
    ----------
    evidence : mapping
        Why options are weighed, by name (``decay``, ``gap``, ``more_data``…), the strongest first; one that failed
        speaks for a change, an inconclusive one does not.
    options : sequence of Option, optional
        What was weighed on this window; None where nothing was.
    """
    action, reason, losing = _choose(model, at, evidence, options)
    if at.frozen and action in ACTS and model.estimator.build is not None:
        losing = {**losing, action: reason}
        action, reason = "nothing", at.frozen
    elif at.frozen and action == "nothing":
        reason = at.frozen
    numbers = {name: dict(v.numbers) for name, v in evidence.items()}
    acts = action in ACTS and (model.decision.mode == "act" or at.champion is None or action == "regate")
    if action == "roll_back" and model.promotion != "automatic":
        acts = False  # where a person promotes, a person goes back
    return Decision(at.window.isoformat(), action, reason, losing, numbers, tuple(options or ()), acts)


def _choose(model: Model, at: Standing, evidence: Mapping[str, Verdict], options: Sequence[Option] | None) -> Choice:
    if at.blocked:
        return "fix_data", "the window's batch is blocked", {"retrain": "a quality failure blocks decisions"}
    if model.estimator.build is None:
        mend = best([o for o in options or () if o.action == "fix_data"])
        why = {"retrain": "monitor-only model"}
        return ("fix_data", words(mend), why) if mend else ("nothing", "monitor-only model", why)
    if at.candidate is not None or at.champion is None:
        return _waiting(at) if at.candidate is not None else _first(model, at)
    if model.retrain.policy == "never":
        return "nothing", "policy: never retrain", {"retrain": "policy: never"}
    if model.retrain.policy in UNGATED:
        tried = [a.window for a in at.attempts if a.action == "retrain"]
        return _monthly(at) if model.retrain.policy == "monthly" else fixed(model, at.window, tried, evidence)
    return _weighed(model, at, evidence, options)


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
    # There is nothing to protect yet, so the breaker does not hold.
    held = against(model, "retrain", at.attempts, at.window, breaker=False)
    if held:
        return "nothing", held, {"retrain": held}
    return "retrain", "first_model", {"nothing": "there is no champion"}


def _monthly(at: Standing) -> Choice:
    """On the first good window of a month, unless there was a training in the two weeks before the month."""
    tried = [a.window for a in at.attempts if a.action == "retrain"]
    done = [a for a in tried if a >= at.window.replace(day=1) - timedelta(weeks=2)]
    if done:
        return "nothing", f"retrained on {max(done)}, next month again", {"retrain": "not due"}
    return "retrain", "calendar", {"nothing": "policy: monthly"}


def _weighed(model: Model, at: Standing, evidence: Mapping[str, Verdict], options: Sequence[Option] | None) -> Choice:
    proven = [name for name, verdict in evidence.items() if verdict.outcome == "fail"]
    told = {f"because of {name}": "; ".join(v.reasons) for name, v in evidence.items()}
    able = dict.fromkeys((*model.decision.actions, *(o.action for o in options or () if o.action in ACTS)))
    held = {str(a): why for a in able if (why := against(model, a, at.attempts, at.window))}
    told = {**held, **told}
    if options is None:
        when = f", options are weighed again on {at.next_weighing}" if at.next_weighing else ""
        if proven and held.keys() >= set(model.decision.actions):
            return "nothing", f"{proven[0]} is proven, every action is held: {next(iter(held.values()))}", told
        return "nothing", f"{'weighed before' if proven else 'no reason to act'}{when}", told
    free = [o for o in options if not held.get(o.action)]
    chosen = best(free)
    losing = {o.action: "; ".join(t for t in (held.get(o.action), words(o)) if t) for o in options if o is not chosen}
    if chosen is None:
        wanted = best(options)
        reason = f"{wanted.action} would pay: {held[wanted.action]}" if wanted else "nothing pays"
        return "nothing", reason, {k: v for k, v in (told | losing).items() if k != "nothing"}
    losing["nothing"] = words(chosen)
    reason = next(iter(proven), "pays")
    return chosen.action, reason, {k: v for k, v in (told | losing).items() if k != chosen.action}
