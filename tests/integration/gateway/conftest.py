"""Two homes with champions, and real gateways over them: processes on a free port of loopback, ended by their pid."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import requests

from tidegate.clock import evening_of
from tidegate.config.home import Home
from tidegate.steps.candidate import train_and_register
from tidegate.steps.stores import stores_of

REPOSITORY = Path(__file__).resolve().parents[3]
NIGHTS = 9


@dataclass
class Served:
    """A gateway that runs, its process, and a session with it."""

    url: str
    process: subprocess.Popen
    log: Path
    http: requests.Session = field(default_factory=requests.Session)

    def post(self, path, body, **more):
        return self.http.post(self.url + path, json=body, timeout=60, **more)

    def get(self, path, **more):
        return self.http.get(self.url + path, timeout=60, **more)

    def stop(self, how=signal.SIGTERM):
        """End it and wait; its exit code."""
        self.http.close()
        if self.process.poll() is None:
            os.kill(self.process.pid, how)
        return self.process.wait(timeout=40)


def with_champion(loop, nights=NIGHTS):
    """Version 1, trained and made champion; the gate has tests of its own."""
    for i in range(nights):
        loop.ingest(i)
        loop.labels(i)
    return crown(loop, nights - 1)


def crown(loop, night):
    """Train one more version and make it champion."""
    window = loop.calendar.window(f"2024-01-{night + 1:02}")
    now = evening_of(window)
    version = train_and_register(loop.stores, loop.model, window, now, reason="test")
    enthrone(loop, version)
    return version


def enthrone(loop, version):
    """Make a version champion in the plan."""
    plan = loop.stores.plans.get(loop.name)
    digest = loop.record(version)["digest"]
    window = loop.calendar.window(f"2024-01-{NIGHTS:02}")
    return loop.stores.plans.swap(
        plan, replace(plan, champion=version, champion_digest=digest), owner=loop.model.owner, window=window.id,
        at=evening_of(window), why={"by": "test"},
    )  # fmt: skip


@pytest.fixture(scope="session")
def tastings_made(make_wine, loop_of, tmp_path_factory):
    loop = loop_of(make_wine(tmp_path_factory.mktemp("served"), NIGHTS, 99), "cultivars")
    with_champion(loop)
    return loop


@pytest.fixture
def tastings(tastings_made, loop_of, tmp_path):
    """A copy of the home of the tastings, whose champion is version 1."""
    shutil.copytree(tastings_made.root, tmp_path / "home")
    return loop_of(tmp_path / "home", "cultivars")


def start(root, *words, wait=True, env=None, settings=""):
    """Start a gateway over a home; waits until it is ready."""
    if settings:
        path = Path(root) / "configs" / "tidegate.yaml"
        path.write_text(path.read_text() + settings)
    log = Path(root) / "gateway.log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tidegate.cli.main", "--home", str(root), "serve", "--port", str(port), *words]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **(env or {})}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    served = Served(f"http://127.0.0.1:{port}", process, log)
    until = time.monotonic() + 90
    while wait:
        try:
            if urllib.request.urlopen(served.url + "/livez", timeout=5).status == 200:
                break
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > until:
            served.stop(signal.SIGKILL)
            pytest.fail(f"the gateway did not start: {log.read_text()[-3000:]}")
        time.sleep(0.1)
    return served


@pytest.fixture
def gateway():
    """Starts gateways, and ends those that a test leaves."""
    running = []

    def make(root, *words, **more):
        running.append(start(root, *words, **more))
        return running[-1]

    yield make
    for served in running:
        served.stop(signal.SIGKILL) if served.process.poll() is None else None
        kill_group(served.process.pid)


def kill_group(pid):
    """Workers whose parent was killed: they are of its own process group, made for them."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def shared(tastings_made, tmp_path_factory):
    """One gateway for all tests that change nothing."""
    root = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(tastings_made.root, root)
    served = start(root, "--workers", "1")
    yield served
    served.stop()
    kill_group(served.process.pid)


ROW = {"tasting": 1, "tasted_at": "2024-01-09T10:00:00Z", "cellar": "north", "alcohol": 13.2, "flavanoids": 2.4,
       "color": 5.1, "hue": 1.02, "proline": 1010.0}  # fmt: skip


@pytest.fixture
def row():
    return dict(ROW)


@pytest.fixture
def stored():
    """The stores of a home as they are now, past what this process has cached."""
    return lambda root: stores_of(Home.at(Path(root)))


@pytest.fixture(scope="session")
def again():
    return crown


@pytest.fixture
def enthroned():
    return enthrone


def tell(body):
    return json.dumps(body)
