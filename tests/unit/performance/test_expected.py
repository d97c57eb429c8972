"""Expected tallies against the truth: data like a car loan's, with a known P(y|x), before and after its inputs shift.

The features are a loan's (income, debt, value of the car, whether a former loan was repaid); the chance of repaying is
a known function of them; the model's scores are a crooked, rounded version of it.
"""

import math

import numpy as np
import pytest

from tidegate.performance.chances import Chances, fit_chances
from tidegate.performance.expected import expected_errors, expected_outcomes
from tidegate.performance.metrics import METRICS, metrics
from tidegate.performance.tally import EMPTY, tally_of, total

KPI = {"true_positive": 3, "false_negative": -20, "false_positive": -5, "correct": 1, "wrong": -2, "per_unit_error": -1}


def loans(n, rng, *, shifted=False):
    """Scores and true chances of `n` loans; shifted, cars are dearer and incomes lower."""
    income, value = rng.gamma(4, 12, n), rng.normal(30, 11, n)
    debt, repaid = rng.beta(2, 2, n), rng.random(n) < 0.5
    if shifted:
        income, value = 0.6 * income, value + 12
    logit = 3.2 * np.tanh((income - 45) / 25) - 2.5 * (debt - 0.5) - 0.05 * (value - 30) + 1.8 * (repaid - 0.5)
    truth = 1 / (1 + np.exp(-1.3 * logit))
    return np.round(1 / (1 + np.exp(-2.6 * logit)), 4), truth


@pytest.fixture(scope="module")
def curves():
    rng = np.random.default_rng(21)
    scores, truth = loans(50_000, rng)
    return fit_chances(scores, (rng.random(50_000) < truth).astype(int), np.arange(50_000) // 5_000)


@pytest.mark.parametrize("shifted", [False, True])
def test_every_metric_is_estimated_within_what_a_chunk_of_5000_leaves_open(a_model, curves, shifted):
    model, rng = a_model(kpi=KPI), np.random.default_rng(22)
    off = {name: [] for name in METRICS["binary"]}
    for _ in range(20):
        scores, truth = loans(5_000, rng, shifted=shifted)
        came = metrics("binary", tally_of(model, scores, (rng.random(5_000) < truth).astype(int), 0.6))
        guess = metrics("binary", expected_outcomes(model, scores, curves.of(scores), 0.6))
        for name, found in off.items():
            found.append(guess[name] - came[name])
    for name, found in off.items():
        chance = np.std(found) / math.sqrt(len(found))
        scale = {"kpi": 20, "log_loss": 2}.get(name, 1)  # of a row's own spread
        assert abs(np.mean(found)) < 3 * chance + 0.004 * scale, name
        assert np.std(found) < 0.016 * scale, name


def test_a_shift_of_the_inputs_is_seen_and_uncalibrated_scores_would_tell_another_story(a_model, curves):
    model, rng = a_model(), np.random.default_rng(23)
    auc = METRICS["binary"]["roc_auc"]
    usual, _ = loans(20_000, rng)
    scores, truth = loans(20_000, rng, shifted=True)
    came = auc(tally_of(model, scores, (rng.random(20_000) < truth).astype(int)))
    before, after = (auc(expected_outcomes(model, s, curves.of(s))) for s in (usual, scores))
    assert abs(after - before) > 0.012
    assert after == pytest.approx(came, abs=0.006)
    assert abs(auc(expected_outcomes(model, scores, Chances().of(scores))) - came) > 0.03


def test_a_change_of_the_concept_is_not_seen(a_model, curves):
    model, rng = a_model(), np.random.default_rng(24)
    scores, truth = loans(20_000, rng)
    auc = METRICS["binary"]["roc_auc"]
    mixed = np.where(rng.random(20_000) < 0.4, 0.5, truth)
    came = auc(tally_of(model, scores, (rng.random(20_000) < mixed).astype(int)))
    assert auc(expected_outcomes(model, scores, curves.of(scores))) - came > 0.08


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_sure_chances_give_the_realised_tally_itself(a_model, kind):
    model, rng = a_model(kind, kpi=KPI), np.random.default_rng(25)
    classes = 3 if kind == "multiclass" else 2
    y = rng.integers(0, classes, 400)
    scores = rng.dirichlet(np.ones(3), 400) if kind == "multiclass" else rng.random(400)
    found = metrics(kind, expected_outcomes(model, scores, np.eye(classes)[y], 0.4))
    assert found == pytest.approx(metrics(kind, tally_of(model, scores, y, 0.4)), rel=1e-9)


def test_multiclass_means_are_the_means_over_draws_of_labels(a_model):
    model, rng = a_model("multiclass", kpi=KPI), np.random.default_rng(26)
    p = rng.dirichlet([2, 1, 1], 300)
    guess = metrics("multiclass", expected_outcomes(model, p, p))
    draws = [metrics("multiclass", tally_of(model, p, np.array([rng.choice(3, p=q) for q in p]))) for _ in range(120)]
    for name in METRICS["multiclass"]:
        values = [d[name] for d in draws]
        assert abs(np.mean(values) - guess[name]) < 4 * np.std(values) / math.sqrt(120) + 0.004, name


def test_expected_tallies_add_up_like_realised_ones(a_model):
    model, rng = a_model(), np.random.default_rng(27)
    p = rng.random(900)
    whole = expected_outcomes(model, p, Chances().of(p), 0.3)
    parts = total([expected_outcomes(model, q, Chances().of(q), 0.3) for q in np.split(p, 3)])
    assert metrics("binary", parts) == pytest.approx(metrics("binary", whole))


def test_no_rows_expect_nothing_and_equal_scores_a_coin(a_model):
    assert expected_outcomes(a_model(), np.zeros(0), np.zeros((0, 2))) is EMPTY
    assert expected_errors(a_model("regression"), np.zeros(0), np.zeros(0)) is EMPTY
    same = np.full(50, 0.3)
    assert metrics("binary", expected_outcomes(a_model(), same, Chances().of(same)))["roc_auc"] == pytest.approx(0.5)


def test_r2_of_expected_errors_is_not_defined(a_model):
    found = metrics("regression", expected_errors(a_model("regression", kpi=KPI), np.ones(4), np.full(4, 2.0)))
    assert (found["mae"], found["kpi"], found["rmse"]) == (1.0, -1.0, math.sqrt(2))
    assert math.isnan(found["r2"])
