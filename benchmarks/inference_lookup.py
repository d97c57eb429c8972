"""How long it takes to find one inference by its id among many: python -m benchmarks.inference_lookup

Writes ten million logged rows of 16 features over ten windows into a folder of its own, as `collect` stores them (parts
of a hundred thousand rows, sorted by id), looks ids up in a fresh process's state, and removes the folder again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from tidegate.adapters.control import open_control
from tidegate.adapters.inferenceids import new_ids
from tidegate.adapters.lake import Lake

FIRST = datetime(2035, 1, 1, tzinfo=UTC)  # ids of a process only rise: a day that no clock has seen yet
PART = 100_000


def part(start: datetime, k: int, of: int, rng: np.random.Generator) -> pa.Table:
    """The rows of one part: ids spread over its share of the day."""
    begin = int(start.timestamp() * 1e9) + k * 86_400 * 10**9 // of
    step = 86_400 * 10**9 // of // PART
    ids = [new_ids(1, begin + i * step)[0] for i in range(PART)]
    raw = rng.bytes(16 * PART).hex()
    same = {name: pa.repeat(text, PART) for name, text in (
        ("package", "p" * 64), ("code", "c" * 64), ("environment", "e" * 12), ("route", "champion"),
        ("source", "gateway"), ("caller", "till"))}  # fmt: skip
    columns = {
        "inference_id": pa.array(ids), "row_id": pa.array([raw[32 * i : 32 * i + 32] for i in range(PART)]),
        "received_at": pa.array(begin // 1000 + np.arange(PART) * step // 1000, pa.timestamp("us", "UTC")),
        "latency_us": pa.array(rng.gamma(4, 60, PART)), "version": pa.array(np.full(PART, 3, np.int32)), **same,
        "score": pa.array(rng.random(PART)), "confidence": pa.array(rng.random(PART)),
        "prediction": pa.array(rng.integers(0, 2, PART).astype(np.int32)),
    }  # fmt: skip
    features = {f"in_f{i}": pa.array(rng.normal(size=PART).round(2)) for i in range(12)}
    features |= {f"in_c{i}": pa.array(rng.choice(["EWR", "JFK", "LGA"], PART)) for i in range(4)}
    return pa.table({**columns, **features})


def main() -> int:
    """Prints the figures as JSON; 1 if the slowest lookup took more than a second."""
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--rows", type=int, default=10_000_000)
    parse.add_argument("--windows", type=int, default=10)
    parse.add_argument("--lookups", type=int, default=40)
    asked = parse.parse_args()
    rng, wanted = np.random.default_rng(5), []
    folder = Path(tempfile.mkdtemp(prefix="lookup-"))
    try:
        lake = Lake(folder, open_control(folder), "bench")
        of = max(1, asked.rows // asked.windows // PART)
        for day in range(asked.windows):
            start = FIRST + timedelta(days=day)
            for k in range(of):
                table = part(start, k, of, rng)
                lake.add("served", "m", start.date().isoformat(), {f"{day:02}-{k:04}": table}, start)
                wanted += [(start.date().isoformat(), table["inference_id"][int(i)].as_py())
                           for i in rng.integers(0, PART, 2)]  # fmt: skip
        size = sum(p.stat().st_size for p in folder.rglob("*.parquet"))
        seconds = []
        for i in rng.permutation(len(wanted))[: asked.lookups]:
            window, name = wanted[int(i)]
            began = time.perf_counter()
            found = Lake(folder, open_control(folder), "bench").find("served", "m", [window], "inference_id", name)
            seconds.append(time.perf_counter() - began)
            if found["inference_id"].to_pylist() != [name]:
                raise SystemExit(f"{name} was not found")
        began = time.perf_counter()
        (nobody,) = new_ids(1, int(FIRST.timestamp() * 1e9))
        if Lake(folder, open_control(folder), "bench").find("served", "m", None, "inference_id", nobody).num_rows:
            raise SystemExit("an id of nobody was found")
        nowhere = time.perf_counter() - began
    finally:
        shutil.rmtree(folder)
    figures = {
        "rows": of * PART * asked.windows, "windows": asked.windows, "parts": of * asked.windows,
        "bytes_a_row": round(size / (of * PART * asked.windows), 1), "lookups": len(seconds),
        "median_s": round(float(np.median(seconds)), 4), "max_s": round(max(seconds), 4),
        "unknown_id_in_all_windows_s": round(nowhere, 4),
    }  # fmt: skip
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return int(max(seconds) > 1)


if __name__ == "__main__":
    sys.exit(main())
