"""The task that takes a person's answer about a version."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.said import said
from tidegate.config.home import Home
from tidegate.steps import approval
from tidegate.steps.stores import open_stores


@task(cache_policy=NO_CACHE)
@said
def take_answer(
    home: Home,
    model_name: str,
    version: int,
    decision: Literal["approve", "reject"],
    by: str,
    reason: str,
    now: datetime,
) -> str:
    """Write the answer; an approval is followed by the promotion. Returns what came of it, in words."""
    stores = open_stores(home)
    model = stores.project.model(model_name)
    if decision == "reject":
        approval.reject(stores, model, version, now, by=by, reason=reason)
        return f"version {version} of {model_name} is rejected by {by}"
    plan = approval.approve(stores, model, version, now, by=by, reason=reason)
    return f"version {plan.champion} of {model_name} is champion, approved by {by}, plan revision {plan.revision}"
