"""The append-only, hash-chained record of what was decided and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from tidegate.adapters.control import Control
from tidegate.adapters.schema import ledger
from tidegate.errors import UsageError
from tidegate.lineage.chain import GENESIS, link
from tidegate.lineage.digest import plain


def append(
    c: Connection,
    *,
    namespace: str,
    owner: str,
    model: str,
    kind: str,
    window: str | None,
    at: datetime,
    body: dict[str, Any],
) -> str:
    """Add an entry inside write transaction `c`; returns its digest.

    The chain is one per namespace. Raises `UsageError` if `at` has no time zone.
    """
    if at.tzinfo is None:
        raise UsageError("instant of a ledger entry", "a timezone-aware datetime", repr(at), "add tzinfo=UTC")
    last = select(ledger.c.digest).where(ledger.c.namespace == namespace).order_by(ledger.c.seq.desc()).limit(1)
    previous = c.execute(last).scalar() or GENESIS
    entry = {
        "namespace": namespace,
        "owner": owner,
        "model": model,
        "kind": kind,
        "window": window,
        "at": at.isoformat(),
        "body": plain(body),
    }
    digest = link(previous, entry)
    c.execute(insert(ledger).values(**entry, previous=previous, digest=digest))
    return digest


def append_once(c: Connection, *, model: str, kind: str, window: str, **more: Any) -> None:
    """Add an entry inside write transaction `c`, unless there is one of that model, kind and window."""
    e, space = ledger.c, more["namespace"]
    at = (e.namespace == space) & (e.model == model) & (e.kind == kind) & (e.window == window)
    if c.execute(select(e.seq).where(at).limit(1)).first() is None:
        append(c, model=model, kind=kind, window=window, **more)


def entries(
    control: Control, namespace: str, model: str | None = None, kind: str | None = None
) -> list[dict[str, Any]]:
    """Entries in order, of one model or kind if asked.

    Only a whole namespace is a chain: `broken_at` needs it unfiltered.
    """
    query = select(ledger).where(ledger.c.namespace == namespace).order_by(ledger.c.seq)
    if model is not None:
        query = query.where(ledger.c.model == model)
    if kind is not None:
        query = query.where(ledger.c.kind == kind)
    with control.read() as c:
        return [dict(r._mapping) for r in c.execute(query)]
