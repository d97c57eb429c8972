"""CUSUM and EWMA: published run lengths, computed and simulated; NaN, inf, many series."""

import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.detectors.base import first_alarms
from tidegate.detectors.betting import Betting, EDetector
from tidegate.detectors.cusum import Cusum
from tidegate.detectors.ewma import Ewma
from tidegate.detectors.runlength import cusum_run_length, ewma_run_length, threshold_for
from tidegate.errors import UsageError

DETECTORS = {
    "cusum": Cusum(0.5, 4.0),
    "cusum, one side": Cusum(0.5, 4.0, sides=1),
    "ewma": Ewma(0.1, 2.814),
    "betting": Betting(0.0, low=-8.0, high=8.0),
    "e-detector": EDetector(0.0, low=-8.0, high=8.0),
}
every = pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS)
maybe = st.one_of(st.floats(-20, 20), st.just(math.nan), st.just(math.inf), st.just(-math.inf))


def run(detector, rows, series):
    """All steps over observations of shape (nights, series)."""
    state, steps = detector.start(series), []
    for row in rows:
        steps.append(detector.step(state, row))
        state = steps[-1].state
    return steps


def same(a, b):
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


@pytest.mark.parametrize(("h", "shift", "arl"), [(4, 0, 167.68), (4, 1, 8.38), (5, 0, 465.44), (5, 1, 10.38)])
def test_cusum_run_lengths_are_those_of_the_tables(h, shift, arl):
    assert cusum_run_length(h, 0.5, shift) == pytest.approx(arl, abs=0.006)
    assert Cusum(0.5, h).run_length(shift) == cusum_run_length(h, 0.5, -shift)


@pytest.mark.parametrize(
    ("weight", "limit", "shift", "arl"),
    [(0.1, 2.814, 0, 499.5), (0.1, 2.814, 1, 10.33), (0.2, 2.962, 0, 499.7), (0.2, 2.962, 1, 10.54), (1, 3, 0, 370.4)],
)
def test_ewma_run_lengths_are_those_of_the_tables(weight, limit, shift, arl):
    assert ewma_run_length(limit, weight, shift) == pytest.approx(arl, rel=5e-4)


