"""A history in which nothing drifts, and a calibration that does."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from tidegate.lab.calibrationshift import shifted
from tidegate.lab.moved import dealt, moved

DATES = [d.date().isoformat() for d in pd.date_range("2013-01-01", periods=60)]


def test_every_night_is_put_somewhere_on_its_own_weekday_and_holidays_stay():
    found = dealt(DATES, {"2013-01-01", "2013-01-21"}, np.random.default_rng(3))
    assert sorted(found) == sorted(found.values()) == DATES
    assert all(date.fromisoformat(a).weekday() == date.fromisoformat(b).weekday() for a, b in found.items())
    assert found["2013-01-01"] == "2013-01-01"
    assert sum(a != b for a, b in found.items()) > 40


def test_no_nights_are_dealt_out_to_none():
    assert dealt([], set(), np.random.default_rng(0)) == {}


@pytest.mark.parametrize("new", ["2013-03-10", "2013-11-03", "2013-06-09"])
def test_times_keep_their_local_hour_across_changes_of_the_clock(new):
    at = pd.date_range("2013-02-10", periods=24, freq="h", tz="America/New_York")
    rows = pd.DataFrame({"at": at.tz_convert("UTC"), "x": range(24)})
    there = moved(rows, ["at"], "America/New_York", "2013-02-10", new)
    local = there["at"].dt.tz_convert("America/New_York")
    assert set(local.dt.strftime("%Y-%m-%d")) == {new}
    skipped = 1 if new == "2013-03-10" else 0
    assert (local.dt.hour == at.hour).sum() == 24 - skipped
    assert there["at"].dtype == rows["at"].dtype


@pytest.mark.parametrize("size", [-1.0, 1.0])
def test_a_shift_of_calibration_multiplies_the_odds_and_keeps_the_rank(size):
    rng = np.random.default_rng(5)
    p = rng.uniform(0.05, 0.7, 200_000)
    y = (rng.random(len(p)) < p).astype(float)
    new = shifted("binary", p, y, size, rng)
    for low in (0.1, 0.3, 0.5):
        some = (p >= low) & (p < low + 0.05)
        odds = p[some] / (1 - p[some]) * np.exp(size)
        assert new[some].mean() == pytest.approx((odds / (1 + odds)).mean(), abs=0.015)


def test_a_shift_of_calibration_leaves_unknown_labels_unknown():
    new = shifted("binary", np.full(4, 0.5), np.array([np.nan, 0.0, 1.0, np.nan]), 2.0, np.random.default_rng(0))
    assert np.isnan(new).tolist() == [True, False, False, True]
    assert len(shifted("binary", np.zeros(0), np.zeros(0), 1.0, np.random.default_rng(0))) == 0


def test_a_shift_among_several_classes_moves_rows_to_the_last_one_and_back():
    rng = np.random.default_rng(7)
    p = rng.dirichlet([2, 2, 2], 50_000)
    y = np.array([rng.choice(3, p=row) for row in p[:5000]], dtype=float)
    more, less = (shifted("multiclass", p[:5000], y, s, rng) for s in (1.0, -1.0))
    assert (more == 2).mean() > (y == 2).mean() + 0.1 > (less == 2).mean() + 0.2
