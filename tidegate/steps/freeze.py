"""Freeze a model: nothing is trained or promoted by itself until a date, or until somebody ends it."""

from __future__ import annotations

from datetime import datetime

from tidegate.adapters.freezes import Freeze, Freezes
from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.steps.stores import Stores
from tidegate.text import plain_line
from tidegate.windows import Calendar


def freeze(stores: Stores, model: Model, now: datetime, *, by: str, why: str, until: str | None = None) -> Freeze:
    """Stop automatic retraining and promotion; a freeze that holds already is replaced.

    Raises
    ------
    UsageError
        If a name or a reason is missing, or the last frozen date is over.
    """
    days = _days(stores, model)
    last = days.window(until).id if until else None
    today = days.of(now).id
    if last is not None and last < today:
        raise UsageError("--until", f"a date from {today} on", last, "name the last date that is to be frozen")
    made = Freeze(model.name, plain_line(by, "--by", 120), plain_line(why, "--why", 1000), last, now)
    Freezes(stores.control, stores.namespace).add(made, owner=model.owner, window=today)
    return made


def unfreeze(stores: Stores, model: Model, now: datetime, *, by: str) -> None:
    """End the freeze; raises `UsageError` if the model is not frozen."""
    who, today = plain_line(by, "--by", 120), _days(stores, model).of(now).id
    Freezes(stores.control, stores.namespace).end(model.name, owner=model.owner, by=who, window=today, at=now)


def frozen(stores: Stores, model: Model, now: datetime) -> str:
    """By whom, until when and why a model is frozen; empty if it is not.

    It goes by the moment `now` and not by a window: a freeze stops what would be done now, also for an old window.
    """
    found = Freezes(stores.control, stores.namespace).running(model.name, _days(stores, model).of(now).id)
    return found.words if found else ""


def _days(stores: Stores, model: Model) -> Calendar:
    return stores.project.calendar(stores.project.dataset(model.dataset))
