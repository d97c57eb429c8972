"""The kinds of value a configuration file may hold, each with its rule."""

from __future__ import annotations

import difflib
import re
import string
from datetime import date, datetime, timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, PlainSerializer

from tidegate.config.base import Rule, did_you_mean, quotes, show, wrong

NAME = re.compile(r"[a-z0-9_-]{1,64}")
NAME_WORDS = "1 to 64 lower-case letters, digits, '_' or '-'"


def _matching(words: str, pattern: str | re.Pattern[str], short: str) -> Rule:
    full = re.compile(pattern)

    def check(value: object) -> object:
        if not isinstance(value, str) or not full.fullmatch(value):
            raise wrong(words, show(value), do=quotes(value))
        return value

    return Rule(words, check, short)


_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SPAN = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([a-z]+)")
_SPAN_WORDS = "a time span such as 30m, 36h, 2d or 1w"
_DAY_WORDS = "a date as YYYY-MM-DD"
_ZONE_WORDS = "an IANA time zone such as Europe/Berlin"
_PATH_WORDS = "a relative path below the home"


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    parts = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if parts and parts[2] in _UNITS:
        try:
            return timedelta(**{_UNITS[parts[2]]: float(parts[1])})
        except OverflowError:
            raise wrong(_SPAN_WORDS, show(value), do="shorten it") from None
    do = f"use one of the units {', '.join(_UNITS)}"
    if isinstance(value, str) and (parts := re.fullmatch(r"([0-9.]+)\s*([A-Za-z]+)", value)):
        # 'M' may stand for months and 'm' for minutes, so one letter is only corrected where it is plain.
        word = parts[2].lower()
        near = [word] if parts[2] in "WDHSwdhms" else difflib.get_close_matches(word, _UNITS.values(), 1, 0.7)
        do = f"did you mean '{parts[1]}{near[0][0]}'?" if near else do
    elif isinstance(value, int | float) and not isinstance(value, bool):
        do = f"add the unit: {value}d is {value} days"
    raise wrong(_SPAN_WORDS, show(value), do=do)


def duration_text(value: timedelta) -> str:
    """A time span in the largest unit, up to days, that it is a whole number of.

    Examples
    --------
    >>> duration_text(timedelta(days=14)), duration_text(timedelta(minutes=90))
    ('14d', '90m')
    """
    for unit in "dhm":
        whole, rest = divmod(value, timedelta(**{_UNITS[unit]: 1}))
        if not rest:
            return f"{whole}{unit}"
    return f"{value.total_seconds():f}".rstrip("0").rstrip(".") + "s"


def _day(value: object) -> object:
    # Not left to pydantic: it reads 20130101 as seconds after 1970.
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and len(value) == 10:
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise wrong(_DAY_WORDS, show(value))


def _zone(value: object) -> object:
    try:
        if isinstance(value, str) and value:
            ZoneInfo(value)
            return value
    except (KeyError, ValueError, OSError):
        pass
    raise wrong(_ZONE_WORDS, show(value), do=did_you_mean(value, available_timezones()))


def below_home(value: object, placeholders: tuple[str, ...] = ()) -> object:
    """Refuse a path that could lead out of the home or has a placeholder but `placeholders`."""
    if not isinstance(value, str) or not value.strip():
        raise wrong(_PATH_WORDS, show(value))
    if "\\" in value or not value.isprintable():
        raise wrong(f"{_PATH_WORDS}, parted by '/' and without control characters", show(value))
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.parts or value.startswith("~"):
        raise wrong(f"{_PATH_WORDS}, without '..', '~' or a leading '/'", show(value))
    try:
        fields = [field for _, *field in string.Formatter().parse(value) if field[0] is not None]
    except ValueError:
        raise wrong(f"{_PATH_WORDS} with every brace closed", show(value)) from None
    for name, form, conversion in fields:
        if name not in placeholders or form or conversion:
            allowed = " or ".join(f"{{{p}}}" for p in placeholders)
            words = f"a path with no placeholder but {allowed}" if allowed else "a path without braces"
            raise wrong(words, show(value), do=did_you_mean(name, placeholders))
    return value


def _pattern(value: object) -> object:
    try:
        if isinstance(value, str):
            re.compile(value)
            return value
    except (re.error, RecursionError, OverflowError) as fault:
        raise wrong("a regular expression", show(value), do=f"mend it: {str(fault).splitlines()[0]}") from None
    raise wrong("a regular expression", show(value))


def _class(value: object) -> object:
    if isinstance(value, str | int):
        return value
    raise wrong("text, a whole number, true or false", show(value))


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise wrong("every entry once", f"{show(value)} twice", do="remove one")
    return values


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Name = Annotated[str, _matching(NAME_WORDS, NAME, "name")]
ColumnName = Annotated[
    str,
    _matching(
        "a column name of 1 to 128 characters, no quotes, no control characters",
        r"[^\x00-\x1f\x7f`\"']{1,128}",
        "column name",
    ),
]
Columns = Annotated[tuple[ColumnName, ...], AfterValidator(_distinct)]
Words = Annotated[tuple[str, ...], AfterValidator(_distinct)]
Class = Annotated[str | int | bool, Rule("text, a whole number, true or false", _class, "text, number or boolean")]
Classes = Annotated[tuple[Class, ...], AfterValidator(_distinct)]
UserCode = Annotated[
    str, _matching("user code as module:function", r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", "module:function")
]
Cron = Annotated[
    str, _matching("a cron line of five fields, such as 0 6 * * *", r"([\w*/,#-]+ +){4}[\w*/,#-]+", "cron line")
]
Pattern = Annotated[str, Rule("a regular expression", _pattern, "regular expression")]
TimeZone = Annotated[str, Rule(_ZONE_WORDS, _zone, "time zone")]
Day = Annotated[date, Rule(_DAY_WORDS, _day, "date")]
RelativePath = Annotated[str, Rule(_PATH_WORDS, below_home, "path")]
DatedPath = Annotated[str, Rule(_PATH_WORDS, lambda value: below_home(value, ("date",)), "path with {date}")]
Duration = Annotated[
    timedelta, Rule(_SPAN_WORDS, _duration, "time span"), PlainSerializer(duration_text, str, when_used="json")
]
"""A time span, written ``30m``, ``36h``, ``2d`` or ``1w``."""
