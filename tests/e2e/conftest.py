"""A real Prefect server, what runs against it, and a real browser."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

START = 180
"""Seconds that a busy machine may take to start a server, or a run."""
ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    chromium = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(chromium).exists():
        why = "needs a browser: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        yield found
        found.close()


class Server:
    """A Prefect server on a free loopback port, with a home of its own, and what runs against it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url, self.folder = f"http://127.0.0.1:{self.port}", folder
        given = [str(Path(p).resolve()) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
        path = os.pathsep.join(dict.fromkeys([*given, str(REPOSITORY)]))
        self.env = {
            **os.environ, "PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": f"{self.url}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "true", "OMP_NUM_THREADS": "1",
            "PREFECT_LOGGING_LEVEL": "INFO", "PYTHONPATH": path,
        }  # fmt: skip
        self.running: list[subprocess.Popen[bytes]] = []
        self.start("server", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port))

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, *words]
            made = subprocess.Popen(command, env=self.env, stdout=log, stderr=log, start_new_session=True)
        self.running.append(made)
        return made

    def run(self, code: str) -> str:
        """Run a process of its own against this server."""
        done = subprocess.run(
            [sys.executable, "-c", code], env=self.env, capture_output=True, text=True, check=False, timeout=START
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """What the server's API answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/api{path}", data, {"Content-Type": "application/json"}, method=method
        )
        for left in range(20, -1, -1):
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    text = answer.read()
            except urllib.error.HTTPError as fault:
                # Its database is busy: a client tries again.
                if fault.code != 503 or not left:
                    raise
                time.sleep(0.3)
            else:
                return json.loads(text) if text else None
        raise AssertionError

    def until(self, path: str, wanted: Callable[[Any], bool], body: Any = None, within: float = START) -> Any:
        """The API's answer as soon as it is the `wanted` one."""
        found, end = None, time.monotonic() + within
        while time.monotonic() < end:
            for process in self.running:
                assert process.poll() is None, self.logs()
            try:
                found = self.ask(path, body)
            except (urllib.error.URLError, ConnectionError, TimeoutError) as fault:
                found = fault
            else:
                if wanted(found):
                    return found
            time.sleep(0.2)
        raise AssertionError(f"{path}: {found}\n{self.logs()}")

    def logs(self) -> str:
        return "\n".join(f"--- {p.name}\n{p.read_text()[-3000:]}" for p in self.folder.glob("*.log"))

    def runs(self, flow: str = "approval") -> list[dict[str, Any]]:
        return self.ask("/flow_runs/filter", {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC"})

    def trigger(self, deployment: str, **request: Any) -> dict[str, Any]:
        """Start a run of a deployment, as the UI does."""
        made = self.ask(f"/deployments/name/{deployment}")
        asked = {**made["parameters"]["request"], **request}
        return self.ask(f"/deployments/{made['id']}/create_flow_run", {"parameters": {"request": asked}})

    def ended(self, run: dict[str, Any], *states: str, within: float = START) -> dict[str, Any]:
        """A run once it has one of these states."""
        return self.until(f"/flow_runs/{run['id']}", lambda r: r["state_name"] in states, within=within)

    def kill(self, process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> None:
        """End one of the processes and all that it started."""
        os.killpg(process.pid, number)
        process.wait(30)
        self.running.remove(process)

    def stop(self) -> None:
        # Each has a process group of its own: what it started ends with it.
        for process in reversed(self.running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
        for process in reversed(self.running):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory):
    """A server that answers; nothing runs against it yet."""
    found = Server(tmp_path_factory.mktemp("server"))
    try:
        found.until("/health", lambda up: up is True)
        yield found
    finally:
        found.stop()
