"""`make e2e`: everything up, a drifted night, the automation's retraining, a person in a browser, the gateway."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
pytestmark = pytest.mark.slow
ROW = {
    "tasting": 1,
    "cellar": "north",
    "alcohol": 13.2,
    "flavanoids": 2.4,
    "color": 5.1,
    "hue": 1.02,
    "proline": 1010.0,
}
FORMS = ("nightly/cultivars", "retrain/cultivars", "approval/approval", "rollback/rollback", "ingest/ingest",
         "replay/replay", "recalibrate/recalibrate")  # fmt: skip
LIMIT = 360
"""Seconds for all of it."""


class Client:
    """Asks the gateway all the time, as a shop would; keeps (moment, status, version)."""

    def __init__(self, url: str) -> None:
        self.url, self.seen, self.over = url, [], threading.Event()
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self) -> None:
        at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        body = json.dumps({"dataframe_records": [ROW | {"tasted_at": at}]}).encode()
        while not self.over.wait(0.1):
            ask = urllib.request.Request(f"{self.url}/invocations", body, {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(ask, timeout=20) as answer:
                    self.seen.append((time.time(), answer.status, json.load(answer)["version"]))
            except urllib.error.HTTPError as fault:
                self.seen.append((time.time(), fault.code, fault.read().decode()))
            except OSError as fault:
                self.seen.append((time.time(), 0, str(fault)))

    def first(self, version: int, within: float) -> float:
        """The moment of the first answer by a version."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            for at, _, found in list(self.seen):
                if found == version:
                    return at
            time.sleep(0.05)
        raise AssertionError(f"no answer by version {version}: {self.seen[-3:]}")

    def stop(self) -> None:
        self.over.set()
        self.thread.join()


@pytest.fixture(scope="module")
def folder():
    """Where screenshots and figures stay to be looked at."""
    found = Path(os.environ.get("TIDEGATE_E2E", Path(__file__).parents[3] / "var" / "e2e"))
    found.mkdir(parents=True, exist_ok=True)
    return found


@pytest.fixture(scope="module")
def figures(folder):
    found: dict[str, float] = {}
    yield found
    (folder / "figures.json").write_text(json.dumps({k: round(v, 1) for k, v in found.items()}, indent=1) + "\n")


@pytest.fixture(scope="module")
def running(decayed, server_at, figures, tmp_path_factory):
    """`tidegate up`, as an operator starts it."""
    from tidegate.config.home import Home
    from tidegate.config.project import load_project

    platform = load_project(Home.at(decayed)).platform
    server = server_at(tmp_path_factory.mktemp("up"), platform.operations.prefect_port)
    began = time.monotonic()
    words = ("-m", "tidegate.cli.main", "--home", str(decayed), "up", "--without", "mlflow", "--without", "pages")
    up = server.start("up", *words)
    try:
        while "healthy after" not in (server.folder / "up.log").read_text():
            assert up.poll() is None, server.logs()
            assert time.monotonic() - began < 180, server.logs()
            time.sleep(0.2)
        figures["tidegate up healthy, s"] = time.monotonic() - began
        yield server, up, f"http://127.0.0.1:{platform.serving.port}"
    finally:
        server.stop()


def moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_from_a_drifted_night_to_the_gateways_new_version(running, decayed, browser, decide, figures, folder):
    from tidegate.config.home import Home
    from tidegate.steps.stores import stores_of

    began = time.monotonic()
    server, up, gateway = running
    stores = stores_of(Home.at(decayed))
    client = Client(gateway)
    try:
        client.first(1, within=30)

        night = server.trigger("nightly/cultivars")
        server.ended(night, "Completed")
        [yesterday] = [w for w in stores.records.outcomes("cultivars", "night") if w == max(_nights(stores))]
        assert yesterday == (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
        [retrain] = server.until("/flow_runs/filter", lambda found: len(found) == 1,
                                 {"flows": {"name": {"any_": ["retrain"]}}})  and server.runs("retrain")  # fmt: skip
        assert retrain["created_by"]["type"] == "AUTOMATION"
        asked = retrain["parameters"]["request"]
        assert (asked["model"], asked["window"], asked["champion"], asked["reason"]) == (
            "cultivars", yesterday, 1, "decay",
        )  # fmt: skip
        server.ended(retrain, "Completed")
        wanted = {"filter": {"event": {"name": ["tidegate.retrain.wanted"]}}}
        [event] = server.until("/events/filter", lambda found: found["events"], wanted)["events"]
        said = {"logs": {"flow_run_id": {"any_": [retrain["id"]]}}, "sort": "TIMESTAMP_ASC"}
        lines = server.until("/logs/filter", lambda ls: any("Beginning flow run" in x["message"] for x in ls), said)
        first = next(x for x in lines if "Beginning flow run" in x["message"])
        figures["event to run created, s"] = moment(retrain["created"]) - moment(event["received"])
        figures["event to first line, s"] = moment(first["timestamp"]) - moment(event["received"])

        # The night did not train too, and nothing has gone live.
        assert [v["status"] for v in stores.records.versions("cultivars")] == ["champion", "challenger"]
        assert {version for _, _, version in client.seen} == {1}

        [run] = server.until("/flow_runs/filter", lambda found: len(found) == 1,
                             {"flows": {"name": {"any_": ["approval"]}}})  # fmt: skip
        run = server.until(f"/flow_runs/{run['id']}", lambda r: r["state_name"] == "Suspended")
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(60_000)
        elsewhere = []
        page.on("request", lambda r: elsewhere.append(r.url)
                if not r.url.startswith((server.url, "data:", "blob:")) else None)  # fmt: skip
        for name in FORMS:
            shown = _form(page, server, name, folder)
            assert "Home folder" in shown
            assert shown.index("Home folder") > shown.index("Model" if "ingest" not in name else "Dataset")
        verdict = decide(page, server, run, folder, "approve", "ann", "fits the new instruments", "approval")
        assert "pass" in verdict
        submitted = time.time()
        server.ended(run, "Completed")
        assert stores.plans.get("cultivars").champion == 2
        figures["answer to the gateway's new version, s"] = client.first(2, within=30) - submitted
        page.close()
        assert elsewhere == []
    finally:
        client.stop()
    figures["requests meanwhile"] = len(client.seen)
    assert [one for one in client.seen if one[1] != 200] == []
    versions = [version for _, _, version in client.seen]
    assert versions == sorted(versions)

    below = psutil.Process(up.pid).children(recursive=True)
    up.send_signal(signal.SIGINT)
    assert up.wait(60) == 0, server.logs()
    server.running.remove(up)
    assert [p for p in below if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    figures["all of it, s"] = time.monotonic() - began + figures["tidegate up healthy, s"]
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    assert figures["event to run created, s"] <= 5
    assert figures["event to first line, s"] <= 25
    assert figures["all of it, s"] <= LIMIT


def _nights(stores):
    return stores.records.outcomes("cultivars", "night")


def _form(page, server, name, folder) -> str:
    """What the form of a deployment shows; its picture is kept."""
    made = server.ask(f"/deployments/name/{name}")
    page.goto(f"{server.url}/deployments/deployment/{made['id']}/run")
    form = page.locator(".schema-form-property").first
    form.wait_for()
    page.get_by_text("Home folder").first.wait_for()
    page.screenshot(path=str(folder / f"form-{name.partition('/')[0]}.png"), full_page=True)
    return page.locator("body").inner_text()
