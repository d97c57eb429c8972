"""A hundred changes of the plan under load: how soon they are seen, and whether any request fails.

`python benchmarks/switching.py [--switches 100]` writes var/bench/switching.json. Two versions, the second a copy of
the first's package under another digest, take turns while four connections ask all along.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import requests
from gateway import bodies
from served_home import ROOT, prepare

from tidegate.adapters import ledger
from tidegate.config.home import Home
from tidegate.lineage.digest import folder_digest
from tidegate.steps.stores import Stores, stores_of
from tidegate.steps.switch import sound

MODEL, CALLERS, PORT = "plain", 4, 18431


def ask(sent: list[str], first: int, seen: list[tuple[float, int, int]], over: threading.Event) -> None:
    """One connection: each answer with its time, status and version."""
    with requests.Session() as http:
        http.headers["content-type"] = "application/json"
        i = first
        while not over.is_set():
            i += 1
            try:
                answer = http.post(f"http://127.0.0.1:{PORT}/invocations", data=sent[i % len(sent)], timeout=30)
                seen.append((time.time(), answer.status_code, answer.json().get("version", 0)))
            except requests.RequestException:
                seen.append((time.time(), 0, 0))


def promised(stores: Stores, version: int, digest: str, now: datetime) -> None:
    """What a promotion does before it changes the plan: its intent, its own load and smoke test."""
    body = {"version": version, "digest": digest}
    with stores.control.write() as c:
        ledger.append(
            c, namespace=stores.namespace, owner="bench", model=MODEL, kind="intent", window=None, at=now, body=body
        )
    sound(stores, MODEL, version, digest)


def up() -> None:
    """Wait until the gateway answers, for a minute."""
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ping", timeout=5)
            return
        except OSError:
            time.sleep(0.2)


def arguments() -> argparse.Namespace:
    """What was asked."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--switches", type=int, default=100)
    asked.add_argument("--home", type=Path, default=ROOT / "var" / "bench" / "serving")
    asked.add_argument("--out", type=Path, default=ROOT / "var" / "bench" / "switching.json")
    return asked.parse_args()


def main() -> None:
    """Switch and count."""
    given = arguments()
    source = prepare(given.home.resolve())
    root = source.root.parent / f"switching-{os.getpid()}"
    shutil.copytree(
        source.root, root, symlinks=True, ignore=shutil.ignore_patterns("spool", "served", "peers", "live-*")
    )
    stores = stores_of(Home.at(root))
    plan = stores.plans.get(MODEL)
    first = stores.package_folder(MODEL, str(plan.champion_digest))
    second = first.parent / "copy"
    shutil.copytree(first, second)
    spec = json.loads((second / "tidegate" / "spec.json").read_text())
    (second / "tidegate" / "spec.json").write_text(json.dumps(spec))
    digests = {1: str(plan.champion_digest), 2: folder_digest(second)}
    second.rename(first.parent / digests[2])
    command = [sys.executable, "-m", "tidegate.cli.main", "--home", str(root), "serve", MODEL, "--port", str(PORT),
               "--workers", "2"]  # fmt: skip
    server = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    seen: list[tuple[float, int, int]] = []
    over, waits, late = threading.Event(), [], []
    try:
        up()
        sent = bodies(source, MODEL, 1)
        callers = [threading.Thread(target=ask, args=(sent, k * 97, seen, over), daemon=True) for k in range(CALLERS)]
        for caller in callers:
            caller.start()
        for i in range(given.switches):
            version = 2 - i % 2
            wanted = replace(plan, champion=version, champion_digest=digests[version])
            now = datetime.now(UTC)
            if i < len(digests):
                promised(stores, version, digests[version], now)
            began = time.time()
            plan = stores.plans.swap(plan, wanted, owner="bench", window=None, at=now, why={"by": "bench"})
            acks = stores.acks.wait(MODEL, plan.revision, 60)
            waits.append(time.time() - began)
            if any(a.version != version for a in acks) or not acks:
                sys.exit(f"switch {i}: {acks}")
            time.sleep(0.1)
            old = [t for t, _, v in seen if v and v != version and t > began]
            late.append(max(old) - began if old else 0.0)
        over.set()
        for caller in callers:
            caller.join(timeout=40)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=40)
        shutil.rmtree(root, ignore_errors=True)
    result = {
        "switches": given.switches, "requests": len(seen), "failed": sum(s != 200 for _, s, _ in seen),
        "first": {"acknowledged_s": waits[0], "last_old_answer_s": late[0]},
        "acknowledged_s": {"median": statistics.median(waits[1:]), "max": max(waits[1:])},
        "last_old_answer_s": {"median": statistics.median(late[1:]), "max": max(late[1:])},
    }  # fmt: skip
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
