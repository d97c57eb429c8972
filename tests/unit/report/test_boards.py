"""The dashboards' parts: what is said of nothing, of gains with their error, of one bad cell, of every text."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tidegate.report.board import Board
from tidegate.report.boardfacts import Batch, Facts, Group, Told, Trouble, Worth
from tidegate.report.business import business, gain_of
from tidegate.report.dashboard import render_board
from tidegate.report.engineering import engineering
from tidegate.report.runbooks import render_runbooks

EVIL = '<script>alert(1)</script>=cmd|"'


def facts(**more) -> Facts:
    known = {
        "model": "m", "state": "fine", "words": (), "next": "", "monitor_only": False, "unit": "USD", "priced": True,
        "primary": "roc_auc", "champion": 1, "since": "2024-01-01", "windows": (),
    }  # fmt: skip
    return Facts(**(known | more))


def days(count: int) -> tuple[str, ...]:
    return tuple(str(np.datetime64("2024-01-01") + i) for i in range(count))


def earned(gain: np.ndarray) -> dict[str, Worth]:
    return {d: Worth(1.0 + g, 1.0, 100, 2) for d, g in zip(days(len(gain)), gain, strict=True)}


def test_every_section_of_nothing_says_why():
    for part in (engineering(facts()), business(facts(champion=None))):
        assert all(s.missing for s in part.sections), [s.id for s in part.sections if not s.missing]


def test_a_gain_is_told_only_with_an_error_and_a_true_one_is_found():
    rng = np.random.default_rng(5)
    assert gain_of(facts(block=7, worth=earned(np.ones(21))), days(21)) is None
    total, low, high, _ = gain_of(facts(block=7, worth=earned(rng.normal(0.5, 0.2, 70))), days(70))
    assert low < 0.5 * 7000 < high
    assert low > 0
    assert low < total < high


def test_the_interval_of_no_gain_holds_what_it_says_with_dependent_nights():
    rng, missed, trials = np.random.default_rng(11), 0, 300
    for _ in range(trials):
        shock = rng.normal(0, 1, 140)
        for i in range(1, 140):
            shock[i] += 0.4 * shock[i - 1]
        _, low, high, _ = gain_of(facts(block=7, worth=earned(shock)), days(140))
        missed += not low <= 0 <= high
    # 5 % is promised; three standard errors of 300 trials above it is 8.8 %.
    assert missed / trials < 0.088


@pytest.mark.parametrize(("shift", "head"), [(0.5, "has gained"), (-0.5, "has lost"), (0.0, "not proven")])
def test_the_headline_says_what_is_proven(shift, head):
    rng = np.random.default_rng(3)
    known = facts(block=7, worth=earned(rng.normal(shift, 0.2, 70)), windows=days(70))
    assert head in business(known).headline


def test_an_unknown_counterfactual_is_no_gain():
    known = {d: Worth(1.0, None, 50, 1) for d in days(40)}
    part = business(facts(worth=known, windows=days(40), never_why="version 1 is not in the registry any more"))
    assert part.sections[0].missing == "Not known: version 1 is not in the registry any more"


def test_drift_at_its_limit_is_named():
    found = {d: {"temp": 0.5, "dest": 1.2} for d in days(3)}
    section = next(s for s in engineering(facts(drift=found, windows=days(3))).sections if s.id == "drift")
    assert section.chart.subjects == ("dest", "temp")
    assert "Above it: dest." in section.says


def test_groups_that_differ_are_said_to_with_their_intervals():
    groups = (Group("sex", "f", "roc_auc", 0.6, 0.55, 0.65, 900), Group("sex", "m", "roc_auc", 0.8, 0.75, 0.85, 900))
    section = next(s for s in business(facts(groups=groups)).sections if s.id == "fairness")
    assert "do not overlap" in section.points[0]


@pytest.mark.fault(36)
def test_nothing_from_data_is_markup_or_a_formula():
    known = facts(
        model=EVIL, words=(EVIL,), next=EVIL, windows=days(2),
        batches={d: Batch("fail", 1, 1, EVIL) for d in days(2)}, drift={d: {EVIL: 2.0} for d in days(2)},
        metrics={d: {"roc_auc": 0.5, EVIL: math.nan} for d in days(2)},
        alarms=(Told("2024-01-01", "page", EVIL, "=1+1", EVIL, EVIL, 1, EVIL),),
        incidents=(Trouble(1, "page", "open", EVIL, "2024-01-01", "2024-01-02", "@SUM(A1)"),),
        groups=(Group(EVIL, EVIL, "roc_auc", 0.5, 0.4, 0.6, 3),),
        switches=(("2024-01-01", None, 1, EVIL, EVIL),),
    )  # fmt: skip
    for make, kind in ((engineering, "engineering"), (business, "business")):
        page = render_board(Board(EVIL, kind, "now", (make(known),)))
        shown = page.split('<script type="application/json"')[0]
        assert "<script" not in shown
        data = page.split('id="data">')[1].split("</script>")[0]
        assert "<" not in data
        assert ">=1+1<" not in shown
        assert ">@SUM" not in shown


def test_runbooks_show_html_and_run_none():
    page = render_runbooks({"x": "# X\n\n<img src=x onerror=alert(1)>\n\n[evil](javascript:alert(1))"})["x"]
    assert "<img" not in page
    assert "javascript:" not in page.split("<main>")[1].replace("[evil](javascript:alert(1))", "")
