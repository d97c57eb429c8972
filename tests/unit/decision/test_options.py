"""What an option is worth: its gain, the chance that it takes effect, its cost, and what it surely brings."""

import math
from dataclasses import replace

import pytest
from scipy.stats import t as student

from tidegate.decision.options import best, may_act, nothing, unknown, weigh, without_nan, words
from tidegate.performance.blocks import Estimate

GAIN = Estimate(0.05, 0.01, 10)
NAN = float("nan")


@pytest.fixture
def model(a_model):
    costs = {"retrain": {"compute": 5, "review": 200, "risk": 95}}
    return a_model(kpi={"false_positive": -1, "unit": "EUR"}, decision={"costs": costs})


def test_net_is_chance_times_gain_less_cost(model):
    found = weigh(model, "retrain", GAIN, 20000, "measured", chance=0.5)
    reach = float(student.ppf(0.8, 9)) * 0.01
    assert (found.cost, found.net, found.unit) == (300, pytest.approx(200), "EUR")
    assert found.low == pytest.approx(0.5 * (0.05 - reach) * 20000 - 300)
    assert found.high == pytest.approx(0.5 * (0.05 + reach) * 20000 - 300)


def test_an_action_without_cost_still_has_to_gain_surely(a_model):
    free = a_model(kpi={"false_positive": -1})
    assert may_act(weigh(free, "retrain", Estimate(0.001, 0.0001, 10), 20000, ""))
    for gain in (Estimate(0.0, 0.0, 10), Estimate(0.001, 0.01, 10), Estimate(-0.1, 0.01, 10)):
        assert not may_act(weigh(free, "retrain", gain, 20000, ""))


def test_what_rather_fails_the_gate_is_not_tried(a_model):
    free = a_model(kpi={"false_positive": -1})
    assert not may_act(weigh(free, "retrain", GAIN, 20000, "", chance=0.49))
    assert may_act(weigh(free, "retrain", GAIN, 20000, "", chance=0.51))


@pytest.mark.parametrize("gain", [Estimate(NAN, NAN, 0), Estimate(0.05, NAN, 1), Estimate(0.05, math.inf, 5)])
def test_what_cannot_be_estimated_is_never_chosen(model, gain):
    found = weigh(model, "retrain", gain, 20000, "one block of nights")
    assert words(found) == "not estimable: one block of nights"
    assert not may_act(found)
    assert best([nothing(model, 20000), found]) is None
    assert without_nan(found)["net"] is None


def test_without_a_kpi_a_gain_must_be_worth_it(a_model):
    model = a_model(alarms={"min_effect": 0.02}, decision={"costs": {"retrain": {"review": 1e6}}})
    small, large = (weigh(model, "retrain", Estimate(g, 0.0001, 10), 1000, "", usual=0.5) for g in (0.009, 0.02))
    assert not may_act(small)  # 2 % of .5 is .01
    assert may_act(large)  # money is no measure of nats
    assert large.unit == "nats of log loss"


def test_of_equal_gains_the_cheaper_is_taken(model):
    one = weigh(model, "recalibrate", GAIN, 20000, "")
    dear = replace(one, action="retrain", cost=300)
    assert best([dear, one]) is one
    assert best([]) is None


def test_a_horizon_without_rows_gains_nothing(model):
    assert not may_act(weigh(model, "recalibrate", GAIN, 0.0, ""))
    assert not may_act(unknown(model, "retrain", 0.0, "no labels"))
