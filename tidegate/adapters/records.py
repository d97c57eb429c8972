"""Small facts in control: verdicts on windows, versions of models, alarms, grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from tidegate.adapters import ledger
from tidegate.adapters.control import Control
from tidegate.adapters.schema import alarms, grids, verdicts, versions
from tidegate.errors import StoreError
from tidegate.lineage.digest import plain
from tidegate.verdicts import Alarm, Outcome, Verdict

_COLUMNS = ("window", "monitor", "subject", "severity", "cause")


def alarm_of(row: Row[Any]) -> Alarm:
    """An alarm from its row; those of before there were incidents lack what came later."""
    body = {**row.body, "members": tuple(row.body.get("members", ()))}
    return Alarm(**{name: row._mapping[name] for name in _COLUMNS}, **body)


def store_alarms(
    c: Connection, namespace: str, model: str, owner: str, found: Sequence[Alarm], known_at: datetime
) -> None:
    """Store alarms inside write transaction `c`; one that is stored already is left alone."""
    for a in found:
        body = plain(asdict(a))
        row = {"namespace": namespace, "model": model, **{name: body.pop(name) for name in _COLUMNS}}
        same = [alarms.c[name] == value for name, value in row.items() if name != "severity"]
        if c.execute(select(alarms.c.id).where(*same)).first() is None:
            c.execute(insert(alarms).values(**row, owner=owner, body=body, known_at=known_at))


class Records:
    """The small facts of one namespace; storing the same one again changes nothing."""

    def __init__(self, control: Control, namespace: str) -> None:
        self.control, self.namespace = control, namespace

    # -- verdicts ---------------------------------------------------------------------
    def put_verdict(
        self, owner: str, kind: str, window: str, verdict: Verdict, known_at: datetime, *, entry: str | None = None
    ) -> bool:
        """Store a verdict unless the newest one says the same; True if it was stored.

        With `entry`, the owner of the ledger's row, the ledger has it too, as of the same transaction.
        """
        body = plain(verdict.as_dict())
        with self.control.write() as c:
            if self._newest(c, owner, kind, [window]).get(window) == body:
                return False
            c.execute(
                insert(verdicts).values(
                    namespace=self.namespace,
                    owner=owner,
                    kind=kind,
                    window=window,
                    outcome=verdict.outcome,
                    body=body,
                    known_at=known_at,
                )
            )
            if entry is not None:
                ledger.append(
                    c, namespace=self.namespace, owner=entry, model=owner, kind=kind, window=window, at=known_at,
                    body=verdict.as_dict(),
                )  # fmt: skip
        return True

    def verdicts(self, owner: str, kind: str, windows: list[str] | None = None) -> dict[str, Verdict]:
        """The newest verdict of each window, by window."""
        with self.control.read() as c:
            found = self._newest(c, owner, kind, windows)
        return {w: Verdict(b["outcome"], tuple(b["reasons"]), b["numbers"]) for w, b in found.items()}

    def verdict(self, owner: str, kind: str, window: str) -> Verdict | None:
        """The newest verdict of one window."""
        return self.verdicts(owner, kind, [window]).get(window)

    def outcomes(self, owner: str, kind: str) -> dict[str, Outcome]:
        """The newest outcome of each window, by window: what `verdicts` gives, without the bodies."""
        v = verdicts.c
        at = (v.namespace == self.namespace) & (v.owner == owner) & (v.kind == kind)
        newest = select(func.max(v.id)).where(at).group_by(v.window)
        with self.control.read() as c:
            rows = c.execute(select(v.window, v.outcome).where(v.id.in_(newest)).order_by(v.window)).all()
        return {r.window: r.outcome for r in rows}

    def _newest(self, c: Connection, owner: str, kind: str, windows: list[str] | None) -> dict[str, Any]:
        v = verdicts.c
        at = (v.namespace == self.namespace) & (v.owner == owner) & (v.kind == kind)
        if windows is not None:
            at &= v.window.in_(windows)
        newest = select(func.max(v.id)).where(at).group_by(v.window)
        rows = c.execute(select(v.window, v.body).where(v.id.in_(newest)).order_by(v.window))
        return {r.window: r.body for r in rows}

    # -- versions ---------------------------------------------------------------------
    def put_version(
        self,
        model: str,
        version: int,
        *,
        owner: str,
        digest: str,
        status: str,
        body: dict[str, Any],
        known_at: datetime,
        entry: tuple[str, dict[str, Any]] | None = None,
    ) -> None:
        """Record a version; one already recorded with this digest stays as it is.

        `entry` is the kind and body of what the ledger says with it.

        Raises `StoreError` if the version exists with another digest.
        """
        with self.control.write() as c:
            found = c.execute(select(versions.c.digest).where(self._version(model, version))).scalar()
            if found == digest:
                return
            if found is not None:
                raise StoreError(
                    f"version {version} of {model}", f"digest {digest}", found, "register a new version instead"
                )
            c.execute(
                insert(versions).values(
                    namespace=self.namespace,
                    owner=owner,
                    model=model,
                    version=version,
                    digest=digest,
                    status=status,
                    body=plain(body),
                    known_at=known_at,
                )
            )
            if entry is not None:
                ledger.append(
                    c, namespace=self.namespace, owner=owner, model=model, kind=entry[0], window=body["window"],
                    at=known_at, body=entry[1],
                )  # fmt: skip

    def set_status(self, model: str, version: int, status: str, **more: Any) -> None:
        """Move a version on, adding `more` to its body; raises `StoreError` if there is none."""
        at = self._version(model, version)
        with self.control.write() as c:
            body = c.execute(select(versions.c.body).where(at)).scalar()
            if body is None:
                raise StoreError(f"version {version} of {model}", "a recorded version", "none", "register it first")
            c.execute(update(versions).where(at).values(status=status, body={**body, **plain(more)}))

    def amend(self, model: str, version: int, **more: Any) -> None:
        """Add `more` to a version's body, whatever its status is by now; one that is not there is left alone."""
        at = self._version(model, version)
        with self.control.write() as c:
            body = c.execute(select(versions.c.body).where(at)).scalar()
            if body is not None:
                c.execute(update(versions).where(at).values(body={**body, **plain(more)}))

    def versions(self, model: str) -> list[dict[str, Any]]:
        """Every version of a model, oldest first, as its row."""
        at = (versions.c.namespace == self.namespace) & (versions.c.model == model)
        with self.control.read() as c:
            return [dict(r._mapping) for r in c.execute(select(versions).where(at).order_by(versions.c.version))]

    def _version(self, model: str, version: int) -> ColumnElement[bool]:
        v = versions.c
        return (v.namespace == self.namespace) & (v.model == model) & (v.version == version)

    # -- alarms -----------------------------------------------------------------------
    def put_alarms(self, model: str, owner: str, found: list[Alarm], known_at: datetime) -> None:
        """Store alarms; one already stored for its window, monitor, subject and cause is left alone."""
        if found:
            with self.control.write() as c:
                store_alarms(c, self.namespace, model, owner, found, known_at)

    def alarms(self, model: str) -> list[Alarm]:
        """Every alarm of a model, by window, then as stored."""
        at = (alarms.c.namespace == self.namespace) & (alarms.c.model == model)
        with self.control.read() as c:
            return [alarm_of(r) for r in c.execute(select(alarms).where(at).order_by(alarms.c.window, alarms.c.id))]

    # -- grids ------------------------------------------------------------------------
    def grid(self, owner: str, name: str = "default") -> dict[str, Any] | None:
        """The frozen grid of that name, or None."""
        with self.control.read() as c:
            return c.execute(select(grids.c.body).where(self._grid(owner, name))).scalar()

    def put_grid(
        self, owner: str, body: dict[str, Any], digest: str, known_at: datetime, name: str = "default"
    ) -> None:
        """Freeze a grid; a grid that is already frozen stays as it is."""
        with self.control.write() as c:
            if c.execute(select(grids.c.digest).where(self._grid(owner, name))).first() is None:
                c.execute(
                    insert(grids).values(
                        namespace=self.namespace, owner=owner, name=name, digest=digest, body=body, known_at=known_at
                    )
                )

    def _grid(self, owner: str, name: str) -> ColumnElement[bool]:
        return (grids.c.namespace == self.namespace) & (grids.c.owner == owner) & (grids.c.name == name)


__all__ = ["Records", "alarm_of", "store_alarms"]
