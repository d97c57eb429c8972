"""Profile and drift of two files: Tidegate beside its peers, in CPU seconds, memory and answers.

    make bench
    python benchmarks/drift.py [--quick] [--peers tidegate,scipy] [--sizes 100000] [--runs 3] [--out FILE]

Every run is a fresh process; in each round all peers take their turn, in an order that moves on
by one, so that a slow spell of the machine hits all of them. Up to 100,000 rows each round has
data of its own. Writes every run to var/bench/drift.json, or drift-quick.json with `--quick`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peers.envs import interpreter, pinned
from peers.measure import THREADS, Run, forget, run
from peers.plan import LARGE, MEDIUM, PEERS, SMALL, Peer

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "var" / "bench"
SCRIPTS = ROOT / "benchmarks" / "peers"
SHOWN = ("numpy", "pandas", "pyarrow", "scipy", "evidently", "nannyml", "whylogs")
IMPORTS = 3


def main() -> None:
    asked = _arguments()
    runs, sizes = asked.runs, asked.sizes
    peers = [p for p in PEERS if not asked.peers or p.name in asked.peers]
    pythons = {e: interpreter(e, HERE / "envs") for e in sorted({p.env for p in peers if p.env})}
    able = [p for p in peers if p.env is None or isinstance(pythons[p.env], Path)]
    commands = {p.name: [pythons[p.env] if p.env else sys.executable, SCRIPTS / p.script, *p.options] for p in able}
    found: list[dict[str, Any]] = []

    def record(peer: Peer, state: str, rows: int, seed: int, result: Run) -> None:
        found.append({"peer": peer.name, "rows": rows, "state": state, "seed": seed, **asdict(result)})
        said = result.fault or f"{result.cpu_s:8.2f} CPU s {result.wall_s:8.2f} s {result.peak_mb:7.0f} MB"
        print(f"{rows:>9,} {peer.name:<14} {state:<6} {said}", flush=True)

    for k in range(IMPORTS + 1):  # the first fills the bytecode caches
        for script in dict.fromkeys(p.script for p in able):
            alike = [p for p in able if p.script == script]
            result = run([*commands[alike[0].name], "--import-only"], ROOT)
            for peer in alike if k else ():
                record(peer, "import", 0, 0, result)
    for rows in sizes:
        counts = {p.name: runs or (p.quick if asked.quick else p.runs).get(rows, 0) for p in able}
        for k in range(max(counts.values(), default=0)):
            seed = k + 1 if rows <= SMALL else 1
            files = _data(rows, seed)
            for peer in _turned(able, k):
                if k < counts[peer.name]:
                    record(peer, "warm", rows, seed, run([*commands[peer.name], *files], ROOT))
        for k in range(max((p.cold for p in able), default=0)):
            for peer in _turned([p for p in able if k < p.cold and counts[p.name]], k):
                files = _data(rows, 1)
                forget(files)
                record(peer, "cold", rows, 1, run([*commands[peer.name], *files], ROOT))
        _write(asked.out, found, peers, pythons, sizes[: sizes.index(rows) + 1])  # a stopped bench keeps these


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="the sizes and peers that fit into six minutes")
    parser.add_argument("--peers", type=lambda text: text.split(","), default=[])
    parser.add_argument("--sizes", type=lambda text: [int(x) for x in text.split(",")], default=[])
    parser.add_argument("--runs", type=int, default=0, help="as many for every chosen peer, skipped sizes included")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    known = [p.name for p in PEERS]
    if unknown := sorted({*asked.peers} - {*known}):
        parser.error(f"expected peers among {', '.join(known)}, found {', '.join(unknown)}")
    asked.sizes = asked.sizes or ([SMALL, MEDIUM] if asked.quick else [SMALL, MEDIUM, LARGE])
    asked.out = asked.out or HERE / ("drift-quick.json" if asked.quick else "drift.json")
    return asked


def _turned(peers: Sequence[Peer], k: int) -> list[Peer]:
    first = k % len(peers) if peers else 0
    return [*peers[first:], *peers[:first]]


def _data(rows: int, seed: int) -> list[Path]:
    """The two files, written by another process: this one has to stay small (see `measure.run`)."""
    folder = HERE / "data" / f"{rows}-{seed}"
    script = SCRIPTS / "data.py"
    files, stamp = [folder / "reference.parquet", folder / "current.parquet"], folder / "written_by.py"
    if not stamp.is_file() or stamp.read_bytes() != script.read_bytes():
        subprocess.run([sys.executable, script, folder, str(rows), str(seed)], check=True)
        stamp.write_bytes(script.read_bytes())
    return files


def _write(
    out: Path,
    found: Sequence[Mapping[str, Any]],
    peers: Sequence[Peer],
    pythons: Mapping[str, Path | str],
    sizes: Sequence[int],
) -> None:
    own = {name: version(name) for name in ("numpy", "pyarrow", "scipy")} | {"tidegate": _commit()}
    versions = {p.name: pinned(p.env, SHOWN) if p.env else own for p in peers}
    faults = {env: said for env, said in pythons.items() if isinstance(said, str)}
    out.parent.mkdir(parents=True, exist_ok=True)
    body = {
        "machine": machine(),
        "threads": dict.fromkeys(THREADS, "not set"),
        "sizes": list(sizes),
        "versions": versions,
        "not_installed": faults,
        "skipped": {p.name: {str(s): why for s, why in p.skipped.items() if s in sizes} for p in peers},
        "runs": found,
    }
    out.write_text(json.dumps(body, indent=1))
    print(f"wrote {out.relative_to(ROOT) if out.is_relative_to(ROOT) else out}")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": model,
        "cpus": os.cpu_count(),
        "memory_gb": round(memory),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    git = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return git.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
