"""Promote: the bytes that were gated become the champion, or nothing changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from tidegate.adapters import ledger
from tidegate.adapters.approvals import Approvals
from tidegate.adapters.leases import Lease
from tidegate.adapters.packages import Loaded
from tidegate.adapters.registry import Registry
from tidegate.config.model import Model
from tidegate.errors import IntegrityError, PlanConflict, RegistryError, UsageError
from tidegate.gate.approval import authority, not_overridable
from tidegate.rollout.plan import ServingPlan
from tidegate.steps.freeze import frozen
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

    What allows it is asked of control here, whoever calls: the gate's pass and the model file's `promotion`, or a
    person's row.

    Raises
    ------
    UsageError
        If the version is unknown, has not passed the gate, waits for a person, or the model is frozen.
    PlanConflict
        If the champion is not the one that it was gated against, or changes in the meantime.
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
    with stores.control.write() as c:
        ledger.append(
            c,
            namespace=stores.namespace,
            owner=model.owner,
            model=model.name,
            kind="intent",
            window=window.id,
            at=now,
            body={"promote": version, "digest": record["digest"], "by": by, **adjusted},
        )
    smoke_test(stores.package(model.name, version, record["digest"]))
    after = stores.plans.swap(
        plan,
        replace(plan, champion=version, champion_digest=record["digest"], challenger=None, challenger_digest=None),
        owner=model.owner,
        window=window.id,
        at=now,
        why={"by": by, **why, **adjusted},
        lease=lease,
        now=stores.leases.clock(),
    )
    if plan.champion is not None and plan.champion != version:
        stores.records.set_status(model.name, plan.champion, "retired")
    try:
        settle(stores, model, version, window.id)
    except RegistryError as fault:
        # The plan is the truth: what is missing is its mirror, which `reconcile` makes.
        do = f"mend the registry; version {version} is champion already, and the next night mirrors it"
        raise RegistryError(f"alias of version {version} of {model.name}", "a registry", str(fault), do) from None
    return after


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


def reconcile(stores: Stores, model: Model) -> None:
    """Finish what a kill left: versions and the alias say what the plan says, and what people said."""
    champion = stores.plans.get(model.name).champion
    rows = Approvals(stores.control, stores.namespace)
    for record in stores.records.versions(model.name):
        version = record["version"]
        if version == champion and record["status"] != "champion":
            body = record["body"]
            settle(stores, model, version, body.get("promoted") or body["looks"][-1]["window"])
        elif version != champion and record["status"] == "champion":
            stores.records.set_status(model.name, version, _fate(stores, model, version))
        elif record["status"] == "challenger":
            said = rows.of(model.name, version)
            if said and said[-1].what == "reject":
                stores.records.set_status(model.name, version, "rejected")


def _fate(stores: Stores, model: Model, version: int) -> str:
    """What a champion became that is none any more: the last change of the plan says so."""
    changes = ledger.entries(stores.control, stores.namespace, model.name, "plan")
    back = changes[-1]["body"].get("rolls_back") if changes else None
    return "rolled_back" if back and back["from"] == version else "retired"


def settle(stores: Stores, model: Model, version: int, window: str) -> None:
    """Mirror the alias, then the version's status: a kill in between is settled again."""
    tags = {"tidegate.status": "champion", "tidegate.promoted": window}
    Registry(stores.home.state).mirror(model.name, "champion", version, tags)
    said = Approvals(stores.control, stores.namespace).of(model.name, version)
    more = {}
    if said and said[-1].what == "override":
        last = said[-1]
        more["override"] = {"by": last.by, "reason": last.reason, "until": last.until, **last.body}
    stores.records.set_status(model.name, version, "champion", promoted=window, **more)
