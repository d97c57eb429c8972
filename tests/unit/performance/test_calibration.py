import math

import numpy as np
import pytest
from scipy.stats import binom

from tidegate.performance.calibration import _mean_deviation, calibration
from tidegate.performance.tally import EMPTY, tally_of


@pytest.fixture(scope="module")
def model(a_model):
    return a_model()


def perfect(model, scores, rng):
    return calibration(tally_of(model, scores, (rng.random(len(scores)) < scores).astype(int)))


# A perfect model, 15 bins, whose scores are spread like Beta(2, 2); a uniform spread has 4 % less.
@pytest.mark.parametrize(("n", "golden"), [(200, 0.0888), (1000, 0.0400), (5000, 0.0180)])
def test_the_null_of_a_perfect_model_is_the_golden_number(model, n, golden):
    rng = np.random.default_rng(n)
    nulls = [perfect(model, rng.beta(2, 2, n), rng).ece_null for _ in range(30)]
    assert np.mean(nulls) == pytest.approx(golden, rel=0.03)


SPREADS = {
    "uniform": lambda rng, n: rng.random(n),
    "rare": lambda rng, n: rng.beta(1, 60, n),
    "flights": lambda rng, n: rng.beta(2, 6, n),
    "few a bin": lambda rng, n: rng.beta(0.3, 0.3, min(n, 40)),
}


@pytest.mark.parametrize("spread", SPREADS)
def test_a_perfect_model_has_its_null_on_average(model, spread):
    rng = np.random.default_rng(3)
    found = [perfect(model, SPREADS[spread](rng, 300), rng) for _ in range(400)]
    assert np.mean([c.ece for c in found]) == pytest.approx(np.mean([c.ece_null for c in found]), rel=0.06)


def test_a_model_that_is_off_is_above_its_null(model):
    rng = np.random.default_rng(4)
    p = rng.beta(2, 6, 5000)
    found = calibration(tally_of(model, np.minimum(p + 0.1, 1), (rng.random(5000) < p).astype(int)))
    assert found.ece == pytest.approx(0.1, abs=0.02)
    assert found.ece_null < 0.02
    assert found.predicted - found.observed == pytest.approx(0.1, abs=0.02)


def test_the_reliability_curve_is_that_of_the_rows(model):
    found = calibration(tally_of(model, np.array([0.05, 0.05, 0.05, 0.95]), np.array([0, 0, 1, 1])), bins=10)
    assert found.score == pytest.approx((0.05, 0.95), abs=1e-4)
    assert found.rate == pytest.approx((1 / 3, 1))
    assert found.rows == (3, 1)
    assert (found.predicted, found.observed) == pytest.approx((0.275, 0.5))
    assert found.ece == pytest.approx((3 * (1 / 3 - 0.05) + 0.05) / 4, abs=1e-4)


@pytest.mark.fault(12)
def test_no_rows_have_no_calibration():
    found = calibration(EMPTY)
    assert math.isnan(found.ece)
    assert math.isnan(found.ece_null)
    assert found.rows == ()


def test_other_kinds_have_none(a_model):
    assert math.isnan(calibration(tally_of(a_model("multiclass"), np.eye(3), np.arange(3))).ece)
    assert math.isnan(calibration(tally_of(a_model("regression"), np.ones(2), np.ones(2))).ece)


def test_the_mean_deviation_of_a_binomial_count_is_exact():
    for n, p in ((1, 0.05), (7, 0.5), (30, 0.93), (4, 0.0), (4, 1.0)):
        k = np.arange(n + 1)
        want = float(np.abs(k - n * p) @ binom.pmf(k, n, p))
        assert _mean_deviation(np.array([float(n)]), np.array([p]))[0] == pytest.approx(want, abs=1e-12)
