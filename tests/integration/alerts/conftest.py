"""A receiver on loopback that checks signatures, and a home whose alarms go to it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tidegate.config.home import Home
from tidegate.config.project import load_project
from tidegate.steps.stores import open_stores
from tidegate.verdicts import Alarm

AT = datetime(2024, 1, 5, 6, tzinfo=UTC)
SECRET = "a signing secret of this test"


@dataclass
class Receiver:
    """What was posted to it, with headers; `answers` are the statuses it gives, the last one for ever."""

    port: int = 0
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=lambda: [200])
    connects: int = 0
    wait: threading.Event | None = None

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver():
    seen = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if seen.wait is not None:
                seen.wait.wait(5)
            seen.got.append((dict(self.headers), body))
            status = seen.answers.pop(0) if len(seen.answers) > 1 else seen.answers[0]
            self.send_response(status)
            if status // 100 == 3:
                self.send_header("Location", f"http://127.0.0.1:{seen.port}/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def verify_request(self, *_):
            seen.connects += 1
            return True

    server = Server(("127.0.0.1", 0), Handler)
    seen.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()


def platform(
    port: int, more: str = "", routes: str = "default: {page: [pager], ticket: [pager], digest: [pager]}"
) -> str:
    return f"""\
namespace: lab
on_call: {{shopkeepers: {{budget: 1.0}}}}
alerts:
  allow_hosts: [127.0.0.1]
  channels:
    pager: {{kind: webhook, url: "http://127.0.0.1:{port}/hook", secret_from: "env:PAGER_SECRET"}}
{more}
  routes:
    {routes}
"""


DATASET = """\
source: {files: "visits/{date}.csv"}
owner: shopkeepers
event_time: at
key: [visit]
columns:
  visit: {type: integer, nullable: false}
  at: {type: timestamp, nullable: false}
  zip: {type: category, privacy: drop}
  price: {type: number}
"""
MODEL = """\
dataset: visits
owner: shopkeepers
kind: binary
label: {column: bought, classes: [0, 1], positive: 1, delay: 1d, source: {files: "orders/{date}.csv"}}
estimator: {build: "shop:build", params: {}, seed: 2}
features: [zip, price]
kpi: {unit: EUR, true_positive: 1, false_positive: -1, false_negative: -1}
"""


@pytest.fixture
def home(tmp_path, receiver, monkeypatch):
    """Builds a home with some configuration of alerts."""
    monkeypatch.setenv("PAGER_SECRET", SECRET)

    root = tmp_path / "home"

    def build(text: str | None = None):
        for name, content in {
            "configs/tidegate.yaml": text or platform(receiver.port),
            "configs/datasets/visits.yaml": DATASET,
            "configs/models/bought.yaml": MODEL,
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
        load_project.cache_clear()
        open_stores.cache_clear()
        return open_stores(Home.at(root))

    return build


def alarm(severity="page", subject="price", window="2024-01-04", incident=None, **more) -> Alarm:
    values = {"monitor": "feature", "since": "2024-01-02", "text": f"{subject} drifted: KS 0.31, since 2024-01-02.",
              "next_command": f"tidegate findings bought {window}", "cause": "population", "about": "model bought",
              "group": "shopkeepers", "effect": "about 40 EUR a day", "runbook": "docs/runbooks/population.md",
              "members": (subject,)}  # fmt: skip
    return Alarm(window=window, subject=subject, severity=severity, incident=incident, **{**values, **more})


@pytest.fixture(scope="session")
def alarm_of():
    return alarm


@pytest.fixture(scope="session")
def config():
    return platform


@pytest.fixture
def raise_alarm():
    """Stores alarms of the model as a night would; gives the incident they opened."""
    from tidegate.alarms.incidents import rules_of
    from tidegate.verdicts import Effect, Signal

    def night(stores, window="2024-01-04", at=None, subject="price", certified=True):
        model = stores.project.model("bought")
        rules = rules_of(model, stores.project.dataset(model.dataset), stores.project.platform)
        effect = Effect(0.11, "EUR/row", "about 40 EUR a day", True)
        one = Signal(window, "feature", subject, "ks", "gradual", 0.31, 0.24, 0.39, 6.0, "2024-01-02", True, True,
                     effect, certified, "above its limit on 3 of 5 nights")  # fmt: skip
        return stores.incidents.night([one], rules, window, owner="shopkeepers", known_at=at or AT)[0].incident

    return night
