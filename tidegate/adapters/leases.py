"""Leases with fencing tokens: one run at a time, and a late one cannot write."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, insert, select, update

from tidegate.adapters.control import Control
from tidegate.adapters.processes import dead, me
from tidegate.adapters.schema import leases
from tidegate.errors import StaleToken


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on `name` until it expires; `token` grows with every holder."""

    namespace: str
    name: str
    token: int


class Leases:
    """Leases in the control database.

    Parameters
    ----------
    ttl : float
        Life of a lease in seconds of wall time. A holder that was killed blocks its
        name for at most this long; one that works longer has to `renew`.
    clock : callable
        Seconds since the epoch, the same for all processes.
    """

    def __init__(self, control: Control, namespace: str, ttl: float, clock: Callable[[], float] = time.time) -> None:
        self.control, self.namespace, self.ttl, self.clock = control, namespace, ttl, clock

    def acquire(self, name: str, owner: str = "", *, of_the_dead: bool = False) -> Lease | None:
        """The lease, or None while another run holds it; `of_the_dead` also one whose holder is surely gone."""
        at = _at(self.namespace, name)
        with self.control.write() as c:
            now = self.clock()  # after the wait for the write lock, which may have been long
            row = c.execute(select(leases.c.token, leases.c.expires, leases.c.holder).where(at)).first()
            if row is not None and row.expires > now and not (of_the_dead and dead(row.holder)):
                return None
            token = 1 if row is None else row.token + 1
            values = {"token": token, "owner": owner, "holder": me()[-120:], "expires": now + self.ttl}
            if row is None:
                c.execute(insert(leases).values(namespace=self.namespace, name=name, **values))
            else:
                c.execute(update(leases).where(at).values(**values))
        return Lease(self.namespace, name, token)

    def renew(self, lease: Lease) -> None:
        """Extend the lease; raises `StaleToken` if it was lost."""
        with self.control.write() as c:
            now = self.clock()
            check_token(c, lease, now)
            c.execute(update(leases).where(_at(lease.namespace, lease.name)).values(expires=now + self.ttl))

    def release(self, lease: Lease) -> None:
        """Give the lease back; a lost one is left alone."""
        at = _at(lease.namespace, lease.name) & (leases.c.token == lease.token)
        with self.control.write() as c:
            c.execute(update(leases).where(at).values(expires=0.0))

    def free(self) -> None:
        """Take every lease from its holder, in a copy of a home that no holder knows; tokens go on as they were."""
        with self.control.write() as c:
            c.execute(update(leases).where(leases.c.namespace == self.namespace).values(expires=0.0))

    @contextmanager
    def holding(self, name: str, owner: str = "", *, of_the_dead: bool = False) -> Iterator[Lease | None]:
        """Hold the lease for a block, renewing it meanwhile; yields None if another run has it.

        A process that is stopped does not renew: its lease runs out, and its writes are refused.
        """
        lease = self.acquire(name, owner, of_the_dead=of_the_dead)
        if lease is None:
            yield None
            return
        with self._kept(lease):
            yield lease

    @contextmanager
    def _kept(self, lease: Lease) -> Iterator[None]:
        over = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(lease, over), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()
            self.release(lease)

    def _keep(self, lease: Lease, over: threading.Event) -> None:
        while not over.wait(self.ttl / 3):
            try:
                self.renew(lease)
            except StaleToken:
                return

    @contextmanager
    def waiting(self, name: str, owner: str = "", poll: float = 0.02) -> Iterator[Lease]:
        """Hold the lease for a block, renewing it, after waiting for whoever has it (`poll` in seconds)."""
        while (lease := self.acquire(name, owner)) is None:
            time.sleep(poll)
        with self._kept(lease):
            yield lease


def _at(namespace: str, name: str) -> ColumnElement[bool]:
    return (leases.c.namespace == namespace) & (leases.c.name == name)


def check_token(c: Connection, lease: Lease, now: float) -> None:
    """Refuse to go on inside transaction `c` if the lease was lost or has expired.

    `now` must be read inside the transaction: the wait for the write lock may outlast
    the lease.
    """
    row = c.execute(select(leases).where(_at(lease.namespace, lease.name))).first()
    if row is not None and row.token == lease.token and row.expires > now:
        return
    if row is None:
        found = "no lease"
    elif row.token == lease.token:
        found = f"expired {now - row.expires:.1f} s ago" if row.expires else "given back"
    else:
        found = f"token {row.token} of {row.holder}"
    raise StaleToken(f"lease {lease.name}", f"token {lease.token} in force", found, "let the newer run finish")


__all__ = ["Lease", "Leases", "check_token"]
