"""What keeps a decision from being acted on: cooldown, the year's budget, and a breaker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tidegate.config.model import Model
from tidegate.verdicts import Action

YEAR = timedelta(days=365)
NIGHT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to change a model: its window, what it was, and whether it came to be champion.

    ``promoted`` is None while the attempt waits for evidence or for people.
    """

    window: date
    action: Action
    promoted: bool | None = False


def against(model: Model, action: Action, attempts: Sequence[Attempt], window: date, *, breaker: bool = True) -> str:
    """Why an action must wait on a window, or an empty string.

    A retrain waits `retrain.cooldown` after the last one, every change of the model `decision.cooldown` after the last
    of any kind. The year's budget and the breaker hold for what needs the gate; going back to a former champion needs
    none. An attempt after the window counts, too: a rerun of an old window starts nothing.
    """
    retrains = [a.window for a in attempts if a.action == "retrain"]
    if action == "retrain" and retrains and window - max(retrains) < model.retrain.cooldown:
        return f"cooldown until {_end(max(retrains), model.retrain.cooldown)}"
    every = [a.window for a in attempts]
    if every and action != "retrain" and window - max(every) < model.decision.cooldown:
        return f"cooldown until {_end(max(every), model.decision.cooldown)}"
    if action == "roll_back":
        return ""
    gated = [a for a in attempts if a.action != "roll_back"]
    if sum(window - a.window < YEAR for a in gated) >= model.retrain.max_per_year:
        return f"budget of {model.retrain.max_per_year} attempts a year is used"
    return broken(model, gated, window) if breaker else ""


def broken(model: Model, attempts: Sequence[Attempt], window: date) -> str:
    """Why the breaker is open, or an empty string: the last `decision.breaker` attempts all came to nothing."""
    settled = sorted((a for a in attempts if a.promoted is not None), key=lambda a: a.window)
    last, wanted = settled[-model.decision.breaker :], model.decision.breaker
    if len(last) < wanted or any(a.promoted for a in last):
        return ""
    if window - last[-1].window >= model.decision.breaker_rest:
        return ""
    until = _end(last[-1].window, model.decision.breaker_rest)
    return f"breaker open until {until}: the last {wanted} attempts were not promoted; a person may still retrain"


def _end(start: date, span: timedelta) -> date:
    return start + timedelta(days=-(-span // NIGHT))
