"""The drill: how long going back really takes, measured beside production and without touching it.

A scratch home of copies and links, a gateway of its own on loopback, rows of the newest batch sent to it all along,
and the real command in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import yaml

from tidegate.config.home import Home
from tidegate.config.model import Model
from tidegate.errors import StoreError
from tidegate.steps.caller import Callers, bodies
from tidegate.steps.former import target
from tidegate.steps.stores import Stores
from tidegate.verdicts import Verdict

LIMIT = 5.0
"""Seconds from the command's start to the last answer of the old version."""
COMMAND = (sys.executable, "-m", "tidegate.cli.main")
STARTS, WARM, ENDS = 90.0, 1.5, 60.0
CONNECTIONS = 4


def drill(
    stores: Stores, model: Model, now: datetime, *, to: int | None = None, check: bool = True,
    connections: int = CONNECTIONS,
) -> Verdict:  # fmt: skip
    """Measure the time to restore; the verdict is kept in control under the kind ``drill``.

    Passes if the last answer of today's champion came within `LIMIT` of the command's start and no request failed.
    A connection that is refused and an answer of any status but 200 are failures.

    Raises
    ------
    UsageError
        If there is nothing to go back to, or no batch to send rows of.
    StoreError
        If the gateway does not come up.
    """
    before = stores.plans.get(model.name).champion
    version = target(stores, model, to).version
    rows = bodies(stores, model)
    with scratch(stores, model) as home, _gateway(home, model.name) as url:
        callers = Callers(urlparse(url).netloc, rows, connections)
        try:
            _until(callers, lambda: callers.heard(before) >= 2 * connections)
            time.sleep(WARM)
            words = [*COMMAND, "--home", str(home), "rollback", model.name, "--json", "--by", "drill"]
            words += ["--to", str(to)] if to is not None else []
            began = time.time()
            done = subprocess.run(
                [*words, *([] if check else ["--now"])], capture_output=True, text=True, timeout=ENDS, check=False
            )
            took = time.time() - began
            if not done.returncode:
                _until(callers, lambda: callers.quiet(before) > WARM and callers.heard(version) > 0)
        finally:
            callers.stop()
    verdict = _judged(callers, done, began, took, before, version)
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    stores.records.put_verdict(model.name, "drill", calendar.of(now).id, verdict, now)
    return verdict


def _judged(
    callers: Callers, done: subprocess.CompletedProcess[str], began: float, took: float, before: int | None, to: int
) -> Verdict:
    last, errors = callers.last(before), callers.errors
    seconds = max(last - began, 0.0)
    numbers: dict[str, Any] = {
        "seconds": round(seconds, 3), "command_seconds": round(took, 3), "limit": LIMIT, "from": before, "to": to,
        "answers": callers.answers, "errors": len(errors), "connections": callers.connections,
    }  # fmt: skip
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-400:]
        return Verdict("fail", (f"the command ended with {done.returncode}: {said}",), numbers)
    told = json.loads(done.stdout)
    numbers |= {"workers": len(told["workers"]), "told_seconds": told["seconds"]}
    wrong = []
    if not callers.heard(to):
        wrong.append(f"version {to} never answered")
    if seconds > LIMIT:
        wrong.append(f"the last answer of version {before} came {seconds:.2f} s after the command's start, "
                     f"{LIMIT:g} s are allowed")  # fmt: skip
    if errors:
        wrong.append(f"{len(errors)} of {callers.answers + len(errors)} requests failed, first: {errors[0]}")
    if wrong:
        return Verdict("fail", tuple(wrong), numbers)
    good = f"the last answer of version {before} came {seconds:.2f} s after the command's start"
    return Verdict("pass", (good, f"{callers.answers} requests on {callers.connections} connections, none failed"),
                   numbers)  # fmt: skip


def _until(callers: Callers, reached: Any, patience: float = 30.0) -> None:
    until = time.monotonic() + patience
    while time.monotonic() < until and not reached() and not callers.dead:
        time.sleep(0.02)


@contextmanager
def scratch(stores: Stores, model: Model) -> Iterator[Path]:
    """A home with production's control database copied, its packages linked, its lake only read."""
    home = stores.home
    folder = home.state / "drill"
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="home-", dir=folder))
    try:
        shutil.copytree(home.root / "configs", root / "configs")
        platform = root / "configs" / "tidegate.yaml"
        settings = yaml.safe_load(platform.read_text()) or {}
        platform.write_text(yaml.safe_dump(settings | {"state": "state"}, sort_keys=False))
        for entry in home.root.iterdir():
            if entry.name not in ("configs", "state") and not home.state.is_relative_to(entry):
                (root / entry.name).symlink_to(entry)
        state = root / "state"
        state.mkdir()
        with sqlite3.connect(home.state / "control.db") as source, sqlite3.connect(state / "control.db") as copied:
            source.backup(copied)
            # What production's workers and keys say is not said of this home.
            copied.execute("delete from acks")
            copied.execute("delete from api_keys")
        (state / "lake").symlink_to(home.shared / "lake")
        if (home.state / "overrides.yaml").is_file():
            shutil.copyfile(home.state / "overrides.yaml", state / "overrides.yaml")
        packages = stores.package_folder(model.name, "")
        for package in packages.iterdir():
            if len(package.name) == 64:
                shutil.copytree(package.resolve(), state / "packages" / model.name / package.name, copy_function=_link)
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _link(source: str, copied: str) -> None:
    try:
        os.link(source, copied)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, copied)


@contextmanager
def _gateway(root: Path, model: str) -> Iterator[str]:
    """A gateway of that home on a free loopback port; its address."""
    words = [*COMMAND, "--home", str(root), "serve", model, "--host", "127.0.0.1", "--port", "0"]
    log = root / "gateway.log"
    with log.open("w") as out:
        process = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + STARTS
        while not (found := [w.rstrip(",") for w in log.read_text().split() if w.startswith("http://")]):
            if process.poll() is not None or time.monotonic() > until:
                said = " ".join(log.read_text().split())[-400:] or "nothing"
                raise StoreError("the drill's gateway", "one that comes up", said, f"tidegate serve {model}")
            time.sleep(0.05)
        yield found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def home_of(root: Path) -> Home:
    """The home of a scratch folder."""
    return Home.at(root, "state")


__all__ = ["LIMIT", "drill", "home_of", "scratch"]
