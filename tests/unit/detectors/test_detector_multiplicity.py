"""Many tests at once, against Benjamini and Hochberg's own example and statsmodels."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from statsmodels.stats.multitest import multipletests

from tidegate.detectors.evalues import from_p
from tidegate.detectors.multiplicity import (
    any_false,
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    e_benjamini_hochberg,
)
from tidegate.errors import UsageError

# Benjamini & Hochberg 1995, section 3.1: thrombolysis in 15 hypotheses.
TRIAL = [
    0.0001,
    0.0004,
    0.0019,
    0.0095,
    0.0201,
    0.0278,
    0.0298,
    0.0344,
    0.0459,
    0.324,
    0.4262,
    0.5719,
    0.6528,
    0.759,
    1,
]
PROCEDURES = {"fdr_bh": benjamini_hochberg, "fdr_by": benjamini_yekutieli, "bonferroni": bonferroni}


def test_the_papers_example():
    assert {name: int(f(TRIAL, 0.05).sum()) for name, f in PROCEDURES.items()} == {
        "fdr_bh": 4,
        "fdr_by": 3,
        "bonferroni": 3,
    }


def test_fifty_features_at_five_percent_page_on_nine_days_in_ten():
    assert any_false(50, 0.05) == pytest.approx(0.923, abs=5e-4)
    rng = np.random.default_rng(1)
    days = rng.random((2000, 50))
    assert np.mean((days < 0.05).any(axis=1)) == pytest.approx(0.923, abs=0.02)
    assert np.mean([benjamini_hochberg(p, 0.05).any() for p in days[:500]]) < 0.08


@pytest.mark.parametrize("method", PROCEDURES)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.sampled_from([0.01, 0.05, 0.2]))
def test_statsmodels_agrees(method, p, rate):
    assert PROCEDURES[method](p, rate).tolist() == multipletests(p, rate, method=method)[0].tolist()


@pytest.mark.parametrize("procedure", [*PROCEDURES.values(), e_benjamini_hochberg])
def test_what_could_not_be_tested_is_counted_and_never_believed(procedure):
    strong = 100.0 if procedure is e_benjamini_hochberg else 0.01
    assert procedure([strong], 0.05).tolist() == [True]
    assert procedure([strong, *[math.nan] * 5], 0.05).tolist() == [False] * 6
    assert procedure([], 0.05).tolist() == []
    with pytest.raises(UsageError, match="false discovery rate"):
        procedure([strong], 0.0)


def test_e_bh_by_hand_and_with_infinite_evidence():
    assert e_benjamini_hochberg([60, 59, 19, 1], 0.1).tolist() == [True, True, True, False]
    assert e_benjamini_hochberg([60, 19, 13, 1], 0.1).tolist() == [True, False, False, False]
    assert e_benjamini_hochberg([math.inf, 1.0], 0.05).tolist() == [True, False]


def test_e_bh_keeps_its_rate_when_tests_depend_on_each_other():
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(1500):
        common = rng.normal()
        z = 0.9 * common + math.sqrt(1 - 0.81) * rng.normal(size=40)
        z[:10] += 4
        believed = e_benjamini_hochberg(from_p(ndtr(-z)), 0.1)
        shares.append(believed[10:].sum() / max(believed.sum(), 1))
    assert np.mean(shares) <= 0.1


@pytest.mark.parametrize("bad", [[-0.1], [1.1], [[0.5]]])
def test_what_is_no_p_value_is_refused(bad):
    with pytest.raises(UsageError, match="p-values"):
        benjamini_hochberg(bad, 0.05)
