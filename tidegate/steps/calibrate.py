"""Calibrate: limits for a champion's monitors, from the nights that it learned from."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np

from tidegate.adapters.detectors import Detectors
from tidegate.adapters.packages import Loaded
from tidegate.alarms.budget import budget_of
from tidegate.alarms.calibrate import calibrate
from tidegate.alarms.calibration import LEAST, MOST, Calibration, Rule
from tidegate.alarms.history import matrix
from tidegate.config.model import Model
from tidegate.steps.observe import history
from tidegate.steps.stores import Stores
from tidegate.windows import Window


def calibrated(stores: Stores, model: Model, package: Loaded, budget: float | None = None) -> Calibration | None:
    """Limits for the model's share of its group's budget (or another), None with too few nights."""
    nights = list(package.spec["trained"])[-MOST:]
    series, values = matrix(nights, history(stores, model, package, nights))
    share = budget_of(model, stores.project.models(), stores.project.platform) if budget is None else budget
    rng = np.random.default_rng(model.estimator.seed)
    return calibrate(values, [date.fromisoformat(n) for n in nights], series, share, rng, rule_of(model))


def rule_of(model: Model) -> Rule:
    """When scores become a page, as the model's `alarms` say."""
    alarms = model.alarms
    return Rule(alarms.persistence, alarms.within, alarms.close_after)


def ensure_limits(
    stores: Stores, model: Model, champion: tuple[int, Loaded], window: Window, now: datetime
) -> list[Detectors]:
    """The running sets of limits of a champion, the active one first; its first set is made here.

    With a new champion the reference is new, so its limits are: promoting it approved them, and the ledger says so.
    Empty with too few nights of reference.
    """
    version, package = champion
    running = _of(stores, model, version)
    # A window scored by an earlier champion keeps the limits of that time.
    now_champion = stores.plans.get(model.name).champion == version
    if any(d.since for d in running) or not now_champion or len(package.spec["trained"]) < LEAST:
        return running
    found = calibrated(stores, model, package)
    if found is None:
        return running
    number = stores.detectors.propose(model.name, model.owner, version, window.id, found.as_dict(), now)
    reason = f"version {version} is champion; {found.words}"
    by = "promotion"
    stores.detectors.approve(model.name, number, owner=model.owner, by=by, reason=reason, window=window.id, at=now)
    return _of(stores, model, version)


def _of(stores: Stores, model: Model, version: int) -> list[Detectors]:
    """The set in force for a version, or the last that was, and those that run beside it."""
    mine = stores.detectors.all(model.name, version)
    active = [d for d in mine if d.status == "active"]
    if not active and any(d.since for d in mine):
        last = stores.detectors.last_approved(model.name).get(version)
        active = [d for d in mine if d.number == last]
    return [*active, *(d for d in mine if d.status == "beside")]
