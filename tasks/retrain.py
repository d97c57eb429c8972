"""Tasks of a retrain: train, gate, register, promote."""

from __future__ import annotations

from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.night import at
from tidegate.adapters.leases import Lease
from tidegate.config.home import Home
from tidegate.steps import candidate, promote
from tidegate.verdicts import Verdict


@task(cache_policy=NO_CACHE)
def train_and_register(home: Home, model_name: str, window: str, now: datetime, reason: str) -> int:
    """Train a candidate on what was known and register it; returns its version."""
    return candidate.train_and_register(*at(home, model_name, window), now, reason=reason)


@task(cache_policy=NO_CACHE)
def gate_candidate(home: Home, model_name: str, version: int, window: str, now: datetime) -> Verdict:
    """Take one look at a candidate and record it."""
    stores, model, night = at(home, model_name, window)
    return candidate.look_at(stores, model, version, night, now)


@task(cache_policy=NO_CACHE)
def promote_version(
    home: Home, model_name: str, version: int, window: str, now: datetime, by: str, reason: str, lease: Lease
) -> int:
    """Make a challenger the champion; returns the plan's new revision."""
    stores, model, night = at(home, model_name, window)
    return promote.promote(stores, model, version, night, now, why={"reason": reason}, by=by, lease=lease).revision
