"""Which nights are due: exactly once each, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.deploy.due import due, late
from tidegate.deploy.fires import fires, last_fire
from tidegate.errors import ConfigError
from tidegate.windows import Calendar

HOUR = timedelta(hours=1)
# Spring and autumn, south and north, half an hour of change, a day that was skipped, and no change at all.
ZONES = [
    ("America/New_York", date(2013, 3, 10)),
    ("Europe/Berlin", date(2013, 10, 27)),
    ("Australia/Lord_Howe", date(2013, 4, 7)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Asia/Kolkata", date(2013, 6, 1)),
    ("America/Havana", date(2013, 3, 10)),
]


@pytest.mark.fault(17)
@pytest.mark.parametrize(("zone", "change"), ZONES)
@pytest.mark.parametrize("cron", ["0 6 * * *", "30 2 * * *", "0 0 * * *", "59 23 * * *"])
def test_each_window_is_done_exactly_once_around_a_change_of_the_clock(zone, change, cron):
    calendar = Calendar(zone)
    first = calendar.window(change - timedelta(days=2))
    now, told, done = first.start, [], {calendar.shift(first, -1).id}
    while now < calendar.window(change + timedelta(days=4)).end:
        for window in due(calendar, cron, done, now, 14):
            assert window.end <= now
            told.append(window.id)
            done.add(window.id)
        now += HOUR / 2
    expected = [w.id for w in calendar.range(first.id, told[-1]) if w.start < w.end]
    assert told == expected
    assert len(told) == (4 if zone == "Pacific/Apia" else 5) + (cron != "59 23 * * *")


@given(st.sets(st.integers(0, 19)), st.integers(1, 30), st.integers(0, 47))
def test_what_is_due_is_what_is_missing_of_the_newest_nights(done, catch_up, hour):
    calendar, now = Calendar(), datetime(2024, 1, 20, 6, tzinfo=UTC) + hour * HOUR
    first = date(2024, 1, 1)
    names = {(first + timedelta(days=i)).isoformat() for i in done}
    found = [w.id for w in due(calendar, "0 6 * * *", names, now, catch_up)]
    last = 18 + (hour >= 24)
    wanted = range(max(min(done), last - catch_up + 1), last + 1) if done else [last]
    assert found == [(first + timedelta(days=i)).isoformat() for i in wanted if i not in done]
    assert found == sorted(found)


def test_seven_missed_nights_are_due_the_oldest_first():
    now = datetime(2024, 1, 20, 9, tzinfo=UTC)
    found = [w.id for w in due(Calendar(), "0 6 * * *", {"2024-01-11", "2024-01-12"}, now, 14)]
    assert found == [f"2024-01-{d}" for d in range(13, 20)]


def test_a_night_is_not_due_before_its_run():
    night = {"2024-01-18"}
    assert due(Calendar(), "0 6 * * *", night, datetime(2024, 1, 20, 5, 59, 59, tzinfo=UTC), 14) == ()
    [window] = due(Calendar(), "0 6 * * *", night, datetime(2024, 1, 20, 6, tzinfo=UTC), 14)
    assert window.id == "2024-01-19"


def test_of_a_weekly_model_every_night_of_the_week_is_due():
    done = {"2024-01-07"}
    assert due(Calendar(), "0 6 * * 1", done, datetime(2024, 1, 14, 23, tzinfo=UTC), 14) == ()
    assert len(due(Calendar(), "0 6 * * 1", done, datetime(2024, 1, 15, 6, tzinfo=UTC), 14)) == 7


@pytest.mark.fault(26)
@pytest.mark.parametrize("cron", ["0 6 * * *", "0 6 * * 1", "0 */6 * * *"])
@pytest.mark.parametrize("patience", [0.1, 0.5, 1.0])
def test_a_stopped_scheduler_is_overdue_within_two_intervals(cron, patience):
    """It stops right after a run: the next is late from its own moment on, at the latest one interval after it."""
    calendar = Calendar("America/New_York")
    night = calendar.window("2024-01-15")
    moments = fires(cron, calendar.time_zone, night.end - timedelta(seconds=1))
    at = next(moments)
    following = next(moments)
    found = late(calendar, cron, night, following, patience)
    assert found is not None
    assert at < found.until <= following
    assert late(calendar, cron, night, at + 0.09 * (following - at), patience) is None


@given(st.datetimes(datetime(2013, 1, 1), datetime(2014, 1, 1)), st.sampled_from([z for z, _ in ZONES]))
def test_the_last_moment_is_the_newest_that_is_not_after_now(naive, zone):
    now = naive.replace(tzinfo=UTC)
    for cron in ("0 6 * * *", "30 2 * * 1-5", "15 */6 1 * *"):
        found = last_fire(cron, zone, now)
        assert found <= now < next(fires(cron, zone, found))


@pytest.mark.parametrize("cron", ["61 6 * * *", "0 6 31 2 *", "a b c d e"])
def test_a_line_that_never_comes_is_a_clear_error(cron):
    with pytest.raises(ConfigError, match="schedule: expected a cron line"):
        last_fire(cron, "UTC", datetime(2024, 1, 1, tzinfo=UTC))
