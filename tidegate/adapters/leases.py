"""Leases with fencing tokens: one run at a time, and a late one cannot write."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from tidegate.adapters.control import Control
from tidegate.adapters.schema import leases
from tidegate.errors import StaleToken


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on `name` until it expires; `token` grows with every holder."""

    namespace: str
    name: str
    token: int


class Leases:
    """Leases in the control database; expiry is wall time in seconds, `ttl` their life."""

    def __init__(self, control: Control, namespace: str, ttl: float, clock: Callable[[], float] = time.time) -> None:
        self.control, self.namespace, self.ttl, self.clock = control, namespace, ttl, clock
        self.holder = f"{socket.gethostname()}:{os.getpid()}"

    def acquire(self, name: str, owner: str = "") -> Lease | None:
        """The lease, or None while another run holds it."""
        now = self.clock()
        at = (leases.c.namespace == self.namespace) & (leases.c.name == name)
        with self.control.write() as c:
            row = c.execute(select(leases.c.token, leases.c.expires).where(at)).first()
            if row is None:
                token = 1
                c.execute(insert(leases).values(namespace=self.namespace, owner=owner, name=name, token=1, holder=self.holder, expires=now + self.ttl))
            elif row.expires > now:
                return None
            else:
                token = row.token + 1
                c.execute(update(leases).where(at).values(token=token, holder=self.holder, expires=now + self.ttl))
        return Lease(self.namespace, name, token)

    def renew(self, lease: Lease) -> None:
        """Extend the lease; raises `StaleToken` if it was lost."""
        with self.control.write() as c:
            check_token(c, lease, self.clock())
            c.execute(update(leases).where(_at(lease)).values(expires=self.clock() + self.ttl))

    def release(self, lease: Lease) -> None:
        """Give the lease back; a lost one is left alone."""
        with self.control.write() as c:
            c.execute(update(leases).where(_at(lease) & (leases.c.token == lease.token)).values(expires=0.0))

    @contextmanager
    def holding(self, name: str, owner: str = "") -> Iterator[Lease | None]:
        """Hold the lease for a block; yields None if another run has it."""
        lease = self.acquire(name, owner)
        try:
            yield lease
        finally:
            if lease:
                self.release(lease)

    @contextmanager
    def waiting(self, name: str, owner: str = "", poll: float = 0.02) -> Iterator[Lease]:
        """Hold the lease for a block, waiting for whoever has it."""
        while (lease := self.acquire(name, owner)) is None:
            time.sleep(poll)
        try:
            yield lease
        finally:
            self.release(lease)


def _at(lease: Lease) -> object:
    return (leases.c.namespace == lease.namespace) & (leases.c.name == lease.name)


def check_token(c: Connection, lease: Lease, now: float) -> None:
    """Refuse to go on inside transaction `c` if the lease was lost."""
    row = c.execute(select(leases.c.token, leases.c.expires).where(_at(lease))).first()  # type: ignore[arg-type]
    if row is None or row.token != lease.token or row.expires <= now:
        raise StaleToken(f"lease {lease.name}", f"token {lease.token}", f"{row.token if row else 'none'}", "nothing: another run has taken over")
