"""When a group is told: pages at once, tickets outside quiet hours, digests once a day, retries ever more rarely."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tidegate.config.alerts import Alerts, Route
from tidegate.verdicts import Severity


def channels_of(route: Route, severity: Severity) -> tuple[str, ...]:
    """The channels that a severity goes to; none for one that nobody wants to hear of."""
    return {"page": route.page, "ticket": route.ticket, "digest": route.digest}[severity]


def due(route: Route, severity: Severity, now: datetime) -> datetime:
    """When something that is known now is told, in UTC: not before `now`.

    Parameters
    ----------
    now : datetime
        With a time zone.

    Examples
    --------
    >>> night = Route.model_validate({"time_zone": "Europe/Berlin", "quiet": {"from": "22:00", "to": "07:00"}})
    >>> at = datetime(2024, 3, 30, 23, 30, tzinfo=UTC)  # half past midnight; at two the clocks go forward
    >>> [due(night, s, at).isoformat()[:16] for s in ("page", "ticket", "digest")]
    ['2024-03-30T23:30', '2024-03-31T05:00', '2024-03-31T06:00']
    """
    now = now.astimezone(UTC)
    if severity == "page":
        return now
    zone = ZoneInfo(route.time_zone)
    if severity == "digest":
        return _next(now, _clock(route.digest_at), zone)
    return _after_quiet(route, now, zone)


def _after_quiet(route: Route, now: datetime, zone: ZoneInfo) -> datetime:
    if route.quiet is None:
        return now
    start, end = _clock(route.quiet.start), _clock(route.quiet.end)
    local = now.astimezone(zone).time().replace(tzinfo=None)
    quiet = start <= local < end if start < end else local >= start or local < end
    return _next(now, end, zone) if quiet else now


def _next(now: datetime, at: time, zone: ZoneInfo) -> datetime:
    """The first moment from now on at which the local clock shows a time; where it skips it, the moment after."""
    today = now.astimezone(zone).date()
    for days in range(3):
        found = datetime.combine(today + timedelta(days=days), at, tzinfo=zone).astimezone(UTC)
        if found >= now:
            return found
    raise AssertionError("a clock shows every time within two days")


def _clock(text: str) -> time:
    hours, minutes = text.split(":")
    return time(int(hours), int(minutes))


def wait(alerts: Alerts, attempts: int) -> timedelta:
    """How long to wait after so many attempts that failed, 1 or more: doubled each time, up to a limit.

    Examples
    --------
    >>> [wait(Alerts(), n).total_seconds() for n in (1, 2, 3, 60)]
    [10.0, 20.0, 40.0, 900.0]
    """
    doubled: timedelta = alerts.first_wait * 2 ** min(attempts - 1, 20)
    return min(doubled, max(alerts.longest_wait, alerts.first_wait))


__all__ = ["channels_of", "due", "wait"]
