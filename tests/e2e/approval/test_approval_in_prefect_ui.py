"""A person decides in the Prefect UI: a real server, a real process that serves the flow, a real browser."""

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
from datetime import date, timedelta
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

FIRST = date(2024, 1, 1)
NIGHTS = 10
START = 180
"""Seconds that a busy machine may take to start a server, or a run."""
ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
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


@pytest.fixture(scope="module")
def home(make_diabetes, tmp_path_factory):
    """Ten nights of patients with their labels; nothing is trained."""
    from tidegate.clock import evening_of
    from tidegate.config.home import Home
    from tidegate.steps.ingest import ingest
    from tidegate.steps.labels import collect_labels
    from tidegate.steps.stores import open_stores

    root = make_diabetes(tmp_path_factory.mktemp("clinic"), NIGHTS, 99)
    stores = open_stores(Home.at(root))
    dataset, model = stores.project.dataset("patients"), stores.project.model("progression")
    for window in stores.project.calendar(dataset).range(FIRST, FIRST + timedelta(days=NIGHTS - 1)):
        ingest(stores, dataset, window, evening_of(window))
        collect_labels(stores, model, window, evening_of(window))
    return root


class Server:
    """A Prefect server on a free loopback port, with a home of its own, and what runs against it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url, self.folder = f"http://127.0.0.1:{self.port}", folder
        self.env = {
            **os.environ, "PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": f"{self.url}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "true", "OMP_NUM_THREADS": "1",
            "PREFECT_LOGGING_LEVEL": "INFO",
        }  # fmt: skip
        self.running: list[subprocess.Popen[bytes]] = []
        self.start("server", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port))

    def start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            command = [sys.executable, *words]
            self.running.append(subprocess.Popen(command, env=self.env, stdout=log, stderr=log, start_new_session=True))

    def run(self, code: str) -> None:
        """Run a process of its own against this server."""
        done = subprocess.run(
            [sys.executable, "-c", code], env=self.env, capture_output=True, text=True, check=False, timeout=START
        )
        assert done.returncode == 0, done.stderr

    def ask(self, path: str, body: dict | None = None):
        """What the server's API answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def until(self, path: str, wanted, body: dict | None = None):
        """The API's answer as soon as it is the `wanted` one."""
        found, end = None, time.monotonic() + START
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
            time.sleep(0.5)
        raise AssertionError(f"{path}: {found}\n{self.logs()}")

    def logs(self) -> str:
        return "\n".join(f"--- {p.name}\n{p.read_text()[-3000:]}" for p in self.folder.glob("*.log"))

    def runs(self) -> list[dict]:
        return self.ask("/flow_runs/filter", {"flows": {"name": {"any_": ["approval"]}}})

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
def server(tmp_path_factory):
    found = Server(tmp_path_factory.mktemp("server"))
    try:
        found.until("/health", lambda up: up is True)
        found.start("served", str(Path(__file__).with_name("served.py")))
        found.until("/deployments/filter", lambda known: [d["name"] for d in known] == ["approval"], {})
        yield found
    finally:
        found.stop()


RETRAIN = """
from flows.retrain import retrain
from flows.parameters import RetrainRequest
for _ in range(2):
    verdict = retrain(RetrainRequest(home={home!r}, model="progression", window="{night}"))
    assert verdict.passed, verdict
    assert "tidegate approve progression {version} --by NAME" in verdict.reasons[-1]
"""
SECOND = """
from pathlib import Path
from tidegate.clock import now
from tidegate.config.home import Home
from tidegate.steps.candidate import train_and_register
from tidegate.steps.stores import open_stores
stores = open_stores(Home.at(Path({home!r})))
model = stores.project.model("progression")
window = stores.project.calendar(stores.project.dataset(model.dataset)).window("{night}")
version = train_and_register(stores, model, window, now(), reason="second")
look = dict(window=window.id, outcome="pass", reasons=["mae: better"], against=1)
stores.records.set_status(model.name, version, "challenger", looks=[look])
"""


