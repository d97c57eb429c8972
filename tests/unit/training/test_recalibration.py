"""Calibration maps: they find what was done to scores, change little on few rows, and refuse what cannot be fitted."""

import json
import math

import numpy as np
import pytest

from tidegate.errors import SourceError, UsageError
from tidegate.training.recalibration import (
    apply_map,
    block_folds,
    composed,
    fit_map,
    prior_rows,
    rest_of,
    wrong_map,
)
from tidegate.training.scoring import score

BINARY = {"slope": 0.7, "offset": 0.6}
CLASSES = {"slope": 1.4, "offset": [0.5, 0.0, -0.5]}


def binary(rng, n):
    p = rng.uniform(0.02, 0.7, n)
    return p, (rng.random(n) < apply_map("binary", BINARY, p)).astype(float)


def several(rng, n):
    p = rng.dirichlet([2, 2, 2], n)
    drawn = rng.random(n)[:, None] > apply_map("multiclass", CLASSES, p).cumsum(axis=1)
    return p, drawn.sum(axis=1).astype(float)


def test_a_map_that_was_applied_is_found():
    rng = np.random.default_rng(1)
    found = fit_map("binary", *binary(rng, 60_000))
    assert found["slope"] == pytest.approx(0.7, abs=0.03)
    assert found["offset"] == pytest.approx(0.6, abs=0.05)
    found = fit_map("multiclass", *several(rng, 60_000))
    assert found["slope"] == pytest.approx(1.4, abs=0.05)
    assert found["offset"] == pytest.approx([0.5, 0.0, -0.5], abs=0.05)
    x = rng.normal(10, 2, 5000)
    found = fit_map("regression", x, 3 + 0.5 * x + rng.normal(0, 0.1, 5000), prior=0)
    assert (found["slope"], found["offset"]) == pytest.approx((0.5, 3.0), abs=0.02)


def test_the_binary_map_is_that_of_a_logistic_regression_on_the_logit():
    from sklearn.linear_model import LogisticRegression

    p, y = binary(np.random.default_rng(2), 3000)
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(np.log(p / (1 - p))[:, None], y)
    found = fit_map("binary", p, y, prior=0)
    assert found["slope"] == pytest.approx(peer.coef_[0, 0], abs=1e-4)
    assert found["offset"] == pytest.approx(peer.intercept_[0], abs=1e-4)


def test_few_rows_change_little_and_many_count():
    rng = np.random.default_rng(3)
    offsets = [fit_map("binary", *binary(rng, n), prior=400)["offset"] for n in (20, 400, 40_000)]
    assert abs(offsets[0]) < 0.1
    assert 0.1 < offsets[1] < 0.5
    assert offsets[2] == pytest.approx(0.6, abs=0.06)


def test_scores_that_rank_the_wrong_way_keep_their_slope_and_so_their_order():
    rng = np.random.default_rng(4)
    p = rng.uniform(0.05, 0.95, 4000)
    y = (rng.random(4000) < 1 - p).astype(float)
    found = fit_map("binary", p, y)
    assert found["slope"] == 1.0
    mapped = apply_map("binary", found, p)
    assert np.array_equal(np.argsort(mapped, kind="stable"), np.argsort(p, kind="stable"))
    assert fit_map("regression", p, -p)["slope"] == 1.0
    assert fit_map("regression", np.full(9, 2.0), np.arange(9.0), prior=0) == {"slope": 1.0, "offset": 2.0}


@pytest.mark.parametrize(
    ("kind", "scores", "labels", "why"),
    [
        ("binary", [], [], "no labelled rows"),
        ("binary", [0.2, 0.3], [0, 0], "labels of one class only"),
        ("binary", [0.2, math.nan], [0, 1], "scores that are not finite on 1 rows"),
        ("regression", [0.2, 0.3], [0, math.inf], "labels that are not finite on 1 rows"),
        ("binary", [0.2, 0.3], [0, 2], "labels of no declared class"),
        ("multiclass", [[0.2, 0.3, 0.5]] * 3, [1, 1, 1], "labels of one class only"),
    ],
)
def test_what_cannot_be_fitted_is_a_value_with_its_reason(kind, scores, labels, why):
    found = fit_map(kind, np.array(scores, dtype=float), np.array(labels, dtype=float))
    assert found == {"error": why}
    assert wrong_map(kind, found) == why
    with pytest.raises(UsageError, match=why):
        apply_map(kind, found, np.array([0.5]))


def test_extremes_one_row_and_a_class_that_did_not_come_stay_finite():
    sharp = np.array([0.0, 1.0, 0.0, 1.0])
    found = fit_map("binary", sharp, np.array([0.0, 1.0, 1.0, 0.0]))
    assert np.isfinite(apply_map("binary", found, sharp)).all()
    p = np.random.default_rng(5).dirichlet([1, 1, 1], 50)
    found = fit_map("multiclass", p, np.arange(50.0) % 2)
    mapped = apply_map("multiclass", found, p)
    assert np.isfinite(mapped).all()
    assert mapped.sum(axis=1) == pytest.approx(1.0)
    assert set(fit_map("regression", np.array([1.0]), np.array([3.0]))) == {"slope", "offset"}
    with pytest.raises(SourceError):
        fit_map("binary", np.zeros(3), np.zeros(2))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_two_maps_in_a_row_are_one(kind):
    rng = np.random.default_rng(6)
    scores = rng.dirichlet([1, 1, 1], 40) if kind == "multiclass" else rng.uniform(0.01, 0.99, 40)
    first, then = (CLASSES, {**CLASSES, "slope": 0.5}) if kind == "multiclass" else (BINARY, {"slope": 2, "offset": -1})
    both = composed(first, then)
    json.dumps(both, allow_nan=False)
    assert apply_map(kind, both, scores) == pytest.approx(apply_map(kind, then, apply_map(kind, first, scores)))
    assert composed(None, then) == then


def test_scoring_goes_through_the_map():
    class Half:
        classes_ = (0, 1)

        def predict_proba(self, frame):
            return np.tile([0.5, 0.5], (len(frame), 1))

    import pandas as pd

    spec = {"kind": "binary", "classes": ["no", "yes"], "user": {"build": "m:build"}, "calibration": BINARY}
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    assert score(Half(), frame, spec) == pytest.approx(1 / (1 + math.exp(-0.6)))
    assert score(Half(), frame, {**spec, "calibration": None}).tolist() == [0.5, 0.5]


def test_a_fold_is_fitted_without_its_neighbours():
    nights = [f"n{i:02}" for i in range(10)]
    folds = block_folds(nights, 3)
    assert [folds[n] for n in nights] == [3, 2, 2, 2, 1, 1, 1, 0, 0, 0]
    fold, night = np.array([folds[n] for n in nights]), np.arange(10)
    assert np.flatnonzero(rest_of(fold, night, 1, 3)).tolist() == [0]
    assert np.flatnonzero(rest_of(fold, night, 0, 3)).tolist() == [0, 1, 2, 3]
    assert max(block_folds([str(i) for i in range(1000)], 1).values()) < 12
    assert prior_rows(0, 0) == 100
