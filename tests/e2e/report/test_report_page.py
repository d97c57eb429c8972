"""The replay report in a real browser: drawn, quiet, offline, on a phone, with the keyboard."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tidegate.report.replay import render_replay

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

SUMMARY = Path(__file__).parents[2] / "unit" / "report" / "summary.json"
ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
CHARTS = ("chart-metric", "chart-kpi", "chart-events")


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


@pytest.fixture
def summary():
    return json.loads(SUMMARY.read_text())


@pytest.fixture
def open_page(browser, tmp_path):
    """Open a summary's page; what the browser complained about or asked for must be nothing."""
    contexts = []

    def open_(summary, **options):
        file = tmp_path / "report.html"
        file.write_text(render_replay(summary), encoding="utf-8")
        context = browser.new_context(**options)
        page = context.new_page()
        heard = []
        page.on("console", lambda m: heard.append(m.text))
        page.on("pageerror", lambda e: heard.append(str(e)))
        page.on("request", lambda r: heard.append(r.url) if r.url != file.as_uri() else None)
        contexts.append((context, heard))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-drawn]", state="attached")
        return page

    yield open_
    for context, heard in contexts:
        context.close()
        assert heard == []


def lines(page, chart):
    return page.locator(f"#{chart} .scatterlayer .trace path.js-line").count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_are_drawn(open_page, summary, scheme):
    page = open_page(summary, color_scheme=scheme)
    assert lines(page, "chart-metric") == lines(page, "chart-kpi") == 3
    # Two attempts of Tidegate's took more than a day.
    assert page.locator("#chart-events .points path").count() >= 4 + 10 + 5
    colors = page.eval_on_selector_all("#chart-metric path.js-line", "all => all.map(p => p.style.stroke)")
    dashes = page.eval_on_selector_all("#chart-metric path.js-line", "all => all.map(p => p.style.strokeDasharray)")
    assert len(set(colors)) == len(set(dashes)) == 3
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = sum(map(int, background[4:-1].split(","))) < 3 * 128
    assert dark == (scheme == "dark")


def test_colours_follow_the_scheme(open_page, summary):
    page = open_page(summary, color_scheme="light")
    line = page.locator("#chart-metric path.js-line").first
    before = line.evaluate("line => getComputedStyle(line).stroke")
    page.emulate_media(color_scheme="dark")
    sync_api.expect(line).not_to_have_css("stroke", before)


def test_fits_a_phone(open_page, summary):
    summary["blocked"][0]["reasons"] = ["a_very_long_name_without_any_space_" * 6]
    page = open_page(summary, viewport={"width": 390, "height": 844})
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for chart in CHARTS:
        box = page.locator(f"#{chart} .main-svg").first.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_keyboard_reaches_and_works(open_page, summary):
    page = open_page(summary)
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        if reached[-1] == "view":
            break
    assert {"A", "metric", "view"} <= set(reached)
    page.keyboard.press("ArrowDown")
    assert "gain over never" in page.locator("#metric-note").inner_text()
    page.locator("#metric").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#metric-name").inner_text() == "PR AUC"
    assert "PR AUC" in page.locator("#chart-metric").get_attribute("aria-label")
    page.locator("details.policy summary").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator("details.policy").nth(1).get_attribute("open") is not None


@pytest.mark.fault(36)
def test_nothing_hostile_lives(open_page, summary):
    text = '<img src=x onerror="window.owned=1"><script>window.owned=1</script>'
    summary["model"] = text
    summary["blocked"][0]["reasons"] = [text, "=cmd|' /C calc'!A0"]
    summary["injected"][0]["what"] = text
    summary["events"]["tidegate"][1]["reason"] = text
    for part in ("policies", "months", "events"):
        summary[part][text] = summary[part]["never"]
    page = open_page(summary)
    assert page.evaluate("window.owned") is None
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 3
    cells = page.eval_on_selector_all("td, th, li", "all => all.map(c => c.textContent.trim())")
    assert not [c for c in cells if c[:1] in ("=", "@")]
    assert [c for c in cells if c == text]
    page.locator("#chart-events").scroll_into_view_if_needed()
    assert page.locator("#chart-events .ytick", has_text="<img").count() == 1


def test_odd_replays_open(open_page, summary):
    for months in ({}, {p: {"2013-03": m["2013-03"]} for p, m in summary["months"].items()}):
        page = open_page(summary | {"months": months, "events": {}, "blocked": []})
        assert lines(page, "chart-metric") in (0, 3)
