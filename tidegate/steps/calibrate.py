"""Calibrate: limits for a champion's monitors, from the nights that it learned from."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np

from tidegate.adapters.packages import Loaded
from tidegate.alarms.budget import budget_of
from tidegate.alarms.calibration import MOST, Calibration, Rule, calibrate
from tidegate.alarms.history import matrix
from tidegate.config.model import Model
from tidegate.steps.observe import history
from tidegate.steps.stores import Stores
from tidegate.windows import Window


def calibrated(
    stores: Stores, model: Model, package: Loaded, now: datetime, budget: float | None = None
) -> Calibration | None:
    """Limits for the model's share of its group's budget (or another), None with too few nights."""
    nights = list(package.spec["trained"])[-MOST:]
    series, values = matrix(nights, history(stores, model, package, nights, now))
    share = budget_of(model, stores.project.models(), stores.project.platform) if budget is None else budget
    rng = np.random.default_rng(model.estimator.seed)
    return calibrate(values, [date.fromisoformat(n) for n in nights], series, share, rng, rule_of(model))


def rule_of(model: Model) -> Rule:
    """When scores become a page, as the model's `alarms` say."""
    alarms = model.alarms
    return Rule(alarms.persistence, alarms.within, alarms.close_after)


def renew(stores: Stores, model: Model, version: int, window: Window, now: datetime, *, by: str) -> int | None:
    """Calibrate for a new champion and put its limits in force: promoting it approved them.

    Gives the number of the set; None, and nothing in force, with too few nights.
    """
    champion = stores.champion(model.name)
    if champion is None or champion[0] != version:
        return None
    found = calibrated(stores, model, champion[1], now)
    if found is None:
        return None
    number = stores.detectors.propose(model.name, model.owner, version, window.id, found.as_dict(), now)
    reason = f"version {version} became champion; {found.words}"
    stores.detectors.approve(
        model.name, number, owner=model.owner, by=by, reason=reason, window=window.id, at=now
    )
    return number
