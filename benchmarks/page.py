"""docs/benchmarks.md from what the benchmarks wrote to var/bench.

    python benchmarks/page.py --date 2026-01-31 > docs/benchmarks.md

`make bench` does so at its end.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from peers import figures
from peers.data import SHIFTED
from peers.plan import PEERS
from peers.summary import answers, cost, import_cost

ROOT = Path(__file__).resolve().parents[1]

TITLES = {p.name: p.title for p in PEERS}
Body = Mapping[str, Any]


def page(drift: Body, history: Body, night: Body | None, date: str) -> str:
    """The whole page as Markdown."""
    parts = [HEAD.format(date=date), _machine(drift), "## Profile and drift of two files", METHOD]
    for rows in drift["sizes"]:
        parts += [f"### {rows:,} × 25, both files", _costs(drift, rows), _answers(drift, rows)]
    parts += ["## One more night of history", HISTORY, _history(history)]
    parts += ["## A night of the flights", _night(night)] if night else []
    parts += ["## Figures to beat", figures.table(drift, history), "## What falls short", _short(drift, history)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


HEAD = """
# Benchmarks

Measured on {date}. This page is made from `var/bench/*.json` by `benchmarks/page.py`; nothing in it is
written by hand. To measure again:

```
make bench         # everything, about 25 minutes; installs the peers once under var/bench/envs
make bench-quick   # 100,000 and 1,000,000 rows, the cheaper peers; about 6 minutes, this page stays as it is
```
"""

METHOD = """
Each run is a fresh process that reads a reference and a current Parquet file, and says of each of 25 columns
whether it drifted, at the tool's own defaults. CPU seconds are user and system time of the process and its
children, so that threads and other work on the machine do not flatter anybody; memory is its peak. The peers
take turns in every round, in an order that moves on by one. Each has an environment of its own with pinned
versions (`benchmarks/peers/*.txt`), reads with the same pyarrow, and uses as many threads as it likes.
*Work* is CPU after the imports, *all* is the whole process; both ratios are to Tidegate. Scipy has no default: p < .05.
NannyML alerts by chunk: half of the chunks make a verdict. Evidently on a sample reads the whole files first.

Eight columns drift:

{shifted}

