"""The lab at profile level: every fault on paired seeds, in two processes, a line a cell, resumable."""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tidegate.config.home import Home
from tidegate.errors import StoreError, TidegateError, UsageError
from tidegate.lab.catalogue import FAULTS, SIZES
from tidegate.steps.labcell import NIGHTS, SLOW, cell, onset, plan_of
from tidegate.steps.laborder import Order
from tidegate.steps.labtrial import opened, prepare
from tidegate.steps.stores import open_stores

WORKERS = 2
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
VERSION = 1
"""Changes with what a line means: lines of another version are never mixed."""

Progress = Callable[[int, int, str], None]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Plot:
    """How a lab is run; an id has one, and only its seeds may grow.

    ``orders``: orders of the nights, half of each side; a seed belongs to one. ``budget``: false pages in 30 nights.
    """

    model: str
    first: str
    last: str
    orders: int
    seed: int
    budget: float
    delays: tuple[int, ...]
    version: int = VERSION


def run_profile(
    home: Home,
    plot: Plot,
    folder: Path,
    seeds: int,
    now: datetime,
    *,
    workers: int = WORKERS,
    progress: Progress = lambda done, of, words: None,
) -> list[dict[str, Any]]:
    """Compute what is missing of a lab's lines, and give them all; a run that was killed goes on where it was.

    Parameters
    ----------
    folder : Path
        ``var/lab/<id>``: holds `profile.jsonl`, the settings and the trained base.
    seeds : int
        Paired seeds: each is one onset and one plan a fault, for all sizes and rules.

    Raises
    ------
    UsageError
        The id was begun with other settings; too few nights; no `build`.
    """
    if plot.orders < 2 or plot.orders % 2 or seeds < 1:
        raise UsageError(
            "lab", "an even number of orders and a seed or more", f"{plot.orders} and {seeds}", "name more"
        )
    _same(folder, plot)
    stores = open_stores(home)
    model = stores.project.model(plot.model)
    first, last = date.fromisoformat(plot.first), date.fromisoformat(plot.last)
    prepare(stores, model, folder / "base", first, last, now, lambda words: progress(0, 0, words))
    path = folder / "profile.jsonl"
    lines = read_lines(path)
    done = {_key(line) for line in lines}
    wanted = {_key({"kind": "history", "order": k}) for k in range(plot.orders)} | {
        (f.name, size, str(s)) for f in FAULTS for size in SIZES for s in range(seeds)
    }
    missing = len(wanted - done)
    progress(len(wanted) - missing, len(wanted), "")
    if missing:
        with path.open("a") as out:
            for line in _computed(home, plot, folder, seeds, done, workers):
                out.write(json.dumps(line) + "\n")
                out.flush()
                lines.append(line)
                done.add(_key(line))
                progress(len(wanted & done), len(wanted), str(line.get("fault", "history")))
    return [line for line in lines if _key(line) in wanted]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file, each cell once; a line that a kill cut off is taken away."""
    if not path.is_file():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        path.write_bytes(whole)
    found: dict[Key, dict[str, Any]] = {}
    for row in whole.splitlines():
        try:
            line = json.loads(row)
            found.setdefault(_key(line), line)
        except (ValueError, KeyError, TypeError) as fault:
            raise StoreError(str(path), "a line of JSON a cell", f"{fault}", "delete the file to begin again") from None
    return list(found.values())


def _key(line: dict[str, Any]) -> Key:
    return ("history", str(line["order"])) if line["kind"] == "history" else (
        line["fault"], line["size"], str(line["seed"]))  # fmt: skip


def _same(folder: Path, plot: Plot) -> None:
    path = folder / "settings.json"
    mine = json.loads(json.dumps(asdict(plot)))
    folder.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        path.write_text(json.dumps(mine, indent=1))
        return
    theirs = json.loads(path.read_text())
    if theirs != mine:
        other = ", ".join(f"{k} {theirs.get(k)}" for k in mine if theirs.get(k) != mine[k])
        raise UsageError(
            f"lab {folder.name!r}", "the settings that it began with", f"others: {other}", "name another --id"
        )


def _computed(
    home: Home, plot: Plot, folder: Path, seeds: int, done: set[Key], workers: int
) -> Iterator[dict[str, Any]]:
    """The missing lines, as they come; each order is one process's."""
    lots = [list(range(w, plot.orders, workers)) for w in range(workers)]
    todo = [(home, plot, folder, seeds, frozenset(done), lot) for lot in lots if lot]
    if workers == 1:
        yield from _lines(*todo[0])
        return
    told: Any = multiprocessing.get_context("spawn").Queue()
    running = _started(told, todo)
    try:
        left = len(running)
        while left:
            try:
                line = told.get(timeout=5)
            except queue.Empty:
                if dead := [p.exitcode for p in running if p.exitcode]:
                    raise StoreError("lab", "its processes to end well", f"exit codes {dead}", "resume") from None
                continue
            if isinstance(line, TidegateError):
                raise line
            if line is None:
                left -= 1
            else:
                yield line
    finally:
        for process in running:
            process.terminate()
            process.join()


def _started(told: Any, todo: Sequence[tuple[Any, ...]]) -> list[BaseProcess]:
    """A process for each lot; threads of each would wait for those of the other, so each has one."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        context = multiprocessing.get_context("spawn")
        running = [context.Process(target=_work, args=(told, os.getpid(), *job), daemon=True) for job in todo]
        for process in running:
            process.start()
        return list(running)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(told: Any, parent: int, *job: Any) -> None:
    try:
        for line in _lines(*job):
            told.put(line)
            if os.getppid() != parent:  # killed: nobody reads any more
                return
        told.put(None)
    except TidegateError as fault:
        told.put(fault)


def _lines(
    home: Home, plot: Plot, folder: Path, seeds: int, done: frozenset[Key], orders: Sequence[int]
) -> Iterator[dict[str, Any]]:
    base = opened(home, plot.model, folder / "base")
    for k in orders:
        mine = range(k, seeds, plot.orders)
        cells = [(s, f, i) for s in mine for f in FAULTS for i, size in enumerate(SIZES)
                 if (f.name, size, str(s)) not in done]  # fmt: skip
        if ("history", str(k)) in done and not cells:
            continue
        order = Order(base, k, plot.seed, plot.budget)
        if ("history", str(k)) not in done:
            yield _history(order, plot)
        longest = max(max(plot.delays) + NIGHTS, SLOW)
        for s, fault, i in cells:
            at = onset(order, plot.seed, s, longest)
            plan = plan_of(order, fault, at)
            if plan is None:  # nothing in these data that it could touch
                yield {"kind": "cell", "fault": fault.name, "size": SIZES[i], "seed": s, "order": k, "held": None}
                continue
            yield cell(order, fault, i, plan, at, plot.delays)


def _history(order: Order, plot: Plot) -> dict[str, Any]:
    held = {str(d): {rule: [round(float(v), 4) for v in n] for rule, n in order.clean(d).items()} for d in plot.delays}
    rule, least = order.limits.rule, order.trial.model.alarms.min_effect
    return {
        "kind": "history", "order": order.k, "side": order.k % 2, "quiet": rule.quiet, "min_effect": least,
        "words": order.limits.words, "held": held,
    }  # fmt: skip
