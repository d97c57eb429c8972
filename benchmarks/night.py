"""What a night costs: CPU and wall seconds of each step on the flights, and of `tidegate --help`.

    make bench

Writes var/bench/night.json and prints the medians. The first three nights warm up and do not count.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from tidegate.clock import evening_of
from tidegate.config.home import Home
from tidegate.steps import candidate, decide, ingest, labels, measure, promote, score, watch
from tidegate.steps.replaying import prepare_home
from tidegate.steps.stores import open_stores

ROOT = Path(__file__).resolve().parents[1]
WARM, NIGHTS = 3, 21


def steps() -> dict[str, dict[str, float]]:
    """Median CPU and wall seconds of each step over nights in March."""
    shutil.rmtree(ROOT / "var" / "replay" / "bench", ignore_errors=True)
    home = prepare_home(Home.at(ROOT), "flights", "bench", "tidegate")
    stores = open_stores(home)
    model = stores.project.model("flights")
    dataset = stores.project.dataset(model.dataset)
    calendar = stores.project.calendar(dataset)
    seen: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def timed(name: str, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        out = call(*args, **named)
        seen[name].append((time.process_time() - cpu, time.perf_counter() - wall))
        return out

    for w in calendar.range(date(2013, 1, 1), date(2013, 2, 28)):
        ingest.ingest(stores, dataset, w, evening_of(w))
        labels.collect_labels(stores, model, w, evening_of(w))
    last = calendar.window("2013-02-28")
    now = evening_of(last)
    version = timed("train, register", candidate.train_and_register, stores, model, last, now, reason="first_model")
    candidate.look_at(stores, model, version, last, now)
    promote.promote(stores, model, version, last, now, why={"reason": "first_model"}, by="bench")
    for w in list(calendar.range(date(2013, 3, 1), date(2013, 4, 30)))[: WARM + NIGHTS]:
        at = evening_of(w)
        timed("ingest", ingest.ingest, stores, dataset, w, at)
        timed("labels", labels.collect_labels, stores, model, w, at)
        timed("measure", measure.measure, stores, model, w, at)
        timed("score", score.score, stores, model, w, at)
        timed("watch", watch.watch, stores, model, w, at)
        timed("decide", decide.decide_window, stores, model, w, at)
        timed("ingest again", ingest.ingest, stores, dataset, w, at, again=True)
        timed("score again", score.score, stores, model, w, at)
    return {name: _median(found[WARM:] if len(found) > WARM else found) for name, found in seen.items()}


def _median(found: list[tuple[float, float]]) -> dict[str, float]:
    return {
        "cpu_s": round(statistics.median(c for c, _ in found), 4),
        "wall_s": round(statistics.median(w for _, w in found), 4),
        "runs": len(found),
    }


def command(*args: str, runs: int = 9) -> dict[str, float]:
    """Median wall seconds of a command, bytecode compiled as `make` leaves it."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    walls = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        program = str(Path(sys.executable).with_name("tidegate"))
        subprocess.run([program, *args], env=env, stdout=subprocess.DEVNULL, check=True)
        walls.append(time.perf_counter() - began)
    return {"wall_s": round(statistics.median(walls[1:]), 3), "runs": runs}


if __name__ == "__main__":
    out = {"machine": {"cpus": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()},
           "tidegate --help": command("--help"), "night": steps()}  # fmt: skip
    night = [out["night"][k] for k in ("ingest", "labels", "measure", "score", "watch", "decide")]
    out["one night"] = {k: round(sum(v[k] for v in night), 3) for k in ("cpu_s", "wall_s")}
    target = ROOT / "var" / "bench" / "night.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(out, indent=1))
    print(json.dumps(out, indent=1))
