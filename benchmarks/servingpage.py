"""docs/benchmarks-serving.md from what `make bench-serving` wrote to var/bench.

    python benchmarks/servingpage.py --date 2026-01-31 > docs/benchmarks-serving.md

What was not measured is left out, and named at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NAMES = {"tidegate": "Tidegate", "mlflow": "`mlflow models serve`", "fastapi": "FastAPI, by hand"}
MODELS = {"plain": "Without Python features", "flights": "With the user's pandas features"}
TARGETS = {"plain": (50, 40), "flights": (5, None)}
Body = Mapping[str, Any]

HEAD = """# Serving: benchmarks

Measured on {date}, {cores} cores, by `make bench-serving`; this page is made from `var/bench/*.json` by
`benchmarks/servingpage.py`. The model is a mean of five gradient boosting ensembles of 120 trees with categories, over
16 columns of the flights. Each server has one worker, and none runs beside another; rows differ from request
to request; the gateway logs every row, the others log nothing. CPU is that of the server and its children, a request.
"""


def table(servers: Body) -> str:
    """One model's servers, a line for each and case."""
    lines = ["| | | CPU µs a request | requests/s | p50 ms | p95 ms | p99 ms | CPU ÷ | requests/s ÷ |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for name, cases in servers.items():
        for case, found in cases.items():
            ratios = [f"{found[k]:.3g}×" if k in found else "" for k in ("cpu_ratio", "throughput_ratio")]
            cells = [f"{found['cpu_us']:,.0f}", f"{found['per_second']:,.0f}"]
            cells += [f"{found[f'p{q}_ms']:.3g}" for q in (50, 95, 99)] + ratios
            lines.append(f"| {NAMES[name]} | {case} | {' | '.join(cells)} |")
    return "\n".join(lines)


def targets(serving: Body) -> str:
    """What was wanted of one row a request, and what was seen."""
    lines = ["| Wanted of one row a request, against MLflow | 1 connection | 8 connections |", "| --- | ---: | ---: |"]
    for model, (cpu, throughput) in TARGETS.items():
        for key, least, what in (("cpu_ratio", cpu, "less CPU"), ("throughput_ratio", throughput, "more requests/s")):
            if least is not None:
                cells = []
                for connections in (1, 8):
                    found = serving[model]["mlflow"][f"{connections} connections, 1 rows"][key]
                    cells.append(f"{found:.3g}×" + ("" if found >= least else ", **short**"))
                lines.append(f"| {MODELS[model].lower()}: ≥ {least}× {what} | {' | '.join(cells)} |")
    p99 = serving["plain"]["tidegate"]["1 connections, 1 rows"]["p99_ms"]
    lines.append(f"| p99 ≤ 5 ms at one connection | {p99:.3g} ms{'' if p99 <= 5 else ', **short**'} | |")
    return "\n".join(lines)


def loops(found: Body) -> str:
    """A kill loop's ledger in words."""
    return (
        f"- `{found['durability']}`, {found['loops']} × kill -9 under three connections, seed {found['seed']}: "
        f"{found['told']:,} rows were told as logged, {found['told_and_not_stored']} of them missing, {found['twice']} "
        f"stored twice; {found['stored']:,} stored and {found['dropped']} counted as dropped (killed inside a write); "
        f"{found['faults']} answers other than 200."
    )


def switches(found: Body) -> str:
    """The switches in words."""
    first, many, old = found["first"], found["acknowledged_s"], found["last_old_answer_s"]
    return (
        f"- {found['switches']} changes of the plan under four connections and two workers: {found['failed']} of "
        f"{found['requests']:,} requests failed; all workers had switched {many['median']:.2f} s after the change "
        f"(median, {many['max']:.2f} s at most), {first['acknowledged_s']:.2f} s for a version that they had never "
        f"served; the last old answer came after {old['median']:.2f} s (median, {old['max']:.2f} s at most)."
    )


def main() -> None:
    """Print the page."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--date", required=True)
    asked.add_argument("--folder", type=Path, default=ROOT / "var" / "bench")
    given = asked.parse_args()

    def body(name: str) -> Body | None:
        file = given.folder / name
        return json.loads(file.read_text()) if file.exists() else None

    out, missing = [HEAD.format(date=given.date, cores=os.cpu_count())], []
    serving = body("serving.json")
    if serving is None:
        missing.append("the servers beside each other")
    else:
        out += [f"## {MODELS[model]}\n\n{table(servers)}\n" for model, servers in sorted(serving.items(), reverse=True)]
        out.append(f"## Figures to beat\n\n{targets(serving)}\n")
    said = []
    for name, words in (("kill_buffered", loops), ("kill_sync", loops), ("switching", switches)):
        found = body(f"{name}.json")
        if found is None:
            missing.append(name)
        else:
            said.append(words(found))
    out.append("## Kills and switches\n\n" + "\n".join(said) + "\n")
    if missing:
        out.append(f"Not measured: {', '.join(missing)}.\n")
    sys.stdout.write("\n".join(out))


if __name__ == "__main__":
    main()
