"""The nights of a model that are due and not done, and the mark of one that is."""

from __future__ import annotations

from datetime import datetime, timedelta

from tidegate.config.model import Model
from tidegate.deploy.due import due
from tidegate.steps.stores import Stores
from tidegate.verdicts import Verdict
from tidegate.windows import Window

DONE = "night"
"""Kind of the verdict that says that everything of a night is done, what was decided included."""
EARLY = timedelta(hours=1)
"""Where the clock skips the moment of a schedule, Prefect starts its run up to an hour before it comes."""


def due_windows(stores: Stores, model: Model, now: datetime) -> tuple[Window, ...]:
    """Windows whose nightly run has come and that are not done, the oldest first."""
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    limit = stores.project.platform.schedule.catch_up
    return due(calendar, model.schedule, done_windows(stores, model), now + EARLY, limit)


def done_windows(stores: Stores, model: Model) -> set[str]:
    """Nights that are done; of before nights were marked, those that were decided on."""
    done = set(stores.records.outcomes(model.name, DONE))
    first = min(done, default="9999-12-30")
    return done | {w for w in stores.records.outcomes(model.name, "decision") if w < first}


def finish(stores: Stores, model: Model, window: Window, now: datetime) -> None:
    """Mark a night as done."""
    stores.records.put_verdict(model.name, DONE, window.id, Verdict("pass"), now)
