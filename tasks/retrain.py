"""Tasks of a change of the model: train or adjust, gate, register, promote, roll back."""

from __future__ import annotations

from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.night import at
from tasks.said import said
from tidegate.adapters.leases import Lease
from tidegate.config.home import Home
from tidegate.steps import adjust, candidate, promote, rollback, stillfit
from tidegate.steps import drill as drilling
from tidegate.steps import reconcile as reconciling
from tidegate.steps.stores import open_stores
from tidegate.verdicts import Verdict


@task(cache_policy=NO_CACHE)
@said
def train_and_register(home: Home, model_name: str, window: str, now: datetime, reason: str) -> int:
    """Train a candidate on what was known and register it; returns its version."""
    return candidate.train_and_register(*at(home, model_name, window), now, reason=reason)


@task(cache_policy=NO_CACHE)
@said
def gate_candidate(home: Home, model_name: str, version: int, window: str, now: datetime) -> Verdict:
    """Take one look at a candidate and record it."""
    stores, model, night = at(home, model_name, window)
    return candidate.look_at(stores, model, version, night, now)


@task(cache_policy=NO_CACHE)
@said
def promote_version(
    home: Home, model_name: str, version: int, window: str, now: datetime, by: str, reason: str, lease: Lease
) -> int:
    """Make a challenger the champion; returns the plan's new revision."""
    stores, model, night = at(home, model_name, window)
    return promote.promote(stores, model, version, night, now, why={"reason": reason}, by=by, lease=lease).revision


@task(cache_policy=NO_CACHE)
@said
def adjust_champion(home: Home, model_name: str, window: str, now: datetime, what: adjust.What, reason: str) -> int:
    """Register the champion with a calibration map or another threshold; returns its version."""
    return adjust.adjust(*at(home, model_name, window), now, what, reason=reason).version


@task(cache_policy=NO_CACHE)
@said
def roll_back_champion(
    home: Home, model_name: str, window: str, now: datetime, by: str, reason: str, lease: Lease
) -> int:
    """Make the former champion the champion again; returns its version."""
    stores, model, night = at(home, model_name, window)
    plan = rollback.roll_back(stores, model, night, now, why={"reason": reason}, by=by, lease=lease).plan
    assert plan.champion is not None
    return plan.champion


@task(cache_policy=NO_CACHE)
@said
def roll_back_for(
    home: Home, model_name: str, now: datetime, by: str, reason: str, to: int | None, check: bool
) -> rollback.RolledBack:
    """Make a former champion the champion again on a person's word."""
    stores = open_stores(home)
    model = stores.project.model(model_name)
    return rollback.roll_back_by(stores, model, now, by=by, reason=reason, to=to, check=check)


@task(cache_policy=NO_CACHE)
@said
def reconcile_model(home: Home, model_name: str, now: datetime) -> reconciling.Reconciled:
    """Finish or undo what a killed process left, and make sure of the pinned packages."""
    stores = open_stores(home)
    return reconciling.reconcile_all(stores, stores.project.model(model_name), now)


@task(cache_policy=NO_CACHE)
@said
def look_back(home: Home, model_name: str, now: datetime) -> Verdict | None:
    """Check the former champion on the newest batch, so that a rollback need not wait for it."""
    stores = open_stores(home)
    return stillfit.look_ahead(stores, stores.project.model(model_name), now)


@task(cache_policy=NO_CACHE)
@said
def drill_model(home: Home, model_name: str, now: datetime) -> Verdict:
    """Measure the way back beside production."""
    stores = open_stores(home)
    return drilling.drill(stores, stores.project.model(model_name), now)
