"""Reconcile: finish or undo what a killed process left, so that old xor new is in force everywhere.

`reconcile` is cheap and looks at control only, but for an alias that is owed; `reconcile_all` also makes sure of the
pinned packages and looks for what a kill left in the registry. Both may run at any time and any number of times.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidegate.adapters import ledger
from tidegate.adapters.approvals import Approvals
from tidegate.adapters.leftovers import Leftovers, Unknown
from tidegate.adapters.packagestore import discard, left_over
from tidegate.adapters.registry import existing
from tidegate.clock import now as wall
from tidegate.config.model import Model
from tidegate.errors import IntegrityError, RegistryError
from tidegate.rollout.plan import ServingPlan
from tidegate.steps.pins import intact, keep
from tidegate.steps.stores import Stores
from tidegate.steps.switch import align, mirrored, unable, undo

OPEN = ("intent", "plan", "abandoned")


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was done, and what cannot be done now and is tried again the next time."""

    done: tuple[str, ...] = ()
    owed: tuple[str, ...] = ()


def reconcile(stores: Stores, model: Model, now: datetime | None = None, *, mirror: bool = True) -> Reconciled:
    """Finish half-done switches: statuses and the alias say what the plan says, and versions what people said.

    A switch that another process is making is left to it. Without `mirror` the registry is not asked for anything.
    """
    lease = stores.leases.acquire(f"switch/{model.name}", model.owner, of_the_dead=True)
    if lease is None:
        return Reconciled((), (f"a switch of {model.name} is being made",))
    try:
        at = now or wall()
        done = _abandoned(stores, model, at)
        done += _refused(stores, model, at)
        done += align(stores, model)
        done += _answered(stores, model)
        before = _alias_owed(stores, model)
        owed = mirrored(stores, model) if mirror else ""
        if mirror and before and not owed:
            done.append("the registry's alias is mirrored")
        return Reconciled(tuple(done), (f"the registry's alias: {owed}",) if owed else ())
    finally:
        stores.leases.release(lease)


def reconcile_all(stores: Stores, model: Model, now: datetime | None = None) -> Reconciled:
    """`reconcile`, then the pins, then what killed trainings left: staging folders, runs, versions, packages."""
    first = reconcile(stores, model, now)
    done, owed = list(first.done), list(first.owed)
    for kept in keep(stores, model.name):
        if kept.state != "intact":
            (done if kept.state == "fetched" else owed).append(kept.words)
    for left in left_over(stores.package_folder(model.name, "")):
        discard(left)
        done.append(f"staging folder {left.name[-8:]} of a killed process is deleted")
    # A killed training holds its lease until that expires; nobody else's is touched.
    lease = stores.leases.acquire(f"retrain/{model.name}", model.owner, of_the_dead=True)
    if lease is None:
        return Reconciled(tuple(done), tuple(owed))
    try:
        if (stores.home.state / "mlflow.db").is_file():
            done += _registry(stores, model)
        done += _unknown_packages(stores, model)
    except RegistryError as fault:
        owed.append(str(fault))
    finally:
        stores.leases.release(lease)
    return Reconciled(tuple(done), tuple(owed))


def _abandoned(stores: Stores, model: Model, now: datetime) -> list[str]:
    """Intents that came to nothing are said to have: nothing was changed."""
    said = []
    for entry in _unsettled(stores, model.name):
        body = entry["body"]
        why = "the process that meant to switch was killed before it did"
        with stores.control.write() as c:
            ledger.append(
                c, namespace=stores.namespace, owner=model.owner, model=model.name, kind="abandoned",
                window=entry["window"], at=now,
                body={"intent": entry["digest"], "version": body["version"], "why": why},
            )  # fmt: skip
        said.append(f"the switch to version {body['version']} was cut short before it was made, and is off")
    return said


def _unsettled(stores: Stores, model: str) -> list[dict[str, Any]]:
    """Intents that nothing came of yet. Those of before they were named by what they led to have no version."""
    found = [e for kind in OPEN for e in ledger.entries(stores.control, stores.namespace, model, kind)]
    settled = {e["body"].get("intent") for e in found if e["kind"] != "intent"}
    return [e for e in found if e["kind"] == "intent" and e["digest"] not in settled and "version" in e["body"]]


