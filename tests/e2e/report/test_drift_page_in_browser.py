"""A drift report in a real browser: drawn, quiet, asking nobody for anything, and nothing in it live."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tidegate.adapters.evidently import draw
from tidegate.config.model import Monitors
from tidegate.report.drift import comparison
from tidegate.report.drifthead import Head

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

EVIL = "</script><img src=x onerror=alert(1)><script>alert(1)</script>"
ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


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


@pytest.mark.fault(36)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_draws_itself_and_runs_nothing_else(browser, tmp_path, scheme):
    reference = pd.DataFrame({"delay": range(400), EVIL: ["a", EVIL] * 200})
    current = pd.DataFrame({"delay": range(300, 400), EVIL: [EVIL, None] * 50})
    limits = Monitors()
    made = comparison([("delay", "number"), (EVIL, "category"), ("at", "timestamp")], reference, current, limits)
    head = Head("flights", "2024-01-02", 1, limits, (100, 100), (400, 400), (5, 5), ("2023-12-01", "2023-12-05"),
                5000, 1, len(made.fields), [EVIL], {**made.left_out, EVIL: EVIL})  # fmt: skip
    file = tmp_path / "page.html"
    file.write_text(draw(made.fields, EVIL, head.html).html, encoding="utf-8")

    context = browser.new_context(color_scheme=scheme)
    page, heard = context.new_page(), []
    page.on("console", lambda m: heard.append(m.text))
    page.on("pageerror", lambda e: heard.append(str(e)))
    page.on("dialog", lambda d: (heard.append(d.message), d.dismiss()))
    page.on("request", lambda r: heard.append(r.url) if r.url != file.as_uri() else None)
    page.goto(file.as_uri())
    page.get_by_text("Dataset Drift is detected").first.wait_for()
    assert page.locator("header.tidegate h1").inner_text().startswith("flights, 2024-01-02: 3 of 3")
    assert page.get_by_text("an instant, always later").is_visible()
    page.get_by_text("delay", exact=True).last.click()
    page.wait_for_timeout(500)
    page.get_by_role("tab", name="Tests").click()
    page.get_by_text("The drift threshold is").first.wait_for()
    assert page.title() == EVIL
    assert page.locator("img[src=x]").count() == 0
    page.screenshot(path=str(tmp_path / f"{scheme}.png"))
    context.close()
    assert heard == []