@pytest.mark.parametrize(
    ("detector", "shift"),
    [(Cusum(0.5, 3.0), 0.0), (Cusum(0.5, 3.0), 1.0), (Cusum(0.25, 3.0, sides=1), 0.0), (Ewma(0.2, 2.2), 0.0)],
)
def test_a_simulated_chart_runs_as_long_as_computed(detector, shift):
    rng, series = np.random.default_rng(5), 3000
    first = first_alarms(detector, rng.normal(shift, 1, (700, series)), series)
    assert (first > 0).mean() > 0.98
    expected = detector.run_length(shift)
    assert np.where(first, first, 700).mean() == pytest.approx(expected, rel=0.07)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("k", [0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("arl0", [15.0, 365.0, 5000.0])
def test_a_threshold_gives_back_its_run_length(arl0, k, sides):
    assert Cusum.for_run_length(arl0, k, sides=sides).run_length() == pytest.approx(arl0, rel=1e-6)


def test_an_ewma_threshold_gives_back_its_run_length():
    assert Ewma.for_run_length(1000, 0.2).run_length() == pytest.approx(1000, rel=1e-6)
    assert threshold_for(lambda limit: ewma_run_length(limit, 1.0), 370.3983) == pytest.approx(3, abs=1e-6)


def test_a_sum_restarts_after_its_alarm_and_says_since_when():
    steps = run(Cusum(0.5, 4.0), [[0.0]] * 5 + [[2.0]] * 6, 1)
    assert [bool(s.alarm[0]) for s in steps] == [False] * 7 + [True] + [False] * 2 + [True]
    assert steps[7].since.tolist() == [3]
    assert steps[7].state.high.tolist() == [0.0]


def test_a_decrease_alarms_on_two_sides_only():
    falling = [[-2.0]] * 6
    assert first_alarms(Cusum(0.5, 4.0), falling).tolist() == [3]
    assert first_alarms(Cusum(0.5, 4.0, sides=1), falling).tolist() == [0]


def test_an_ewma_alarms_while_it_is_out_and_comes_back():
    steps = run(Ewma(0.5, 2.0), [[3.0]] * 2 + [[0.0]] * 4, 1)
    assert [bool(s.alarm[0]) for s in steps] == [True, True, False, False, False, False]
    assert [int(s.since[0]) for s in steps] == [1, 2, 3, 4, 5, 6]


def test_infinity_counts_as_the_cap():
    wild = first_alarms(Cusum(0.5, 4.0), [[math.inf, -math.inf]], 2)
    robust = Cusum(0.5, 4.0, cap=3.0).step(Cusum(0.5, 4.0, cap=3.0).start(2), [math.inf, -math.inf])
    assert wild.tolist() == [1, 1]
    assert robust.statistic.tolist() == [2.5, 2.5]


@every
@given(st.lists(st.lists(maybe, min_size=3, max_size=3), max_size=12))
def test_series_do_not_see_each_other(detector, rows):
    together = run(detector, rows, 3)
    for i in range(3):
        alone = run(detector, [[row[i]] for row in rows], 1)
        assert [s.statistic[i] for s in together] == [s.statistic[0] for s in alone]
        assert [s.alarm[i] for s in together] == [s.alarm[0] for s in alone]
        assert [s.since[i] for s in together] == [s.since[0] for s in alone]


@every
def test_nan_changes_nothing(detector):
    rows = [[1.2, -1.0]] * 5
    [*_, before] = run(detector, rows, 2)
    after = detector.step(before.state, [math.nan, math.nan])
    assert same(before.state, after.state)
    assert np.array_equal(after.since, before.since)
    only_nan = run(detector, [[math.nan]] * 30, 1)
    assert same(only_nan[-1].state, detector.start(1))
    assert not any(s.alarm.any() for s in only_nan)


@every
def test_a_state_is_never_changed(detector):
    state = detector.start(2)
    copies = {f.name: np.copy(getattr(state, f.name)) for f in fields(state)}
    first = detector.step(state, [3.0, math.inf])
    again = detector.step(state, [3.0, math.inf])
    assert all(np.array_equal(getattr(state, name), copy) for name, copy in copies.items())
    assert same(first.state, again.state)


@every
def test_observations_of_another_shape_are_refused(detector):
    with pytest.raises(UsageError, match="for each of 2 series"):
        detector.step(detector.start(2), [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Cusum(-0.1, 4),
        lambda: Cusum(0.5, 0),
        lambda: Cusum(0.5, 4, sides=3),
        lambda: Cusum(0.5, 4, cap=0.5),
        lambda: Cusum(math.nan, 4),
        lambda: Cusum.for_run_length(1.0),
        lambda: Cusum.for_run_length(3.0, k=1.0),
        lambda: Cusum.for_run_length(5000.0, k=0.0),
        lambda: Cusum.for_run_length(math.inf),
        lambda: Ewma(0.0, 3),
        lambda: Ewma(1.1, 3),
        lambda: Ewma(0.1, 0),
        lambda: Ewma(0.1, 3, cap=0),
        lambda: Betting(0.0),
        lambda: Betting(0.5, alpha=0),
        lambda: Betting(0.5, sides="left"),
        lambda: Betting(0.5, high=math.inf),
        lambda: EDetector(0.5, arl0=1.0),
        lambda: EDetector(0.5, memory=0.5),
        lambda: cusum_run_length(4, 0.5, math.nan),
        lambda: ewma_run_length(-1, 0.5),
    ],
)
def test_settings_without_sense_are_refused(make):
    with pytest.raises(UsageError):
        make()
