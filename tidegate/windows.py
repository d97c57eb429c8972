"""Windows: the dates of a dataset's calendar and their half-open UTC intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tidegate.errors import UsageError


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """One date of a calendar; holds every instant in ``[start, end)`` (UTC)."""

    date: date
    start: datetime
    end: datetime

    @property
    def id(self) -> str:
        return self.date.isoformat()

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True)
class Calendar:
    """Cuts time into windows: midnight to midnight in a time zone.

    Windows are 23 or 25 hours long where the clock changes; together they hold every
    instant exactly once.

    Examples
    --------
    >>> new_york = Calendar("America/New_York")
    >>> w = new_york.window("2013-03-10")
    >>> (w.end - w.start).total_seconds() / 3600
    23.0
    >>> new_york.of(w.start).id, new_york.of(w.end).id
    ('2013-03-10', '2013-03-11')
    """

    time_zone: str = "UTC"
    holidays: frozenset[date] = field(default_factory=frozenset)
    expected_empty: frozenset[date] = field(default_factory=frozenset)

    def _midnight(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.time_zone)).astimezone(UTC)

    def window(self, day: date | str) -> Window:
        """The window of a date (or ISO text); raises `UsageError` on anything else."""
        if isinstance(day, str):
            try:
                day = date.fromisoformat(day)
            except ValueError:
                raise UsageError("window", "a date as YYYY-MM-DD", repr(day)) from None
        return Window(day, self._midnight(day), self._midnight(day + timedelta(days=1)))

    def of(self, instant: datetime) -> Window:
        """The one window that holds a timezone-aware instant."""
        if instant.tzinfo is None:
            raise UsageError("instant", "a timezone-aware datetime", repr(instant))
        return self.window(instant.astimezone(ZoneInfo(self.time_zone)).date())

    def shift(self, window: Window, days: int) -> Window:
        return self.window(window.date + timedelta(days=days))

    def range(self, first: date | str, last: date | str) -> Iterator[Window]:
        """Every window from `first` to `last`, both included; none when `last` < `first`."""
        day, stop = self.window(first).date, self.window(last).date
        while day <= stop:
            yield self.window(day)
            day += timedelta(days=1)
