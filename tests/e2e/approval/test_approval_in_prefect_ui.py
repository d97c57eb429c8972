"""A person decides in the Prefect UI: a real server, a real process that serves the flow, a real browser."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

FIRST = date(2024, 1, 1)
NIGHTS = 10
START = 180
"""Seconds that a busy machine may take to start a server, or a run."""

pytestmark = pytest.mark.slow


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


@pytest.fixture(scope="module")
def server(prefect_server):
    prefect_server.start("served", str(Path(__file__).with_name("served.py")))
    prefect_server.until("/deployments/filter", lambda known: [d["name"] for d in known] == ["approval"], {})
    return prefect_server


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
