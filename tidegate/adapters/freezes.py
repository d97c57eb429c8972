"""Freezes in control: a person's wish that nothing happens to a model by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from tidegate.adapters import ledger
from tidegate.adapters.control import Control
from tidegate.adapters.schema import freezes
from tidegate.errors import UsageError


@dataclass(frozen=True)
class Freeze:
    """Who froze a model, why, and its last frozen date (None: until somebody ends it)."""

    model: str
    by: str
    reason: str
    until: str | None
    known_at: datetime

    @property
    def words(self) -> str:
        """As decisions tell it."""
        return f"frozen by {self.by} until {self.until or 'it is ended'}: {self.reason}"


class Freezes:
    """The freezes of one namespace; one that was ended keeps its row, and each step is in the ledger."""

    def __init__(self, control: Control, namespace: str) -> None:
        self.control, self.namespace = control, namespace

    def running(self, model: str, day: str) -> Freeze | None:
        """The freeze that holds on a date, or None; the newest if there are several."""
        with self.control.read() as c:
            rows = self._open(c, model)
        return next((_freeze(r) for r in reversed(rows) if r.until is None or r.until >= day), None)

    def add(self, freeze: Freeze, *, owner: str, window: str) -> None:
        """Freeze a model; an earlier freeze ends, whether it has run out or not."""
        with self.control.write(durable=True) as c:
            self._end(c, freeze.model, freeze.by, freeze.known_at)
            c.execute(
                insert(freezes).values(
                    namespace=self.namespace, owner=owner, model=freeze.model, by=freeze.by, reason=freeze.reason,
                    until=freeze.until, known_at=freeze.known_at,
                )
            )  # fmt: skip
            body = {"what": "freeze", "by": freeze.by, "reason": freeze.reason, "until": freeze.until}
            self._note(c, freeze.model, owner, window, freeze.known_at, body)

    def end(self, model: str, *, owner: str, by: str, window: str, at: datetime) -> None:
        """End the freeze of a model; raises `UsageError` if none holds on the date `window`."""
        with self.control.write(durable=True) as c:
            holds = [r for r in self._open(c, model) if r.until is None or r.until >= window]
            if not holds:
                raise UsageError(f"freeze of {model}", "a frozen model", "none", f"look at tidegate status {model}")
            self._end(c, model, by, at)
            self._note(c, model, owner, window, at, {"what": "unfreeze", "by": by, "reason": "", "until": None})

    def _end(self, c: Connection, model: str, by: str, at: datetime) -> None:
        c.execute(update(freezes).where(self._unended(model)).values(ended_by=by, ended_at=at))

    def _note(self, c: Connection, model: str, owner: str, window: str, at: datetime, body: dict[str, Any]) -> None:
        ledger.append(
            c, namespace=self.namespace, owner=owner, model=model, kind="freeze", window=window, at=at, body=body
        )

    def _open(self, c: Connection, model: str) -> list[Row[Any]]:
        return list(c.execute(select(freezes).where(self._unended(model)).order_by(freezes.c.id)))

    def _unended(self, model: str) -> ColumnElement[bool]:
        f = freezes.c
        return (f.namespace == self.namespace) & (f.model == model) & f.ended_at.is_(None)


def _freeze(row: Row[Any]) -> Freeze:
    return Freeze(row.model, row.by, row.reason, row.until, row.known_at)


__all__ = ["Freeze", "Freezes"]
