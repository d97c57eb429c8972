"""Forks of a baseline: a home of its own as things were on one evening, deleted when it has told its story."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tidegate.adapters.injected import frames_folder
from tidegate.clock import evening_of
from tidegate.config.home import Home
from tidegate.errors import UsageError
from tidegate.steps.labbase import Base, Lived, live
from tidegate.steps.stores import Stores, stores_of

_number = count()

NEWEST = """select "table", owner, files from windows where id in
            (select max(id) from windows group by namespace, "table", owner, window)"""


@contextmanager
def fork(base: Base, evening: str) -> Iterator[Stores]:
    """A baseline's home as it was on the evening of a snapshot, free to be changed.

    Control is copied. Bulk files and packages are never changed by anybody: the files are hard links, the packages
    symbolic ones, and the fork's Delta logs begin anew (control is what readers go by). So nothing that happens in a
    fork reaches the baseline.

    Raises
    ------
    UsageError
        If there is no snapshot of that evening.
    """
    source = base.home.state / "snapshots" / evening
    if not source.is_dir():
        raise UsageError(f"fork of {evening}", f"one of {base.snapshots}", "no snapshot")
    folder = base.home.shared.parent / "forks" / f"{os.getpid()}-{next(_number)}"
    _clear(folder.parent)
    home = Home(base.home.root, folder / "state", folder / "shared")
    try:
        for name, mine, theirs in (("state", home.state, base.home.state), ("shared", home.shared, base.home.shared)):
            mine.mkdir(parents=True)
            shutil.copyfile(source / f"{name}.db", mine / "control.db")
            _link(mine, theirs, base.stores.namespace)
        shutil.copyfile(base.home.state / "overrides.yaml", home.state / "overrides.yaml")
        packages = home.state / "packages" / base.model_name
        packages.mkdir(parents=True)
        for package in (base.home.state / "packages" / base.model_name).iterdir():
            (packages / package.name).symlink_to(package.resolve())
        stores = stores_of(home)
        yield stores
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear(folder: Path) -> None:
    """Delete what killed processes left."""
    for left in folder.glob("*-*") if folder.is_dir() else ():
        try:
            os.kill(int(left.name.split("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except (ValueError, PermissionError):
            continue


def _link(mine: Path, theirs: Path, namespace: str) -> None:
    database = sqlite3.connect(mine / "control.db")
    made: set[Path] = set()
    for table, owner, files in database.execute(NEWEST):
        for name in json.loads(files):
            path = Path("lake") / namespace / table / owner / name
            if path.parent not in made:
                (mine / path.parent).mkdir(parents=True, exist_ok=True)
                made.add(path.parent)
            os.link(theirs / path, mine / path)
    database.close()


def carry_on(base: Base, stores: Stores, nights: list[str]) -> list[Lived]:
    """Live through nights in a fork, each with the frames that were put there, or else the baseline's."""
    model = stores.project.model(base.model_name)
    out = []
    for night in nights:
        _undisturbed(base, stores.home, night)
        window = base.window(night)
        out.append(live(stores, model, window, evening_of(window)))
    return out


def _undisturbed(base: Base, home: Home, night: str) -> None:
    """The baseline's frames of a night and of the events whose labels come then, where the fork has none."""
    events = [night, base.nights_before(night, base.delay)]
    for of in (f"rows/{base.model.dataset}", f"labels/{base.model_name}"):
        folder = frames_folder(home, of)
        folder.mkdir(parents=True, exist_ok=True)
        for event in events:
            theirs, mine = frames_folder(base.home, of) / f"{event}.parquet", folder / f"{event}.parquet"
            if theirs.is_file() and not mine.is_file():
                os.link(theirs, mine)