def half_done(stores: Stores, model: str) -> bool:
    """Whether a switch was begun and neither made nor given up; it may be being made right now."""
    return bool(_unsettled(stores, model))


def _refused(stores: Stores, model: Model, now: datetime) -> list[str]:
    """A switch whose process was killed while it waited for the gateway is undone if the gateway cannot load it."""
    plan = stores.plans.get(model.name)
    made = ledger.entries(stores.control, stores.namespace, model.name, "plan")
    last = made[-1]["body"] if made else {}
    record = next((v for v in stores.records.versions(model.name) if v["version"] == plan.champion), None)
    finished = record is None or record["status"] == "champion"
    if finished or last["to"]["revision"] != plan.revision or "undoes" in last or last["from"]["champion"] is None:
        return []
    workers = tuple(stores.acks.live(model.name))
    why = unable(workers, plan.revision, all_workers="rolls_back" not in last)
    if not why:
        return []
    undo(stores, model, plan, ServingPlan(**last["from"]), made[-1]["window"], now, why)
    return [f"the switch to version {plan.champion} is undone: {why}"]


def _answered(stores: Stores, model: Model) -> list[str]:
    rows, said = Approvals(stores.control, stores.namespace), []
    for record in stores.records.versions(model.name):
        if record["status"] == "challenger":
            answers = rows.of(model.name, record["version"])
            if answers and answers[-1].what == "reject":
                stores.records.set_status(model.name, record["version"], "rejected")
                said.append(f"version {record['version']} is rejected")
    return said


def _alias_owed(stores: Stores, model: Model) -> bool:
    champion = stores.plans.get(model.name).champion
    return any(
        v["version"] == champion and v["body"].get("alias") == "owed" for v in stores.records.versions(model.name)
    )


def _registry(stores: Stores, model: Model) -> list[str]:
    """Runs that nobody runs any more are closed; a registered version that control lacks is recorded, or deleted."""
    left = Leftovers(existing(stores.home.state), model.name)
    known = {v["version"] for v in stores.records.versions(model.name)}
    said = []
    for unknown in left.versions(known):
        said.append(_recorded(stores, model, left, unknown))
    for run in left.runs():
        left.close(run)
        said.append(f"run {run} of a killed process is closed")
    return said


def _recorded(stores: Stores, model: Model, left: Leftovers, unknown: Unknown) -> str:
    """Finish a registration that was cut short after the registry had the version: it waits for its look."""
    body: dict[str, Any] | None = None
    try:
        body = json.loads(unknown.record)
        if not intact(stores.package_folder(model.name, unknown.digest), unknown.digest):
            stores.fetch(model.name, unknown.version, unknown.digest)
    except (ValueError, IntegrityError) as fault:
        left.delete(unknown.version)
        why = fault if body is not None else "it has no record"
        return f"version {unknown.version} of the registry was cut short and is deleted: {why}"
    assert body is not None
    entry = adjustment_entry(unknown.version, unknown.digest, body)
    stores.records.put_version(
        model.name, unknown.version, owner=model.owner, digest=unknown.digest, status="candidate",
        body={**body, "run_id": unknown.run_id}, known_at=datetime.fromisoformat(unknown.known_at), entry=entry,
    )  # fmt: skip
    left.finish(unknown.run_id)
    return f"version {unknown.version} was registered by a killed process, and is recorded as a candidate"


def adjustment_entry(version: int, digest: str, body: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """What the ledger says of a new version: of an adjustment, what it adjusts."""
    if "adjusts" not in body:
        return None
    return "adjustment", {
        "version": version, "digest": digest, "reason": body["reason"], "adjusts": body["adjusts"],
    }  # fmt: skip


def _unknown_packages(stores: Stores, model: Model) -> list[str]:
    """Packages that were kept and never registered; whoever makes one holds the lease that is held here."""
    known, said = {v["digest"] for v in stores.records.versions(model.name)}, []
    home = stores.package_folder(model.name, "")
    for folder in sorted(home.iterdir()) if home.is_dir() else ():
        if len(folder.name) == 64 and folder.name not in known:
            discard(folder)
            said.append(f"package {folder.name[:12]}, which was never registered, is deleted")
    return said


__all__ = ["Reconciled", "adjustment_entry", "reconcile", "reconcile_all"]
