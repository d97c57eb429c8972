"""The former champion: which one it is, and whether its package is sound.

Kept free of what only its check on current data needs: a rollback with `--now` must not wait for those imports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.errors import IntegrityError, RegistryError, SourceError, UsageError
from tidegate.rollout.history import champions
from tidegate.steps.pins import intact, plan_changes
from tidegate.steps.stores import Stores
from tidegate.steps.switch import sound, unchanged
from tidegate.verdicts import Verdict

GONE = (IntegrityError, RegistryError, SourceError, OSError)
"""What a package raises that cannot be loaded, whether its bytes, its types or its code are to blame."""


@dataclass(frozen=True, eq=False)
class Target:
    """Where a rollback goes: the version's row, its package if it is loaded, which were passed over and why."""

    record: dict[str, Any]
    package: Loaded | None
    passed_over: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """Its number."""
        return int(self.record["version"])


def former(stores: Stores, model: Model) -> tuple[int, Loaded] | None:
    """The last champion before this one whose package can still be loaded; None without one.

    Those that were rolled back themselves are passed over: nobody goes back to what was found wanting.
    """
    for record in _before(stores, model):
        try:
            return record["version"], stores.package(model.name, record["version"], record["digest"])
        except GONE:
            continue
    return None


def target(stores: Stores, model: Model, to: int | None = None, *, loaded: bool = True) -> Target:
    """The former champion to go back to, loaded and smoke-tested: the last that is sound, or the one asked for.

    Without `loaded` only the bytes of its package are checked.

    What lies in the local folder comes first; the registry is asked only where nothing there is sound.

    Raises
    ------
    UsageError
        If there is no former champion, or the version asked for is none.
    IntegrityError
        If there are some, and none of their packages is sound.
    """
    asked = [_asked(stores, model, to)] if to is not None else list(_before(stores, model))
    if not asked:
        do = f"tidegate retrain {model.name}, or look at tidegate lineage {model.name}"
        raise UsageError(f"rollback of {model.name}", "a former champion", "none", do)
    faults: dict[int, str] = {}
    for fetch in (False, True):
        for record in asked:
            version = int(record["version"])
            folder = stores.package_folder(model.name, record["digest"])
            try:
                if fetch and not intact(folder, record["digest"]):
                    stores.fetch(model.name, version, record["digest"])
                unchanged(stores, model.name, version, record["digest"])
                package = sound(stores, model.name, version, record["digest"], fetch=False) if loaded else None
            except GONE as fault:
                faults[version] = str(fault)
                continue
            others = tuple(f"version {v} is passed over: {why}" for v, why in faults.items() if v != version)
            return Target(record, package, others)
    found = "; ".join(f"version {v}: {why}" for v, why in faults.items())
    do = f"restore {stores.package_folder(model.name, '')} or the registry, or tidegate retrain {model.name}"
    raise IntegrityError(f"rollback of {model.name}", "a former champion whose package is sound", found, do)


def _before(stores: Stores, model: Model) -> list[dict[str, Any]]:
    """The rows of those that were champion, the last first, without today's and those rolled back."""
    now = stores.plans.get(model.name).champion
    known = {v["version"]: v for v in stores.records.versions(model.name)}
    order = [v for v in reversed(champions(plan_changes(stores, model.name))) if v != now]
    return [known[v] for v in order if v in known and known[v]["status"] != "rolled_back"]


def _asked(stores: Stores, model: Model, to: int) -> dict[str, Any]:
    """The row of the version that a person names; one that was rolled back may be named, one never champion not."""
    thing, do = f"version {to} of {model.name}", f"look at tidegate lineage {model.name}"
    record = next((v for v in stores.records.versions(model.name) if v["version"] == to), None)
    if record is None:
        raise UsageError(thing, "a former champion", "no such version", do)
    if stores.plans.get(model.name).champion == to:
        raise UsageError(thing, "a former champion", "the champion of today", "nothing: it is served already")
    if to not in champions(plan_changes(stores, model.name)):
        found = f"{record['status']}, never champion"
        raise UsageError(thing, "a former champion", found, f"tidegate approve or override, or {do}")
    return record


def subject(stores: Stores, model: Model, record: dict[str, Any]) -> dict[str, str] | None:
    """What a check of a former champion is about: its package, today's champion, the newest batch; None without one."""
    good = [s for s in stores.data.many("batches", model.dataset) if s.rows]
    champion = stores.plans.get(model.name).champion_digest
    if not good or champion is None:
        return None
    return {"package": record["digest"], "champion": champion, "window": good[-1].window, "batch": good[-1].digest}


def checked_before(stores: Stores, model: Model, record: dict[str, Any]) -> Verdict | None:
    """The verdict of the night on the same version, champion and newest batch, if there is one."""
    about = subject(stores, model, record)
    found = stores.records.verdict(model.name, "former", about["window"]) if about else None
    if about is None or found is None or found.numbers.get("about") != about:
        return None
    return Verdict(found.outcome, (*found.reasons, "as checked on the night of that batch"), found.numbers)


__all__ = ["GONE", "Target", "checked_before", "former", "subject", "target"]
