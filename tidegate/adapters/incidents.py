"""Incidents and their events in control; alarms are judged and stored in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, func, insert, or_, select, update

from tidegate.adapters.control import Control
from tidegate.adapters.mutes import running
from tidegate.adapters.records import alarm_of, store_alarms
from tidegate.adapters.schema import alarms, incident_events, incidents, verdicts
from tidegate.alarms.incidents import Event, Incident, Judged, Rules, Standing
from tidegate.alarms.judge import judge
from tidegate.alarms.told import Told
from tidegate.config.platform import Freeze
from tidegate.errors import StoreError, UsageError
from tidegate.lineage.digest import plain
from tidegate.verdicts import Alarm, Signal, Verdict

JUDGED = "alarms"
"""Kind of the verdict that says that a model's window has been judged."""
_COLUMNS = ("number", "scope", "name", "cause", "severity", "status", "opened", "last", "closed", "revision")


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of an incident with the moment it was known."""

    event: Event
    at: datetime


class Incidents:
    """The incidents of one namespace."""

    def __init__(self, control: Control, namespace: str) -> None:
        self.control, self.namespace = control, namespace

    # -- a night ----------------------------------------------------------------------
    def night(
        self,
        signals: Sequence[Signal],
        rules: Rules,
        window: str,
        *,
        owner: str,
        freezes: Sequence[Freeze] = (),
        known_at: datetime,
    ) -> list[Alarm]:
        """Judge a model's window on what is known, and store what comes of it; once: a rerun changes nothing."""
        with self.control.write(durable=True) as c:
            found = judge(signals, self._standing(c, rules, window, freezes), rules, window)
            self._store(c, found, rules, window, owner, known_at)
        return list(found.alarms)

    def at_once(
        self,
        signals: Sequence[Signal],
        rules: Rules,
        window: str,
        *,
        owner: str,
        freezes: Sequence[Freeze] = (),
        known_at: datetime,
    ) -> list[Alarm]:
        """Judge signals of a window that is not over, and store what is new of them; the window's night comes yet.

        Returns the alarms that are new: said again the same minute after, they are none.
        """
        with self.control.write(durable=True) as c:
            standing = replace(self._standing(c, rules, window, freezes), judged=False)
            found = judge(signals, standing, rules, window, between=True)
            store_alarms(c, self.namespace, rules.model, owner, found.alarms, known_at)
            for incident in found.incidents:
                if incident not in standing.incidents:
                    self._swap(c, incident, owner, known_at)
            for event in found.events:
                self._append(c, event, owner, known_at)
        return list(found.alarms)

    def standing(self, rules: Rules, window: str, freezes: Sequence[Freeze] = ()) -> Standing:
        """What is known when a model's window is judged."""
        with self.control.read() as c:
            return self._standing(c, rules, window, freezes)

    def _standing(self, c: Connection, rules: Rules, window: str, freezes: Sequence[Freeze]) -> Standing:
        first = (date.fromisoformat(window) - timedelta(days=max(rules.cooldown, 1))).isoformat()
        i, a, v = incidents.c, alarms.c, verdicts.c
        ours = ((i.scope == "model") & (i.name == rules.model)) | ((i.scope == "dataset") & (i.name == rules.dataset))
        lately = or_(i.status != "closed", i.closed > first, (i.opened <= window) & (i.last >= window))
        known = c.execute(select(incidents).where(i.namespace == self.namespace, ours, lately).order_by(i.number))
        told = c.execute(
            select(alarms)
            .where(a.namespace == self.namespace, a.model == rules.model, a.window > first, a.window <= window)
            .order_by(a.window, a.id)
        )
        pages = c.execute(
            select(alarms).where(
                a.namespace == self.namespace, a.window == window, a.severity == "page", a.model != rules.model
            )
        )
        judged = (v.namespace == self.namespace) & (v.owner == rules.model) & (v.kind == JUDGED)
        newest = c.execute(select(func.max(v.window)).where(judged)).scalar()
        earlier = c.execute(select(func.max(v.window)).where(judged, v.window < window)).scalar()
        again = c.execute(select(v.id).where(judged, v.window == window)).first()
        number = c.execute(select(func.max(i.number)).where(i.namespace == self.namespace)).scalar()
        return Standing(
            incidents=tuple(_incident(r) for r in known),
            mutes=running(c, self.namespace, rules.model, window),
            freezes=tuple(freezes),
            alarms=tuple(alarm_of(r) for r in told),
            newest=newest or "",
            earlier=earlier or "",
            judged=again is not None,
            paged=Counter(alarm_of(r).group for r in pages),
            next_number=(number or 0) + 1,
        )

    def _store(self, c: Connection, found: Judged, rules: Rules, window: str, owner: str, known_at: datetime) -> None:
        store_alarms(c, self.namespace, rules.model, owner, found.alarms, known_at)
        for incident in found.incidents:
            self._swap(c, incident, owner, known_at)
        for event in found.events:
            self._append(c, event, owner, known_at)
        v = verdicts.c
        at = (v.namespace == self.namespace) & (v.owner == rules.model) & (v.kind == JUDGED) & (v.window == window)
        if c.execute(select(v.id).where(at)).first() is None:
            verdict = Verdict(
                "fail" if found.alarms else "pass", numbers=dict(Counter(a.severity for a in found.alarms))
            )
            row = {"namespace": self.namespace, "owner": rules.model, "kind": JUDGED, "window": window}
            body = plain(verdict.as_dict())
            c.execute(insert(verdicts).values(**row, outcome=verdict.outcome, body=body, known_at=known_at))

    # -- what people do ---------------------------------------------------------------
    def get(self, number: int) -> Incident:
        """An incident; raises `UsageError` if there is none of that number."""
        with self.control.read() as c:
            row = c.execute(select(incidents).where(self._at(number))).first()
        if row is None:
            raise UsageError(f"incident {number}", "one that exists", "none", "look at tidegate incidents --all")
        return _incident(row)

    def listed(self, *, closed: bool = False) -> list[Incident]:
        """Those that are not closed, or all, the oldest first."""
        query = select(incidents).where(incidents.c.namespace == self.namespace).order_by(incidents.c.number)
        with self.control.read() as c:
            return [
                _incident(r) for r in c.execute(query if closed else query.where(incidents.c.status != "closed"))
            ]  # fmt: skip

    def history(self, number: int) -> Sequence[Happened]:
        """What happened to an incident, in order."""
        e = incident_events.c
        query = select(incident_events).where(e.namespace == self.namespace, e.number == number).order_by(e.id)
        with self.control.read() as c:
            return [Happened(Event(r.number, r.what, r.window, r.by, r.note), r.at) for r in c.execute(query)]

    def change(
        self,
        expected: Incident,
        what: Literal["acknowledged", "snoozed", "closed"],
        *,
        by: str,
        at: datetime,
        note: str = "",
        until: str = "",
    ) -> Incident:
        """Change an incident's status if it still is as it was seen.

        `until`, for a snooze, is the last night on which nothing is told.

        Raises
        ------
        StoreError
            If somebody else was first.
        UsageError
            If it is closed, or the snooze would be over already.
        """
        thing = f"incident {expected.number}"
        if expected.status == "closed":
            who = f"closed by {expected.closed_by} on {expected.closed}"
            raise UsageError(thing, "one that is not closed", who, f"look at tidegate incident show {expected.number}")
        if what == "snoozed" and until <= expected.last:
            raise UsageError(thing, f"--until after {expected.last}, its last night", until, "name a later date")
        wanted = replace(expected, status=what, until=until if what == "snoozed" else "")
        if what == "closed":
            wanted = replace(wanted, closed=expected.last, closed_by=by)
        with self.control.write(durable=True) as c:
            owner = c.execute(select(incidents.c.owner).where(self._at(expected.number))).scalar() or ""
            self._swap(c, wanted, owner, at)
            said = f"until {until}{f': {note}' if note else ''}" if what == "snoozed" else note
            self._append(c, Event(expected.number, what, expected.last, by, said), owner, at)
        return replace(wanted, revision=expected.revision + 1)

    def append(self, c: Connection, event: Event, at: datetime) -> None:
        """Add an event to an incident inside write transaction `c`; without a window it is on the incident's last."""
        found = c.execute(select(incidents.c.owner, incidents.c.last).where(self._at(event.number))).first()
        if found is not None:
            self._append(c, replace(event, window=event.window or found.last), found.owner, at)

    def note(self, number: int, text: str, *, by: str, at: datetime) -> None:
        """What a person has to say of an incident; raises `UsageError` if there is none of that number."""
        self.get(number)
        with self.control.write(durable=True) as c:
            self.append(c, Event(number, "noted", "", by, text), at)

    # -- rows -------------------------------------------------------------------------
    def _at(self, number: int) -> ColumnElement[bool]:
        return (incidents.c.namespace == self.namespace) & (incidents.c.number == number)

    def _swap(self, c: Connection, wanted: Incident, owner: str, at: datetime) -> None:
        """Write an incident over the revision it was made from; 0 is one that is new."""
        body = plain(asdict(replace(wanted, revision=wanted.revision + 1)))
        row = {name: body.pop(name) for name in _COLUMNS} | {"body": body, "known_at": at}
        if wanted.revision == 0:
            c.execute(insert(incidents).values(**row, namespace=self.namespace, owner=owner))
            return
        was = self._at(wanted.number) & (incidents.c.revision == wanted.revision)
        if c.execute(update(incidents).where(was).values(**row)).rowcount != 1:
            found = c.execute(select(incidents.c.revision, incidents.c.status).where(self._at(wanted.number))).first()
            raise StoreError(
                f"incident {wanted.number}", f"revision {wanted.revision}",
                f"{found.revision}, {found.status}: somebody else was first" if found else "none",
                f"look at tidegate incident show {wanted.number} and decide again",
            )  # fmt: skip

    def _append(self, c: Connection, event: Event, owner: str, at: datetime) -> None:
        c.execute(insert(incident_events).values(**asdict(event), namespace=self.namespace, owner=owner, at=at))


def _incident(row: Row[Any]) -> Incident:
    found = {**row.body, **{name: row._mapping[name] for name in _COLUMNS}}
    members, keys = tuple(found["members"]), tuple(found["keys"])
    if "groups" in found:
        groups = {name: Told(**{**told, "keys": tuple(told["keys"])}) for name, told in found["groups"].items()}
    else:  # of before it was kept by group: its first one is taken to have heard of all that was in it
        page = found["severity"] == "page"
        told = Told(found["severity"], found["told"], keys, found["last"]) if page else Told(found["severity"])
        groups = {found["group"]: told}
    return Incident(**{**found, "members": members, "keys": keys, "groups": groups})


__all__ = ["Happened", "Incidents"]
