"""The moments of a cron line in a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from tidegate.errors import ConfigError


def fires(cron: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """The moments of a cron line strictly after an instant, in UTC, the earliest first.

    Five fields as in Debian's cron: where the clock skips the moment it fires when the gap ends,
    where it happens twice it fires once.

    Raises
    ------
    ConfigError
        If the line is no cron line, or names a date that never comes.

    Examples
    --------
    >>> line = fires("0 6 * * *", "America/New_York", datetime(2013, 3, 9, 12, tzinfo=UTC))
    >>> next(line).isoformat(), next(line).isoformat()
    ('2013-03-10T10:00:00+00:00', '2013-03-11T10:00:00+00:00')
    """
    return _moments(cron, time_zone, after, backward=False)


def last_fire(cron: str, time_zone: str, now: datetime) -> datetime:
    """The newest moment of a cron line that is not after `now`, in UTC; errors as `fires`.

    Examples
    --------
    >>> last_fire("0 6 * * 1", "UTC", datetime(2013, 6, 14, tzinfo=UTC)).isoformat()
    '2013-06-10T06:00:00+00:00'
    """
    found = next(_moments(cron, time_zone, now, backward=True))
    # `CronSim` starts beside the instant that it is given, and around a change of the clock a step too far.
    for later in fires(cron, time_zone, found):
        if later > now:
            break
        found = later
    return found


def _moments(cron: str, time_zone: str, start: datetime, *, backward: bool) -> Iterator[datetime]:
    try:
        line = CronSim(cron, start.astimezone(ZoneInfo(time_zone)), reverse=backward)
    except CronSimError as fault:
        raise ConfigError("schedule", "a cron line of five fields, such as 0 6 * * *", repr(cron), str(fault)) from None
    try:
        for at in line:
            yield at.astimezone(UTC)
    except OverflowError:
        pass
    raise ConfigError("schedule", "a cron line whose date comes", repr(cron), "correct it")
