"""The pages in a real browser: nothing runs but ours, nothing is asked of the network, filters, phone, CSV."""

from __future__ import annotations

import csv
import io

import pytest

from tidegate.report.board import Board
from tidegate.report.boardfacts import Batch, Facts, Told, Trouble
from tidegate.report.business import business
from tidegate.report.dashboard import render_board
from tidegate.report.engineering import engineering

EVIL = '<img src="http://127.0.0.1:9/x" onerror="alert(1)"><script>alert(2)</script>'
FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Two models with every field from outside hostile, written as files."""
    days = tuple(f"2024-01-{d:02}" for d in range(1, 32))
    known = {
        "state": "act", "words": (EVIL, *FORMULAS), "next": EVIL, "monitor_only": False, "unit": EVIL, "priced": True,
        "primary": "roc_auc", "champion": 1, "since": EVIL, "windows": days,
        "batches": {d: Batch("fail" if i % 9 == 0 else "pass", 100, i, FORMULAS[i % 5]) for i, d in enumerate(days)},
        "drift": {d: {EVIL: 1.4, "=1+1": 0.4} for d in days},
        "metrics": {d: {"roc_auc": 0.7 + i / 200} for i, d in enumerate(days)},
        "alarms": tuple(Told(d, "page", FORMULAS[i % 5], EVIL, EVIL, EVIL, 1) for i, d in enumerate(days)),
        "incidents": (Trouble(1, "page", "open", "=1", days[0], days[-1], "@SUM(1)"),),
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("pages")
    models = [Facts(model=name, **known) for name in (EVIL, "second")]
    for kind, make in (("engineering", engineering), ("business", business)):
        page = render_board(Board(EVIL, kind, "now", tuple(make(m) for m in models)))
        (folder / f"{kind}.html").write_text(page)
    return folder


@pytest.fixture
def opened(browser, pages):
    """Opens a page; whatever it asks of the network or says in a dialog is kept."""
    made = []

    def open_page(kind: str, width: int = 1200, **more):
        page = browser.new_page(viewport={"width": width, "height": 800}, **more)
        page.heard = []
        page.on("dialog", lambda d: (page.heard.append(d.message), d.dismiss()))
        page.on("request", lambda r: r.url.startswith(("file:", "data:", "blob:")) or page.heard.append(r.url))
        page.on("pageerror", lambda e: page.heard.append(str(e)))
        page.goto((pages / f"{kind}.html").as_uri())
        page.wait_for_function("document.documentElement.dataset.ready === 'yes'")
        made.append(page)
        return page

    yield open_page
    for page in made:
        page.close()


@pytest.mark.fault(36)
@pytest.mark.parametrize("kind", ["engineering", "business"])
def test_hostile_texts_are_texts_and_nothing_is_asked_of_the_network(opened, kind):
    page = opened(kind)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    for y in range(0, page.evaluate("document.documentElement.scrollHeight"), 400):
        page.evaluate(f"scrollTo(0, {y})")
        page.wait_for_timeout(40)
    assert page.heard == []
    assert page.locator("main img, main script").count() == 0
    drawn = page.evaluate("[...document.querySelectorAll('.chart')].every((c) => c.dataset.drawn === 'yes')")
    assert drawn


@pytest.mark.fault(36)
def test_a_table_leaves_as_csv_without_a_formula(opened):
    page = opened("engineering")
    with page.expect_download() as found:
        page.locator("[data-csv$='-alarms']").first.click()
    rows = list(csv.reader(io.StringIO(found.value.path().read_text())))
    assert len(rows) == 32
    assert not [cell for row in rows for cell in row if cell.lstrip()[:1] in ("=", "+", "-", "@")]


def test_the_filter_shows_a_model_and_days(opened):
    page = opened("engineering")
    assert page.locator("article:visible").count() == 2
    page.select_option("#model", "1")
    assert page.locator("article:visible").count() == 1
    page.fill("#from", "2024-01-20")
    page.dispatch_event("#from", "change")
    shown = page.evaluate(
        "[...document.querySelectorAll('tr[data-day]')].filter((r) => !r.hidden).map((r) => r.dataset.day)"
    )
    assert shown
    assert min(shown) == "2024-01-20"


@pytest.mark.parametrize("kind", ["engineering", "business"])
def test_a_phone_needs_no_sideways_scroll_and_keys_are_enough(opened, kind):
    page = opened(kind, width=375, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint > 0
