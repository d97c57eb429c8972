"""Switch: how a version becomes the one that decides, for promotions and rollbacks alike.

Intent into the ledger, the package at hand with its digest, loaded, smoke test, compare-and-swap, acknowledged by the
workers that serve, statuses, and last the registry's alias. A kill in between is finished or undone by
`tidegate.steps.reconcile`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.adapters import ledger
from tidegate.adapters.acks import Ack
from tidegate.adapters.approvals import Approvals
from tidegate.adapters.leases import Lease
from tidegate.adapters.packages import Loaded, load
from tidegate.adapters.registry import existing
from tidegate.config.model import Model
from tidegate.errors import IntegrityError, PlanConflict, RegistryError, TidegateError
from tidegate.rollout.history import fates
from tidegate.rollout.plan import ServingPlan
from tidegate.steps.pins import intact, plan_changes
from tidegate.steps.stores import Stores
from tidegate.windows import Window

PATIENCE = 10.0
"""Seconds that a switch waits for the gateway's workers."""
OWED, DONE = "owed", "mirrored"


@dataclass(frozen=True, slots=True)
class Switched:
    """A switch that was made: the plan, the version before, the workers as they answered, what is still owed."""

    plan: ServingPlan
    before: int | None
    workers: tuple[Ack, ...]
    owed: str = ""

    @property
    def late(self) -> tuple[Ack, ...]:
        """The workers that have not answered yet."""
        return tuple(a for a in self.workers if a.revision < self.plan.revision)

    @property
    def failed(self) -> tuple[Ack, ...]:
        """The workers that cannot load the version, and go on with the one before."""
        return tuple(a for a in self.workers if a.revision >= self.plan.revision and a.fault)


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


def sound(stores: Stores, model: str, version: int, digest: str, *, fetch: bool = True) -> Loaded:
    """A version's package, at hand with the recorded bytes, loaded and smoke-tested.

    With `fetch` one that is missing is fetched from the registry. Changed bytes are told and never just replaced: who
    changed them is worth knowing (`tidegate.steps.pins.keep` replaces them, and says so).

    Raises
    ------
    IntegrityError
        If its bytes were changed, or it does not repeat its training's predictions.
    RegistryError
        If it has to be fetched and cannot be.
    """
    if fetch and not stores.package_folder(model, digest).is_dir():
        stores.fetch(model, version, digest)
    folder = unchanged(stores, model, version, digest)
    package = load(folder.resolve(), digest)
    smoke_test(package)
    return package


def unchanged(stores: Stores, model: str, version: int, digest: str) -> Path:
    """The folder of a version's package; raises `IntegrityError` if it is not there with the recorded bytes."""
    folder = stores.package_folder(model, digest)
    if not intact(folder, digest):
        found = "other bytes" if folder.is_dir() else "no such folder"
        do = f"tidegate reconcile {model}, which fetches it from the registry"
        raise IntegrityError(f"local package of version {version} of {model}", f"digest {digest[:12]}", found, do)
    return folder


def switch(
    stores: Stores,
    model: Model,
    plan: ServingPlan,
    record: dict[str, Any],
    window: Window,
    now: datetime,
    *,
    intent: dict[str, Any],
    why: dict[str, Any],
    lease: Lease | None = None,
    patience: float = PATIENCE,
    all_workers: bool = True,
    mirror: bool = True,
    load_here: bool = True,
) -> Switched:
    """Make a recorded version the champion, or leave everything as it was.

    Parameters
    ----------
    plan : ServingPlan
        The plan that the switch was decided on.
    record : dict
        The version's row.
    intent, why : dict
        What the ledger says before, and with the change.
    patience : float
        Seconds to wait for live workers; without any nothing is waited for.
    all_workers : bool
        Undo the switch when one worker cannot load the version; else only when none of them can.
    mirror : bool
        Point the registry's alias at it; else that stays owed to `reconcile`.
    load_here : bool
        Load and smoke-test the package in this process, too. Without it that is left to the live workers, each of
        which does so before it switches: they have the libraries loaded, which takes a new process seconds.

    Raises
    ------
    PlanConflict
        If the plan is another one by now.
    IntegrityError
        If the package is broken, or the gateway cannot load it: the plan is as before, and the ledger says why.
    RegistryError
        If the package is not at hand and cannot be fetched.
    """
    version, digest = int(record["version"]), str(record["digest"])
    with in_hand(stores, model):
        mark = _note(stores, model, "intent", window.id, now, {**intent, "version": version, "digest": digest})
        try:
            if load_here or not stores.acks.live(model.name):
                sound(stores, model.name, version, digest)
            else:
                unchanged(stores, model.name, version, digest)
            after = stores.plans.swap(
                plan,
                replace(plan, champion=version, champion_digest=digest, challenger=None, challenger_digest=None),
                owner=model.owner,
                window=window.id,
                at=now,
                why={**why, "intent": mark, "was": record["status"]},
                lease=lease,
                now=stores.leases.clock(),
            )
        except TidegateError as fault:
            _note(stores, model, "abandoned", window.id, now, {"intent": mark, "version": version, "why": str(fault)})
            raise
        workers = tuple(stores.acks.wait(model.name, after.revision, patience))
        against = unable(workers, after.revision, all_workers=all_workers)
        if against:
            undo(stores, model, after, plan, window.id, now, against)
            raise IntegrityError(
                f"version {version} of {model.name}", "one that the gateway's workers can load", against,
                f"look at the gateway's log; version {plan.champion} serves as before",
            )  # fmt: skip
        if workers:
            said = [{"worker": a.worker, "revision": a.revision, "version": a.version, "fault": a.fault,
                     "at": a.known_at.isoformat()} for a in workers]  # fmt: skip
            _note(stores, model, "acknowledged", window.id, now, {"revision": after.revision, "workers": said})
        align(stores, model)
        owed = mirrored(stores, model) if mirror else OWED
    return Switched(after, plan.champion, workers, owed)


