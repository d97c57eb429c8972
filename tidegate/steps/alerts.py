"""Alerts: alarms → deliveries → channels, each once as far as a channel allows; what fails is tried again."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from tidegate.adapters.channels import opened
from tidegate.adapters.outbox import Delivery, Outbox
from tidegate.alarms import routing
from tidegate.alarms.incidents import Event, What
from tidegate.alarms.message import Message, Said, message_of
from tidegate.alarms.severity import LOUDNESS
from tidegate.errors import ConfigError, TidegateError, UsageError
from tidegate.steps.addressing import address
from tidegate.steps.stores import Stores
from tidegate.verdicts import Alarm

SPARE = timedelta(seconds=20)
"""How much longer than its time limit a delivery is left alone: then its process is taken to be gone."""
AT_ONCE = 8
"""Messages that are sent side by side."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one pass came to, in messages: taken, to be tried again, given up; and what was said of each failure."""

    sent: int = 0
    again: int = 0
    given_up: int = 0
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A page that has reached nobody: which channels were tried, and what they said."""

    model: str
    incident: int | None
    group: str
    since: datetime
    channels: tuple[str, ...]
    error: str


def outbox_of(stores: Stores) -> Outbox:
    """The outbox of a home."""
    return Outbox(stores.control, stores.namespace)


def deliver(stores: Stores, now: datetime, *, environment: Mapping[str, str] | None = None) -> Delivered:
    """Send what is due: new alarms, what failed before, digests, reminders. Any process may, at any moment.

    Nothing is sent by two at once: it is claimed first. A channel that cannot be reached, or whose secret is not
    there, is recorded, its incident says so, and the others go on. A replay tells nobody.
    """
    alerts = stores.project.platform.alerts
    if not alerts.channels or stores.home.state != stores.home.shared:
        return Delivered()
    outbox, began = outbox_of(stores), time.monotonic()
    if outbox.idle(now, now - alerts.remind if alerts.remind else None, alerts.reminders):
        return Delivered()
    address(stores, outbox, now)
    messages = outbox.claim(now, alerts.timeout + SPARE)
    found = outbox.alarms({r.alarm for rows in messages.values() for r in rows})
    pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="alerts")
    running: dict[Future[str], list[Delivery]] = {}
    for name, rows in messages.items():
        if rows[0].channel not in alerts.channels or (rows[0].round and not _open(stores, rows[0])):
            why = "acknowledged" if rows[0].channel in alerts.channels else "the channel is gone"
            with stores.control.write(durable=True) as c:
                outbox.dropped(c, rows, why)
            continue
        message = _message(stores, outbox, rows, found)
        running[pool.submit(_send, stores, rows[0].channel, message, name, environment)] = rows
    late = wait(running, timeout=(alerts.timeout + SPARE).total_seconds() / 2).not_done
    pool.shutdown(wait=False, cancel_futures=True)
    came: list[str] = []
    faults: list[str] = []
    for future, rows in running.items():
        at = now + timedelta(seconds=time.monotonic() - began)
        state, fault = _settled(stores, outbox, rows, None if future in late else future, at)
        came.append(state)
        faults += [fault] if fault else []
    return Delivered(came.count("sent"), came.count("again"), came.count("given up"), tuple(faults))


def try_channel(stores: Stores, channel: str, *, environment: Mapping[str, str] | None = None) -> None:
    """Send a test message through a channel.

    Raises
    ------
    UsageError
        If there is no such channel.
    ConfigError, ChannelError
        If it cannot be opened, or did not take the message.
    """
    known = stores.project.platform.alerts.channels
    if channel not in known:
        have = f"one of {', '.join(sorted(known))}" if known else "a channel of alerts.channels"
        raise UsageError(f"channel {channel}", have, "none", "look at alerts.channels in configs/tidegate.yaml")
    message = Message("digest", channel, (), note="This is a test of Tidegate's alerts: nothing is wrong.")
    _send(stores, channel, message, os.urandom(32).hex(), environment)


def undelivered_pages(stores: Stores) -> tuple[Undelivered, ...]:
    """Pages that have reached nobody: every channel failed so far, or there is none. For `status` and `doctor`.

    Those of incidents that are acknowledged, snoozed or closed by now are left out: somebody knows.
    """
    pages: dict[int, list[Delivery]] = {}
    for row in outbox_of(stores).listed(("waiting", "delivered", "failed", "unrouted")):
        if row.severity == "page" and row.round == 0:
            pages.setdefault(row.alarm, []).append(row)
    return tuple(
        Undelivered(
            rows[0].model, rows[0].incident, rows[0].group, rows[0].known_at,
            tuple(r.channel for r in rows if r.channel),
            next((r.error for r in rows if r.error), "no channel: alerts.routes has none for its pages"),
        )
        for rows in pages.values()
        if all(r.state in ("failed", "unrouted") or (r.state == "waiting" and r.error) for r in rows)
        and _open(stores, rows[0])
    )  # fmt: skip


def _send(stores: Stores, channel: str, message: Message, name: str, environment: Mapping[str, str] | None) -> str:
    where = os.environ if environment is None else environment
    return opened(channel, stores.project.platform.alerts, stores.home.root, where).send(message, name)


def _settled(
    stores: Stores, outbox: Outbox, rows: Sequence[Delivery], future: Future[str] | None, at: datetime
) -> tuple[str, str]:
    """Record what came of a message; its incident says what people ought to know."""
    alerts, first = stores.project.platform.alerts, rows[0]
    attempts = first.attempts + 1
    try:
        if future is None:
            raise TimeoutError
        digest = future.result()
    except TidegateError as fault:
        error = str(fault)
    except TimeoutError:
        error = f"channel {first.channel}: no answer in time"
    except Exception as fault:  # of a library whose message may have the address in it
        error = f"channel {first.channel}: {type(fault).__name__}"
    else:
        with stores.control.write(durable=True) as c:
            outbox.delivered(c, rows, digest, at)
            for row in _once(rows):
                what = f"reminder {row.round}" if row.round else row.severity
                _say(stores, c, row, "delivered", f"{what} for {row.group} through {row.channel}", at)
        return "sent", ""
    again = at + routing.wait(alerts, attempts) if attempts < alerts.attempts else None
    with stores.control.write(durable=True) as c:
        outbox.missed(c, rows, error, again)
        if attempts == 1 or again is None:
            until = "tried again" if again else f"given up after {attempts} attempts. Next: tidegate alerts retry"
            for row in _once(rows):
                _say(stores, c, row, "undelivered", f"{error}; {until}", at)
    return ("again" if again else "given up"), error


def _once(rows: Sequence[Delivery]) -> list[Delivery]:
    """One row of each incident."""
    return list({r.incident: r for r in rows if r.incident is not None and r.severity != "digest"}.values())


def _say(stores: Stores, c: Connection, row: Delivery, what: What, note: str, at: datetime) -> None:
    assert row.incident is not None
    stores.incidents.append(c, Event(row.incident, what, "", note=note[:1000]), at)


def _open(stores: Stores, row: Delivery) -> bool:
    """Whether nobody has taken the incident of a delivery on; one without an incident is open for ever."""
    return row.incident is None or stores.incidents.get(row.incident).status == "open"


def _message(stores: Stores, outbox: Outbox, rows: Sequence[Delivery], found: Mapping[int, Alarm]) -> Message:
    first = rows[0]
    said = [Said(r.model, found[r.alarm]) for r in rows if r.alarm in found]
    said.sort(key=lambda s: (-LOUDNESS[s.alarm.severity], s.alarm.window))
    severity = max((r.severity for r in rows), key=lambda s: LOUDNESS[s])
    before: Sequence[Delivery] = outbox.listed(["delivered"], first.incident) if first.incident is not None else ()
    return message_of(
        severity, first.group, said, {s.model: _personal(stores, s.model) for s in said},
        incident=None if severity == "digest" else first.incident,
        follow_up=any(b.channel == first.channel and b.severity != "digest" for b in before), reminder=first.round,
        link=stores.project.platform.alerts.link or "",
    )  # fmt: skip


def _personal(stores: Stores, model: str) -> Collection[str] | None:
    """The columns of a model whose values leave the home in no message; None where its file does not say."""
    try:
        columns = stores.project.dataset(stores.project.model(model).dataset).columns
    except ConfigError:
        return None
    return frozenset(name for name, column in columns.items() if column.privacy != "keep")


__all__ = ["Delivered", "Undelivered", "deliver", "outbox_of", "try_channel", "undelivered_pages"]
