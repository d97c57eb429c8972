"""What a drifted column, a loss and missing rows cost, by kind of model."""

import math

import numpy as np
import pytest

from tidegate.decision.effect import effect_of_drift, effect_of_loss, effect_of_rows

KPI = {"unit": "EUR", "true_positive": 10, "false_positive": -2, "false_negative": -5, "true_negative": 1}


def array(*values):
    return np.array(values, dtype=float)


def test_a_binary_decision_is_worth_what_the_undone_probability_says(a_model):
    model = a_model("binary", kpi=KPI)
    now, back = array(0.9, 0.2, 0.7, 0.1), array(0.9, 0.8, 0.1, 0.1)
    found = effect_of_drift(model, now, back, 0.5, 4.0, 0.1)
    # Row 2 is refused at p = .8: .8·(10 + 5) + .2·(−2 − 1) lost. Row 3 is taken at p = .1: .9·(1 + 2) + .1·(−5 − 10).
    assert found.value == pytest.approx((0.8 * 15 - 0.2 * 3 + 0.9 * 3 - 0.1 * 15) / 4)
    assert (found.unit, found.material) == ("EUR a row", True)
    assert "50.0% of decisions differ" in found.words
    assert "(78.7% of the usual)" in found.words


def test_scores_that_move_without_crossing_the_threshold_cost_nothing(a_model):
    found = effect_of_drift(a_model("binary", kpi=KPI), array(0.9, 0.2), array(0.6, 0.4), 0.5, 4.0, 0.1)
    assert (found.value, found.material) == (0.0, False)
    assert "0.0% of decisions differ" in found.words
    assert effect_of_drift(a_model("binary", kpi=KPI), array(0.5), array(0.5), 0.5, 0.0, 0.1).material is False


def test_a_threshold_other_than_a_half_is_used(a_model):
    model = a_model("binary", kpi=KPI)
    assert effect_of_drift(model, array(0.25), array(0.15), 0.2, 4.0, 0.1).value > 0
    assert effect_of_drift(model, array(0.2), array(0.25), 0.2, 4.0, 0.1).value == 0


def test_without_a_kpi_it_is_the_divergence_in_nats(a_model):
    now, back = array(0.5, 0.5), array(0.9, 0.5)
    found = effect_of_drift(a_model("binary"), now, back, 0.5, 0.3, 0.5)
    kl = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert found.value == pytest.approx(kl / 2)
    assert (found.unit, found.material) == ("nats of log loss a row", True)
    sure = effect_of_drift(a_model("binary"), array(1.0), array(0.0), 0.5, 0.3, 0.5)
    assert 10 < sure.value < 20


def test_several_classes(a_model):
    now, back = np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]), np.array([[0.1, 0.7, 0.2], [0.1, 0.1, 0.8]])
    priced = effect_of_drift(
        a_model("multiclass", kpi={"unit": "EUR", "correct": 1, "wrong": -4}), now, back, 0.5, 1, 1
    )
    assert priced.value == pytest.approx((0.7 - 0.1) * 5 / 2)
    assert "50.0% of decisions differ" in priced.words
    plain = effect_of_drift(a_model("multiclass"), now, back, 0.5, 1.0, 1.0)
    assert plain.value == pytest.approx(float((back * np.log(back / now)).sum(axis=1).mean()))


def test_a_regression_is_off_by_the_change_of_its_prediction(a_model):
    now, back = array(10, 20), array(13, 19)
    plain = effect_of_drift(a_model("regression"), now, back, 0.5, 4.0, 0.5)
    assert (plain.value, plain.unit, plain.material) == (2.0, "units of the prediction a row", True)
    assert "decisions" not in plain.words
    priced = effect_of_drift(
        a_model("regression", kpi={"unit": "kg", "per_unit_error": -3}), now, back, 0.5, -12.0, 0.6
    )
    assert (priced.value, priced.unit, priced.material) == (6.0, "kg a row", False)


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_no_rows_cost_nothing(a_model, kind):
    found = effect_of_drift(a_model(kind), array(), array(), 0.5, 1.0, 0.0)
    assert (found.value, found.words, found.material) == (0.0, "no rows", False)


def test_any_cost_is_material_where_the_usual_is_nothing(a_model):
    assert effect_of_drift(a_model("regression"), array(1), array(2), 0.5, 0.0, 0.5).material


@pytest.mark.parametrize(
    ("kpi", "now", "usual", "value", "material", "words"),
    [
        (KPI, 3.0, 4.0, 1.0, True, "a loss of 25.0%"),
        (KPI, 5.0, 4.0, -1.0, False, "a gain of 25.0%"),
        (KPI, -5.0, -4.0, 1.0, True, "a loss of 25.0%"),
        ({}, 0.5, 0.4, 0.1, True, "a loss of 25.0%"),
        ({}, 0.3, 0.4, -0.1, False, "a gain of 25.0%"),
        ({}, 0.43, 0.4, 0.03, False, "a loss of 7.5%"),
    ],
)
def test_what_came_true_is_a_loss_by_kpi_downwards_and_by_loss_upwards(
    a_model, kpi, now, usual, value, material, words
):
    found = effect_of_loss(a_model("binary", kpi=kpi), now, usual, 0.1)
    assert (found.value, found.material) == (pytest.approx(value), material)
    assert words in found.words


def test_a_loss_against_nothing_is_never_material(a_model):
    assert not effect_of_loss(a_model("binary"), 0.5, 0.0, 0.0).material


@pytest.mark.parametrize(
    ("ratio", "words", "material"),
    [(0.5, "-50% rows", True), (2.0, "+100% rows", True), (0.8, "-20% rows", False), (1.0, "+0% rows", False)],
)
def test_rows_that_come_or_go(ratio, words, material):
    found = effect_of_rows(math.log(ratio))
    assert found.value == pytest.approx(abs(ratio - 1))
    assert found.words.startswith(words)
    assert found.material is material
