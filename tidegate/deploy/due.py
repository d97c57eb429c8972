"""Which nights are due and not done."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from tidegate.deploy.fires import fires, last_fire
from tidegate.windows import Calendar, Window


@dataclass(frozen=True, slots=True)
class Late:
    """A night that should have been done: ``at`` its scheduled run, ``until`` the end of our patience."""

    window: Window
    at: datetime
    until: datetime


def due(calendar: Calendar, cron: str, done: Collection[str], now: datetime, catch_up: int) -> tuple[Window, ...]:
    """Windows whose scheduled run has come and that are not done, the oldest first.

    A window is due from the first moment of the cron line that is not before its end. Of what is older than the
    first window ever done, nothing is due; where none was done, only the newest is.

    Parameters
    ----------
    done : collection of str
        Windows that are done.
    now : datetime
        Timezone-aware.
    catch_up : int
        The newest windows, in nights, that are looked at at all.

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2013, 6, 14, 9, tzinfo=UTC)
    >>> [w.id for w in due(Calendar(), "0 6 * * *", {"2013-06-10", "2013-06-12"}, now, 14)]
    ['2013-06-11', '2013-06-13']
    >>> [w.id for w in due(Calendar(), "0 6 * * *", set(), now, 14)]
    ['2013-06-13']
    """
    fired = last_fire(cron, calendar.time_zone, now)
    last = calendar.of(fired)
    while last.end > fired:
        last = calendar.shift(last, -1)
    if not done:
        return (last,)
    first = max(calendar.shift(last, 1 - catch_up).id, min(done))
    # Of a day that the calendar skipped there is no instant, so no night either.
    return tuple(w for w in calendar.range(first, last.date) if w.id not in done and w.start < w.end)


def late(calendar: Calendar, cron: str, waiting: Window, now: datetime, patience: float) -> Late | None:
    """A due window as `Late` once its run is overdue; None while there is time.

    Overdue is what is not done a share `patience` (0 to 1) of the time between two runs after its own.

    Examples
    --------
    >>> from datetime import UTC
    >>> night = Calendar().window("2013-06-13")
    >>> late(Calendar(), "0 6 * * *", night, datetime(2013, 6, 14, 17, tzinfo=UTC), 0.5)
    >>> late(Calendar(), "0 6 * * *", night, datetime(2013, 6, 14, 18, tzinfo=UTC), 0.5).until.isoformat()
    '2013-06-14T18:00:00+00:00'
    """
    before = last_fire(cron, calendar.time_zone, waiting.end)
    moments = fires(cron, calendar.time_zone, before)
    at = before if before == waiting.end else next(moments)
    until = at + patience * (next(moments) - at)
    return Late(waiting, at, until) if now >= until else None
