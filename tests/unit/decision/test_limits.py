"""Cooldown, budget and breaker."""

from datetime import date, timedelta

import pytest

from tidegate.decision.limits import Attempt, against

DAY = date(2024, 6, 1)


def tried(*nights_ago, action="retrain", promoted=False):
    return [Attempt(DAY - timedelta(days=n), action, promoted) for n in nights_ago]


def test_a_change_of_any_kind_holds_adjustments_and_only_retrains_hold_retrains(a_model):
    model = a_model()
    assert against(model, "recalibrate", tried(10), DAY) == "cooldown until 2024-06-05"
    assert against(model, "roll_back", tried(10, action="recalibrate"), DAY) == "cooldown until 2024-06-05"
    assert against(model, "retrain", tried(10, action="recalibrate"), DAY) == ""
    assert against(model, "retrain", tried(27), DAY) == "cooldown until 2024-06-02"
    assert against(model, "retrain", tried(28), DAY) == ""


def test_going_back_needs_no_budget_and_spends_none(a_model):
    model = a_model(retrain={"max_per_year": 2}, decision={"breaker": 9})
    assert against(model, "retrain", tried(300, 200), DAY) == "budget of 2 attempts a year is used"
    assert against(model, "roll_back", tried(300, 200), DAY) == ""
    assert against(model, "retrain", tried(300) + tried(200, action="roll_back"), DAY) == ""


@pytest.mark.fault(4)
def test_the_breaker_opens_after_failures_in_a_row_and_closes_by_itself(a_model):
    model = a_model(decision={"breaker": 3, "breaker_rest": "60d"})
    failed = tried(120, 90, 40)
    assert against(model, "retrain", failed, DAY).startswith("breaker open until 2024-06-21: the last 3 attempts")
    assert against(model, "retrain", failed, DAY, breaker=False) == ""
    assert against(model, "retrain", failed, DAY + timedelta(days=20)) == ""
    assert against(model, "retrain", tried(90, 40), DAY) == ""


def test_a_promotion_closes_the_breaker_and_what_waits_does_not_count(a_model):
    model = a_model(decision={"breaker": 2})
    assert against(model, "retrain", tried(120, 90) + tried(40, promoted=True), DAY) == ""
    assert against(model, "retrain", tried(120) + tried(40, promoted=None), DAY) == ""
    assert against(model, "retrain", tried(120, 50) + tried(40, promoted=None), DAY) != ""
