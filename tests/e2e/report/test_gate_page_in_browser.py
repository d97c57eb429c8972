"""The gate's evidence page in a real browser: drawn, quiet, offline, on a phone, in the dark, with the keyboard."""

import os
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tidegate.report.gatepage import gate_page

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

CASE_FILE = Path(__file__).parents[2] / "unit" / "report" / "gate_case.py"
ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def case():
    spec = spec_from_file_location("gate_case", CASE_FILE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.case


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
def open_page(browser, tmp_path):
    """Open a document's page; what the browser complained about or asked for must be nothing."""
    contexts = []

    def open_(document, **options):
        file = tmp_path / "gate.html"
        file.write_text(gate_page(document), encoding="utf-8")
        context = browser.new_context(**options)
        page = context.new_page()
        heard = []
        page.on("console", lambda m: heard.append(m.text))
        page.on("pageerror", lambda e: heard.append(str(e)))
        page.on("request", lambda r: heard.append(r.url) if r.url != file.as_uri() else None)
        contexts.append((context, heard))
        page.goto(file.as_uri())
        if options.get("java_script_enabled", True):
            page.wait_for_selector("html[data-drawn]", state="attached")
        return page

    yield open_
    for context, heard in contexts:
        context.close()
        assert heard == []


def dark(page):
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, background[4:-1].split(","))) < 3 * 128


def in_view(page, selector):
    box = page.locator(selector).first.bounding_box()
    return box["y"] >= 0 and box["y"] + box["height"] <= page.viewport_size["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_verdict_is_seen_at_once_and_curves_are_drawn(open_page, case, scheme):
    page = open_page(case(worst="EV", model={"protected": ["sex"]}), color_scheme=scheme)
    assert dark(page) == (scheme == "dark")
    heading = page.get_by_role("heading", name="Version 3 is not promoted: it failed on segments and fairness.")
    assert heading.is_visible()
    assert in_view(page, "#head-title")
    # Both sides and the diagonal, each in a dash of its own.
    dashes = page.eval_on_selector_all("#chart-roc path.js-line", "all => all.map(p => p.style.strokeDasharray)")
    assert len(dashes) == len(set(dashes)) == 3
    assert page.locator("#chart-reliability .errorbar").count() >= 20
    assert page.locator("#chart-reliability .fills path").count() >= 1
    assert page.locator("#chart-scores-ours .bars path").count() >= 15
    failed = page.locator("#check-segments ~ table svg.whisker.fail").first
    assert "limit" in failed.get_attribute("aria-label")
    assert failed.locator("rect.dot").count() == 1


def test_colours_follow_the_scheme(open_page, case):
    page = open_page(case(), color_scheme="light")
    line = page.locator("#chart-roc path.js-line").nth(1)
    before = line.evaluate("line => getComputedStyle(line).stroke")
    page.emulate_media(color_scheme="dark")
    sync_api.expect(line).not_to_have_css("stroke", before)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_fits_a_phone(open_page, case, kind):
    document = case(kind)
    document["checks"][0]["lines"][0]["reason"] = "a_very_long_reason_without_any_space_" * 8
    document["verdict"]["reasons"] = ["another_very_long_reason_without_any_space_" * 6]
    page = open_page(document, viewport={"width": 390, "height": 844})
    assert in_view(page, "#head-title")
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for chart in page.locator(".chart .main-svg:first-child").all():
        box = chart.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    for whisker in page.locator(".lines svg.whisker").all()[:20]:
        assert whisker.bounding_box()["width"] > 100


def test_keyboard_leads_through_it(open_page, case):
    page = open_page(case("multiclass"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.url.endswith("#checks")
    page.locator("#view").focus()
    label = page.locator("#chart-scores-ours").get_attribute("aria-label")
    page.keyboard.press("ArrowDown")
    assert page.locator("#chart-scores-ours").get_attribute("aria-label") != label
    page.locator("#lineage ~ details summary").first.focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("rowheader", name="Tue 1 Jan 2013").is_visible()


def test_it_reads_without_scripts(open_page, case):
    page = open_page(case(), java_script_enabled=False)
    assert page.get_by_role("heading", name="Version 3 may replace the champion").is_visible()
    assert page.locator("noscript p").is_visible()
    page.locator("summary", has_text="The numbers behind the charts").click()
    assert page.get_by_role("table", name="ROC, True").is_visible()


@pytest.mark.fault(36)
def test_nothing_hostile_lives(open_page, case):
    text = '<img src=x onerror="window.owned=1"><script>window.owned=1</script>'
    document = case()
    document["model"]["name"] = text
    document["checks"][0]["reasons"] = [text]
    document["checks"][1]["lines"][0] |= {"name": f"loss [{text}]", "reason": text}
    document["shown"]["curves"]["classes"][0]["name"] = text
    document["shown"]["explanations"]["permutation"][0]["name"] = text
    page = open_page(document)
    page.locator("#chart-scores-ours").scroll_into_view_if_needed()
    assert page.evaluate("window.owned") is None
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 3


def test_odd_looks_open(open_page, case):
    for changes in ({"shown": {}}, {"checks": []}, {"against": None}, {"rows": {"nights": 3, "rows": 20}}):
        page = open_page(case(**changes))
        assert page.locator("#head-title").inner_text()
