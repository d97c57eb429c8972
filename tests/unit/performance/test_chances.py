"""Chances: scores calibrated where it helps, and only there."""

import numpy as np
import pytest

from tidegate.performance.chances import LEAST, fit_chances


def binary(n, seed, bend=1.0):
    """Scores whose true chance is the score to the power of `bend`, in ten folds."""
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    return p, (rng.random(n) < p**bend).astype(int), np.arange(n) * 10 // n


def test_crooked_scores_become_chances():
    p, y, fold = binary(20_000, 1, bend=3)
    found = fit_chances(p, y, fold)
    grid = np.linspace(0.05, 0.95, 19)
    assert found.gain > 0.01
    assert np.abs(found.of(grid)[:, 1] - grid**3).max() < 0.05
    assert found.of(grid).sum(axis=1) == pytest.approx(1)


def test_scores_that_are_chances_already_are_left_alone_where_a_curve_would_only_fit_noise():
    gains = [fit_chances(*binary(600, seed)) for seed in range(20)]
    assert sum(not c.curves for c in gains) >= 15
    p = np.array([0.1, 0.7])
    alone = next(c for c in gains if not c.curves)
    assert alone.of(p)[:, 1].tolist() == p.tolist()


def test_a_curve_never_falls_and_equal_scores_get_equal_chances():
    p, y, fold = binary(5000, 3, bend=2)
    p = np.round(p, 2)
    found = fit_chances(p, y, fold)
    assert (np.diff(found.of(np.linspace(-1, 2, 301))[:, 1]) >= 0).all()


def test_several_classes_are_calibrated_each_and_sum_to_one():
    rng = np.random.default_rng(4)
    true = rng.dirichlet([2, 1, 1], 12_000)
    y = np.array([rng.choice(3, p=q) for q in true])
    sharp = true**3 / (true**3).sum(axis=1, keepdims=True)
    found = fit_chances(sharp, y, np.arange(12_000) % 6)
    assert found.gain > 0
    assert found.of(sharp).sum(axis=1) == pytest.approx(1)
    assert np.abs(found.of(sharp) - true).mean() < 0.6 * np.abs(sharp - true).mean()


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        (np.zeros(0), np.zeros(0, int)),
        (np.linspace(0, 1, 500), np.ones(500, int)),
        (np.full(500, 0.3), np.arange(500) % 2),
        (np.linspace(0, 1, 500), (np.arange(500) < LEAST - 1).astype(int)),
        (np.full(500, np.nan), np.arange(500) % 2),
    ],
    ids=["no rows", "one class", "all scores equal", "too few of a class", "NaN"],
)
def test_where_nothing_can_be_learned_scores_stay(scores, labels):
    found = fit_chances(scores, labels, np.arange(len(labels)) % 5)
    assert found.curves == ()
    assert found.of(np.array([0.4]))[0, 1] == 0.4


def test_one_fold_cannot_tell_whether_a_curve_helps():
    p, y, _ = binary(5000, 5, bend=3)
    assert fit_chances(p, y, np.zeros(5000, int)).curves == ()
