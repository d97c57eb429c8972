"""One home with several models, deployed on a real server with a real worker."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

LEASE = 12
"""Seconds that a lease lives in this home."""
ALERTS = """\
alerts:
  allow_hosts: [127.0.0.1]
  channels: {{pager: {{kind: webhook, url: "http://127.0.0.1:{port}/hook", secret_from: "env:PAGER_SECRET"}}}}
  routes: {{default: {{page: [pager], ticket: [pager], digest: [pager]}}}}
"""
NIGHTS = 16
LEARNED = 9
"""The night on which the champion was trained; the seven after it were missed."""


class Deployed:
    """A home, the server, and the runner that serves it."""

    def __init__(self, root: Path, server) -> None:
        from tidegate.config.home import Home
        from tidegate.steps.stores import stores_of

        self.root, self.server, self.home = root, server, Home.at(root)
        self.stores = stores_of(self.home)
        self.runner = None

    def up(self) -> float:
        """Start the runner; seconds until it is ready."""
        ready, began = self.home.state / "up" / "runner.ready", time.monotonic()
        ready.unlink(missing_ok=True)
        self.runner = self.server.start("runner", "-m", "flows.runner", "--home", str(self.root))
        while not ready.exists():
            assert self.runner.poll() is None, self.server.logs()
            assert time.monotonic() - began < 120, self.server.logs()
            time.sleep(0.1)
        return time.monotonic() - began

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `tidegate` with these words."""
        line = [sys.executable, "-m", "tidegate.cli.main", "--home", str(self.root), *words]
        return subprocess.run(line, env=self.server.env, capture_output=True, text=True, check=False, timeout=120)

    def model(self, name: str):
        return self.stores.project.model(name)

    def kinds(self, name: str, kind: str) -> Counter[str]:
        """How often each window has a verdict of a kind."""
        from sqlalchemy import select

        from tidegate.adapters.schema import verdicts

        v = verdicts.c
        with self.stores.control.read() as c:
            return Counter(c.execute(select(v.window).where(v.owner == name, v.kind == kind)).scalars())

    def pids(self, run: dict) -> list[psutil.Process]:
        """The processes of a flow run."""
        out = []
        for process in psutil.Process(self.runner.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.environ().get("PREFECT__FLOW_RUN_ID") == run["id"]:
                    out.append(process)
        return out

    def holder(self, name: str, within: float = 60) -> int:
        """The process that holds a lease, as soon as one does."""
        from sqlalchemy import select

        from tidegate.adapters.schema import leases

        end = time.monotonic() + within
        while time.monotonic() < end:
            with self.stores.control.read() as c:
                row = c.execute(select(leases).where(leases.c.name == name)).first()
            if row is not None and row.expires > time.time():
                return int(row.holder.split(":")[1])
            time.sleep(0.02)
        raise AssertionError(f"nobody holds {name}\n{self.server.logs()}")

    def wanted(self, model: str, times: int, name: str, **request: object) -> float:
        """Send a night's event of this name a number of times; the moment it was sent first."""
        body = {"home": str(self.root), "model": model, "reason": "decay", **request}
        event = {
            "id": name, "occurred": datetime.now(UTC).isoformat(), "event": "tidegate.retrain.wanted",
            "resource": {"prefect.resource.id": f"tidegate.model.{model}"}, "payload": {"request": body},
        }  # fmt: skip
        at = time.monotonic()
        for _ in range(times):
            self.server.ask("/events", [event])
        return at


@pytest.fixture(scope="session")
def night():
    """The date of a night of the home by its number."""
    today = datetime.now(UTC).date()
    return lambda i: (today - timedelta(days=NIGHTS + 1 - i)).isoformat()


@pytest.fixture(scope="module")
def pager():
    """Somebody's pager: a webhook on loopback; what came, as text, with its moment."""
    came: list[tuple[float, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            came.append((time.time(), self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    server.came = came
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def deployed(prefect_server, pager, make_wine, night, tmp_path_factory):
    """A champion of night 9 for `cultivars`; `second` and `third` have none; all their later nights were missed."""
    from tidegate.clock import evening_of
    from tidegate.config.home import Home
    from tidegate.steps.candidate import look_at, train_and_register
    from tidegate.steps.due import finish
    from tidegate.steps.ingest import ingest
    from tidegate.steps.labels import collect_labels
    from tidegate.steps.promote import promote
    from tidegate.steps.stores import stores_of

    first = datetime.fromisoformat(night(0)).date()
    root = make_wine(tmp_path_factory.mktemp("deployed") / "home", NIGHTS + 1, 99, first)
    platform = root / "configs/tidegate.yaml"
    platform.write_text(platform.read_text() + f"lease: {LEASE}s\n" + ALERTS.format(port=pager.server_port))
    path = root / "configs/models/cultivars.yaml"
    # Whatever the hour, yesterday's night is due.
    path.write_text(path.read_text() + 'schedule: "0 0 * * *"\n')
    model = path.read_text()
    for name in ("second", "third", "fourth"):
        (root / f"configs/models/{name}.yaml").write_text(model)
    # A model whose time zone is wrong must hold none of the others back.
    data = (root / "configs/datasets/tastings.yaml").read_text() + "calendar: {time_zone: Europe/Berln}\n"
    (root / "configs/datasets/nowhere.yaml").write_text(data)
    (root / "configs/models/broken.yaml").write_text(model.replace("dataset: tastings", "dataset: nowhere"))
    stores = stores_of(Home.at(root))
    dataset = stores.project.dataset("tastings")
    calendar = stores.project.calendar(dataset)
    for window in calendar.range(night(0), night(LEARNED)):
        ingest(stores, dataset, window, evening_of(window))
        for name in ("cultivars", "second", "third", "fourth"):
            collect_labels(stores, stores.project.model(name), window, evening_of(window))
    window = calendar.window(night(LEARNED))
    for name in ("cultivars", "second", "third", "fourth"):
        finish(stores, stores.project.model(name), window, evening_of(window))
    settings, now = stores.project.model("cultivars"), evening_of(window)
    version = train_and_register(stores, settings, window, now, reason="first_model")
    assert look_at(stores, settings, version, window, now).passed
    with stores.leases.holding("retrain/cultivars") as lease:
        promote(stores, settings, version, window, now, why={"reason": "first_model"}, by="automatic", lease=lease)
    prefect_server.env["PAGER_SECRET"] = "a secret of the tests, no other"
    found = Deployed(root, prefect_server)
    found.up()
    return found


@pytest.fixture(scope="session")
def figures():
    """What was measured, by name; kept where `TIDEGATE_FIGURES` says."""
    found: dict[str, float] = {}
    yield found
    if path := os.environ.get("TIDEGATE_FIGURES"):
        Path(path).write_text(json.dumps(found, indent=1))
