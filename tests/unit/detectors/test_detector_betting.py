"""Bets: false alarms ever, run lengths, power, e-values."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from tidegate.detectors.base import first_alarms
from tidegate.detectors.betting import Betting, EDetector
from tidegate.detectors.evalues import average, from_p, product
from tidegate.errors import UsageError


def coin(rng, nights, series):
    return (row < 0.3 for row in rng.random((nights, series)))


def regimes(rng, nights, series):
    """Mean 0.3 given the past, but the spread depends on it: bets must not exploit or fear that."""
    wide = np.zeros(series, dtype=bool)
    for _ in range(nights):
        up = rng.random(series)
        x = np.where(wide, np.where(up < 0.3, 1.0, 0.0), np.where(up < 0.5, 0.35, 0.25))
        wide = x >= 0.35
        yield x


@pytest.mark.parametrize("nature", [coin, pytest.param(regimes, marks=pytest.mark.slow)])
def test_villes_inequality_over_ten_thousand_nights(nature):
    rng, series, alpha = np.random.default_rng(8), 600, 0.05
    crossed = first_alarms(Betting(0.3, alpha=alpha), nature(rng, 10_000, series), series) > 0
    assert crossed.mean() <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / series)


def test_the_naive_test_would_cross():
    """The same nights, looked at with a z-test each night: what the bets avoid."""
    rng, series = np.random.default_rng(8), 200
    x = rng.random((5000, series)) < 0.3
    t = np.arange(1, 5001)[:, None]
    z = np.abs(np.cumsum(x, axis=0) / t - 0.3) / np.sqrt(0.21 / t)
    assert (z[20:].max(axis=0) > 1.96).mean() > 0.4


@pytest.mark.parametrize(("mean", "sides", "found"), [(0.4, "up", True), (0.4, "down", False), (0.2, "both", True)])
def test_a_mean_that_moved_is_found_on_its_side(mean, sides, found):
    rng, series = np.random.default_rng(9), 200
    nights = (row < mean for row in rng.random((1000, series)))
    share = (first_alarms(Betting(0.3, sides=sides, alpha=0.01), nights, series) > 0).mean()
    assert share > 0.9 if found else share < 0.02


def test_wealth_is_a_fair_game():
    rng, series = np.random.default_rng(10), 20_000
    test = Betting(0.3)
    state = test.start(series)
    for row in rng.random((12, series)) < 0.3:
        step = test.step(state, row)
        state = step.state
    assert np.exp(step.statistic).mean() == pytest.approx(1.0, abs=0.05)


def test_an_alarm_stays_and_says_since_when():
    test = Betting(0.5, alpha=0.01)
    state, alarms, since = test.start(), [], []
    for x in [0.5] * 30 + [0.9] * 20 + [math.nan] + [0.5] * 3:
        step = test.step(state, x)
        state = step.state
        alarms.append(bool(step.alarm[0]))
        since.append(int(step.since[0]))
    assert alarms == sorted(alarms)
    assert alarms[-1]
    assert not any(alarms[:32])
    assert 17 <= since[49] <= 20


def test_an_e_detector_runs_at_least_as_long_as_it_says():
    rng, series, arl0 = np.random.default_rng(12), 400, 40.0
    first = first_alarms(EDetector(0.3, arl0=arl0), coin(rng, 800, series), series)
    # Censored at 800: the true mean is larger still.
    assert np.where(first, first, 800).mean() >= arl0


def test_an_e_detector_finds_a_late_change_and_begins_anew():
    rng, series = np.random.default_rng(13), 200
    x = np.vstack((rng.random((300, series)) < 0.3, rng.random((100, series)) < 0.7))
    detector = EDetector(0.3, arl0=2000.0)
    state, alarms = detector.start(series), []
    for row in x:
        step = detector.step(state, row)
        state = step.state
        alarms.append(step.alarm)
        assert np.all(state.wealth[:, step.alarm] == -math.inf)
    before, after = np.array(alarms[:300]), np.array(alarms[300:])
    assert before.any(axis=0).mean() < 0.3
    assert after.any(axis=0).all()
    assert np.median(after.argmax(axis=0)) < 40


def test_average_and_product_of_e_values():
    assert average([4.0, 0.0], weights=[3, 1]) == 3.0
    assert average([4.0, math.nan, 2.0]) == 3.0
    assert math.isnan(average([]))
    assert math.isnan(product([math.nan]))
    assert product([math.inf, 0.0]) == 0.0
    assert product([1e200, 1e200]) == math.inf
    with pytest.raises(UsageError, match="≥ 0"):
        average([-1.0])
    with pytest.raises(UsageError, match="weights"):
        average([1.0, 2.0], weights=[1, -1])


def test_an_e_value_from_p_has_mean_one_and_falls_with_p():
    mean = quad(lambda u: float(from_p(math.exp(u))) * math.exp(u), -690, 0, limit=500)[0]
    assert mean == pytest.approx(1.0, abs=0.005)
    e = from_p(np.linspace(1e-6, 1, 1000))
    assert np.all(np.diff(e) < 0)
    assert from_p(0.0) > 1e290
    assert math.isnan(from_p(math.nan))
    with pytest.raises(UsageError, match="0 to 1"):
        from_p([0.5, 1.5])
