"""Equal false pages, and what the lines come to."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tidegate.lab.catalogue import FAULTS
from tidegate.lab.realised import row_values, with_fault
from tidegate.lab.scoreboard import TITLES, merge, scoreboard
from tidegate.lab.sweep import Cut, curve, first_page, pages_of, swept, wilson
from tidegate.report.scoreboard import render_scoreboard


def test_a_continuous_and_a_discrete_rule_come_to_the_same_rate() -> None:
    rng = np.random.default_rng(3)
    for held in (rng.normal(size=(20, 180)), rng.integers(0, 4, (20, 180)) / 4):
        cut = swept(list(held), 5, 1.0)
        low, high = (sum(pages_of(h, t, 5) for h in held) / (20 * 180 / 30) for t in (cut.low, cut.high))
        assert cut.mixed(low, high) == pytest.approx(1.0, abs=1e-9)


def test_a_rule_that_cannot_reach_the_budget_takes_its_lowest_threshold() -> None:
    cut = swept([np.zeros(30)], 30, 5.0)
    assert cut == Cut(-1.0, -1.0, 0.0)
    assert swept([], 5, 1.0).share == 0.0
    tried, rates = curve([np.array([1.0, 3.0, 2.0])], 0)
    assert tried.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert rates.tolist() == [30.0, 20.0, 10.0, 0.0]


def test_a_page_that_comes_without_the_fault_too_does_not_count() -> None:
    assert first_page(np.array([9.0, 9.0]), np.array([9.0, 0.0]), 5.0) == 1.0
    assert first_page(np.array([9.0]), np.array([9.0]), 5.0) == np.inf


def test_wilson() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)
    low, high = wilson(1.0, 20)
    assert high == pytest.approx(1.0)
    assert low == pytest.approx(0.839, abs=0.001)


def lines(ours: float, theirs: float, *, harm: float = 0.5, seeds: int = 12) -> list[dict[str, Any]]:
    """Histories whose numbers are uniform on (0, 1), and cells in which a fault brings them to `ours` and `theirs`."""
    rng = np.random.default_rng(7)
    rules = list(TITLES)

    def held(value: float | None, n: int) -> dict[str, list[float]]:
        at = {"tidegate": ours}
        return {r: rng.random(n).tolist() if value is None else [at.get(r, theirs)] * n for r in rules}

    out: list[dict[str, Any]] = [
        {"kind": "history", "order": k, "side": k % 2, "quiet": 5, "min_effect": 0.02, "held": {"2": held(None, 180)}}
        for k in range(4)
    ]
    for s in range(seeds):
        for fault in FAULTS:
            mine = 0.0 if fault.benign else harm
            out.append(
                {"kind": "cell", "fault": fault.name, "size": "large", "seed": s, "order": s % 4, "start": 40,
                 "harm": mine, "held": {"2": {"late": 0, **held(1.0, 7)}}}
            )  # fmt: skip
    return out


def test_power_counts_material_cells_and_pages_on_the_others_are_unwanted() -> None:
    board = scoreboard(lines(ours=2.0, theirs=0.0), 1.0, [2])
    ours, psi = board["rules"]["tidegate"], board["rules"]["psi"]
    assert ours["power"] == ours["unwanted_pages"] == 1.0
    assert psi["power"] == psi["unwanted_pages"] == 0.0
    assert ours["delay_nights"] == 0.0
    low, high = ours["interval"]
    assert low < 1.0 < high
    assert ours["pooled"]["label_flip"]["against_best"]["difference"] == 1.0
    nothing = scoreboard(lines(ours=2.0, theirs=0.0, harm=0.0), 1.0, [2])["rules"]["tidegate"]
    assert nothing["power"] is None
    assert nothing["material"] == 0
    assert scoreboard([], 1.0, [2])["rules"]["tidegate"]["power"] is None


def test_a_threshold_is_read_on_nights_it_was_not_swept_on() -> None:
    """Where one side's nights are louder, the other side's threshold lets them page: that is what is reported."""
    told = lines(ours=2.0, theirs=0.0)
    for line in told:
        if line["kind"] == "history" and line["side"] == 1:
            line["held"]["2"] = {r: (np.array(x) + 5).tolist() for r, x in line["held"]["2"].items()}
    ours = scoreboard(told, 1.0, [2])["rules"]["tidegate"]
    assert ours["false_pages_30d"] > 2.0
    assert ours["thresholds"]["0"][0] > 5 > ours["thresholds"]["1"][1]


def test_what_others_wrote_into_the_scoreboard_stays() -> None:
    before = {"right_action": {"macro": 0.9}, "settings": {"chain": {"n": 1}}}
    after = merge(before, {"rules": {}, "settings": {"profile": {}}})
    assert after["right_action"] == {"macro": 0.9}
    assert after["settings"] == {"chain": {"n": 1}, "profile": {}}


def test_the_page_draws_what_there_is_and_escapes_it() -> None:
    board = scoreboard(lines(ours=2.0, theirs=0.0), 1.0, [2]) | {"settings": {"model": "<i>m</i>"}}
    page = render_scoreboard(json.loads(json.dumps(board)))
    assert "&lt;i&gt;m" in page
    assert "Right action" not in page
    both = render_scoreboard(board | {
        "right_action": {"macro": 0.8, "low": 0.7, "constant": 0.4, "best_constant": "nothing", "n": 9,
                         "confusion": {"retrain": {"retrain": 3, "nothing": 1}}},
        "policies": {"never": {"cost": 100.0}, "tidegate": {"cost": 50}},
    })  # fmt: skip
    assert 'id="right-title"' in both
    assert "<b>3</b>" in both
    assert 'id="chart-policies"' in both


def test_what_comes_twice_is_paid_twice_and_what_is_missing_goes_without_a_score() -> None:
    without = np.array([-20.0, -20.0, 0.0])
    assert with_fault(np.array([0, 1, 2]), np.array([-5.0, 0.0, 0.0]), without) == (-5.0, 3)
    assert with_fault(np.array([0, 0]), np.array([-5.0, -5.0]), without) == (-30.0, 3)
    assert with_fault(np.array([2, 2, 3]), np.array([4.0, 4.0, 1.0]), without) == (-35.0, 4)


def test_row_values_add_up_to_the_kpi(binary_model) -> None:
    scores, labels = np.array([0.9, 0.9, 0.1, 0.1, 0.1]), np.array([1.0, 0.0, 1.0, 0.0, np.nan])
    found = row_values(binary_model, scores, labels, 0.5)
    assert found[:4].tolist() == [0.0, -3.0, -40.0, 0.0]
    assert np.isnan(found[4])
    free = binary_model.model_copy(update={"kpi": type(binary_model.kpi)()})
    assert row_values(free, scores, labels, 0.5)[0] == pytest.approx(np.log(0.9))
