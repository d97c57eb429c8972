"""The lab through the whole chain: its cells and scenarios over processes, a line each, none done twice."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from tidegate.lab.catalogue import FAULTS, fault_named
from tidegate.lab.rightaction import Outcome, summary
from tidegate.steps.labactions import play
from tidegate.steps.labbase import Ground, baseline
from tidegate.steps.labbench import Bench, cell
from tidegate.steps.labscene import poisoned

Progress = Callable[[int, int, str], None]
Kind = Literal["chain", "actions"]
LARGEST = 2
DELAYS = (2, 60)
QUICK_SCENES = (("unchanged", 0), ("unit_change", 2), ("calibration_shift", 2), ("sudden_concept_shift", 2),
                ("bad_promotion", 2))  # fmt: skip
"""Scenarios of a quick run: one for each answer that is likely to be right."""
FULL_SCENES = (
    ("unchanged", 0), ("benign_idle_column", 2), ("benign_mix", 2), ("benign_more_rows", 2), ("unit_change", 1),
    ("unit_change", 2), ("null_burst", 1), ("null_burst", 2), ("stale_feature", 1), ("stale_feature", 2),
    ("category_remap", 2), ("new_category", 2), ("duplicated_rows", 1), ("partial_batch", 2), ("label_flip", 1),
    ("label_flip", 2), ("slow_covariate_shift", 2), ("shifted_segment", 2), ("upstream_default", 1),
    ("upstream_default", 2), ("sudden_concept_shift", 0), ("sudden_concept_shift", 1), ("sudden_concept_shift", 2),
    ("calibration_shift", 0), ("calibration_shift", 1), ("calibration_shift", 2), ("bad_promotion", 0),
    ("bad_promotion", 1), ("bad_promotion", 2),
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One cell or scenario: all that a worker needs to know."""

    kind: Kind
    ground: Ground
    order: int
    delay: int
    name: str
    size: int
    seed: int

    @property
    def key(self) -> str:
        return f"{self.name}/{self.size}/{self.delay}/{self.seed}"


def run_chain(
    ground: Ground,
    seeds: Iterable[int],
    delays: Sequence[int] = DELAYS,
    faults: Sequence[str] | None = None,
    say: Progress = lambda done, of, words: None,
    *,
    orders: int = 1,
    size: int = LARGEST,
    workers: int = 2,
) -> list[dict[str, Any]]:
    """Every fault at one size through the real steps of the nights that it touches; the lines of `chain.jsonl`.

    Parameters
    ----------
    seeds : iterable of int
        From 1 on; each draws an evening and what the fault is about, the same for every delay. Seeds go round the
        `orders` of the nights.
    delays : sequence of int
        Nights until labels are known.
    faults : sequence of str, optional
        Names of the catalogue's kinds; left out, all.
    """
    names = [fault_named(f).name for f in faults] if faults is not None else [f.name for f in FAULTS]
    jobs = [
        Job("chain", ground, 1 + (s - 1) % orders, d, name, size, s)
        for s in seeds for name in names for d in delays
    ]  # fmt: skip
    return _run(ground.folder / "chain.jsonl", jobs, say, workers)


def run_actions(
    ground: Ground,
    seeds: Iterable[int],
    scenes: Sequence[tuple[str, int]] = QUICK_SCENES,
    say: Progress = lambda done, of, words: None,
    *,
    orders: int = 1,
    delay: int = DELAYS[0],
    workers: int = 2,
) -> dict[str, Any]:
    """Every action really carried out in each scenario (a kind and its size, 0 to 2); `scoreboard["right_action"]`."""
    jobs = [
        Job("actions", ground, 1 + (s - 1) % orders, delay, name, size, s)
        for s in seeds for name, size in scenes
    ]  # fmt: skip
    return right_action(_run(ground.folder / "actions.jsonl", jobs, say, workers))


def right_action(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The measure of the right action over the lines of `actions.jsonl`."""
    told = [r for r in lines if r.get("right")]
    return summary([Outcome(f"{r['scenario']}/{r['size']}", tuple(r["right"]), r["chosen"]) for r in told])


def _run(path: Path, jobs: Sequence[Job], say: Progress, workers: int) -> list[dict[str, Any]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    wanted = {j.key for j in jobs}
    known = {key: line for key, line in read_lines(path) if key in wanted}
    open_jobs = [j for j in jobs if j.key not in known]
    _prepare(open_jobs, say)
    with path.open("a") as file:
        for done, (job, line) in enumerate(_spread(_one, open_jobs, workers), start=1):
            body = {"key": job.key, **(line or {"nothing": "the fault finds nothing to touch"})}
            file.write(json.dumps(body) + "\n")
            file.flush()
            known[job.key] = body
            words = f"{job.kind}: {job.name}, labels after {job.delay} nights, seed {job.seed}"
            say(len(jobs) - len(open_jobs) + done, len(jobs), words)
    return [known[j.key] for j in jobs if "nothing" not in known[j.key]]


def read_lines(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The whole lines of a run's file with their keys; a torn last line of a killed run is dropped from the file."""
    if not path.is_file():
        return []
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    lines = [json.loads(line) for line in whole.splitlines()]
    return [(line["key"], line) for line in lines]


def _prepare(jobs: Sequence[Job], say: Progress) -> None:
    """What several jobs share is made before they are spread: baselines, importances, poisoned champions."""

    def tell(words: str) -> None:
        say(0, 0, words)

    for ground, order, delay in dict.fromkeys((j.ground, j.order, j.delay) for j in jobs):
        base = baseline(ground, order, delay, tell)
        assert Bench(base).importance is not None
        mine = [j for j in jobs if (j.order, j.delay, j.name) == (order, delay, "bad_promotion")]
        for size in sorted({j.size for j in mine}):
            tell(f"training a poisoned champion, size {size}")
            poisoned(base, size)


@lru_cache(maxsize=4)
def _bench(ground: Ground, order: int, delay: int) -> Bench:
    return Bench(baseline(ground, order, delay))


def _one(job: Job) -> dict[str, Any] | None:
    bench = _bench(job.ground, job.order, job.delay)
    if job.kind == "chain":
        return cell(bench, fault_named(job.name), job.size, job.seed)
    return play(bench, job.name, job.size, job.seed)


Line = dict[str, Any] | None


def _spread(work: Callable[[Job], Line], jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Line]]:
    """Each job with what came of it, as they finish; in this process with one worker."""
    if workers < 2 or len(jobs) < 2:
        yield from ((job, work(job)) for job in jobs)
        return
    # Spawned: a forked process would have this one's database connections and threads' locks.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = iter(jobs)
        running: dict[Future[Line], Job] = {pool.submit(work, j): j for j in islice(waiting, 2 * workers)}
        try:
            while running:
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    job = running.pop(future)
                    yield job, future.result()
                    running |= {pool.submit(work, j): j for j in islice(waiting, 1)}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