def said(home):
    """The plan, each version's status, and who said what of them."""
    from tidegate.adapters import ledger
    from tidegate.config.home import Home
    from tidegate.steps.stores import open_stores

    stores = open_stores(Home.at(home))
    told = [e["body"] for e in ledger.entries(stores.control, stores.namespace, "progression", "approval")]
    return (
        stores.plans.get("progression").champion,
        [v["status"] for v in stores.records.versions("progression")],
        [(b["what"], b["version"], b["by"], b["reason"]) for b in told if b["what"] != "request"],
    )


def decide(page, server, run, folder, name, decision, by, reason, form_number=1):
    """Open the run, press Resume, read the verdict, fill in the form, submit."""
    page.goto(f"{server.url}/runs/flow-run/{run['id']}")
    resume = page.get_by_role("button", name="Resume").first
    resume.wait_for(timeout=60_000)
    resume.click()
    form = page.locator(".p-modal")
    form.get_by_role("heading", name=f"progression version {name}").wait_for()
    verdict = form.locator("article.markdown-renderer").first.inner_text()
    page.screenshot(path=str(folder / f"{decision}-{form_number}-shown.png"))

    def field(label):
        title = page.locator(".schema-form-property__label", has_text=label)
        return form.locator(".schema-form-property").filter(has=title)

    choose = field("Decision").locator("button.p-select-button__control")
    choose.focus()
    choose.press("ArrowDown")
    page.locator(".p-select-option", has_text=decision).first.click()
    field("By").locator("textarea").fill(by)
    field("Reason").locator("textarea").fill(reason)
    page.screenshot(path=str(folder / f"{decision}-{form_number}-filled.png"))
    form.get_by_role("button", name="Submit").click()
    form.wait_for(state="detached")
    return verdict


def ended(page, server, run, folder, name):
    done = server.until(f"/flow_runs/{run['id']}", lambda r: r["state_name"] in ("Completed", "Failed"))
    assert done["state_name"] == "Completed", server.logs()
    page.reload()
    page.get_by_text("Completed", exact=True).first.wait_for()
    page.screenshot(path=str(folder / f"{name}-done.png"))


def test_one_version_is_approved_and_the_next_refused(browser, server, home, tmp_path):
    nights = [(FIRST + timedelta(days=NIGHTS - i)).isoformat() for i in (2, 1)]
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.set_default_timeout(START * 1000)
    elsewhere = []
    page.on(
        "request", lambda r: elsewhere.append(r.url) if not r.url.startswith((server.url, "data:", "blob:")) else None
    )

    def suspended(version, form=1):
        """The one run about a version, once its process has ended and it waits with this form."""
        [run] = [r for r in server.runs() if r["name"] == f"progression version {version}"]
        key = f"suspended-answer-{form}-schema"

        def waits(r):
            keys = r["state"]["state_details"].get("run_input_keyset") or {}
            return r["state_name"] == "Suspended" and keys.get("schema") == key

        return server.until(f"/flow_runs/{run['id']}", waits)

    # The retrain was run twice: it invited once.
    server.run(RETRAIN.format(home=str(home), night=nights[0], version=1))
    assert said(home) == (None, ["challenger"], [])
    run = suspended(1)
    shown = decide(page, server, run, tmp_path, 1, "approve", "ann", "looks right to me")
    assert "pass" in shown
    assert "lapses on" in shown
    ended(page, server, run, tmp_path, "approve")
    approved = ("approve", 1, "ann", "looks right to me")
    assert said(home) == (1, ["champion"], [approved])

    # A rejection without a reason is not taken: the form comes back and says what is wrong.
    both = (SECOND + RETRAIN).format(home=str(home), night=nights[1], version=2)
    server.run(both)
    run = suspended(2)
    decide(page, server, run, tmp_path, 2, "reject", "bob", "")
    run = suspended(2, form=2)
    assert said(home)[1] == ["champion", "challenger"]
    shown = decide(page, server, run, tmp_path, 2, "reject", "bob", "worse for old patients", form_number=2)
    assert "Not taken" in shown
    ended(page, server, run, tmp_path, "reject")
    assert said(home) == (1, ["champion", "rejected"], [approved, ("reject", 2, "bob", "worse for old patients")])
    page.close()
    assert elsewhere == []
