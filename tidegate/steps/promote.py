"""Promote: the bytes that were gated become the champion, or nothing changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from tidegate.adapters import ledger
from tidegate.adapters.leases import Lease
from tidegate.adapters.packages import Loaded
from tidegate.adapters.registry import Registry
from tidegate.config.model import Model
from tidegate.errors import IntegrityError, PlanConflict, UsageError
from tidegate.rollout.plan import ServingPlan
from tidegate.steps.stores import Stores
from tidegate.windows import Window


def smoke_test(package: Loaded) -> None:
    """The loaded package repeats the predictions of its training process to 1e-9."""
    probe = package.reference("probe")
    expected = np.array(probe["expected"].to_pylist())
    found = package.scores(probe)
    gap = float(np.max(np.abs(found - expected))) if len(expected) else 0.0
    if not gap <= 1e-9:
        raise IntegrityError(
            f"package {package.digest[:12]}",
            "the training's predictions to 1e-9",
            f"a difference of {gap:.2e}",
            "do not serve it; retrain with the locked libraries",
        )


def promote(
    stores: Stores,
    model: Model,
    version: int,
    window: Window,
    now: datetime,
    *,
    why: dict[str, Any],
    by: str,
    lease: Lease | None = None,
) -> ServingPlan:
    """Intent, load, smoke test, switch by compare-and-swap, then mirror the alias.

    Raises
    ------
    UsageError
        If the version is unknown, or has not passed the gate.
    PlanConflict
        If the champion is not the one that it was gated against, or changes in the meantime.
    """
    record = next((v for v in stores.records.versions(model.name) if v["version"] == version), None)
    if record is None or record["status"] != "challenger":
        raise UsageError(
            f"version {version} of {model.name}",
            "a challenger that passed the gate",
            record["status"] if record else "no such version",
            f"look at tidegate lineage {model.name}",
        )
    plan = stores.plans.get(model.name)
    against = record["body"]["looks"][-1]["against"]
    if against != plan.champion:
        do = "retrain, so that it is judged against the champion of today"
        raise PlanConflict(
            f"version {version} of {model.name}", f"gated against version {plan.champion}", f"version {against}", do
        )
    with stores.control.write() as c:
        ledger.append(
            c,
            namespace=stores.namespace,
            owner=model.owner,
            model=model.name,
            kind="intent",
            window=window.id,
            at=now,
            body={"promote": version, "digest": record["digest"], "by": by},
        )
    smoke_test(stores.package(model.name, version, record["digest"]))
    after = stores.plans.swap(
        plan,
        replace(plan, champion=version, champion_digest=record["digest"], challenger=None, challenger_digest=None),
        owner=model.owner,
        window=window.id,
        at=now,
        why={"by": by, **why},
        lease=lease,
        now=stores.leases.clock(),
    )
    if plan.champion is not None and plan.champion != version:
        stores.records.set_status(model.name, plan.champion, "retired")
    _settle(stores, model, version, window.id)
    return after


def reconcile(stores: Stores, model: Model) -> None:
    """Finish what a kill left after the switch: versions and the alias say what the plan says."""
    champion = stores.plans.get(model.name).champion
    for record in stores.records.versions(model.name):
        version = record["version"]
        if version == champion and record["status"] != "champion":
            _settle(stores, model, version, record["body"]["looks"][-1]["window"])
        elif version != champion and record["status"] == "champion":
            stores.records.set_status(model.name, version, "retired")


def _settle(stores: Stores, model: Model, version: int, window: str) -> None:
    """Mirror the alias, then the version's status: a kill in between is settled again."""
    tags = {"tidegate.status": "champion", "tidegate.promoted": window}
    Registry(stores.home.state).mirror(model.name, "champion", version, tags)
    stores.records.set_status(model.name, version, "champion", promoted=window)
