"""Which actions were right, and how often one of them is taken."""

import math

import numpy as np
import pytest

from tidegate.lab.rightaction import (
    ORDER,
    Outcome,
    best_constant,
    confusion,
    lower_bound,
    macro,
    right_set,
    summary,
)

NOT_TOLD = dict.fromkeys(ORDER, math.nan)


def test_the_best_is_right_alone_where_nothing_comes_near():
    net = {**NOT_TOLD, "nothing": 0.0, "retrain": 900.0, "recalibrate": 700.0}
    assert right_set(net, {("recalibrate", "retrain"): 199.0}) == ("retrain",)


def test_what_is_within_one_standard_error_of_the_best_is_right_too():
    net = {**NOT_TOLD, "nothing": 0.0, "retrain": 900.0, "recalibrate": 700.0}
    assert right_set(net, {("recalibrate", "retrain"): 200.0}) == ("recalibrate", "retrain")
    assert right_set(net, {("retrain", "recalibrate"): 200.0}) == ("recalibrate", "retrain")


def test_equal_values_are_a_tie_and_a_cost_breaks_it():
    assert right_set({"nothing": 0.0, "fix_data": 0.0}, {("nothing", "fix_data"): 0.0}) == ("nothing", "fix_data")
    assert right_set({"nothing": 0.0, "fix_data": -30.0}, {("nothing", "fix_data"): 0.0}) == ("nothing",)


def test_an_unknown_error_accepts_no_tie():
    assert right_set({"nothing": 0.0, "retrain": 1.0}, {("nothing", "retrain"): math.nan}) == ("retrain",)


def test_an_action_that_could_not_be_carried_out_is_never_right():
    assert right_set({"nothing": -5.0, "roll_back": math.nan}, {}) == ("nothing",)
    assert right_set(NOT_TOLD, {}) == ()


def test_a_scenario_counts_in_the_row_of_its_least_intrusive_right_action():
    assert Outcome("a", ("retrain", "recalibrate"), "retrain").row == "recalibrate"


def test_many_scenarios_of_one_kind_favour_no_answer():
    found = [Outcome("a", ("nothing",), "nothing")] * 98 + [Outcome("b", ("retrain",), "nothing")] * 2
    assert macro(found) == 0.5
    assert best_constant(found) == ("nothing", 0.5)


def test_a_tie_is_right_and_counts_as_the_rows_own_answer():
    found = [Outcome("a", ("move_threshold", "recalibrate"), "recalibrate"), Outcome("b", ("retrain",), "fix_data")]
    assert macro(found) == 0.5
    assert confusion(found) == {"move_threshold": {"move_threshold": 1}, "retrain": {"fix_data": 1}}


def test_nothing_measured_is_said():
    assert math.isnan(macro([]))
    assert math.isnan(lower_bound([], np.random.default_rng(0)))
    assert summary([])["macro"] is None
    assert summary([])["n"] == 0


def test_an_answer_that_no_action_has_is_wrong():
    found = [Outcome("a", ("retrain",), "regate")]
    assert macro(found) == 0.0
    assert confusion(found) == {"retrain": {"regate": 1}}


@pytest.mark.parametrize("rate", [0.6, 0.9])
def test_the_lower_bound_is_below_the_true_rate_about_as_often_as_it_says(rate):
    """Rows of 12 kinds of change with 5 seeds each; kinds differ, so they and not their seeds are drawn."""
    rng, below = np.random.default_rng([21, int(rate * 10)]), 0
    for repeat in range(200):
        found = []
        for row in ("nothing", "retrain", "fix_data"):
            for kind in range(12):
                own = rng.beta(rate * 6, (1 - rate) * 6)
                for hit in rng.random(5) < own:
                    found.append(Outcome(f"{row} {kind}", (row,), row if hit else "roll_back"))
        below += lower_bound(found, np.random.default_rng(repeat), 400) <= rate
    assert below >= 0.9 * 200


def test_scenarios_of_one_name_hang_together_in_the_bound():
    apart = [Outcome(str(i), ("nothing",), "nothing" if i % 2 else "retrain") for i in range(40)]
    together = [Outcome(str(i // 20), ("nothing",), "nothing" if i // 20 else "retrain") for i in range(40)]
    assert lower_bound(together, np.random.default_rng(1)) < lower_bound(apart, np.random.default_rng(1))
