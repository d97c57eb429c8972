"""The outbox in control: which alarm goes to which channel, how often it was tried, what came of it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, insert, or_, select, update

from tidegate.adapters.control import Control
from tidegate.adapters.records import alarm_of
from tidegate.adapters.schema import alarms, deliveries, incidents
from tidegate.alarms.severity import LOUDNESS
from tidegate.verdicts import Alarm, Severity

State = Literal["waiting", "delivered", "failed", "dropped", "stale", "unrouted"]
d = deliveries.c


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alarm on its way to one channel.

    ``round`` is 0, or the number of the reminder; ``message`` names the message it is in from its first try on, so
    that it is tried again with the same neighbours; ``digest`` is that of the body that was sent.
    """

    id: int
    owner: str
    alarm: int
    incident: int | None
    model: str
    group: str
    severity: Severity
    channel: str
    round: int
    state: State
    attempts: int
    due: datetime
    claimed: datetime | None
    message: str | None
    digest: str | None
    error: str
    delivered_at: datetime | None
    known_at: datetime


@dataclass(frozen=True, slots=True)
class Unsent:
    """An alarm that no channel has been chosen for yet."""

    id: int
    model: str
    owner: str
    alarm: Alarm
    known_at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What a channel knows of an incident: the loudest, when it was last told, when it is about to be told."""

    loudest: Severity | None
    last: datetime | None
    coming: datetime | None


class Outbox:
    """The deliveries of one namespace. A row is claimed before it is sent, and settled after."""

    def __init__(self, control: Control, namespace: str) -> None:
        self.control, self.namespace = control, namespace

    def idle(self, now: datetime, since: datetime | None, most: int) -> bool:
        """Whether there is nothing to do: one read for what is called every few seconds; as `unanswered`."""
        with self.control.read() as c:
            if c.execute(self._unsent().limit(1)).first() or c.execute(self._due(now).limit(1)).first():
                return False
            return since is None or c.execute(self._unanswered(since, most).limit(1)).first() is None

    # -- what is new ------------------------------------------------------------------
    def unsent(self, c: Connection) -> list[Unsent]:
        """Alarms without a row, as they were stored."""
        rows = c.execute(self._unsent().order_by(alarms.c.id))
        return [Unsent(r.id, r.model, r.owner, alarm_of(r), r.known_at) for r in rows]

    def put(self, c: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows; each is that of a new alarm, channel and round."""
        fixed = {"namespace": self.namespace, "attempts": 0, "error": ""}
        for row in rows:
            c.execute(insert(deliveries).values(**fixed, **row))

    def told(self, c: Connection, incident: int, channel: str) -> Known:
        """What a channel was told of an incident, or is about to be."""
        at = (d.incident == incident) & (d.channel == channel) & d.state.in_(("waiting", "delivered"))
        rows = c.execute(select(deliveries).where(self._ours(), at)).all()
        loudest: Severity | None = None
        for r in rows:
            if loudest is None or LOUDNESS[r.severity] > LOUDNESS[loudest]:
                loudest = r.severity
        return Known(
            loudest=loudest,
            last=max((r.delivered_at for r in rows if r.delivered_at), default=None),
            coming=min((r.due for r in rows if r.state == "waiting" and r.message is None), default=None),
        )

    def unanswered(self, c: Connection, since: datetime, most: int) -> list[Delivery]:
        """The newest delivery of each page, by channel, whose incident is still open.

        Told before `since`, and reminded of less than `most` times.
        """
        return [_delivery(r) for r in c.execute(self._unanswered(since, most))]

    # -- sending ----------------------------------------------------------------------
    def claim(self, now: datetime, patience: timedelta) -> dict[str, list[Delivery]]:
        """Take what is due, by message; nobody else takes it until `patience` is over.

        Rows of one channel about one incident, or of one digest, are one message. The attempt is counted before
        it is made: one that kills its process uses up its attempts too.
        """
        with self.control.write(durable=True) as c:
            found = [_delivery(r) for r in c.execute(self._due(now).order_by(d.id))]
            messages: dict[str, list[Delivery]] = {}
            for key, rows in _together(found).items():
                name = key if rows[0].message else _name(self.namespace, rows)
                messages[name] = rows
                values = {"claimed": now + patience, "attempts": deliveries.c.attempts + 1, "message": name}
                c.execute(update(deliveries).where(d.id.in_([r.id for r in rows])).values(**values))
        return messages

    def delivered(self, c: Connection, rows: Sequence[Delivery], digest: str, at: datetime) -> None:
        """What was taken by its channel."""
        values = {"state": "delivered", "digest": digest, "delivered_at": at, "claimed": None, "error": ""}
        self._settle(c, rows, values)

    def missed(self, c: Connection, rows: Sequence[Delivery], error: str, again: datetime | None) -> None:
        """What could not be delivered: tried again at a moment, or given up."""
        more: dict[str, Any] = {"due": again} if again else {"state": "failed"}
        self._settle(c, rows, {"error": error[:500], "claimed": None, **more})

    def dropped(self, c: Connection, rows: Sequence[Delivery], why: str) -> None:
        """What need not be told any more."""
        self._settle(c, rows, {"state": "dropped", "error": why, "claimed": None})

    def _settle(self, c: Connection, rows: Sequence[Delivery], values: Mapping[str, Any]) -> None:
        mine = d.id.in_([r.id for r in rows]) & (d.state == "waiting")
        c.execute(update(deliveries).where(self._ours(), mine).values(**values))

    # -- what people do ---------------------------------------------------------------
    def retry(self, now: datetime, channel: str | None = None) -> int:
        """Try everything again that was given up, or that waits for its next try; how many."""
        mine = d.state.in_(("failed", "waiting")) & (d.attempts > 0)
        if channel is not None:
            mine &= d.channel == channel
        with self.control.write(durable=True) as c:
            values = {"state": "waiting", "attempts": 0, "due": now, "claimed": None}
            free = or_(d.claimed.is_(None), d.claimed <= now)
            return c.execute(update(deliveries).where(self._ours(), mine, free).values(**values)).rowcount

    def listed(self, states: Collection[State] = (), incident: int | None = None, newest: int = 0) -> list[Delivery]:
        """Deliveries in the order they were made, of some states or one incident if asked; the newest so many."""
        at = self._ours()
        if states:
            at &= d.state.in_(states)
        if incident is not None:
            at &= d.incident == incident
        query = select(deliveries).where(at).order_by(d.id.desc())
        with self.control.read() as c:
            return [_delivery(r) for r in c.execute(query.limit(newest) if newest else query)][::-1]

    def alarms(self, ids: Collection[int]) -> dict[int, Alarm]:
        """Alarms by their number."""
        with self.control.read() as c:
            return {r.id: alarm_of(r) for r in c.execute(select(alarms).where(alarms.c.id.in_(ids)))}

    # -- conditions -------------------------------------------------------------------
    def _ours(self) -> ColumnElement[bool]:
        return d.namespace == self.namespace

    def _unsent(self) -> Any:
        a = alarms.c
        known = exists().where(d.namespace == a.namespace, d.alarm == a.id)
        return select(alarms).where(a.namespace == self.namespace, ~known)

    def _due(self, now: datetime) -> Any:
        free = or_(d.claimed.is_(None), d.claimed <= now)
        return select(deliveries).where(self._ours(), d.state == "waiting", d.due <= now, free)

    def _unanswered(self, since: datetime, most: int) -> Any:
        later = deliveries.alias("later")
        newer = exists().where(
            later.c.namespace == d.namespace, later.c.incident == d.incident, later.c.channel == d.channel,
            later.c.severity == "page", later.c.id > d.id,
        )  # fmt: skip
        i = incidents.c
        is_open = and_(i.namespace == d.namespace, i.number == d.incident, i.status == "open")
        told = and_(d.state == "delivered", d.severity == "page", d.delivered_at <= since, d.round < most)
        return select(deliveries).join(incidents, is_open).where(self._ours(), told, ~newer).order_by(d.id)


def _together(found: Sequence[Delivery]) -> dict[str, list[Delivery]]:
    """Rows by the message that they are in, or will be."""
    out: dict[str, list[Delivery]] = {}
    for row in found:
        one = f"incident {row.incident}" if row.incident is not None else f"alarm {row.alarm}"
        about = "digest" if row.severity == "digest" else one
        out.setdefault(row.message or f"{row.channel}\n{row.group}\n{about}\n{bool(row.round)}", []).append(row)
    return out


def _name(namespace: str, rows: Sequence[Delivery]) -> str:
    """What names a message for ever: a receiver that saw it knows it by that."""
    parts = [f"{r.alarm}/{r.round}/{r.known_at.isoformat()}" for r in rows]
    return hashlib.sha256("\n".join((namespace, rows[0].channel, *parts)).encode()).hexdigest()


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**{name: row._mapping[name] for name in Delivery.__dataclass_fields__})


__all__ = ["Delivery", "Known", "Outbox", "State", "Unsent"]
