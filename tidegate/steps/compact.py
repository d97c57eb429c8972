"""Housekeeping of a home: one file a window, what is past its time given up, strays away, the disk within its budget.

One run at a time, by a lease; a kill at any point leaves everything readable, and the next run goes on.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tidegate.adapters import ledger
from tidegate.adapters.lake import Lake
from tidegate.adapters.lakeclean import forget, one_file, retire, rows_of, shorten, sweep
from tidegate.adapters.spool import spool_folder
from tidegate.errors import StoreError
from tidegate.privacy.retention import RETIRED, Given, Needed, Row, give_up
from tidegate.steps.collect import alone, plan_of
from tidegate.steps.disk import judge, usage
from tidegate.steps.pins import pinned, prune
from tidegate.steps.stores import Stores
from tidegate.verdicts import Verdict

DAY = 86_400.0
GROWING = ("served", "refusals", "posted_labels", "resources")
"""Tables whose windows grow by parts."""
DATED = ("logs", "pages", "reports")
"""Folders of the state whose old files go."""


@dataclass(slots=True)
class Compacted:
    """What was done, or with `dry` would be: see `give_up`; bytes before and after, and whether they are in budget."""

    merged: int = 0
    retired: dict[str, int] = field(default_factory=dict)
    former: int = 0
    kept: int = 0
    strays: int = 0
    packages: int = 0
    files: int = 0
    before: int = 0
    after: int = 0
    verdict: Verdict = field(default_factory=lambda: Verdict("inconclusive"))
    notes: list[str] = field(default_factory=list)
    dry: bool = False


def compact(stores: Stores, now: datetime, *, dry: bool = False) -> Compacted:
    """Keep house once; with `dry` only say what would be given up.

    Raises
    ------
    StoreError
        If another run keeps house at this moment, or the lake cannot be written.
    """
    with stores.leases.holding("housekeeping", stores.namespace) as lease:
        if lease is None:
            do = "wait for it; a killed one frees its place when its lease is over"
            raise StoreError(f"housekeeping of {stores.home.root}", "one run at a time", "another one", do)
        return _keep_house(stores, now, dry)


def _keep_house(stores: Stores, now: datetime, dry: bool) -> Compacted:
    out, settings = Compacted(dry=dry), stores.project.platform.retention
    out.before = usage(stores.home.state).total
    needed = needed_by(stores, now, settings.reproduce, out.notes)
    for lake in lakes(stores):
        _one_lake(stores, lake, needed, now, out)
    for model in stores.project.models():
        old = settings.reproduce.total_seconds() / DAY
        out.packages += 0 if dry else len(prune(stores, model, old))
    out.files = _dated(stores.home.state, settings.files, now, dry)
    if not dry:
        stores.control.shrink()
    after = usage(stores.home.state)
    out.after, out.verdict = after.total, judge(after, settings)
    return out


def lakes(stores: Stores) -> list[Lake]:
    """The home's own lakes; one that a replay shares with others is theirs to keep."""
    return [stores.lake] if stores.data.folder != stores.lake.folder else [stores.data]


def _one_lake(stores: Stores, lake: Lake, needed: Needed, now: datetime, out: Compacted) -> None:
    settings, rows = stores.project.platform.retention, rows_of(lake)
    given = give_up(rows, settings.tables, settings.restated, needed, now.date(), now)
    out.kept += given.kept
    out.former += len(given.former)
    out.retired = dict(Counter(out.retired) + Counter(r.table for r in given.windows))
    if out.dry:
        return
    out.merged += _merge(stores, lake, rows, now - settings.settle)
    _give(stores, lake, given, now)
    kept = rows_of(lake)
    out.strays += sweep(lake, kept, time.time())[0]
    newest = {(r.table, r.owner, r.window): r for r in kept}
    for table, owner in sorted({(r.table, r.owner) for r in kept}):
        gone = [w for (t, o, w), r in newest.items() if (t, o) == (table, owner) and r.digest == RETIRED]
        shorten(lake, table, owner, gone)


def _give(stores: Stores, lake: Lake, given: Given, now: datetime) -> None:
    """Into the ledger first: what was given up is known even after a kill."""
    if given.windows:
        by_table: dict[tuple[str, str], list[Row]] = {}
        for row in given.windows:
            by_table.setdefault((row.table, row.owner), []).append(row)
        with stores.control.write(durable=True) as c:
            for (table, owner), gone in sorted(by_table.items()):
                body = {
                    "table": table,
                    "windows": {r.window: r.digest for r in gone},
                    "rows": sum(r.rows for r in gone),
                }
                ledger.append(c, namespace=stores.namespace, owner=owner, model=owner, kind="retired", window=None,
                              at=now, body=body)  # fmt: skip
    forget(lake, list(given.former))
    for row in given.windows:
        retire(lake, row, now)


def _merge(stores: Stores, lake: Lake, rows: Iterable[Row], before: datetime) -> int:
    """One file for each window that has settled; parts that may come again keep their names."""
    done, wanted = 0, {}
    for row in rows:
        if row.table in GROWING and row.window < before.date().isoformat():
            wanted[row.table, row.owner, row.window] = len(row.files)
    for (table, owner, window), files in wanted.items():
        if files < 2:
            continue
        folder = spool_folder(stores.home.state, stores.namespace, owner)
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            # A collection that was killed names the parts that it began to add.
            if not plan_of(folder).exists():
                done += one_file(lake, table, owner, window)
    return done


def needed_by(stores: Stores, now: datetime, reproduce: timedelta, notes: list[str]) -> Needed:
    """What the versions need that are in service, can be gone back to, or were trained within `reproduce`."""
    digests: set[str] = set()
    since: dict[tuple[str, str], str] = {}
    for name, model in stores.project.models().items():
        dataset, pins = model.dataset, {p.version for p in pinned(stores, name)}
        for record in stores.records.versions(name):
            if record["version"] not in pins and now - record["known_at"] > reproduce:
                continue
            spec = _spec(stores, name, record)
            if spec is None:
                notes.append(f"version {record['version']} of {name} has no package here, so all its data is kept")
                first = "0001-01-01"
            else:
                digests |= {*spec["batches"].values(), *spec["labels"].values()}
                first = min((*spec["trained"], str(record["body"].get("window", "9999"))), default="0001-01-01")
            for at in (("batches", dataset), ("labels", name)):
                since[at] = min(first, since.get(at, first))
    return Needed(frozenset(digests), since)


def _spec(stores: Stores, model: str, record: dict[str, Any]) -> dict[str, Any] | None:
    try:
        file = stores.package_folder(model, record["digest"]) / "tidegate" / "spec.json"
        spec: dict[str, Any] = json.loads(file.read_text())
        return spec if {"batches", "labels", "trained"} <= set(spec) else None
    except (OSError, ValueError):
        return None


def _dated(state: Path, age: timedelta, now: datetime, dry: bool) -> int:
    """Old files of the folders that hold nothing but what can be written again, and logs."""
    gone, limit = 0, now.timestamp() - age.total_seconds()
    for folder in (state / name for name in DATED):
        for file in folder.rglob("*") if folder.is_dir() and not folder.is_symlink() else ():
            if file.is_file() and not file.is_symlink() and file.stat().st_mtime < limit:
                gone += 1
                if not dry:
                    file.unlink(missing_ok=True)
    return gone


__all__ = ["Compacted", "compact", "lakes", "needed_by"]
