"""The policies by a fixed threshold: what they go by, and when they retrain."""

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from tidegate.decision.decide import Standing, decide
from tidegate.decision.limits import Attempt
from tidegate.decision.thresholds import judge_psi, judge_week
from tidegate.performance.tally import EMPTY, NO_CONFUSION, NO_HIST, Tally
from tidegate.verdicts import Verdict

DAY = date(2013, 6, 12)
READY = Standing(
    DAY, champion=1, matured_nights=120, unseen_nights=3, attempts=(Attempt(date(2013, 5, 15), "retrain"),)
)
PAST = Verdict("fail", ("past its threshold",))


def losses(means, n=900):
    return [Tally({"n": float(n), "log_loss": n * float(m)}, NO_HIST, NO_CONFUSION) for m in means]


@pytest.fixture(scope="module")
def model(a_model):
    return a_model(metric={"primary": "log_loss"}, retrain={"decay_margin": 0.05})


@pytest.mark.parametrize(
    ("nights", "outcome"),
    [
        ([{"a": 0.3, "b": 0.0}, {"a": 0.1, "b": 0.0}, {"a": 0.1, "b": 0.5}], "fail"),  # any feature, two of three
        ([{"a": 0.3}, {"a": 0.3}], "fail"),
        ([{"a": 0.3}, {"a": 0.2}, {"a": 0.2}], "pass"),  # the limit itself is not past it
        ([{"a": 9.0}, {"a": 9.0}, {"a": 0.0}, {"a": 0.0}, {"a": 9.0}], "pass"),  # only the last three count
        ([{"a": math.nan}, {"a": math.nan}, {"a": 0.3}], "pass"),
        ([{"a": 9.0}], "inconclusive"),
        ([], "inconclusive"),
        ([{}, {}, {}], "pass"),
    ],
)
def test_psi_past_its_limit_on_two_of_three_nights(nights, outcome):
    assert judge_psi(nights).outcome == outcome


def test_the_features_past_the_limit_are_named_the_furthest_first():
    found = judge_psi([{"a": 0.3, "b": 0.9}, {"a": 0.4, "b": 0.1}])
    assert found.reasons == ("PSI above 0.2 on 2 of 2 nights: b 0.90, a 0.40",)
    assert found.numbers["psi"] == {"a": 0.4, "b": 0.9}


@pytest.mark.parametrize(("week", "outcome"), [(0.46, "fail"), (0.44, "pass"), (0.3, "pass")])
def test_a_week_is_held_against_the_champions_weeks(model, week, outcome):
    found = judge_week(model, losses([0.38, 0.42]), losses([week])[0], 7)
    assert found.outcome == outcome
    assert found.numbers["reference"] == pytest.approx(0.4)


def test_of_a_metric_where_higher_is_better_less_is_past_the_margin(a_model):
    model = a_model(metric={"primary": "accuracy"}, retrain={"decay_margin": 0.05})

    def right(share):
        return Tally({"n": 100.0}, NO_HIST, np.array([[50, 0], [round(100 - 100 * share), round(100 * share) - 50]]))

    assert judge_week(model, [right(0.9)], right(0.84), 7).outcome == "fail"
    assert judge_week(model, [right(0.9)], right(0.86), 7).outcome == "pass"


@pytest.mark.parametrize(("reference", "recent", "nights"), [([0.4], [0.9], 6), ([], [0.9], 7), ([0.4], [], 7)])
def test_a_week_that_cannot_be_judged_is_inconclusive(model, reference, recent, nights):
    recent = losses(recent)[0] if recent else EMPTY
    assert judge_week(model, losses(reference), recent, nights).outcome == "inconclusive"


@pytest.mark.parametrize("policy", ["drift", "performance"])
def test_a_threshold_retrains_at_once_but_keeps_the_cooldown(a_model, policy):
    model = a_model(retrain={"policy": policy, "cooldown": timedelta(days=28), "max_per_year": 0})
    # Neither the yearly budget nor the nights that a gate would need stop it.
    found = decide(model, READY, {policy: PAST})
    assert (found.action, found.reason) == ("retrain", policy)
    early = decide(model, replace(READY, window=DAY - timedelta(days=1)), {policy: PAST})
    assert (early.action, early.reason) == ("nothing", "cooldown until 2013-06-12")
    for evidence in ({}, {policy: Verdict("inconclusive", ("few",))}, {policy: Verdict("pass")}, {"decay": PAST}):
        assert decide(model, READY, evidence).action == "nothing"


@pytest.mark.parametrize("policy", ["drift", "performance"])
def test_blocked_frozen_and_monitor_only_hold_for_a_threshold_too(a_model, policy):
    model = a_model(retrain={"policy": policy})
    assert decide(model, replace(READY, blocked=True), {policy: PAST}).action == "fix_data"
    frozen = decide(model, replace(READY, frozen="frozen by ann"), {policy: PAST})
    assert (frozen.action, frozen.losing["retrain"]) == ("nothing", policy)
    assert decide(a_model(estimator={}, retrain={"policy": policy}), READY, {policy: PAST}).action == "nothing"


@pytest.mark.fault(4)
def test_a_hundred_drifted_nights_make_one_retrain_a_cooldown(a_model):
    model, made = a_model(retrain={"policy": "drift", "cooldown": timedelta(days=28)}), []
    for night in range(100):
        at = replace(READY, window=DAY + timedelta(days=night), attempts=tuple(Attempt(m, "retrain") for m in made))
        if decide(model, at, {"drift": PAST}).action == "retrain":
            made.append(at.window)
    assert [(d - DAY).days for d in made] == [0, 28, 56, 84]