def unable(workers: tuple[Ack, ...], revision: int, *, all_workers: bool) -> str:
    """Why live workers cannot serve a revision, where that is reason to take it back; empty if it is not."""
    there = [a for a in workers if a.revision >= revision]
    failed = [a for a in there if a.fault]
    if not failed or (not all_workers and len(failed) < len(workers)):
        return ""
    return f"{len(failed)} of {len(workers)} that cannot, {failed[0].worker}: {failed[0].fault}"


def undo(
    stores: Stores, model: Model, made: ServingPlan, before: ServingPlan, window: str, now: datetime, why: str
) -> None:
    """Put the plan back to what it was before a switch; a plan that somebody changed since then stays."""
    body = {"by": "tidegate", "reason": why, "undoes": made.revision}
    try:
        back = replace(before, revision=made.revision)
        stores.plans.swap(made, back, owner=model.owner, window=window, at=now, why=body)
    except PlanConflict:
        return
    align(stores, model)


def align(stores: Stores, model: Model) -> list[str]:
    """Statuses of versions as the plan's changes say them; what was changed, in words.

    The champion's alias is owed from the same transaction on.
    """
    champion = stores.plans.get(model.name).champion
    known = {v["version"]: v for v in stores.records.versions(model.name)}
    said = []
    for version, fate in fates(plan_changes(stores, model.name)).items():
        record = known.get(version)
        if record is None:
            continue
        status = fate.status
        dates = {"promoted": fate.promoted, "restored": fate.restored, "rolled_back": fate.rolled_back}
        more: dict[str, Any] = {k: d for k, d in dates.items() if d is not None and record["body"].get(k) != d}
        # People may close a version that was never champion.
        if record["status"] == status or (fate.promoted is None and record["status"] != "champion"):
            continue
        if version == champion:
            more["alias"] = OWED if record["body"].get("run_id") else DONE
            more |= _overridden(stores, model, version)
        stores.records.set_status(model.name, version, status, **more)
        said.append(f"version {version} is {status}")
    return said


def mirrored(stores: Stores, model: Model) -> str:
    """Point the registry's alias at the champion where that is owed; why it is still owed, empty if it is not."""
    while True:
        champion = stores.plans.get(model.name).champion
        record = next((v for v in stores.records.versions(model.name) if v["version"] == champion), None)
        if record is None or record["body"].get("alias") != OWED:
            return ""
        tags = {"tidegate.status": "champion", "tidegate.promoted": str(record["body"].get("promoted", ""))}
        try:
            existing(stores.home.state).mirror(model.name, "champion", record["version"], tags)
        except RegistryError as fault:
            return str(fault)
        # The last one to write an alias wins: whoever was slower than another switch writes it again.
        if stores.plans.get(model.name).champion == champion:
            stores.records.amend(model.name, record["version"], alias=DONE)


@contextmanager
def in_hand(stores: Stores, model: Model) -> Iterator[None]:
    """Tell `reconcile` that a switch is being made; it never keeps another one from being made.

    Whoever is second loses by the compare-and-swap: a rollback must not wait for a run that hangs.
    """
    lease = stores.leases.acquire(f"switch/{model.name}", model.owner, of_the_dead=True)
    try:
        yield
    finally:
        if lease is not None:
            stores.leases.release(lease)


def _note(stores: Stores, model: Model, kind: str, window: str, now: datetime, body: dict[str, Any]) -> str:
    with stores.control.write() as c:
        return ledger.append(
            c, namespace=stores.namespace, owner=model.owner, model=model.name, kind=kind, window=window, at=now,
            body=body,
        )  # fmt: skip


def _overridden(stores: Stores, model: Model, version: int) -> dict[str, Any]:
    """What a version's record says of the override that it went live by."""
    said = Approvals(stores.control, stores.namespace).of(model.name, version)
    if not said or said[-1].what != "override":
        return {}
    last = said[-1]
    return {"override": {"by": last.by, "reason": last.reason, "until": last.until, **last.body}}


__all__ = [
    "PATIENCE",
    "Switched",
    "align",
    "in_hand",
    "mirrored",
    "smoke_test",
    "sound",
    "switch",
    "unable",
    "unchanged",
    "undo",
]
