"""Backup and restore of a home: control, lake, registry, packages, log, keys, configuration and the user's code.

What control names at one instant is what the archive has, however busy the home is meanwhile. Prefect's own state is
not in it: its deployments are registered again from the configuration.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tidegate import __version__
from tidegate.adapters.archive import Archive, unpack, writing
from tidegate.adapters.control import HEAD, open_control
from tidegate.adapters.lake import Lake
from tidegate.adapters.lakeclean import rows_of
from tidegate.adapters.packagestore import STAGING
from tidegate.adapters.snapshot import moved, snapshot
from tidegate.config.home import MARKER, Home
from tidegate.config.project import load_project
from tidegate.errors import IntegrityError, StoreError, UsageError
from tidegate.steps.stores import Stores, open_stores

FOLDERS = ("mlartifacts", "packages", "spool", "private")
"""Folders of the state that go in as they are."""
TRIES = 5
CODE = (".py", ".yaml", ".yml", ".toml", ".sql", ".json", ".txt", ".md")
LARGEST = 2_000_000
"""Bytes of a file of the user's own that goes in; data is read from where it came from."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """An archive: its files and bytes, and what is in the lake but is not what control says, if anything."""

    file: Path
    members: int
    bytes: int
    damaged: tuple[str, ...]


def back_up(stores: Stores, file: Path, now: datetime) -> BackedUp:
    """Write a backup of a home.

    Raises
    ------
    StoreError
        If housekeeping is being done at this moment, or the archive cannot be written.
    """
    state, damaged = stores.home.state, list[str]()
    with stores.leases.holding("housekeeping", stores.namespace) as lease:
        if lease is None:
            raise StoreError(
                f"backup {file}", "a home at rest from housekeeping", "one that is being compacted", "wait"
            )
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=state) as there, writing(file) as archive:
            copies = Path(there)
            # First the spool: what is collected between is in both, and is known by the names of its parts.
            _folder(archive, state, "spool")
            logs = _control(stores, copies)
            archive.add(copies / "control.db", "state/control.db")
            _lake(archive, stores, copies, logs, damaged)
            if (state / "mlflow.db").is_file():
                snapshot(state / "mlflow.db", copies / "mlflow.db")
                archive.add(copies / "mlflow.db", "state/mlflow.db")
            for name in FOLDERS:
                if name != "spool":
                    _folder(archive, state, name)
            for path in _own(stores.home):
                archive.add(path, f"home/{path.relative_to(stores.home.root).as_posix()}")
            archive.close({
                "tidegate": __version__, "schema": HEAD, "namespace": stores.namespace, "made": now.isoformat(),
                "state": str(state), "state_name": stores.project.platform.state, "damaged": damaged,
            })  # fmt: skip
            members = len(archive.members)
    return BackedUp(file, members, file.stat().st_size, tuple(damaged))


def _control(stores: Stores, copies: Path) -> dict[Path, int]:
    """A snapshot of control, and the versions that the tables' logs had: those of the same instant."""
    for _ in range(TRIES):
        before = _versions(stores)
        (copies / "control.db").unlink(missing_ok=True)
        snapshot(stores.home.state / "control.db", copies / "control.db")
        if _versions(stores) == before:
            return before
    # A log that is ahead of control is what a kill leaves, too: the next writer of that window puts it right.
    return before


def _versions(stores: Stores) -> dict[Path, int]:
    folder = stores.home.state / "lake"
    return {
        log: max((int(f.stem) for f in log.glob("*.json") if f.stem.isdigit()), default=-1)
        for log in sorted(folder.rglob("_delta_log"))
    }


