"""Pins: the packages that a model serves, or would go back to, lie in the local folder intact."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tidegate.adapters import ledger
from tidegate.adapters.packagestore import discard, left_over, size
from tidegate.errors import RegistryError, StoreError
from tidegate.lineage.digest import folder_digest
from tidegate.rollout.history import Change, champions, changes
from tidegate.steps.stores import Stores

FORMER = 3
"""Former champions that are kept."""
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Pin:
    """A version whose package must be at hand, and why."""

    version: int
    digest: str
    why: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of one pin: ``intact``, ``fetched`` (it was missing or changed), or ``lost`` with the fault."""

    pin: Pin
    state: str
    fault: str = ""

    @property
    def words(self) -> str:
        """One line of it."""
        what = f"package {self.pin.digest[:12]} of version {self.pin.version} ({self.pin.why})"
        return f"{what} is {self.state}" + (f": {self.fault}" if self.fault else "")


@dataclass(frozen=True, slots=True)
class Shelved:
    """One package folder of a model: of which version, why it stays, its bytes, whether they are what was recorded."""

    digest: str
    version: int | None
    status: str
    pinned: str
    bytes: int
    intact: bool
    age_days: float


def plan_changes(stores: Stores, model: str) -> tuple[Change, ...]:
    """Every change of a model's serving plan."""
    return changes(ledger.entries(stores.control, stores.namespace, model, "plan"))


def pinned(stores: Stores, model: str) -> list[Pin]:
    """Champion, challenger, what waits for the gate or for people, and the last three former champions."""
    known = {v["version"]: v for v in stores.records.versions(model)}
    plan = stores.plans.get(model)
    why: dict[int, str] = {}
    for version, word in ((plan.champion, "champion"), (plan.challenger, "challenger")):
        if version is not None:
            why.setdefault(version, word)
    before = [v for v in reversed(champions(plan_changes(stores, model))) if v != plan.champion]
    for version in before[:FORMER]:
        why.setdefault(version, "former champion")
    for version, record in known.items():
        if record["status"] in ("candidate", "challenger"):
            why.setdefault(version, record["status"])
    return [Pin(v, known[v]["digest"], word) for v, word in why.items() if v in known]


def keep(stores: Stores, model: str, *, check: bool = True) -> list[Kept]:
    """Make sure of every pin; what is missing, or with `check` changed, is fetched from the registry.

    Nothing is raised: a pin that cannot be mended is ``lost``, and says why.
    """
    out = []
    for pin in pinned(stores, model):
        folder = stores.package_folder(model, pin.digest)
        if intact(folder, pin.digest) if check else folder.is_dir():
            out.append(Kept(pin, "intact"))
            continue
        try:
            stores.fetch(model, pin.version, pin.digest)
            out.append(Kept(pin, "fetched"))
        except (RegistryError, StoreError) as fault:
            out.append(Kept(pin, "lost", str(fault)))
    return out


def intact(folder: Path, digest: str) -> bool:
    """Whether a package folder is there with the bytes that were recorded."""
    try:
        return folder.is_dir() and folder_digest(folder.resolve()) == digest
    except OSError:
        return False


def shelf(stores: Stores, model: str) -> list[Shelved]:
    """Every package folder of a model, by version; those that no version has come last."""
    known = {v["digest"]: v for v in stores.records.versions(model)}
    pins = {p.digest: p.why for p in pinned(stores, model)}
    out = []
    for folder in _folders(stores, model):
        record = known.get(folder.name)
        version, status = (record["version"], record["status"]) if record else (None, "unknown")
        out.append(
            Shelved(folder.name, version, status, pins.get(folder.name, ""), size(folder.resolve()),
                    intact(folder, folder.name), round((time.time() - folder.lstat().st_mtime) / DAY, 1))
        )  # fmt: skip
    missing = [p for p in pinned(stores, model) if p.digest not in {s.digest for s in out}]
    for pin in missing:
        out.append(Shelved(pin.digest, pin.version, known[pin.digest]["status"], pin.why, 0, False, 0.0))
    return sorted(out, key=lambda s: (s.version is None, s.version or 0))


def prune(stores: Stores, model: str, keep_days: float) -> list[str]:
    """Delete the package folders that nothing pins and that are older than `keep_days`; returns their digests."""
    pins, gone = {p.digest for p in pinned(stores, model)}, []
    for folder in _folders(stores, model):
        if folder.name not in pins and time.time() - folder.lstat().st_mtime >= keep_days * DAY:
            discard(folder)
            gone.append(folder.name)
    for left in left_over(stores.package_folder(model, "")):
        discard(left)
    return gone


def _folders(stores: Stores, model: str) -> list[Path]:
    home = stores.package_folder(model, "")
    # A package's folder is named by its digest.
    return sorted(p for p in home.iterdir() if len(p.name) == 64 and p.is_dir()) if home.is_dir() else []


__all__ = ["Kept", "Pin", "Shelved", "intact", "keep", "pinned", "plan_changes", "prune", "shelf"]
