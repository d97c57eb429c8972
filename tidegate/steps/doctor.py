"""What is wrong with a machine, a home and its state, and how to mend each. Nothing is changed by looking."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, TypeVar

from sqlalchemy import func, select

from tidegate.adapters.apikeys import ApiKeys
from tidegate.adapters.control import HEAD
from tidegate.adapters.machine import clock_faults, open_to_others, unwritable, wrong_versions
from tidegate.adapters.orphans import marked
from tidegate.adapters.ports import taken
from tidegate.adapters.schema import verdicts
from tidegate.adapters.segments import waiting, writers
from tidegate.adapters.spool import spool_folder
from tidegate.config.home import MARKER, Home
from tidegate.config.project import Project
from tidegate.errors import ConfigError, TidegateError
from tidegate.steps.alerts import undelivered_pages
from tidegate.steps.deadman import late_models
from tidegate.steps.deploying import old, planned
from tidegate.steps.disk import judge, megabytes, usage
from tidegate.steps.reconcile import half_done
from tidegate.steps.stores import Stores, open_stores
from tidegate.steps.up import running

T = TypeVar("T")
Found = Literal["ok", "warn", "fail"]
BACKLOG = 256 * 2**20
"""Bytes of inferences that wait for collection above which a night seems to be missing."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what was found, and how to mend it if that is not ``ok``."""

    name: str
    found: Found
    words: str
    mend: str = ""


def examine(home: Home, now: datetime) -> list[Check]:
    """Every check, in the order in which one would mend them. A check that cannot be made is a failed one."""
    out = list(_guarded("python", _versions, home))
    out += _guarded("disk", _disk, home)
    out += _guarded("permissions", _permissions, home)
    out += _guarded("config", _config, home)
    try:
        project = Project(home)
    except TidegateError:
        return out  # without it nothing else can be asked
    out += _guarded("ports", _ports, project)
    out += _guarded("processes", _processes, home)
    schema = list(_guarded("schema", _schema, home))
    out += schema
    if any(c.found == "fail" for c in schema):
        return out
    try:
        stores = open_stores(home)
    except TidegateError as fault:
        return [*out, Check("control", "fail", _line(fault), "tidegate restore, from the newest backup")]
    for name, look in STATE.items():
        out += _guarded(name, partial(look, now), stores)
    return out


def _guarded(name: str, look: Callable[[T], Iterator[Check]], subject: T) -> Iterator[Check]:
    try:
        yield from look(subject)
    except TidegateError as fault:
        yield Check(name, "fail", _line(fault), "see the message")
    except OSError as fault:
        yield Check(name, "fail", fault.strerror or str(fault), "see whether the disk and its permissions are as usual")


def _line(fault: Exception) -> str:
    return " ".join(str(fault).split())


def _versions(_: Home) -> Iterator[Check]:
    wrong = wrong_versions()
    do = "make, or: pip install --require-hashes -r requirements.lock"
    yield Check("python", "fail", "; ".join(wrong), do) if wrong else Check("python", "ok", "packages as required")


def _disk(home: Home) -> Iterator[Check]:
    used = usage(home.state)
    try:
        verdict = judge(used, Project(home).platform.retention)
    except TidegateError:
        return
    words = f"{megabytes(used.total)} used, {megabytes(used.free)} free"
    reasons = "; ".join(r.split(". Next:")[0] for r in verdict.reasons)
    yield Check("disk", "ok", words) if verdict.passed else Check("disk", "fail", reasons, "tidegate compact")


def _permissions(home: Home) -> Iterator[Check]:
    fault = unwritable(home.state)
    if fault:
        yield Check(
            "state", "fail", f"cannot be written: {fault}", f"chown or remount; it must be writable: {home.state}"
        )
    else:
        yield Check("state", "ok", "can be written")
    loose = open_to_others(home.state / "private")
    if loose:
        names = ", ".join(p.name for p in loose[:3])
        yield Check("private files", "fail", f"others can read {names}", f"chmod -R go-rwx {home.state / 'private'}")
    else:
        yield Check("private files", "ok", "only their owner can read them")


def _config(home: Home) -> Iterator[Check]:
    """Each file by itself: one that is broken hides no other."""
    try:
        project = Project(home)
    except ConfigError as fault:
        yield Check("config", "fail", _line(fault), f"mend {MARKER}")
        return
    wrong = 0
    for kind, load in (("datasets", project.dataset), ("models", project.model)):
        for path in sorted((home.root / "configs" / kind).glob("*.yaml")):
            try:
                load(path.stem)
            except TidegateError as fault:
                wrong += 1
                yield Check(f"{kind[:-1]} {path.stem}", "fail", _line(fault), f"mend configs/{kind}/{path.name}")
    if not wrong:
        yield Check("config", "ok", "every file loads")
    if (home.root / "deployments").is_dir() and (stale := old(home, planned(home))):
        yield Check(
            "deployments", "warn", f"{', '.join(stale)} is not what the models say", "tidegate deployments --write"
        )


def _ports(project: Project) -> Iterator[Check]:
    """A port is free, or its holder is our own server."""
    ours = {m.pid for m in marked(project.home.state) if not m.orphan}
    at, gate = project.platform.operations, project.platform.serving
    wanted = {"prefect": (at.host, at.prefect_port, "operations.prefect_port"),
              "mlflow": (at.host, at.mlflow_port, "operations.mlflow_port"),
              "pages": (at.host, at.pages_port, "operations.pages_port"),
              "gateway": (gate.host, gate.port, "serving.port")}  # fmt: skip
    busy = 0
    for name, (host, port, key) in wanted.items():
        who = taken(host, port)
        if who and not ours:
            busy += 1
            yield Check(f"port {port}", "warn", f"wanted for {name}, taken by {who}", f"end it, or set {key}")
    if not busy:
        yield Check("ports", "ok", "those of tidegate up" if ours else "free")


