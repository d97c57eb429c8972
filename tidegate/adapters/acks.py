"""What the workers of a gateway say that they serve."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from tidegate.adapters.control import Control
from tidegate.adapters.schema import acks

LIVE = 10.0
"""Seconds since a worker was last seen after which it counts as gone."""


@dataclass(frozen=True, slots=True)
class Ack:
    """One worker and one model: the plan's revision it has switched to, the version served, or the fault.

    A worker that could not switch names the revision that it failed at, the version that it still serves (None
    without one), and why.
    """

    model: str
    worker: str
    revision: int
    version: int | None
    package: str | None
    fault: str
    known_at: datetime
    seen: float


class Acks:
    """The acknowledgements of one namespace, a row a model and worker."""

    def __init__(self, control: Control, namespace: str, clock: Callable[[], float] = time.time) -> None:
        self.control, self.namespace, self.clock = control, namespace, clock

    def say(
        self, model: str, worker: str, *, owner: str, revision: int, version: int | None, package: str | None,
        fault: str = "",
    ) -> None:  # fmt: skip
        """What a worker serves from now on."""
        a, now = acks.c, self.clock()
        at = (a.namespace == self.namespace) & (a.model == model) & (a.worker == worker)
        values = {"revision": revision, "version": version, "package": package, "fault": fault, "seen": now,
                  "known_at": datetime.fromtimestamp(now, UTC)}  # fmt: skip
        with self.control.write() as c:
            if not c.execute(update(acks).where(at).values(**values)).rowcount:
                names = {"namespace": self.namespace, "owner": owner, "model": model, "worker": worker}
                c.execute(insert(acks).values(**names, **values))

    def beat(self, worker: str) -> None:
        """A worker is alive; those that have been gone for a day are forgotten."""
        a, now = acks.c, self.clock()
        with self.control.write() as c:
            c.execute(update(acks).where((a.namespace == self.namespace) & (a.worker == worker)).values(seen=now))
            c.execute(delete(acks).where((a.namespace == self.namespace) & (a.seen < now - 86_400)))

    def gone(self, worker: str) -> None:
        """A worker has stopped."""
        with self.control.write() as c:
            c.execute(delete(acks).where((acks.c.namespace == self.namespace) & (acks.c.worker == worker)))

    def forget(self) -> None:
        """Forget every worker, in a copy of a home that none of them serves."""
        with self.control.write() as c:
            c.execute(delete(acks).where(acks.c.namespace == self.namespace))

    def live(self, model: str) -> list[Ack]:
        """What the workers say that were seen in the last ten seconds, by worker."""
        a = acks.c
        at = (a.namespace == self.namespace) & (a.model == model) & (a.seen >= self.clock() - LIVE)
        with self.control.read() as c:
            return [_ack(r) for r in c.execute(select(acks).where(at).order_by(a.worker))]

    def wait(self, model: str, revision: int, patience: float, pause: float = 0.05) -> list[Ack]:
        """The live workers' acks once all of them are at `revision` or above, or `patience` seconds are over."""
        until = self.clock() + patience
        while True:
            found = self.live(model)
            if all(a.revision >= revision for a in found) or self.clock() >= until:
                return found
            time.sleep(pause)


def _ack(row: Row[Any]) -> Ack:
    return Ack(row.model, row.worker, row.revision, row.version, row.package, row.fault, row.known_at, row.seen)


__all__ = ["LIVE", "Ack", "Acks"]
