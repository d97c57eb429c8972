from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import ConfigError, UsageError
from tidegate.windows import Calendar

# A zone and a date near which its clock changed: at night, at midnight (which then does not
# exist or is there twice), by half an hour, back into the day before, and over a whole day.
CHANGES = [
    ("America/New_York", "2013-03-10"),
    ("America/New_York", "2013-11-03"),
    ("Europe/Berlin", "2024-10-27"),
    ("Australia/Lord_Howe", "2024-04-07"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("America/Sao_Paulo", "2018-02-18"),
    ("Asia/Beirut", "2022-03-27"),
    ("Africa/Cairo", "2024-04-26"),
    ("America/Havana", "2024-11-03"),
    ("America/St_Johns", "2010-11-07"),
    ("America/Toronto", "1919-03-31"),
    ("Pacific/Apia", "2011-12-30"),
]


@pytest.mark.fault(17)
@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_every_instant_is_in_exactly_one_window(zone, day):
    calendar = Calendar(zone)
    middle = calendar.window(day)
    windows = list(calendar.range(calendar.shift(middle, -2).date, calendar.shift(middle, 2).date))
    for before, after in pairwise(windows):
        assert before.end == after.start
    instant = windows[0].start
    while instant < windows[-1].end:
        for at in (instant, instant - timedelta(microseconds=1)):
            holding = [w for w in windows if w.start <= at < w.end]
            if at >= windows[0].start:
                assert [calendar.of(at)] == holding
        instant += timedelta(minutes=10)


@pytest.mark.fault(17)
@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", "2013-03-10", 23),
        ("America/New_York", "2013-11-03", 25),
        ("Australia/Lord_Howe", "2024-04-07", 24.5),
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("America/Sao_Paulo", "2018-02-17", 25),
        ("Asia/Beirut", "2022-03-27", 23),
        ("Africa/Cairo", "2024-04-26", 23),
        ("Pacific/Apia", "2011-12-29", 24),
        ("Pacific/Apia", "2011-12-30", 0),
    ],
)
def test_windows_are_as_long_as_their_day_was(zone, day, hours):
    window = Calendar(zone).window(day)
    assert (window.end - window.start) / timedelta(hours=1) == hours


@pytest.mark.fault(17)
@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(sorted({zone for zone, _ in CHANGES})),
)
def test_the_window_of_an_instant_holds_it(instant, zone):
    calendar = Calendar(zone)
    window = calendar.of(instant)
    assert window.start <= instant < window.end
    assert calendar.of(window.start) == window == calendar.window(window.id)
    assert calendar.window(window.date + timedelta(days=1)).start == window.end


@pytest.mark.parametrize(
    "day", ["2013-02-30", "20130301", "2013-W01-2", "x", "", None, 3, datetime(2013, 1, 1), "9999-12-31", date.max]
)
def test_a_window_that_is_none_is_refused(day):
    with pytest.raises(UsageError):
        Calendar().window(day)


def test_instants_need_a_zone_and_a_place_in_the_calendar():
    with pytest.raises(UsageError, match="timezone-aware"):
        Calendar().of(datetime(2013, 1, 1))
    with pytest.raises(UsageError, match="between"):
        Calendar("America/New_York").of(datetime(1, 1, 1, tzinfo=UTC))
    with pytest.raises(UsageError, match="between"):
        Calendar().shift(Calendar().window("2013-01-01"), 10**8)


@pytest.mark.parametrize("zone", ["Mars/Base", "America", "../../etc/passwd", ""])
def test_an_unknown_zone_is_a_configuration_fault(zone):
    with pytest.raises(ConfigError, match="IANA"):
        Calendar(zone)


def test_a_range_includes_both_ends_and_may_be_empty():
    calendar = Calendar()
    assert [w.id for w in calendar.range("2013-01-31", "2013-02-01")] == ["2013-01-31", "2013-02-01"]
    assert list(calendar.range("2013-02-01", "2013-01-31")) == []