def _processes(home: Home) -> Iterator[Check]:
    left = [m for m in marked(home.state) if m.orphan]
    if left:
        pids = " ".join(str(m.pid) for m in left)
        yield Check("processes", "warn", f"{len(left)} are left of a tidegate up that is gone", f"kill {pids}")
    elif known := running(home):
        yield Check("processes", "ok", f"tidegate up runs as {known.get('pid')}")
    else:
        yield Check("processes", "ok", "none left behind; tidegate up does not run")


def _schema(home: Home) -> Iterator[Check]:
    """Read without opening: opening upgrades."""
    file = home.state / "control.db"
    if not file.exists():
        yield Check("control", "ok", "not there yet: the first command makes it")
        return
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as c:
            row = c.execute("select version_num from alembic_version").fetchone()
            sound = c.execute("pragma quick_check(1)").fetchone()[0]
    except sqlite3.Error as fault:
        yield Check("control", "fail", f"cannot be read: {fault}", "tidegate restore, from the newest backup")
        return
    revision = row[0] if row else ""
    if sound != "ok":
        yield Check("control", "fail", f"damaged: {sound}", "tidegate restore, from the newest backup")
    elif revision > HEAD:
        yield Check(
            "schema", "fail", f"{revision}, of a newer Tidegate; this one knows {HEAD}", "install the newer one"
        )
    elif revision < HEAD:
        yield Check(
            "schema", "warn", f"{revision}, will be upgraded to {HEAD} by the next command", "tidegate backup first"
        )
    else:
        yield Check("schema", "ok", f"{HEAD}, sound")


def _clock(now: datetime, stores: Stores) -> Iterator[Check]:
    with stores.control.read() as c:
        newest = c.execute(
            select(func.max(verdicts.c.known_at)).where(verdicts.c.namespace == stores.namespace)
        ).scalar()
    zones = [stores.project.platform.schedule.time_zone]
    for path in sorted((stores.home.root / "configs" / "datasets").glob("*.yaml")):
        try:
            zones.append(stores.project.dataset(path.stem).calendar.time_zone)
        except TidegateError:
            continue
    wrong = clock_faults(newest, now, tuple(zones))
    do = "set the clock (timedatectl set-ntp true), install tzdata"
    yield Check("clock", "fail", "; ".join(wrong), do) if wrong else Check("clock", "ok", "in step, time zones known")


def _switches(_: datetime, stores: Stores) -> Iterator[Check]:
    half = [name for name in _models(stores) if half_done(stores, name)]
    if half:
        yield Check("switches", "warn", f"half done for {', '.join(half)}", f"tidegate reconcile {half[0]}")
    else:
        yield Check("switches", "ok", "none half done")


def _backlog(_: datetime, stores: Stores) -> Iterator[Check]:
    sizes = {}
    for name in _models(stores):
        folder = spool_folder(stores.home.state, stores.namespace, name)
        if folder.is_dir():
            sizes[name] = waiting(folder), len(writers(folder))
    for name, (size, count) in sizes.items():
        if size > BACKLOG:
            words = f"{megabytes(size)} of {name} wait, of {count} writers"
            yield Check("inference log", "warn", words, f"tidegate nightly {name}")
    if all(size <= BACKLOG for size, _ in sizes.values()):
        total = sum(size for size, _ in sizes.values())
        yield Check("inference log", "ok", f"{megabytes(total)} wait for the night" if sizes else "nothing logged yet")


def _keys(_: datetime, stores: Stores) -> Iterator[Check]:
    keys, host = ApiKeys(stores.control, stores.namespace).running(), stores.project.platform.serving.host
    local = host in ("localhost", "::1") or host.startswith("127.")
    if not local and not keys:
        yield Check("API keys", "fail", f"the gateway is to listen on {host} and has none", "tidegate keys add NAME")
    else:
        yield Check("API keys", "ok", f"{len(keys)} in use" if keys else "none needed on loopback")


def _nights(now: datetime, stores: Stores) -> Iterator[Check]:
    overdue = late_models(stores, now)
    for one in overdue:
        words = f"{one.model}: {one.nights} not done, the oldest {one.window}"
        yield Check("nights", "fail", words, f"tidegate up, or: tidegate nightly {one.model} --window {one.window}")
    if not overdue:
        yield Check("nights", "ok", "none overdue")


def _alerts(_: datetime, stores: Stores) -> Iterator[Check]:
    pages = undelivered_pages(stores)
    for page in pages:
        words = f"a page of {page.model} since {page.since:%F %R} reached nobody: {page.error}"
        yield Check("alerts", "fail", words, f"tidegate alerts test {page.channels[0]}" if page.channels else
                    "add a channel to alerts.routes.page, docs/alerts.md")  # fmt: skip
    configured = len(stores.project.platform.alerts.channels)
    if not configured:
        yield Check("alerts", "warn", "no channel: pages are seen in tidegate status only", "see docs/alerts.md")
    elif not pages:
        yield Check("alerts", "ok", f"{configured} channels, no page is undelivered")


def _models(stores: Stores) -> list[str]:
    return sorted(p.stem for p in (stores.home.root / "configs" / "models").glob("*.yaml"))


STATE: dict[str, Callable[[datetime, Stores], Iterator[Check]]] = {
    "clock": _clock, "switches": _switches, "inference log": _backlog, "API keys": _keys, "nights": _nights,
    "alerts": _alerts,
}  # fmt: skip


__all__ = ["Check", "examine"]
