"""Collect: what waits in a model's spool, into the lake, exactly once.

Segments are collected in groups. A plan names a group's segments before anything of it is stored, and the part of
each window that it becomes; the lake adds a part once. Segments are deleted when control has all their parts, then the
plan. So a kill at any point leaves a plan whose repetition changes nothing, or no plan and nothing half-done.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from tidegate.adapters.counterpage import read_page
from tidegate.adapters.segments import COUNTS, LOCK, Segment, claim, records, recover, sealed, writers
from tidegate.adapters.spool import spool_folder
from tidegate.config.model import Model
from tidegate.errors import StoreError
from tidegate.steps.logged import read_segments
from tidegate.steps.posted import without_repeats
from tidegate.steps.stores import Stores
from tidegate.verdicts import Outcome, Verdict

GROUP = 32 * 2**20
"""Bytes of segments that are collected at once; a larger segment is a group of its own."""
PATIENCE = 60.0
KIND = "log"
"""Kind of the verdict on what the writers dropped; its window is that of the night that collected."""


@dataclass
class Collected:
    """What one collection brought in, and what it heard of rows that no writer could store.

    ``dropped`` (``lost``, a part of it, to killed writers) are rows since the collection before; ``damaged`` rows are
    in segments that are kept as ``.bad``; ``wrong`` says which posted labels were refused.
    """

    rows: int = 0
    refused: int = 0
    labels: int = 0
    windows: set[str] = field(default_factory=set)
    dropped: int = 0
    lost: int = 0
    damaged: int = 0
    writers: int = 0
    wrong: list[str] = field(default_factory=list)


def collect(stores: Stores, model: Model, now: datetime) -> Collected:
    """Take in every sealed segment, and what dead writers left open; nothing without a spool.

    The verdict of kind `log` says what was dropped since the collection before, and fails where anything was.
    """
    folder, out = spool_folder(stores.home.state, stores.namespace, model.name), Collected()
    if not folder.is_dir():
        return out
    with alone(folder):
        _finish(stores, model, folder, now, out)
        dead: dict[Path, int] = {}
        try:
            for writer in writers(folder):
                if (held := claim(writer)) is not None:
                    dead[writer] = held
                    recover(writer)
            for group in _groups([s for writer in writers(folder) for s in sealed(writer)]):
                plan = {"part": group[0].id, "segments": [f"{s.writer.name}/{s.path.name}" for s in group]}
                _write_plan(folder, plan)
                _finish(stores, model, folder, now, out)
            _judge(stores, model, folder, now, out)
            for writer in dead:
                _remove(writer)
        finally:
            for held in dead.values():
                os.close(held)
    return out


def _groups(segments: list[Segment]) -> Iterator[list[Segment]]:
    group: list[Segment] = []
    size = 0
    for segment in segments:
        if group and size + segment.size > GROUP:
            yield group
            group, size = [], 0
        group.append(segment)
        size += segment.size
    if group:
        yield group


def plan_of(folder: Path) -> Path:
    return folder / ".collecting.json"


def _write_plan(folder: Path, plan: Mapping[str, object]) -> None:
    draft = folder / ".collecting.draft"
    with draft.open("w") as file:
        json.dump(plan, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(plan_of(folder))


def _finish(stores: Stores, model: Model, folder: Path, now: datetime, out: Collected) -> None:
    """Carry out the plan, if there is one: the lake, then the segments, then the plan itself."""
    if not plan_of(folder).exists():
        return
    plan = json.loads(plan_of(folder).read_text())
    paths = [folder / name for name in plan["segments"]]
    there = [Segment(p, p.name.split(".")[0], int(p.name.split(".")[1])) for p in paths if p.exists()]
    if len(there) == len(paths):
        found = _store(stores, model, there, plan["part"], now, out)
    else:
        # Segments are deleted when everything is stored, and not before.
        found = {s.id: sum(rows for rows, _, _ in records(s.path)) for s in there}
    for segment in there:
        missing = segment.rows - found.get(segment.id, segment.rows)
        if missing > 0:
            segment.path.rename(segment.path.with_name(f"{segment.id}.{missing}.bad"))
        else:
            segment.path.unlink()
    plan_of(folder).unlink()


def _store(
    stores: Stores, model: Model, segments: list[Segment], part: str, now: datetime, out: Collected
) -> dict[str, int]:
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    read = read_segments(model, calendar, segments)
    read.tables["posted_labels"] = without_repeats(stores, model, read.tables["posted_labels"])
    for name, by_window in read.tables.items():
        for window, table in sorted(by_window.items()):
            stores.lake.add(name, model.name, window, {part: table}, now)
    out.rows += _rows(read.tables["served"])
    out.refused += sum(sum(t["count"].to_pylist()) for t in read.tables["refusals"].values())
    out.labels += _rows(read.tables["posted_labels"])
    out.windows |= set(read.tables["served"])
    out.wrong += read.wrong
    return read.found


def _rows(tables: dict[str, pa.Table]) -> int:
    return sum(t.num_rows for t in tables.values())


def _judge(stores: Stores, model: Model, folder: Path, now: datetime, out: Collected) -> None:
    """Store what the writers dropped since the collection of an earlier window.

    The books of a writer count from its start, so the verdict keeps them: the next one goes on from there.
    """
    window = stores.project.calendar(stores.project.dataset(model.dataset)).of(now).id
    known = sorted(stores.records.outcomes(model.name, KIND))
    window = max([window, *known[-1:]])
    body = stores.records.verdicts(model.name, KIND, [window, *[w for w in known if w < window][-1:]])
    before: dict[str, list[int]] = next((v.numbers["writers"] for w, v in body.items() if w < window), {})
    tonight = body[window].numbers if window in body else {"writers": {}, "wrong": []}
    books, reasons = dict(tonight["writers"]), []
    for writer in writers(folder):
        counts = read_page(writer / COUNTS)
        if counts is None:
            reasons.append(f"the counts of writer {writer.name} cannot be read")
        else:
            books[writer.name] = [counts.admitted, counts.stored, counts.dropped, counts.lost]
    since = [sum(book[k] - before.get(writer, [0, 0, 0, 0])[k] for writer, book in books.items()) for k in range(4)]
    admitted, stored, out.dropped, out.lost = since
    unread = bool(reasons)
    bad = sorted(folder.glob("*/*.bad"))
    out.damaged, out.writers = sum(int(p.name.split(".")[1]) for p in bad), len(books)
    wrong = [*tonight["wrong"], *out.wrong][:20]
    if out.dropped:
        reasons.append(f"{out.dropped} of {admitted} inferences were not logged, {out.lost} of them lost to a kill")
    if bad:
        reasons.append(f"{out.damaged} logged inferences are damaged, in {len(bad)} segments such as {bad[0].name}")
    reasons += [f"not taken in: {w}" for w in wrong[:3]]
    failed = out.dropped or bad or wrong
    outcome: Outcome = "fail" if failed else "inconclusive" if unread else "pass"
    if not books and not reasons:
        return
    numbers = {"admitted": admitted, "stored": stored, "dropped": out.dropped, "lost": out.lost,
               "damaged": out.damaged, "wrong": wrong, "writers": books}  # fmt: skip
    stores.records.put_verdict(model.name, KIND, window, Verdict(outcome, tuple(reasons), numbers), now)


def _remove(writer: Path) -> None:
    """Remove a dead writer's folder, unless something in it still waits or is damaged."""
    if any(p.name not in (LOCK, COUNTS) for p in writer.iterdir()):
        return
    with suppress(OSError):
        for name in (COUNTS, LOCK):
            (writer / name).unlink(missing_ok=True)
        writer.rmdir()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One collector at a time; it ends with its process."""
    held = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > until:
                    do = "wait for it, or end it"
                    raise StoreError(f"spool {folder}", "one collector at a time", "another one", do) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(held)


__all__ = ["KIND", "Collected", "alone", "collect", "plan_of"]
