"""What people were asked about versions and what they answered: rows in control, and in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from tidegate.adapters import ledger
from tidegate.adapters.control import Control
from tidegate.adapters.schema import approvals
from tidegate.errors import UsageError
from tidegate.gate.approval import Said, answered, standing


@dataclass(frozen=True)
class Subject:
    """The version that a row is about, and the window on which it is said."""

    model: str
    version: int
    owner: str
    window: str


class Approvals:
    """The approvals of one namespace: rows are added, never changed."""

    def __init__(self, control: Control, namespace: str) -> None:
        self.control, self.namespace = control, namespace

    def of(self, model: str, version: int) -> tuple[Said, ...]:
        """The rows of a version, oldest first."""
        with self.control.read() as c:
            return self._rows(c, model, version)

    def request(self, about: Subject, said: Said) -> bool:
        """Ask people about a look at a version; False if they were asked of that look, or have answered.

        A request that lapsed is made again by one of a later time, not by a rerun of the same.
        """
        with self.control.write(durable=True) as c:
            rows = self._rows(c, about.model, about.version)
            asked = standing(rows, said.known_at) == "requested" and rows[-1].body == said.body
            stale = any(r.known_at >= said.known_at for r in rows)
            if asked or stale or answered(rows, said.known_at):
                return False
            self._add(c, about, said)
        return True

    def answer(self, about: Subject, said: Said) -> None:
        """Write somebody's answer; the first one stands.

        Raises
        ------
        UsageError
            If somebody has answered already: says who, what and when.
        """
        with self.control.write(durable=True) as c:
            known = answered(self._rows(c, about.model, about.version), said.known_at)
            if known is not None:
                raise UsageError(
                    f"version {about.version} of {about.model}", "a version that nobody has answered for", known.words,
                    f"look at tidegate lineage {about.model}",
                )  # fmt: skip
            self._add(c, about, said)

    def _add(self, c: Connection, about: Subject, said: Said) -> None:
        row: dict[str, Any] = {"model": about.model, "version": about.version, "what": said.what, "by": said.by,
                               "reason": said.reason, "until": said.until, "body": dict(said.body)}  # fmt: skip
        c.execute(insert(approvals).values(namespace=self.namespace, owner=about.owner, known_at=said.known_at, **row))
        loud = said.what == "override"
        body = {k: row[k] for k in ("version", "by", "reason", "body")} | {
            "what": "OVERRIDE" if loud else said.what, "until": said.until.isoformat() if said.until else None,
        }  # fmt: skip
        ledger.append(
            c, namespace=self.namespace, owner=about.owner, model=about.model, kind="override" if loud else "approval",
            window=about.window, at=said.known_at, body=body,
        )  # fmt: skip

    def _rows(self, c: Connection, model: str, version: int) -> tuple[Said, ...]:
        a = approvals.c
        at = (a.namespace == self.namespace) & (a.model == model) & (a.version == version)
        rows = c.execute(select(approvals).where(at).order_by(a.id))
        return tuple(Said(r.what, r.by, r.reason, r.until, r.known_at, r.body) for r in rows)


__all__ = ["Approvals", "Subject"]
