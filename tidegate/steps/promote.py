"""Promote: the bytes that were gated become the champion, or nothing changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tidegate.adapters.approvals import Approvals
from tidegate.adapters.leases import Lease
from tidegate.config.model import Model
from tidegate.errors import PlanConflict, UsageError
from tidegate.gate.approval import authority, not_overridable
from tidegate.rollout.plan import ServingPlan
from tidegate.steps.freeze import frozen
from tidegate.steps.pins import keep
from tidegate.steps.stores import Stores
from tidegate.steps.switch import smoke_test, switch
from tidegate.windows import Window


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
    """Switch to a version that may go live (`tidegate.steps.switch`); the alias may stay owed.

    What allows it is asked of control here, whoever calls: the gate's pass and the model file's `promotion`, or a
    person's row.

    Raises
    ------
    UsageError
        If the version is unknown, has not passed the gate, waits for a person, or the model is frozen.
    PlanConflict
        If the champion is not the one that it was gated against, or changes in the meantime.
    IntegrityError
        If the package is broken, or the gateway cannot load it: nothing has changed then.
    """
    record = next((v for v in stores.records.versions(model.name) if v["version"] == version), None)
    rows = Approvals(stores.control, stores.namespace).of(model.name, version)
    status = record["status"] if record else "no such version"
    stopped = frozen(stores, model, now)
    against = authority(status, rows, now, promotion=model.promotion, frozen=stopped)
    if record is not None and not against and status != "challenger":
        # A look since the override may have found what nobody may skip.
        against = not_overridable(record["body"]["looks"][-1])
    if record is None or against:
        raise UsageError(
            f"version {version} of {model.name}",
            "a challenger that passed the gate" + (" and that a person approved" if status == "challenger" else ""),
            against,
            f"tidegate unfreeze {model.name}" if stopped == against else f"look at tidegate lineage {model.name}",
        )
    plan = same_champion(stores, model, record)
    adjusted = {k: record["body"][k] for k in ("adjusts",) if k in record["body"]}
    done = switch(
        stores, model, plan, record, window, now,
        intent={"promote": version, "by": by, **adjusted}, why={"by": by, **why, **adjusted}, lease=lease,
    )  # fmt: skip
    keep(stores, model.name, check=False)
    return done.plan


def same_champion(stores: Stores, model: Model, record: dict[str, Any]) -> ServingPlan:
    """The serving plan, whose champion is the one that a version was gated against.

    Raises
    ------
    PlanConflict
        If it is another one by now: what was shown of the version says nothing of that.
    """
    plan = stores.plans.get(model.name)
    against = record["body"]["looks"][-1]["against"]
    if against != plan.champion:
        do = f"tidegate retrain {model.name}, so that it is judged against the champion of today"
        thing = f"version {record['version']} of {model.name}"
        raise PlanConflict(thing, f"one gated against version {plan.champion}", f"version {against}", do)
    return plan


__all__ = ["promote", "same_champion", "smoke_test"]
