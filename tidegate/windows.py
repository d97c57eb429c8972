"""Windows: the dates of a dataset's calendar and their half-open UTC intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tidegate.errors import ConfigError, UsageError

_RANGE = "a date between 0001-01-02 and 9999-12-30"


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

    Windows are 23 or 25 hours long where the clock changes, and empty where a whole day was
    skipped; together they hold every instant exactly once.

    Raises
    ------
    ConfigError
        If the time zone is not known.

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

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError):
            # "America" is a folder of the database, "../x" is refused by it.
            raise ConfigError(
                "time zone", "an IANA name such as Europe/Berlin", repr(self.time_zone), "correct it"
            ) from None

    def _midnight(self, day: date) -> datetime:
        # Where midnight does not exist, the offset before the gap gives the end of the gap;
        # where it happens twice, this is the first.
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.time_zone)).astimezone(UTC)

    def window(self, day: date | str) -> Window:
        """The window of a date (or text as YYYY-MM-DD).

        Raises
        ------
        UsageError
            If it is anything else, a datetime included, or has no neighbour in the calendar.
        """
        known = day
        if isinstance(day, str):
            try:
                known = date.fromisoformat(day)
            except ValueError:
                known = day
        # Other ISO forms, such as 2013-W01-2, would give a second name to a window.
        if isinstance(known, datetime) or not isinstance(known, date) or known.isoformat() != str(day):
            raise UsageError("window", "a date as YYYY-MM-DD", repr(day), "correct the date")
        try:
            return Window(known, self._midnight(known), self._midnight(known + timedelta(days=1)))
        except OverflowError:
            raise UsageError("window", _RANGE, known.isoformat()) from None

    def of(self, instant: datetime) -> Window:
        """The one window that holds a timezone-aware instant."""
        if instant.utcoffset() is None:
            raise UsageError("instant", "a timezone-aware datetime", repr(instant))
        try:
            window = self.window(instant.astimezone(ZoneInfo(self.time_zone)).date())
        except OverflowError:
            raise UsageError("instant", _RANGE, instant.isoformat()) from None
        # A clock set back across midnight shows yesterday's date again: the interval decides.
        while instant >= window.end:
            window = self.shift(window, 1)
        while instant < window.start:
            window = self.shift(window, -1)
        return window

    def shift(self, window: Window, days: int) -> Window:
        """The window that many dates later (earlier if negative)."""
        try:
            return self.window(window.date + timedelta(days=days))
        except OverflowError:
            raise UsageError("window", _RANGE, f"{window.id} and {days} days") from None

    def range(self, first: date | str, last: date | str) -> Iterator[Window]:
        """Every window from `first` to `last`, both included; none when `last` < `first`."""
        window, stop = self.window(first), self.window(last)
        while window.date <= stop.date:
            yield window
            window = self.shift(window, 1)
