"""Sets of calibrated limits in control: proposed, run beside the active set, approved, retired."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import insert, select, update

from tidegate.adapters import ledger
from tidegate.adapters.control import Control
from tidegate.adapters.schema import detectors
from tidegate.errors import UsageError
from tidegate.lineage.digest import json_digest, plain

Status = Literal["active", "beside", "retired"]


@dataclass(frozen=True)
class Detectors:
    """One set: its number, the champion's version that it is for, the window it was calibrated on."""

    number: int
    model: str
    version: int
    window: str
    status: Status
    body: dict[str, Any]
    known_at: datetime
    since: str | None


class DetectorSets:
    """The sets of one namespace. At most one is active a model; a change of limits is an entry in the ledger."""

    def __init__(self, control: Control, namespace: str) -> None:
        self.control, self.namespace = control, namespace

    def propose(
        self, model: str, owner: str, version: int, window: str, body: dict[str, Any], known_at: datetime
    ) -> int:
        """Store a set that runs beside the active one; the same set again is the one already there."""
        body = plain(body)
        digest = json_digest(body)
        with self.control.write() as c:
            d = detectors.c
            at = (d.namespace == self.namespace) & (d.model == model) & (d.version == version) & (d.digest == digest)
            known = c.execute(select(d.number).where(at & (d.status != "retired"))).scalar()
            if known is not None:
                return int(known)
            done = c.execute(
                insert(detectors).values(
                    namespace=self.namespace, owner=owner, model=model, version=version, window=window,
                    status="beside", digest=digest, body=body, known_at=known_at, since=None,
                )
            )  # fmt: skip
            assert done.inserted_primary_key is not None
            return int(done.inserted_primary_key[0])

    def approve(self, model: str, number: int, *, owner: str, by: str, reason: str, window: str, at: datetime) -> bool:
        """Make a set the active one from the window after `window` on, and retire the active one.

        False if it was the active one already: nothing is changed then, and nothing goes into the ledger.

        Raises
        ------
        UsageError
            If there is no such set of this model, or it was retired.
        """
        with self.control.write() as c:
            d = detectors.c
            mine = (d.namespace == self.namespace) & (d.model == model)
            row = c.execute(select(detectors).where(mine & (d.number == number))).first()
            if row is None or row.status == "retired":
                found = "a retired one" if row is not None else "none"
                raise UsageError(
                    f"detectors {number} of {model}", "a set that runs beside the active one", found,
                    f"look at tidegate detectors list {model}",
                )  # fmt: skip
            if row.status == "active":
                return False
            before = c.execute(select(d.number).where(mine & (d.status == "active"))).scalar()
            c.execute(update(detectors).where(mine & (d.status == "active")).values(status="retired"))
            c.execute(update(detectors).where(mine & (d.number == number)).values(status="active", since=window))
            limits = {k: row.body.get(k) for k in ("version", "budget", "nights", "sudden", "gradual", "rates")}
            ledger.append(
                c, namespace=self.namespace, owner=owner, model=model, kind="detectors", window=window, at=at,
                body={"by": by, "reason": reason, "from": before, "to": number, "limits": limits,
                      "digest": row.digest},
            )  # fmt: skip
            return True

    def retire(self, model: str, number: int) -> None:
        """Stop running a set beside the active one."""
        with self.control.write() as c:
            d = detectors.c
            at = (d.namespace == self.namespace) & (d.model == model) & (d.number == number) & (d.status == "beside")
            if not c.execute(update(detectors).where(at).values(status="retired")).rowcount:
                raise UsageError(f"detectors {number} of {model}", "a set that runs beside the active one", "none")

    def all(self, model: str, version: int | None = None) -> list[Detectors]:
        """Every set of a model, or of one version of it, oldest first."""
        d = detectors.c
        at = (d.namespace == self.namespace) & (d.model == model)
        if version is not None:
            at &= d.version == version
        with self.control.read() as c:
            rows = c.execute(select(detectors).where(at).order_by(d.number))
            return [
                Detectors(r.number, r.model, r.version, r.window, r.status, r.body, r.known_at, r.since) for r in rows
            ]

    def last_approved(self, model: str) -> dict[int, int]:
        """The number of the set that was approved last for each version, by version: the ledger's word."""
        versions = {d.number: d.version for d in self.all(model)}
        entries = ledger.entries(self.control, self.namespace, model, "detectors")
        return {versions[e["body"]["to"]]: e["body"]["to"] for e in entries if e["body"]["to"] in versions}

    def running(self, model: str) -> list[Detectors]:
        """The active set first, then those beside it."""
        found = [s for s in self.all(model) if s.status != "retired"]
        return sorted(found, key=lambda s: (s.status != "active", s.number))


__all__ = ["DetectorSets", "Detectors"]
