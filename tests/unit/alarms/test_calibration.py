import json
import math
from datetime import date, timedelta

import numpy as np
import pytest

from tidegate.alarms.aa import pages, permuted, rate
from tidegate.alarms.calibrate import calibrate, weekday_effects
from tidegate.alarms.calibration import CERTIFIED, VERSION, Calibration
from tidegate.alarms.evidence import excesses
from tidegate.alarms.null import Nuisance, autocorrelation, autocorrelations, simulate
from tidegate.alarms.series import Series
from tidegate.errors import UsageError

SERIES = [Series("feature", f"c{i}", "centre" if i % 2 else "shape") for i in range(12)]
START = date(2013, 1, 7)


def history(nights, seed=0, series=SERIES):
    """Values with a weekday effect and series that hang together, as nights have."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(nights, 1))
    values = 0.5 * common + rng.normal(size=(nights, len(series)))
    weekday = np.arange(nights) % 7
    return values + np.where(weekday == 6, 3.0, 0.0)[:, None], [START + timedelta(days=i) for i in range(nights)]


def of_series(found, kind):
    return [e for e in found if e.series == SERIES[0] and e.kind == kind]


@pytest.fixture(scope="module")
def calibrated():
    values, dates = history(200)
    return calibrate(values, dates, SERIES, 1.0, np.random.default_rng(1))


def test_half_a_year_is_certified_and_promises_no_more_than_the_budget(calibrated):
    assert calibrated.certified
    assert calibrated.rates[0] <= calibrated.rates[1] <= 1.5


def test_the_budget_holds_on_nights_that_calibration_never_saw(calibrated):
    counts, months = 0.0, 0.0
    for seed in range(100, 120):
        values, dates = history(364, seed)
        scores = calibrated.scores(values, np.array([d.weekday() for d in dates]))
        counts, months = counts + pages(calibrated, scores[None]).sum(), months + 364 / 30
    assert counts / months <= 1.5


def test_a_larger_budget_has_lower_limits_and_none_at_all_has_infinite_ones(calibrated):
    loose, none = calibrated.at(4.0), calibrated.at(0.0)
    assert loose.sudden < calibrated.sudden
    assert loose.gradual < calibrated.gradual
    assert (none.sudden, none.gradual) == (math.inf, math.inf)
    assert not none.certified
    assert "no page for drift" in none.words


def test_the_same_seed_gives_the_same_limits(calibrated):
    again = calibrate(*history(200), SERIES, 1.0, np.random.default_rng(1))
    assert again.as_dict() == calibrated.as_dict()


def test_two_months_are_not_certifiable_and_say_their_range():
    c = calibrate(*history(59), SERIES, 1.0, np.random.default_rng(1))
    assert not c.certified
    assert "not certifiable, range" in c.words
    assert 0 <= c.rates[0] < c.rates[1]


@pytest.mark.parametrize("nights", [0, 3, 41])
def test_a_few_nights_calibrate_nothing(nights):
    assert calibrate(*history(nights), SERIES, 1.0, np.random.default_rng(1)) is None


@pytest.mark.parametrize("budget", [-1.0, math.nan, math.inf])
def test_a_budget_that_is_none_is_refused(budget):
    with pytest.raises(UsageError, match="pages per 30 days"):
        calibrate(*history(60), SERIES, budget, np.random.default_rng(1))


def test_the_weekday_effect_is_out_and_noise_is_not_taken_for_one():
    values, dates = history(364)
    weekdays = np.array([d.weekday() for d in dates])
    effects = weekday_effects(values, weekdays)
    assert effects[6].mean() - effects[2].mean() == pytest.approx(3.0, abs=0.3)
    noise = np.random.default_rng(2).normal(size=(364, 40))
    assert np.abs(weekday_effects(noise, weekdays)).mean() < 0.06


def test_a_lasting_shift_is_past_its_limit_from_its_second_night_on(calibrated):
    values, dates = history(40, 77)
    values[30:, 0] += 8
    scores = calibrated.scores(values, np.array([d.weekday() for d in dates]))
    nights = [d.isoformat() for d in dates]
    at = [
        [e for e in excesses(calibrated, nights[: t + 1], scores[: t + 1]) if e.series == SERIES[0]] for t in (30, 31)
    ]
    assert [e.lasts for e in at[0] if e.kind == "sudden"] == [False]
    [second] = [e for e in at[1] if e.kind == "sudden"]
    assert second.lasts
    assert second.since == nights[30]


def test_a_slow_trend_is_found_by_its_sum_and_says_when_it_began(calibrated):
    values, dates = history(60, 78)
    values[30:, 0] += 1.5
    scores = calibrated.scores(values, np.array([d.weekday() for d in dates]))
    nights = [d.isoformat() for d in dates]
    each = [of_series(excesses(calibrated, nights[: t + 1], scores[: t + 1]), "gradual") for t in range(31, 60)]
    found = next(e for e in each if e)[0]
    assert abs((date.fromisoformat(found.since) - dates[30]).days) <= 8


def test_unsigned_series_never_alarm_when_they_fall(calibrated):
    values, dates = history(40, 79)
    values[30:, 0] -= 20  # shape: nearer to the reference than ever
    scores = calibrated.scores(values, np.array([d.weekday() for d in dates]))
    assert not [e for e in excesses(calibrated, [d.isoformat() for d in dates], scores) if e.series == SERIES[0]]


def test_nights_without_values_alarm_nobody(calibrated):
    scores = np.full((10, len(SERIES)), np.nan)
    assert excesses(calibrated, [f"n{i}" for i in range(10)], scores) == []
    assert excesses(calibrated, [], scores[:0]) == []


def test_stored_and_read_back_it_is_the_same_and_of_other_monitors_it_is_refused(calibrated):
    body = calibrated.as_dict()
    assert Calibration.from_dict(body).as_dict() == body
    with pytest.raises(UsageError, match=VERSION):
        Calibration.from_dict({**body, "version": "tidegate-monitors/0"})


def test_simulated_nights_keep_their_variance_whatever_the_autocorrelation():
    rng = np.random.default_rng(0)
    pool = rng.standard_normal((300, 5))
    for phi in (0.0, 0.5):
        y = simulate(pool, 40, 400, Nuisance(phi, 0.0, 1.0), np.random.default_rng(1))
        assert y.std() == pytest.approx(1.0, abs=0.08)
        assert np.corrcoef(y[:, 1:, 0].ravel(), y[:, :-1, 0].ravel())[0, 1] == pytest.approx(phi, abs=0.05)
        assert abs(autocorrelation(y[0]) - phi) < 0.25
    own = np.array([0.0, 0.0, 0.8, 0.0, 0.0])
    y = simulate(pool, 40, 400, Nuisance(0.2, 0.0, 1.0), np.random.default_rng(1), own)
    assert autocorrelations(y[0])[2] == pytest.approx(0.8, abs=0.1)
    assert autocorrelations(y[0])[1] == pytest.approx(0.2, abs=0.15)


def test_permuted_nights_stay_on_their_weekday_and_none_is_lost():
    dates = [(START + timedelta(days=i)).isoformat() for i in range(70)]
    days = [date.fromisoformat(d).weekday() for d in dates]
    moved = permuted(dates, days, np.random.default_rng(0))
    assert sorted(moved.values()) == dates
    assert all(date.fromisoformat(a).weekday() == date.fromisoformat(b).weekday() for a, b in moved.items())
    assert moved != {d: d for d in dates}


def test_a_rate_of_no_pages_still_has_an_upper_end_and_one_repeat_has_none():
    none = rate([0, 0, 0], [6, 6, 6], distinct=6)
    assert (none.lower95, none.months) == (0.0, 6)
    assert none.upper95 == pytest.approx(3.689 / 6, abs=0.001)  # Garwood 1936
    assert rate([2], [6]).upper95 == math.inf
    assert math.isnan(rate([], []).measured)


def test_certification_takes_half_a_year():
    assert CERTIFIED == 26 * 7


def test_the_run_length_of_each_kind_is_stated_in_nights(calibrated):
    sudden, gradual = calibrated.run_lengths
    assert min(sudden, gradual) > 30  # a budget of one in 30 nights, less than half of it each
    assert calibrated.at(0.0).run_lengths == (math.inf, math.inf)
    assert calibrated.at(4.0).run_lengths[0] < sudden


def test_nights_on_which_nothing_moved_promise_nothing_and_say_why():
    c = calibrate(np.zeros((200, len(SERIES))), history(200)[1], SERIES, 1.0, np.random.default_rng(1))
    assert not c.certified
    assert "nothing moved" in c.words


def test_what_is_stored_is_json_without_infinities(calibrated):
    body = json.dumps(calibrated.at(0.0).as_dict(), allow_nan=False)
    assert Calibration.from_dict(json.loads(body)).sudden == math.inf