def _lake(archive: Archive, stores: Stores, copies: Path, logs: dict[Path, int], damaged: list[str]) -> None:
    state = stores.home.state
    lake = Lake(state, open_control(_opened(copies)), stores.namespace)
    wanted: dict[Path, str] = {}
    for row in rows_of(lake):
        path = lake.path(row.table, row.owner)
        wanted |= {path / name: sha for name, sha in row.files.items()}
    for path, sha in sorted(wanted.items()):
        name = path.relative_to(state).as_posix()
        try:
            found = archive.add(path, f"state/{name}")
        except FileNotFoundError:
            damaged.append(f"{name} is missing")
            continue
        if found != sha:
            damaged.append(f"{name} is not what was recorded")
    for log, last in logs.items():
        for file in sorted(log.iterdir()):
            version = file.name.split(".")[0]
            if version.isdigit() and int(version) <= last:
                archive.add(file, f"state/{file.relative_to(state).as_posix()}")


def _opened(copies: Path) -> Path:
    """A folder of its own for the copy that is read: opening it makes a journal beside it."""
    own = copies / "read"
    own.mkdir(exist_ok=True)
    shutil.copy2(copies / "control.db", own / "control.db")
    return own


def _folder(archive: Archive, state: Path, name: str) -> None:
    for path in _files(state / name):
        try:
            archive.add(path, f"state/{path.relative_to(state).as_posix()}")
        except FileNotFoundError:
            continue  # collected, or cleared away, while we looked


def _files(folder: Path) -> Iterator[Path]:
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(STAGING))
        yield from (Path(at) / n for n in sorted(names) if (Path(at) / n).is_file() and not (Path(at) / n).is_symlink())


def _own(home: Home) -> Iterator[Path]:
    """Configuration and code of the home: text files outside of the state, of hidden folders and environments."""
    for at, folders, names in os.walk(home.root):
        here = Path(at)
        keep = [f for f in sorted(folders) if not f.startswith(".") and f not in ("node_modules", "__pycache__")]
        folders[:] = [f for f in keep if here / f != home.state and not (here / f / "pyvenv.cfg").exists()]
        for name in sorted(names):
            path = here / name
            if path.suffix in CODE and not path.is_symlink() and path.stat().st_size <= LARGEST:
                yield path


def restore(file: Path, into: Path) -> Home:
    """Unpack a backup into a folder without a home, checked to the last byte before anything is put in place.

    Raises
    ------
    UsageError
        If there is a home, or state of one.
    IntegrityError
        If the archive is not as it was written, or of a newer Tidegate.
    StoreError
        If it cannot be read, or the folder not written.
    """
    root = into.resolve()
    if (root / MARKER).exists():
        do = "restore into an empty folder, and compare"
        raise UsageError(f"restore into {into}", "a folder without a home", f"one with {MARKER}", do)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=root) as there:
        staging = Path(there)
        manifest = unpack(file, staging)
        if str(manifest.get("schema", "")) > HEAD:
            found = f"schema {manifest['schema']} of Tidegate {manifest.get('tidegate')}"
            raise IntegrityError(f"backup {file}", f"schema {HEAD} or older", found, "use the Tidegate that wrote it")
        state = root / str(manifest["state_name"])
        if not state.resolve().is_relative_to(root) or (state.exists() and any(state.iterdir())):
            raise UsageError(f"restore into {into}", "no state below it", f"files in {state}", "use an empty folder")
        made = staging / "state"
        if (made / "mlflow.db").is_file():
            moved(made / "mlflow.db", Path(manifest["state"]), state)
        _placed(staging / "home", root)
        state.parent.mkdir(parents=True, exist_ok=True)
        if state.exists():
            state.rmdir()
        os.rename(made, state)
    home = Home.at(root, load_project(Home.at(root)).platform.state)
    stores = open_stores(home)
    for leases in (stores.leases, stores.data_leases):
        leases.free()
    stores.acks.forget()
    return home


def _placed(source: Path, root: Path) -> None:
    """The user's files; one that is there with other bytes is an error before any is put in place."""
    files = [p for p in sorted(source.rglob("*")) if p.is_file()]
    for path in files:
        there = root / path.relative_to(source)
        if there.exists() and there.read_bytes() != path.read_bytes():
            raise UsageError(f"restore into {root}", "an empty folder", f"another {there.name}", "use an empty folder")
    for path in files:
        there = root / path.relative_to(source)
        there.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, there)


__all__ = ["BackedUp", "back_up", "restore"]
