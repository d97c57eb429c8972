"""Pages of a real home: written, served, linked; one broken model holds no other back."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest

from serving.pages import application
from tidegate.config.home import Home
from tidegate.config.project import load_project
from tidegate.steps.never import KIND, against_never
from tidegate.steps.pages import write_pages
from tidegate.steps.stores import open_stores

NIGHTS = 16
LAST = datetime(2024, 1, 17, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def loop(loop_of, make_wine, tmp_path_factory):
    """A champion of night 9, and nights after it."""
    found = loop_of(make_wine(tmp_path_factory.mktemp("pages") / "home", NIGHTS, 99, date(2024, 1, 1)), "cultivars")
    for i in range(9):
        found.ingest(i)
        found.labels(i)
    found.retrain(8, "first_model")
    for i in range(9, NIGHTS):
        found.night(i)
    return found


@pytest.fixture(scope="module")
def home(loop) -> Home:
    return Home.at(loop.root)


def test_both_pages_are_written_and_name_the_model(loop):
    made = write_pages(loop.stores, LAST)
    for path in (made.engineering, made.business):
        page = path.read_text()
        assert "cultivars" in page
        assert path.stat().st_size < 6e6
        assert len(list(path.parent.glob(f"{path.stem}-20*.html"))) == 1


def test_served_nights_are_weighed_against_the_first_champion_once(loop):
    assert against_never(loop.stores, loop.model, loop.calendar.window("2024-01-16"), LAST) == ""
    known = loop.stores.records.verdicts("cultivars", KIND)
    assert known
    # One champion so far: never retraining is what happened.
    assert all(v.numbers["served"] == v.numbers["never"] for v in known.values())


def test_pages_are_served_to_this_machine_only_and_metrics_with_them(home):
    write_pages(open_stores(home), LAST)
    asyncio.run(_asked(application(home)))


async def _asked(app) -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8081") as client:
        assert (await client.get("/ping")).json() == {"status": "ok"}
        page = await client.get("/engineering", follow_redirects=True)
        assert page.status_code == 200
        assert page.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in page.text
        assert (await client.get("/pages/runbooks/README.html")).status_code == 200
        assert 'tidegate_champion_version{model="cultivars"}' in (await client.get("/metrics")).text
        assert (await client.get("/status")).json()[0]["model"] == "cultivars"
        assert (await client.get("/ping", headers={"host": "evil.example"})).status_code == 421
        assert (await client.get("/pages/%2e%2e/control.db")).status_code == 404


def test_a_broken_model_is_there_with_its_fault(home, tidegate):
    good = (home.root / "configs/models/cultivars.yaml").read_text()
    broken = home.root / "configs/models/broken.yaml"
    broken.write_text(good.replace("dataset: tastings", "dataset: nowhere"))
    load_project.cache_clear()
    try:
        said = tidegate("--home", home.root, "pages", "--json")
        assert said.code == 0, said
        page = Path(json.loads(said.out)["engineering"]).read_text()
        assert "nowhere" in page
        assert "mend configs/models/broken.yaml" in page
        assert "cultivars" in page
    finally:
        broken.unlink()
        load_project.cache_clear()


def test_an_empty_home_says_what_to_do(make_wine, tmp_path, tidegate):
    root = make_wine(tmp_path / "home", 1, 9)
    (root / "configs/models/cultivars.yaml").unlink()
    load_project.cache_clear()
    said = tidegate("--home", root, "pages")
    assert said.code == 0, said
    assert "There is no model yet" in (root / "var/pages/business.html").read_text()
