"""Roll back: the former champion decides again, and the ledger says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from tidegate.adapters import ledger
from tidegate.adapters.leases import Lease
from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.decision.adjusting import Gain, paired_gain
from tidegate.errors import IntegrityError, RegistryError, SourceError, UsageError
from tidegate.rollout.plan import ServingPlan
from tidegate.steps.adjust import learned_through, recent_of
from tidegate.steps.freeze import frozen
from tidegate.steps.promote import settle, smoke_test
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import cuts_of
from tidegate.windows import Window

GONE = (IntegrityError, RegistryError, SourceError)
"""What a package raises that cannot be loaded, whether its bytes, its types or its code are to blame."""


def former(stores: Stores, model: Model) -> tuple[int, Loaded] | None:
    """The last champion before this one whose package can still be loaded; None without one.

    Those that were rolled back themselves are passed over: nobody goes back to what was found wanting.
    """
    now = stores.plans.get(model.name).champion
    known = {v["version"]: v for v in stores.records.versions(model.name)}
    for version in reversed(_champions(stores, model)):
        record = known.get(version)
        if version == now or record is None or record["status"] == "rolled_back":
            continue
        try:
            return version, stores.package(model.name, version, record["digest"])
        except GONE:
            continue
    return None


def rollback_gain(stores: Stores, model: Model, window: Window) -> Gain:
    """What the former champion would have gained on a row over the champion, each with its own threshold.

    On the newest `decision.nights` matured nights after whatever either was fitted on. NaN, and why, without a
    champion or a former one, where one of them does not score, and on too few nights.
    """
    champion, before = stores.champion(model.name), former(stores, model)
    if champion is None or before is None:
        why = "there is no champion" if champion is None else "there is no former champion to go back to"
        return Gain(np.nan, np.nan, 0, why)
    ours, theirs = before[1], champion[1]
    if list(ours.spec["classes"]) != list(theirs.spec["classes"]):
        return Gain(np.nan, np.nan, 0, f"version {before[0]} knows other classes")
    lacking = [f for f in ours.spec["features"] if f not in stores.project.dataset(model.dataset).columns]
    if lacking:
        return Gain(np.nan, np.nan, 0, f"version {before[0]} needs {', '.join(lacking)}, which is no column any more")
    try:
        recent = recent_of(stores, model, theirs, window, after=max(learned_through(p.spec) for p in (ours, theirs)))
        if not recent.nights:
            return Gain(np.nan, np.nan, 0, "no matured night since the training of both")
        again = ours.scores(recent.rows)
    except SourceError as fault:
        return Gain(np.nan, np.nan, 0, f"one of the two gives no scores: {fault}")
    return paired_gain(
        model, recent.night, recent.labels, (again, cuts_of(ours.spec, recent.rows)), (recent.scores, recent.cut)
    )


def roll_back(
    stores: Stores,
    model: Model,
    window: Window,
    now: datetime,
    *,
    why: dict[str, Any],
    by: str,
    lease: Lease | None = None,
) -> ServingPlan:
    """Load the former champion, smoke test, switch by compare-and-swap, then mirror the alias.

    It passed its gate when it became champion, so it passes none again; what speaks for it now goes into the ledger
    with the switch. The champion's status becomes ``rolled_back``.

    Raises
    ------
    UsageError
        If the model is frozen, or there is nothing to go back to.
    IntegrityError
        If the former champion does not repeat its training's predictions.
    RegistryError
        If the alias cannot be mirrored: the switch is made, and the next night mirrors it.
    """
    if stopped := frozen(stores, model, now):
        raise UsageError(f"rollback of {model.name}", "a model that is not frozen", stopped,
                         f"tidegate unfreeze {model.name}")  # fmt: skip
    plan, found = stores.plans.get(model.name), former(stores, model)
    if found is None:
        do = f"tidegate retrain {model.name}, or look at tidegate lineage {model.name}"
        raise UsageError(f"rollback of {model.name}", "a former champion that can still be loaded", "none", do)
    version, package = found
    record = next(v for v in stores.records.versions(model.name) if v["version"] == version)
    back = {"rolls_back": {"from": plan.champion, "to": version}}
    gain = rollback_gain(stores, model, window)
    evidence = {"gain": gain.value, "se": gain.se, "blocks": gain.blocks, "why": gain.why}
    with stores.control.write() as c:
        ledger.append(
            c, namespace=stores.namespace, owner=model.owner, model=model.name, kind="intent", window=window.id,
            at=now, body={**back, "digest": package.digest, "by": by},
        )  # fmt: skip
    smoke_test(package)
    after = stores.plans.swap(
        plan,
        replace(plan, champion=version, champion_digest=package.digest, challenger=None, challenger_digest=None),
        owner=model.owner,
        window=window.id,
        at=now,
        why={"by": by, **why, **back, "evidence": evidence},
        lease=lease,
        now=stores.leases.clock(),
    )
    if plan.champion is not None:
        stores.records.set_status(model.name, plan.champion, "rolled_back", rolled_back=window.id)
    try:
        settle(stores, model, version, record["body"].get("promoted") or window.id)
        stores.records.set_status(model.name, version, "champion", restored=window.id)
    except RegistryError as fault:
        do = f"mend the registry; version {version} is champion already, and the next night mirrors it"
        raise RegistryError(f"alias of version {version} of {model.name}", "a registry", str(fault), do) from None
    return after


def rolled_back_on(stores: Stores, model: Model, window: str) -> int | None:
    """The version that was gone back to on a window, if one was: a night that runs again goes back no further."""
    entries = ledger.entries(stores.control, stores.namespace, model.name, "plan")
    done = [e["body"]["rolls_back"]["to"] for e in entries if e["window"] == window and "rolls_back" in e["body"]]
    return int(done[-1]) if done else None


def _champions(stores: Stores, model: Model) -> list[int]:
    """Every version that was champion, by the last time that it became one; the plan's changes are in the ledger."""
    entries = ledger.entries(stores.control, stores.namespace, model.name, "plan")
    became = [e["body"]["to"]["champion"] for e in entries if e["body"]["to"]["champion"] is not None]
    return [v for i, v in enumerate(became) if v not in became[i + 1 :]]


__all__ = ["former", "roll_back", "rollback_gain", "rolled_back_on"]
