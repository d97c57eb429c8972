"""Small facts in control: verdicts on windows, versions of models, alarms, grids."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from tidegate.adapters.control import Control
from tidegate.adapters.schema import alarms, grids, verdicts, versions
from tidegate.verdicts import Alarm, Verdict


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


class Records:
    def __init__(self, control: Control, namespace: str) -> None:
        self.control, self.namespace = control, namespace

    # -- verdicts ---------------------------------------------------------------------
    def put_verdict(self, owner: str, kind: str, window: str, verdict: Verdict, known_at: datetime) -> bool:
        """Store a verdict unless the newest one says the same; True if it was stored."""
        body = _plain(verdict.as_dict())
        before = self.verdict(owner, kind, window)
        if before is not None and _plain(before.as_dict()) == body:
            return False
        with self.control.write() as c:
            c.execute(insert(verdicts).values(namespace=self.namespace, owner=owner, kind=kind, window=window, outcome=verdict.outcome, body=body, known_at=known_at))
        return True

    def verdicts(self, owner: str, kind: str, windows: list[str] | None = None) -> dict[str, Verdict]:
        """The newest verdict of each window."""
        v = verdicts.c
        at = (v.namespace == self.namespace) & (v.owner == owner) & (v.kind == kind)
        if windows is not None:
            at &= v.window.in_(windows)
        with self.control.read() as c:
            rows = c.execute(select(v.window, v.body).where(v.id.in_(select(func.max(v.id)).where(at).group_by(v.window))).order_by(v.window)).all()
        return {r.window: Verdict(r.body["outcome"], tuple(r.body["reasons"]), r.body["numbers"]) for r in rows}

    def verdict(self, owner: str, kind: str, window: str) -> Verdict | None:
        return self.verdicts(owner, kind, [window]).get(window)

    # -- versions ---------------------------------------------------------------------
    def put_version(self, model: str, version: int, *, owner: str, digest: str, status: str, body: dict[str, Any], known_at: datetime) -> None:
        with self.control.write() as c:
            c.execute(insert(versions).values(namespace=self.namespace, owner=owner, model=model, version=version, digest=digest, status=status, body=_plain(body), known_at=known_at))

    def set_status(self, model: str, version: int, status: str, **more: Any) -> None:
        at = (versions.c.namespace == self.namespace) & (versions.c.model == model) & (versions.c.version == version)
        with self.control.write() as c:
            body = c.execute(select(versions.c.body).where(at)).scalar_one()
            c.execute(update(versions).where(at).values(status=status, body=_plain({**body, **more})))

    def versions(self, model: str) -> list[dict[str, Any]]:
        at = (versions.c.namespace == self.namespace) & (versions.c.model == model)
        with self.control.read() as c:
            return [dict(r._mapping) for r in c.execute(select(versions).where(at).order_by(versions.c.version))]

    # -- alarms -----------------------------------------------------------------------
    def put_alarms(self, model: str, owner: str, found: list[Alarm], known_at: datetime) -> None:
        """Store alarms; one already stored for its window, monitor and subject is left alone."""
        if not found:
            return
        with self.control.write() as c:
            for a in found:
                at = (alarms.c.namespace == self.namespace) & (alarms.c.model == model) & (alarms.c.window == a.window) & (alarms.c.monitor == a.monitor) & (alarms.c.subject == a.subject)
                if c.execute(select(alarms.c.id).where(at)).first() is None:
                    c.execute(insert(alarms).values(namespace=self.namespace, owner=owner, model=model, window=a.window, monitor=a.monitor, subject=a.subject, severity=a.severity,
                                                    body={"since": a.since, "text": a.text, "next_command": a.next_command}, known_at=known_at))

    def alarms(self, model: str) -> list[Alarm]:
        at = (alarms.c.namespace == self.namespace) & (alarms.c.model == model)
        with self.control.read() as c:
            rows = c.execute(select(alarms).where(at).order_by(alarms.c.window, alarms.c.id)).all()
        return [Alarm(r.window, r.monitor, r.subject, r.severity, r.body["since"], r.body["text"], r.body["next_command"]) for r in rows]

    # -- grids ------------------------------------------------------------------------
    def grid(self, owner: str, name: str = "default") -> dict[str, Any] | None:
        at = (grids.c.namespace == self.namespace) & (grids.c.owner == owner) & (grids.c.name == name)
        with self.control.read() as c:
            return c.execute(select(grids.c.body).where(at)).scalar()

    def put_grid(self, owner: str, body: dict[str, Any], digest: str, known_at: datetime, name: str = "default") -> None:
        """Freeze a grid; a grid that is already frozen stays as it is."""
        if self.grid(owner, name) is None:
            with self.control.write() as c:
                c.execute(insert(grids).values(namespace=self.namespace, owner=owner, name=name, digest=digest, body=body, known_at=known_at))