Seventeen do not, among them all null, constant, 95 % NaN, infinite values, heavy tails, and as many distinct
strings as rows (a million at most).
""".format(shifted="\n".join(f"- `{name}`: {what}" for name, what in SHIFTED.items()))

HISTORY = """
Profiles of 1,000 rows × 25 columns a night in a real Delta lake, written and read through Tidegate's adapters.
Median CPU milliseconds over 21 nights at each length; the last two lines are the contrast, which no night needs.
"""


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [list(head), *([str(cell) for cell in row] for row in rows)]
    lines.insert(1, ["---"] + ["---:"] * (len(lines[0]) - 1))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _times(ratio: float) -> str:
    return f"{ratio:.0f}×" if ratio >= 10 else f"{ratio:.2f}×"


def _machine(drift: Body) -> str:
    m = drift["machine"]
    loads = [r["load"] for r in drift["runs"]]
    names = sorted({n for v in drift["versions"].values() for n in v})
    rows = [[TITLES[p], *(v.get(n, "") for n in names)] for p, v in drift["versions"].items()]
    about = (
        f"{m['cpu']}, {m['cpus']} cores, {m['memory_gb']} GB, {m['platform']}, Python {m['python']}; no limit on "
        f"threads; load when a run began: median {sorted(loads)[len(loads) // 2]:.1f}, most {max(loads):.1f}."
    )
    return about + "\n\n" + _table(["", *names], rows)


def _costs(drift: Body, rows: int) -> str:
    runs, own = drift["runs"], cost(drift["runs"], "tidegate", rows)
    lines = []
    for name in drift["versions"]:
        c = cost(runs, name, rows)
        if c is None or not c.runs:
            why = c.fault if c else drift["skipped"].get(name, {}).get(str(rows)) or "not run"
            lines.append([TITLES[name], clean(why), *[""] * 7])
            continue
        ratios = ["", ""]
        if own and own.runs:
            ratios = [_times(c.work_s / own.work_s), _times(c.cpu_s / own.cpu_s)]
        cold = cost(runs, name, rows, "cold")
        lines.append([TITLES[name], f"{c.work_s:.3g}", f"{c.cpu_s:.2f} ({c.least_s:.2f}–{c.most_s:.2f})", *ratios,
                      f"{c.wall_s:.2f}", f"{cold.wall_s:.2f}" if cold else "", f"{c.peak_mb:.0f}", c.runs])  # fmt: skip
    head = ["", "work, CPU s", "all, CPU s (range)", "work ÷", "all ÷", "wall s", "wall s, cold", "peak MB", "runs"]
    return _table(head, lines)


def _answers(drift: Body, rows: int) -> str:
    lines = []
    for name in drift["versions"]:
        a = answers(drift["runs"], name, rows)
        if a:
            unable = "; ".join(f"{k}: {clean(v)}" for k, v in a.unable.items())
            lines.append([TITLES[name], f"{a.seen} of {a.shifted}", ", ".join(a.missed), f"{a.false} of {a.still}",
                          ", ".join(a.wrong), unable])  # fmt: skip
    head = ["", "shifts seen", "missed", "false alarms", "on", "no answer"]
    return _table(head, lines)


def _history(history: Body) -> str:
    nights = history["nights"]
    steps = [next(iter(nights.values()))[part] for part in ("steps", "contrast")]
    lines = [[s, *(f"{n['steps'][s]['cpu_ms']:.1f}" for n in nights.values())] for s in steps[0]]
    lines += [["**one more night**", *(f"**{n['night_cpu_ms']:.1f}**" for n in nights.values())]]
    lines += [["buckets and names in the reference", *(f"{n['reference_buckets']:,}" for n in nights.values())]]
    lines += [[s, *(f"{n['contrast'][s]['cpu_ms']:.1f}" for n in nights.values())] for s in steps[1]]
    return _table(["nights stored", *(f"{int(n):,}" for n in nights)], lines)


def _night(night: Body) -> str:
    lines = [[name, *(f"{1000 * night['night'][name][k]:.0f}" for k in ("cpu_s", "wall_s"))] for name in night["night"]]
    lines.append(["**one night**", *(f"**{1000 * night['one night'][k]:.0f}**" for k in ("cpu_s", "wall_s"))])
    return _table(["step", "CPU ms", "wall ms"], lines)


def _short(drift: Body, history: Body) -> str:
    missed = [f for f in figures.of(drift, history) if not f.met]
    out = [f"{f.what}: wanted {f.target}, {f.measured}." for f in missed]
    for name, why in drift["not_installed"].items():
        out.append(f"{name} does not install: {clean(why)}.")
    out += [f"{TITLES[p]} at {int(s):,} rows: {why}." for p, skipped in drift["skipped"].items()
            for s, why in skipped.items() if cost(drift["runs"], p, int(s)) is None]  # fmt: skip
    for rows in drift["sizes"]:
        a = answers(drift["runs"], "tidegate", rows)
        if a and (a.missed or a.wrong):
            said = [f"misses {', '.join(a.missed)}"] if a.missed else []
            said += [f"gives a false alarm on {', '.join(a.wrong)}"] if a.wrong else []
            out.append(f"At {rows:,} rows Tidegate {' and '.join(said)}.")
    tidegate = import_cost(drift["runs"], "tidegate")
    out.append(f"Importing Tidegate takes {tidegate:.2f} CPU s, on small files most of the whole.")
    if max(r["load"] for r in drift["runs"]) > 2 * drift["machine"]["cpus"]:
        out.append("The machine was busy with other work during some runs: its load is above.")
    out.append("One machine and one kind of data; the shifts are ours. What else the peers do is not measured.")
    return "\n".join(f"- {line}" for line in out)


def clean(text: str) -> str:
    """A library's words without paths and addresses of the machine they were said on."""
    text = re.sub(r"\w+://\S+", "(address)", text.replace(str(ROOT), "."))
    return re.sub(r"(?<![\w.])/(?:[\w.-]+/)+", "…/", text).replace("|", "/")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--date", required=True, help="when it was measured, YYYY-MM-DD")
    parser.add_argument("--from", dest="folder", type=Path, default=ROOT / "var" / "bench")
    asked = parser.parse_args()
    found = {n: asked.folder / f"{n}.json" for n in ("drift", "history", "night")}
    read = {n: json.loads(p.read_text()) if p.is_file() else None for n, p in found.items()}
    if not (read["drift"] and read["history"]):
        parser.error(f"expected drift.json and history.json in {asked.folder}, found too little. Next: make bench")
    print(page(read["drift"], read["history"], read["night"], asked.date), end="")


if __name__ == "__main__":
    main()
