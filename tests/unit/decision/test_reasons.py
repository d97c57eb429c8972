import math

import numpy as np
import pytest

from tidegate.decision.reasons import judge_decay, judge_growth
from tidegate.performance.tally import EMPTY, NO_CONFUSION, NO_HIST, Tally, tally_of


def losses(means, n=900):
    return [Tally({"n": float(n), "log_loss": n * float(m)}, NO_HIST, NO_CONFUSION) for m in means]


@pytest.fixture(scope="module")
def model(a_model):
    # Nine blocks of three nights are judged; a loss of 0.05 more matters.
    return a_model(metric={"primary": "log_loss"}, retrain={"decay_nights": 27, "decay_margin": 0.05})


REFERENCE = losses(np.linspace(0.38, 0.42, 20))


@pytest.mark.parametrize(
    ("recent", "outcome"),
    [
        (np.linspace(0.48, 0.52, 9), "fail"),  # 0.10 worse, and sure of it
        (np.linspace(0.43, 0.45, 9), "pass"),  # sure, but less than the margin
        (np.array([0.2, 1.1] * 4 + [0.3]), "pass"),  # far worse, but by chance it could be
        (np.linspace(0.28, 0.32, 9), "pass"),  # better
    ],
)
def test_decay_is_a_drop_that_matters_and_is_proven(model, recent, outcome):
    found = judge_decay(model, REFERENCE, losses(recent))
    assert found.outcome == outcome
    assert found.numbers["change"] == pytest.approx(recent.mean() - 0.4)
    assert found.numbers["blocks"] == 9


def test_of_a_metric_where_higher_is_better_the_fall_is_decay(a_model):
    rng = np.random.default_rng(1)

    def blocks(count, signal):
        z = [rng.normal(-1, 1, 500) for _ in range(count)]
        y = [(rng.random(500) < 1 / (1 + np.exp(-signal * q))).astype(int) for q in z]
        return [tally_of(a_model(), 1 / (1 + np.exp(-q)), t) for q, t in zip(z, y, strict=True)]

    assert judge_decay(a_model(), blocks(20, 1.5), blocks(9, 0.2)).outcome == "fail"
    assert judge_decay(a_model(), blocks(20, 0.2), blocks(9, 1.5)).outcome == "pass"


@pytest.mark.fault(16)
@pytest.mark.parametrize(("before", "now"), [(20, 8), (2, 9), (0, 0)])
def test_too_few_matured_blocks_are_no_decay(model, before, now):
    # Nights whose labels have not come are empty.
    found = judge_decay(model, losses([0.4] * before) + [EMPTY] * 9, losses([9.0] * now) + [EMPTY] * 9)
    assert found.outcome == "inconclusive"
    assert "needed" in found.reasons[0]


def test_a_metric_that_is_not_defined_is_no_decay(a_model):
    one_class = [tally_of(a_model(), np.array([0.2, 0.6]), np.array([0, 0])) for _ in range(9)]
    both = [tally_of(a_model(), np.array([0.2, 0.6]), np.array([0, 1])) for _ in range(20)]
    assert judge_decay(a_model(), both, one_class).outcome == "inconclusive"
    assert judge_decay(a_model(), one_class, both).outcome == "inconclusive"
    # Defined over all nights, but it hangs on a single block.
    assert judge_decay(a_model(), both, [*one_class[:8], both[0]]).outcome == "inconclusive"


def test_the_error_of_a_year_is_shared_over_its_looks(a_model):
    for nights, stretches in ((27, 365 / 27), (400, 1)):
        model = a_model(metric={"primary": "log_loss"}, retrain={"decay_nights": nights, "decay_alpha": 0.05})
        found = judge_decay(model, REFERENCE, losses(np.linspace(0.4, 0.5, 140)))
        assert found.numbers["alpha"] == pytest.approx(0.05 / stretches / 4)


def test_a_year_without_drift_is_rarely_called_decay(model):
    # benchmarks/false_decay.py is the heavy version, with areas and autocorrelation.
    rng, years, called = np.random.default_rng(7), 12, 0
    for _ in range(years):
        nights = losses(0.4 + 0.2 * rng.standard_normal(60 + 306), 900)
        block = [nights[i] + nights[i + 1] + nights[i + 2] for i in range(len(nights) - 2)]
        reference = block[0:60:3]
        called += any(judge_decay(model, reference, block[d : d + 27 : 3]).outcome == "fail" for d in range(60, 338, 3))
    assert called <= 2


@pytest.mark.parametrize(
    ("trained", "matured", "outcome"),
    [(1000, 1499, "pass"), (1000, 1500, "fail"), (1000, 0, "pass"), (0, 1500, "inconclusive"), (0, 0, "inconclusive")],
)
def test_growth_is_a_factor_of_the_champions_rows(a_model, trained, matured, outcome):
    found = judge_growth(a_model(retrain={"growth": 1.5}), trained, matured)
    assert found.outcome == outcome
    assert math.isnan(found.numbers["growth"]) == (trained == 0)
