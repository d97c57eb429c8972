"""`tidegate up` itself: every server real, healthy in time, one killed in mid-run, Ctrl-C, nothing left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import date
from pathlib import Path

import psutil
import pytest

from tidegate.adapters.orphans import end, marked

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[3]


def free(count: int) -> list[int]:
    socks = [socket.socket() for _ in range(count)]
    for sock in socks:
        sock.bind(("127.0.0.1", 0))
    ports = [int(sock.getsockname()[1]) for sock in socks]
    for sock in socks:
        sock.close()
    return ports


class Up:
    """One `tidegate up` of a home, and what it says."""

    def __init__(self, root: Path) -> None:
        self.root, self.state, self.out = root, root / "var", root / "up.out"
        ports = dict(zip(("prefect", "mlflow", "pages", "gateway"), free(4), strict=True))
        keys = ", ".join(f"{name}_port: {ports[name]}" for name in ("prefect", "mlflow", "pages"))
        file = root / "configs" / "tidegate.yaml"
        file.write_text(f"{file.read_text()}operations: {{{keys}}}\nserving: {{port: {ports['gateway']}}}\n")
        self.urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        self.command = [sys.executable, "-m", "tidegate.cli.main", "--home", str(root), "up"]
        self.env = os.environ | {"PYTHONPATH": path}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(self.command, env=self.env, stdout=out, stderr=out, start_new_session=True)

    @property
    def said(self) -> str:
        return self.out.read_text()

    def until(self, wanted: Callable[[], bool], seconds: float = 180) -> float:
        began = time.monotonic()
        while not wanted():
            assert self.process.poll() is None, self.said
            assert time.monotonic() - began < seconds, self.said
            time.sleep(0.1)
        return time.monotonic() - began

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(90)


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def answers(url: str) -> bool:
    try:
        return bool(get(url))
    except OSError:
        return False


@pytest.fixture
def up(make_wine, tmp_path):
    found = Up(make_wine(tmp_path / "home", 2, 9, date(2024, 1, 1)))
    yield found
    if found.process is not None and found.process.poll() is None:
        found.process.kill()
        found.process.wait()
    end(found.state, grace=1)


@pytest.mark.fault(30)
def test_all_servers_a_death_in_mid_run_and_nothing_left(up):
    up.start()
    seconds = up.until(lambda: "healthy after" in up.said)
    assert all(answers(url + path) for url, path in (
        (up.urls["prefect"], "/api/health"), (up.urls["mlflow"], "/health"),
        (up.urls["gateway"], "/livez"), (up.urls["pages"], "/ping"),
    )), up.said  # fmt: skip
    deployments = f"{up.urls['prefect']}/api/deployments/filter"
    request = urllib.request.Request(deployments, b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        names = {d["name"] for d in json.load(answer)}
    assert "cultivars" in names

    again = subprocess.run(up.command, env=up.env, capture_output=True, text=True, check=False, timeout=60)
    assert again.returncode == 2
    assert f"process {up.process.pid}" in again.stderr

    # Only on loopback, whoever listens.
    ours = [psutil.Process(m.pid) for m in marked(up.state)]
    listening = {c.laddr.ip for p in ours for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert listening <= {"127.0.0.1", "::1"}
    private = [p for p in (up.state / "private").iterdir() if p.stat().st_mode & 0o077]
    assert not private

    server = next(m.pid for m in marked(up.state) if "prefect server start" in m.command)
    os.kill(server, signal.SIGKILL)
    up.until(lambda: "prefect  ended (signal 9)" in up.said)
    assert answers(up.urls["gateway"] + "/livez"), "the gateway must not depend on Prefect's server"
    up.until(lambda: answers(up.urls["prefect"] + "/api/health"))

    assert up.end(signal.SIGINT) == 0, up.said
    assert not marked(up.state)
    assert up.said.rstrip().endswith("all stopped")
    if path := os.environ.get("TIDEGATE_FIGURES"):
        Path(path).with_name("up.json").write_text(json.dumps({"healthy_seconds": round(seconds, 1)}))


def test_kill_9_leaves_nothing(up):
    up.start()
    up.until(lambda: "prefect" in up.said or len(marked(up.state)) >= 4, 60)
    up.process.kill()
    up.process.wait()
    until = time.monotonic() + 30
    while marked(up.state):
        assert time.monotonic() < until, marked(up.state)
        time.sleep(0.2)


def test_a_model_file_that_is_broken_holds_no_other_back(up):
    good = (up.root / "configs/models/cultivars.yaml").read_text()
    (up.root / "configs/models/broken.yaml").write_text(good.replace("dataset: tastings", "dataset: nowhere"))
    up.start()
    up.until(lambda: "healthy after" in up.said)
    assert "broken" in up.said
    assert answers(up.urls["gateway"] + "/livez")
    assert up.end(signal.SIGTERM) == 0
    assert not marked(up.state)
