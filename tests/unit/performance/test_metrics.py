import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from tidegate.config.model import METRICS as DECLARED
from tidegate.performance.metrics import HIGHER_IS_BETTER, METRICS, metrics, per_class, roc_auc
from tidegate.performance.tally import BINS, tally_of, total

RNG = np.random.default_rng(5)


def binary(n=4000):
    p = RNG.beta(1.5, 4, n)
    return p, (RNG.random(n) < p).astype(int)


def multiclass(n=3000):
    p = RNG.dirichlet([3, 1, 1], n)
    return p, (RNG.random(n)[:, None] > p.cumsum(axis=1)).sum(axis=1)


def test_every_declared_metric_is_computed_and_has_a_direction():
    assert {kind: tuple(found) for kind, found in METRICS.items()} == DECLARED
    assert {m for found in METRICS.values() for m in found} <= set(HIGHER_IS_BETTER)


def test_binary_metrics_are_those_of_scikit_learn(a_model):
    p, y = binary()
    found = metrics("binary", tally_of(a_model(), p, y, 0.3))
    guess = p >= 0.3
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p), abs=1e-5)
    assert found["pr_auc"] == pytest.approx(sk.average_precision_score(y, p), abs=1e-3)
    exact = {
        "log_loss": sk.log_loss(y, p),
        "brier": sk.brier_score_loss(y, p),
        "accuracy": sk.accuracy_score(y, guess),
        "precision": sk.precision_score(y, guess),
        "recall": sk.recall_score(y, guess),
    }
    assert {m: found[m] for m in exact} == pytest.approx(exact, rel=1e-12)


def test_log_loss_of_a_certain_error_is_that_of_scikit_learn(a_model):
    p, y = np.array([0.0, 1.0, 0.3]), np.array([1, 0, 1])
    assert metrics("binary", tally_of(a_model(), p, y))["log_loss"] == pytest.approx(sk.log_loss(y, p))


def test_multiclass_metrics_are_those_of_scikit_learn(a_model):
    p, y = multiclass()
    tally = tally_of(a_model("multiclass"), p, y)
    found, guess = metrics("multiclass", tally), p.argmax(axis=1)
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"), abs=1e-4)
    exact = {
        "log_loss": sk.log_loss(y, p),
        "brier": sk.brier_score_loss(y, p),
        "accuracy": sk.accuracy_score(y, guess),
        "precision": sk.precision_score(y, guess, average="macro"),
        "recall": sk.recall_score(y, guess, average="macro"),
        "f1": sk.f1_score(y, guess, average="macro"),
    }
    assert {m: found[m] for m in exact} == pytest.approx(exact, rel=1e-12)
    for name, score in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        each = [of[name] for of in per_class(tally).values()]
        assert each == pytest.approx(score(y, guess, average=None).tolist())
    assert [of["n"] for of in per_class(tally).values()] == np.bincount(y).tolist()


def test_two_classes_of_a_multiclass_model_are_averaged(a_model):
    model = a_model("multiclass", label={"classes": ["a", "b"]})
    p1 = RNG.random(500)
    y = (RNG.random(500) < p1).astype(int)
    found = metrics("multiclass", tally_of(model, np.column_stack([1 - p1, p1]), y))
    guess = (p1 > 0.5).astype(int)
    assert found["recall"] == pytest.approx(sk.recall_score(y, guess, average="macro"))
    assert found["f1"] == pytest.approx(sk.f1_score(y, guess, average="macro"))


def test_giving_up_on_a_class_does_not_pay(a_model):
    y = np.array([0, 0, 1, 1, 2])
    found = metrics("multiclass", tally_of(a_model("multiclass"), np.eye(3)[[0, 0, 1, 1, 1]], y))
    assert found["precision"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert found["recall"] == pytest.approx((1 + 1 + 0) / 3)


def test_a_class_that_does_not_occur_is_left_out(a_model):
    found = metrics("multiclass", tally_of(a_model("multiclass"), np.eye(3)[[0, 1]], np.array([0, 1])))
    assert (found["precision"], found["recall"], found["f1"]) == (1, 1, 1)


def test_per_class_is_for_several_classes_only(a_model):
    assert per_class(tally_of(a_model(), *binary(20))) == {}
    assert per_class(tally_of(a_model("regression"), np.ones(3), np.arange(3.0))) == {}


def test_regression_metrics_are_those_of_scikit_learn(a_model):
    y = RNG.normal(3, 2, 500)
    guess = y + RNG.normal(0.5, 1, 500)
    found = metrics("regression", tally_of(a_model("regression"), guess, y))
    exact = {
        "r2": sk.r2_score(y, guess),
        "mae": sk.mean_absolute_error(y, guess),
        "rmse": sk.root_mean_squared_error(y, guess),
    }
    assert {m: found[m] for m in exact} == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("offset", [1e6, 1e9, -1e11])
def test_r2_keeps_its_digits_beside_a_large_offset(a_model, offset):
    y = RNG.normal(0, 1, 900)
    guess = y + RNG.normal(0, 0.5, 900)
    model, want = a_model("regression"), sk.r2_score(y, guess)
    parts = [tally_of(model, offset + guess[i : i + 100], offset + y[i : i + 100]) for i in range(0, 900, 100)]
    assert metrics("regression", total(parts))["r2"] == pytest.approx(want, abs=1e-4)
    without = metrics("regression", total(parts) - parts[0])["r2"]
    assert without == pytest.approx(sk.r2_score(y[100:], guess[100:]), abs=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 / 7])
def test_r2_of_a_constant_target_is_not_defined(a_model, value):
    parts = [tally_of(a_model("regression"), np.full(7, value + 1), np.full(7, value)) for _ in range(3)]
    assert np.isnan(metrics("regression", total(parts))["r2"])


def test_one_class_alone_has_no_area(a_model):
    for label in (0, 1):
        found = metrics("binary", tally_of(a_model(), np.array([0.2, 0.7]), np.array([label, label])))
        assert np.isnan(found["roc_auc"])
    found = metrics("binary", tally_of(a_model(), np.array([0.2, 0.3]), np.array([0, 1])))
    assert np.isnan(found["precision"])
    assert found["recall"] == 0


def in_one_bin(tally):
    """Half the share of pairs that meet in a bin: what binning can cost."""
    negative, positive = tally.hist[0].astype(float)
    return float(negative @ positive / negative.sum() / positive.sum() / 2)


BANDS = {
    "narrow": lambda n: 0.2 + 0.01 * RNG.beta(2, 2, n),
    "rare": lambda n: RNG.beta(1, 400, n),
    "certain": lambda n: 1 - RNG.beta(1, 400, n),
    "whole": RNG.random,
    "ties": lambda n: RNG.choice([0.1, 0.25, 0.251, 0.9], n),
}


@pytest.mark.parametrize("band", BANDS)
def test_the_area_is_within_a_thousandth_whatever_the_band(a_model, band):
    p = BANDS[band](40_000)
    # The better half of the scores is positive more often: an area of about .7.
    y = (RNG.random(len(p)) < np.where(p > np.median(p), 0.35, 0.12)).astype(int)
    tally = tally_of(a_model(), p, y)
    off = abs(roc_auc(tally) - sk.roc_auc_score(y, p))
    assert off <= in_one_bin(tally) + 1e-12
    assert off < 1e-3


def test_the_stated_bound_is_reached_by_scores_within_one_bin(a_model):
    p = np.array([0.1, 0.9]) / BINS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tally = tally_of(a_model(), p, np.array([0, 1]))
    assert roc_auc(tally) == 0.5
    assert in_one_bin(tally) == 0.5
