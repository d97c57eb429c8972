"""Kill -9 a gateway under load, again and again, and hold what callers were told against what the lake has.

`python benchmarks/kill_loop.py [--loops 200] [--durability buffered] [--seed 1]` writes var/bench/kill_loop.json, a
line a loop. Each loop starts a worker of the real application in a process of its own, asks it over several
connections, and kills it at a random moment. At the end the night's collection runs, and is checked
exactly: every inference that a caller was told is logged is in the lake, once; and what the writers admitted is what
is stored plus what is counted as dropped.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import requests
import uvicorn
from gateway import bodies
from served_home import ROOT, prepare

from serving.worker import build
from tidegate.config.home import Home
from tidegate.steps.collect import collect
from tidegate.steps.stores import stores_of

MODEL, CALLERS = "plain", 3


class Caller(threading.Thread):
    """Asks until it is hung up on; keeps the ids that it was told are logged."""

    def __init__(self, port: int, sent: list[str], first: int) -> None:
        super().__init__(daemon=True)
        self.url, self.sent, self.first = f"http://127.0.0.1:{port}/invocations", sent, first
        self.logged: list[str] = []
        self.faults = 0

    def run(self) -> None:
        """Until the connection is gone."""
        with requests.Session() as http:
            http.headers["content-type"] = "application/json"
            for i in range(self.first, 10**9):
                try:
                    answer = http.post(self.url, data=self.sent[i % len(self.sent)], timeout=20)
                except requests.RequestException:
                    return
                if answer.status_code != 200:
                    self.faults += 1
                elif (body := answer.json())["logged"]:
                    self.logged += body["inference_ids"]


def worker(home: Home, sock: socket.socket, live: Path) -> int:
    """Fork a process that serves; its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        app = build(home, (MODEL,), guarded=False, live=live)
        config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="critical", access_log=False)
        uvicorn.Server(config).run(sockets=[sock])
    finally:
        os._exit(1)


def loop(home: Home, sent: list[str], rng: random.Random, live: Path) -> tuple[set[str], int, float]:
    """One life of a worker: what it told its callers, their faults, and how long it answered."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(128)
        port = sock.getsockname()[1]
        pid = worker(home, sock, live)
    try:
        requests.get(f"http://127.0.0.1:{port}/ping", timeout=60)
        callers = [Caller(port, sent, rng.randrange(len(sent))) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        seconds = rng.uniform(0.05, 0.6)
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for caller in callers:
        caller.join(timeout=30)
    return {i for c in callers for i in c.logged}, sum(c.faults for c in callers), seconds


def main() -> None:
    """Kill, collect, compare."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--loops", type=int, default=200)
    asked.add_argument("--durability", choices=("buffered", "sync"), default="buffered")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--home", type=Path, default=ROOT / "var" / "bench" / "serving")
    asked.add_argument("--out", type=Path, default=ROOT / "var" / "bench" / "kill_loop.json")
    given = asked.parse_args()
    source = prepare(given.home.resolve())
    root = source.root.parent / f"kill-{os.getpid()}"
    shutil.copytree(
        source.root, root, symlinks=True, ignore=shutil.ignore_patterns("spool", "served", "peers", "live-*")
    )
    platform = root / "configs" / "tidegate.yaml"
    platform.write_text(platform.read_text() + f"serving: {{log: {{durability: {given.durability}}}}}\n")
    home, rng = Home.at(root), random.Random(given.seed)  # noqa: S311
    sent = bodies(source, MODEL, 1)
    told: set[str] = set()
    ledger = []
    try:
        for i in range(given.loops):
            logged, faults, seconds = loop(home, sent, rng, root / "var" / "serving" / "live-kill")
            told |= logged
            ledger.append({"loop": i, "seconds": round(seconds, 3), "told": len(logged), "faults": faults})
        stores = stores_of(home)
        model = stores.project.model(MODEL)
        done = collect(stores, model, datetime.now(UTC))
        windows = [s.window for s in stores.lake.many("served", MODEL)]
        stored = stores.lake.read("served", MODEL, windows, columns=["inference_id"])["inference_id"].to_pylist()
        result = {
            "loops": given.loops, "durability": given.durability, "seed": given.seed, "told": len(told),
            "stored": len(stored), "twice": len(stored) - len(set(stored)),
            "told_and_not_stored": len(told - set(stored)),
            "dropped": done.dropped, "lost_in_kills": done.lost, "collected": done.rows, "damaged": done.damaged,
            "faults": sum(line["faults"] for line in ledger), "ledger": ledger,
        }  # fmt: skip
    finally:
        shutil.rmtree(root, ignore_errors=True)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1))
    sys.stdout.write(json.dumps({k: v for k, v in result.items() if k != "ledger"}) + "\n")
    sys.exit(bool(result["told_and_not_stored"] or result["twice"] or result["faults"]))


if __name__ == "__main__":
    main()
