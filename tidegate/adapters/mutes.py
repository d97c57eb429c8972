"""Mutes in control: a person's wish not to be told of one subject of a model."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from tidegate.adapters.control import Control
from tidegate.adapters.schema import mutes
from tidegate.alarms.severity import Mute
from tidegate.errors import UsageError


class Mutes:
    """The mutes of one namespace; one that was ended keeps its row, with who ended it."""

    def __init__(self, control: Control, namespace: str) -> None:
        self.control, self.namespace = control, namespace

    def add(self, mute: Mute, *, owner: str, at: datetime) -> None:
        """Mute a subject; an earlier mute of it ends."""
        with self.control.write(durable=True) as c:
            self._end(c, mute.model, mute.subject, mute.by, at)
            c.execute(insert(mutes).values(**asdict(mute), namespace=self.namespace, owner=owner, known_at=at))

    def end(self, model: str, subject: str, *, by: str, at: datetime) -> None:
        """Tell of a subject again; raises `UsageError` if it is not muted."""
        with self.control.write(durable=True) as c:
            if not self._end(c, model, subject, by, at):
                raise UsageError(f"{subject} of {model}", "a muted subject", "none", f"look at tidegate mutes {model}")

    def of(self, model: str) -> tuple[Mute, ...]:
        """The mutes that nobody has ended, those whose time is over included."""
        with self.control.read() as c:
            return running(c, self.namespace, model, "")

    def _end(self, c: Connection, model: str, subject: str, by: str, at: datetime) -> int:
        m = mutes.c
        still = (m.namespace == self.namespace) & (m.model == model) & (m.subject == subject) & m.ended_at.is_(None)
        return c.execute(update(mutes).where(still).values(ended_by=by, ended_at=at)).rowcount


def running(c: Connection, namespace: str, model: str, window: str) -> tuple[Mute, ...]:
    """The mutes of a model that hold on a window, in the order they were made."""
    m = mutes.c
    query = select(mutes).where(m.namespace == namespace, m.model == model, m.until >= window, m.ended_at.is_(None))
    return tuple(_mute(row) for row in c.execute(query.order_by(m.id)))


def _mute(row: Row[Any]) -> Mute:
    return Mute(**{f.name: row._mapping[f.name] for f in fields(Mute)})


__all__ = ["Mutes", "running"]
