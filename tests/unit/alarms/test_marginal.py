import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from tidegate.alarms.marginal import Marginal

RNG = np.random.default_rng(5)


def test_normal_values_get_their_own_standard_scores():
    m = Marginal.fit(RNG.normal(10, 2, 5000), floor=0.0)
    x = np.array([6.0, 8.0, 10.0, 12.0, 14.0])
    assert m.z(x) == pytest.approx((x - 10) / 2, abs=0.12)


def test_what_is_beyond_every_night_goes_on_rising_and_never_past_eight():
    m = Marginal.fit(RNG.exponential(1, 300), floor=0.0)
    z = m.z(np.array([3.0, 6.0, 12.0, 24.0, 1e12, math.inf, -math.inf]))
    assert (np.diff(z[:4]) > 0.5).all()
    assert z[4:].tolist() == [8.0, 8.0, -8.0]


def test_a_series_that_never_moved_is_not_alarmed_at_by_a_hair():
    m = Marginal.fit(np.zeros(100), floor=0.01)
    hair, jump = m.z(np.array([0.009, 0.2]))
    assert abs(hair) < 0.01
    assert jump > 5


def test_scores_of_the_nights_themselves_are_standard():
    values = RNG.lognormal(0, 1, 400)
    z = Marginal.fit(values, floor=0.0).z(values)
    assert z.mean() == pytest.approx(0, abs=0.05)
    assert z.std() == pytest.approx(1, abs=0.1)


def test_ties_share_the_middle_of_their_ranks_and_keep_their_share_when_simulated():
    values = np.array([0.0] * 90 + [1.0] * 10)  # one night more or less of a hundred
    m = Marginal.fit(values, floor=0.0)
    assert m.z(np.array([0.0]))[0] == pytest.approx(norm.ppf(0.45))
    drawn = m.value(RNG.standard_normal(20_000))
    assert (drawn == 0).mean() == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("values", [[], [1.0] * 20, [math.nan] * 50, [math.inf] * 50])
def test_too_few_nights_calibrate_nothing(values):
    assert Marginal.fit(values, floor=0.1) is None


@pytest.mark.parametrize("values", [np.arange(50.0), np.zeros(50)])
def test_nan_is_no_information(values):
    assert math.isnan(Marginal.fit(values, floor=0.0).z(np.array([math.nan]))[0])


@given(st.lists(st.floats(-1e6, 1e6), min_size=21, max_size=80), st.floats(0, 10))
def test_scores_never_fall_as_values_rise(values, floor):
    m = Marginal.fit(values, floor)
    x = np.sort(np.array([*values, -2e6, 2e6]))
    z = m.z(x)
    assert np.isfinite(z).all()
    assert (np.diff(z) >= -1e-9).all()


def test_stored_and_read_back_it_is_the_same():
    m = Marginal.fit(RNG.normal(size=60), floor=0.1)
    x = np.linspace(-9, 9, 50)
    assert Marginal.from_dict(m.as_dict()).z(x).tolist() == m.z(x).tolist()
