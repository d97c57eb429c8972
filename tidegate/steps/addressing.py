"""Which channels an alarm goes to, and when: decided once, when it is first seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from tidegate.adapters.outbox import Delivery, Outbox, Unsent
from tidegate.alarms.routing import channels_of, due
from tidegate.alarms.severity import LOUDNESS
from tidegate.config.alerts import Alerts
from tidegate.steps.stores import Stores
from tidegate.verdicts import Severity


def address(stores: Stores, outbox: Outbox, now: datetime) -> None:
    """Give every new alarm its deliveries, and every page that nobody has acknowledged in time its reminder."""
    alerts = stores.project.platform.alerts
    with stores.control.write(durable=True) as c:
        for one in outbox.unsent(c):
            outbox.put(c, list(_rows(alerts, outbox, c, one, now)))
        if alerts.remind is not None:
            for told in outbox.unanswered(c, now - alerts.remind, alerts.reminders):
                outbox.put(c, [_again(told, now)])


def _rows(alerts: Alerts, outbox: Outbox, c: Connection, one: Unsent, now: datetime) -> Iterator[dict[str, Any]]:
    group = one.alarm.group or one.owner
    route, severity = alerts.route(group), one.alarm.severity
    row = {"owner": one.owner, "alarm": one.id, "incident": one.alarm.incident, "model": one.model, "group": group,
           "severity": severity, "round": 0, "known_at": now}  # fmt: skip
    if one.known_at < now - alerts.max_age:
        yield row | {"channel": "", "state": "stale", "due": now}
        return
    channels = channels_of(route, severity)
    if not channels:
        yield row | {"channel": "", "state": "unrouted", "due": now}
    for channel in channels:
        at = due(route, severity, now)
        if one.alarm.incident is not None and severity != "digest":
            at = _joined(outbox, c, alerts, one.alarm.incident, channel, severity, at)
        yield row | {"channel": channel, "state": "waiting", "due": at}


def _joined(
    outbox: Outbox, c: Connection, alerts: Alerts, incident: int, channel: str, severity: Severity, at: datetime
) -> datetime:
    """Later, if the channel has just been told of the incident; with what it is about to be told, if there is that."""
    known = outbox.told(c, incident, channel)
    if known.loudest is None or LOUDNESS[severity] > LOUDNESS[known.loudest]:
        return at
    if known.coming is not None:
        return known.coming
    return max(at, known.last + alerts.join) if known.last is not None else at


def _again(told: Delivery, now: datetime) -> dict[str, Any]:
    return {
        "owner": told.owner,
        "alarm": told.alarm, "incident": told.incident, "model": told.model, "group": told.group,
        "severity": told.severity, "round": told.round + 1, "channel": told.channel, "state": "waiting", "due": now,
        "known_at": now,
    }  # fmt: skip


__all__ = ["address"]
