"""One more night when 30, 365 and 3,650 nights are already stored: its cost must not grow.

    python benchmarks/history.py [--nights 30,365,3650]

A real Delta lake with control's records is filled night by night through Tidegate's adapters
(25 columns, 1,000 rows a night). At each length some further nights are timed: the night's
profile is stored, read back, merged into the long reference, compared with it, the reference
stored again, and the previous 28 nights read and merged. Reading and merging every night there
is, which a night does not need, is timed once as the contrast. Writes var/bench/history.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from drift import machine
from peers.data import columns

from tidegate.adapters.control import open_control
from tidegate.adapters.lake import Lake
from tidegate.drift.compare import compare
from tidegate.profile.grid import Grid
from tidegate.profile.profile import Profile, grid_of, merge_all, profile_of
from tidegate.profile.table import from_table, to_table

ROOT = Path(__file__).resolve().parents[1]
FIRST = date(2010, 1, 1)
KNOWN = datetime(2026, 1, 1, tzinfo=UTC)
ROWS, WARM, TIMED, MONTH = 1000, 3, 21, 28


@dataclass
class Clock:
    """CPU and wall seconds by step."""

    seen: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def timed(self, name: str, call: Callable[..., Any], *args: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        out = call(*args)
        self.seen[name].append((time.process_time() - cpu, time.perf_counter() - wall))
        return out

    def medians(self) -> dict[str, dict[str, float]]:
        """Median, least and most CPU milliseconds of each step, and its median wall milliseconds."""
        out = {}
        for name, found in self.seen.items():
            cpu, wall = zip(*(found[WARM:] if len(found) > WARM else found), strict=True)
            figures = (statistics.median(cpu), min(cpu), max(cpu), statistics.median(wall))
            keys = ("cpu_ms", "least_ms", "most_ms", "wall_ms")
            out[name] = {k: round(1000 * v, 3) for k, v in zip(keys, figures, strict=True)} | {"runs": len(cpu)}
        return out


def night(k: int) -> str:
    return (FIRST + timedelta(days=k)).isoformat()


def batch(k: int) -> pa.Table:
    return pa.table(columns(ROWS, np.random.default_rng([7, k]), drifted=False))


def one_more(lake: Lake, grid: Grid, k: int, fresh: Profile, clock: Clock) -> None:
    """The k-th night (from 0), which is not stored yet, with the work that each night needs."""

    def read(table: str, window: str) -> Profile:
        return from_table(lake.read(table, "bench", [window]), grid)

    clock.timed("store the night's profile", lambda: lake.put("profiles", "bench", night(k), to_table(fresh), KNOWN))
    current = clock.timed("read the night's profile", read, "profiles", night(k))
    reference = clock.timed("read the long reference", read, "references", night(k - 1))
    merged = clock.timed("merge the night into it", reference.merge, current)
    clock.timed("compare the night with it", compare, reference, current)
    clock.timed("store the new reference", lambda: lake.put("references", "bench", night(k), to_table(merged), KNOWN))
    month = clock.timed(f"read the last {MONTH} nights", stored, lake, grid, [night(i) for i in range(k - MONTH, k)])
    clock.timed(f"merge the last {MONTH} nights", merge_all, month)


def stored(lake: Lake, grid: Grid, windows: list[str] | None = None) -> list[Profile]:
    """The profiles of these windows, or of all."""
    table, size = lake.read("profiles", "bench", windows), len(grid.axes)
    return [from_table(table.slice(at, size), grid) for at in range(0, table.num_rows, size)]


def fill(lake: Lake, grid: Grid, first: int, end: int, reference: Profile | None) -> Profile:
    """Profile and store the nights from first to end, each of its own rows; returns the reference with them."""
    waiting = [reference] if reference else []
    for k in range(first, end):
        profile = profile_of(batch(k), grid)
        lake.put("profiles", "bench", night(k), to_table(profile), KNOWN)
        waiting = [merge_all([*waiting, profile])] if len(waiting) > MONTH else [*waiting, profile]
    whole = merge_all(waiting)
    lake.put("references", "bench", night(end - 1), to_table(whole), KNOWN)
    return whole


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nights", type=lambda text: [int(x) for x in text.split(",")], default=[30, 365, 3650])
    lengths = sorted(parser.parse_args().nights)
    if lengths[0] < MONTH:
        parser.error(f"expected at least {MONTH} nights, found {lengths[0]}")
    home = ROOT / "var" / "bench" / "history"
    shutil.rmtree(home, ignore_errors=True)
    lake = Lake(home, open_control(home), "bench")
    grid = grid_of(pa.concat_tables([batch(k) for k in range(30)]))
    done, out = 0, {}
    reference: Profile | None = None
    for length in lengths:
        reference = fill(lake, grid, done, length, reference)
        done = length + WARM + TIMED
        clock, whole = Clock(), Clock()
        nights = whole.timed("read every night", stored, lake, grid)
        whole.timed("merge every night", merge_all, nights)
        del nights
        for k in range(length, done):
            one_more(lake, grid, k, profile_of(batch(k), grid), clock)
        reference = from_table(lake.read("references", "bench", [night(done - 1)]), grid)
        steps = clock.medians()
        nightly = round(sum(s["cpu_ms"] for s in steps.values()), 3)
        held = sum(len(c.rows) for c in reference.columns.values())
        out[str(length)] = {
            "steps": steps,
            "night_cpu_ms": nightly,
            "merge_ms_a_night": round(steps[f"merge the last {MONTH} nights"]["cpu_ms"] / MONTH, 3),
            "reference_buckets": held,
            "contrast": whole.medians(),
        }
        print(f"{length:>5} nights: {nightly:.1f} ms of CPU for one more", flush=True)
    body = {"machine": machine(), "rows": ROWS, "columns": len(grid.axes), "nights": out}
    (ROOT / "var" / "bench" / "history.json").write_text(json.dumps(body, indent=1))
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
