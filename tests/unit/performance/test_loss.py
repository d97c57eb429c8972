"""The loss of single rows against scikit-learn's, and what is not known stays unknown."""

import math

import numpy as np
import pytest
from sklearn.metrics import log_loss

from tidegate.performance.loss import row_loss


def test_its_mean_is_the_log_loss():
    rng = np.random.default_rng(1)
    p, y = rng.uniform(0.01, 0.99, 200), rng.integers(0, 2, 200)
    assert row_loss("binary", p, y.astype(float)).mean() == pytest.approx(log_loss(y, p))
    many, of = rng.dirichlet(np.ones(4), 200), rng.integers(0, 4, 200)
    found = row_loss("multiclass", many, of.astype(float))
    assert found.shape == (200,)
    assert found.mean() == pytest.approx(log_loss(of, many, labels=range(4)))


def test_a_regression_is_off_by_so_much_either_way():
    assert row_loss("regression", np.array([3.0, 1.0]), np.array([1.0, 4.5])).tolist() == [2.0, 3.5]


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_an_unknown_score_has_an_unknown_loss_and_no_rows_have_none(kind):
    found = row_loss(kind, np.array([math.nan, 0.5]), np.array([1.0, 1.0]))
    assert np.isnan(found).tolist() == [True, False]
    assert row_loss(kind, np.array([]), np.array([])).tolist() == []


def test_being_sure_and_wrong_is_bad_but_finite():
    assert row_loss("binary", np.array([0.0, 1.0]), np.array([1.0, 1.0])).tolist() == [
        pytest.approx(16.118, abs=1e-3),
        0,
    ]
