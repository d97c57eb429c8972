"""The best path in hindsight, held against all paths."""

import itertools

import numpy as np
import pytest

from tidegate.errors import UsageError
from tidegate.lab.oracle import best_path


def by_trying_all(values, switch, dwell):
    """What the best of all sequences earns."""
    best = -np.inf
    for path in itertools.product(range(values.shape[1]), repeat=len(values)):
        earned = values[np.arange(len(values)), list(path)].sum()
        runs = [len(list(run)) for _, run in itertools.groupby(path)]
        if np.isfinite(earned) and all(r >= dwell for r in runs[:-1]):
            best = max(best, earned - switch * (len(runs) - 1))
    return best


@pytest.mark.parametrize("dwell", [1, 2, 3])
@pytest.mark.parametrize("switch", [0.0, 0.7, 100.0])
def test_it_earns_what_the_best_of_all_sequences_does(switch, dwell):
    rng = np.random.default_rng(11)
    for _ in range(12):
        values = rng.normal(size=(7, 3))
        for column, born in enumerate(rng.integers(0, 5, 3)):
            values[: born if column else 0, column] = np.nan
        found = best_path(values, switch, dwell)
        assert found.value == pytest.approx(by_trying_all(values, switch, dwell))
        earned = values[np.arange(7), found.versions].sum()
        assert found.value == pytest.approx(earned - switch * found.switches)
        assert found.switches == (np.diff(found.versions) != 0).sum()


def test_no_version_is_in_office_before_its_training():
    values = np.array([[0.0, np.nan], [0.0, np.nan], [0.0, 9.0]])
    assert best_path(values).versions.tolist() == [0, 0, 1]


def test_no_path_of_a_policy_earns_more():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(60, 5))
    best = best_path(values, 0.2).value
    for _ in range(200):
        path = np.repeat(rng.integers(0, 5, 6), 10)
        assert values[np.arange(60), path].sum() - 0.2 * (np.diff(path) != 0).sum() <= best


def test_bad_pools_are_told():
    assert best_path(np.empty((0, 2))).value == 0.0
    gone = np.array([[1.0, 1.0], [1.0, np.nan]])
    for values, switch, dwell in (
        (gone, 0.0, 1),
        (np.full((2, 1), np.nan), 0.0, 1),
        (gone[:1], -1.0, 1),
        (gone[:1], 0.0, 0),
    ):
        with pytest.raises(UsageError):
            best_path(values, switch, dwell)
