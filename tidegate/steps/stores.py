"""Everything a step needs of one home: configuration, lakes, control, packages."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tidegate.adapters.acks import Acks
from tidegate.adapters.control import Control, open_control
from tidegate.adapters.detectors import DetectorSets
from tidegate.adapters.incidents import Incidents
from tidegate.adapters.lake import Lake
from tidegate.adapters.leases import Leases
from tidegate.adapters.looks import Looks
from tidegate.adapters.packages import Loaded, load
from tidegate.adapters.packagestore import place, staging_name
from tidegate.adapters.plans import Plans
from tidegate.adapters.records import Records
from tidegate.config.home import Home
from tidegate.config.project import Project, load_project
from tidegate.errors import IntegrityError, UsageError
from tidegate.lineage.digest import folder_digest


@dataclass(frozen=True)
class Stores:
    """``data`` belongs to datasets (batches, quarantine, profiles), ``lake`` to models."""

    project: Project
    data: Lake
    data_records: Records
    data_leases: Leases
    lake: Lake
    records: Records
    leases: Leases
    plans: Plans
    incidents: Incidents
    detectors: DetectorSets
    looks: Looks
    acks: Acks
    control: Control

    @property
    def home(self) -> Home:
        return self.project.home

    @property
    def namespace(self) -> str:
        return self.project.platform.namespace

    def package_folder(self, model: str, digest: str) -> Path:
        return self.home.state / "packages" / model / digest

    def champion(self, model: str) -> tuple[int, Loaded] | None:
        """The champion's version and its loaded package, or None."""
        plan = self.plans.get(model)
        if plan.champion is None or plan.champion_digest is None:
            return None
        return plan.champion, self.package(model, plan.champion, plan.champion_digest)

    def package(self, model: str, version: int, digest: str) -> Loaded:
        """A version's package: the local copy, or else fetched from the registry."""
        folder = self.package_folder(model, digest)
        if not folder.is_dir():
            self.fetch(model, version, digest)
        return load(folder.resolve(), digest)

    def fetch(self, model: str, version: int, digest: str) -> None:
        """Copy a version's package from the registry; one that is there already with other bytes is replaced.

        Raises
        ------
        RegistryError
            If the registry does not have it.
        IntegrityError
            If what it has is not what was recorded.
        """
        from tidegate.adapters.registry import existing

        with self.staging(model) as staging:
            made = existing(self.home.state).fetch(model, version, staging / "package")
            found = folder_digest(made)
            if found != digest:
                do = "restore the registry, or roll back"
                raise IntegrityError(f"version {version} of {model} in the registry", digest[:12], found[:12], do)
            self.keep(model, made)

    @contextmanager
    def staging(self, model: str) -> Iterator[Path]:
        """A folder to make a package in, beside the packages; what a kill leaves of it names the killed process."""
        folder = self.package_folder(model, "")
        folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=staging_name(), dir=folder))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def keep(self, model: str, made: Path) -> tuple[Path, str]:
        """Move a package that is made into its place; its folder and digest.

        Whoever else keeps the same one at the same time changes nothing; a copy there with other bytes is replaced.
        """
        digest = folder_digest(made)
        folder = self.package_folder(model, digest)
        place(made, folder, digest)
        return folder, digest

    def candidate(self, model: str) -> dict[str, Any] | None:
        """The newest version that still waits for evidence or approval."""
        waiting = [v for v in self.records.versions(model) if v["status"] in ("candidate", "challenger")]
        return waiting[-1] if waiting else None


@lru_cache(maxsize=16)
def open_stores(home: Home) -> Stores:
    """The stores of a home, opened once per process."""
    return stores_of(home)


def stores_of(home: Home) -> Stores:
    """The stores of a home that is soon gone again, opened anew."""
    if not home.root.is_dir():
        raise UsageError(f"home {home.root}", "a folder", "none", "pass --home FOLDER")
    project = load_project(home)
    space, ttl = project.platform.namespace, project.platform.lease.total_seconds()
    data, own = open_control(home.shared), open_control(home.state)
    return Stores(
        project,
        Lake(home.shared, data, space),
        Records(data, space),
        Leases(data, space, ttl),
        Lake(home.state, own, space),
        Records(own, space),
        Leases(own, space, ttl),
        Plans(own, space),
        Incidents(own, space),
        DetectorSets(own, space),
        Looks(own, space),
        Acks(own, space),
        own,
    )
