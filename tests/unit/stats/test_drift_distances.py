"""The distances against published numbers and independent code."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, ks_2samp, wasserstein_distance

from tidegate.drift.distances import gaps, js, kl, ks, psi, psi_limit, w1
from tidegate.errors import UsageError

HALVES, SIXTY = [5e8, 5e8], [6e8, 4e8]
DISTANCES = {"psi": psi, "kl": kl, "js": js, "ks": ks, "w1": lambda r, c: w1(np.arange(np.size(r)), r, c)}
pairs = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=20)


def test_fifty_fifty_against_sixty_forty():
    assert psi(HALVES, SIXTY) == pytest.approx(0.0405465, abs=5e-8)
    assert kl(HALVES, SIXTY) == pytest.approx(0.0204110, abs=5e-8)
    assert js(HALVES, SIXTY) == pytest.approx(0.0854351, abs=5e-8)
    assert ks(HALVES, SIXTY) == pytest.approx(0.1)


def test_half_a_row_is_added_to_each_bin():
    p, q = np.array([7.5, 0.5]) / 8, np.array([2.5, 1.5]) / 4
    assert psi([2, 1], [7, 0]) == pytest.approx(float(np.sum((p - q) * np.log(p / q))))


@pytest.mark.parametrize(("n", "m", "limit"), [(100, 100, 0.33838), (1000, 1000, 0.033838), (10_000, 1000, 0.018611)])
def test_psi_limit_of_ten_bins(n, m, limit):
    assert psi_limit(10, n, m, 0.95) == pytest.approx(limit, rel=3e-5)


def test_the_limit_is_exceeded_as_often_as_it_says():
    rng = np.random.default_rng(1)
    draws = rng.multinomial(1000, [0.1] * 10, (2, 4000))
    over = np.mean([psi(r, c) > psi_limit(10, 1000, 1000, 0.95) for r, c in zip(*draws, strict=True)])
    assert over == pytest.approx(0.05, abs=0.012)
    small = rng.multinomial(200, [0.1] * 10, (2, 4000))
    assert np.mean([psi(r, c) > 0.1 for r, c in zip(*small, strict=True)]) == pytest.approx(0.33, abs=0.03)


@pytest.mark.parametrize(("bins", "n", "m"), [(1, 10, 10), (0, 10, 10), (10, 0, 10), (10, 10, 0)])
def test_there_is_no_limit_without_bins_or_rows(bins, n, m):
    assert math.isnan(psi_limit(bins, n, m))


def test_a_limit_needs_a_confidence():
    with pytest.raises(UsageError, match="between 0 and 1"):
        psi_limit(10, 10, 10, 99)


@given(pairs)
def test_scipy_agrees(counts):
    r, c = np.array(counts, dtype=float).T
    assume(r.sum() > 0 and c.sum() > 0)
    q, p = (r + 0.5) / (r + 0.5).sum(), (c + 0.5) / (c + 0.5).sum()
    assert kl(r, c) == pytest.approx(float(entropy(q, p)), abs=1e-12)
    assert js(r, c) ** 2 == pytest.approx(float(np.nan_to_num(jensenshannon(q, p, base=2))) ** 2, abs=1e-12)
    x = np.arange(len(r)) * 1.5
    assert w1(x, r, c) == pytest.approx(float(wasserstein_distance(x, x, r, c)), abs=1e-9)


@given(pairs)
def test_scipys_exact_ks_agrees(counts):
    r, c = np.array(counts).T
    assume(r.sum() > 0 and c.sum() > 0)
    x = np.arange(len(r))
    with np.errstate(all="ignore"):  # scipy's p-value, which is not asked for here, divides by zero now and then
        exact = ks_2samp(np.repeat(x, r), np.repeat(x, c), method="asymp").statistic
    assert ks(r, c) == pytest.approx(float(exact), abs=1e-12)


@given(pairs)
def test_ranges_and_symmetry(counts):
    r, c = np.array(counts, dtype=float).T
    assume(r.sum() > 0 and c.sum() > 0)
    assert psi(r, c) >= 0
    assert kl(r, c) >= -1e-12
    assert 0 <= js(r, c) <= 1
    assert 0 <= ks(r, c) <= 1 + 1e-12
    for name in ("psi", "js", "ks", "w1"):
        assert DISTANCES[name](r, c) == pytest.approx(DISTANCES[name](c, r), abs=1e-12)


@pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)
def test_an_empty_side_gives_nan_and_equal_sides_nothing(distance):
    assert math.isnan(distance([0, 0], [1, 2]))
    assert math.isnan(distance([1, 2], [0, 0]))
    assert math.isnan(distance([], []))
    assert distance([3, 4, 5], [3, 4, 5]) == 0


@pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)
@pytest.mark.parametrize("current", [[5], [1, 2, 3], [-1, 2], [math.nan, 1], [math.inf, 1], [[1, 2]]])
def test_counts_that_cannot_be_compared_are_refused(distance, current):
    with pytest.raises(UsageError, match="over the same bins"):
        distance([1, 1], current)


def test_the_way_between_two_columns_is_no_distance():
    huge = 1.7e308
    found = gaps(np.array([0.0, huge, -huge, 0.0]), np.ones(4), np.ones(4), np.array([0, 2]))
    assert [d.tolist() for d in found] == [[0.0, 0.0], [0.0, 0.0]]
