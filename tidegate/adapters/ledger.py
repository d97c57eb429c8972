"""The append-only, hash-chained record of what was decided and why."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from tidegate.adapters.control import Control
from tidegate.adapters.schema import ledger
from tidegate.lineage.chain import GENESIS, link


def append(c: Connection, *, namespace: str, owner: str, model: str, kind: str, window: str | None, at: datetime, body: dict[str, Any]) -> str:
    """Add an entry inside write transaction `c`; returns its digest."""
    previous = c.execute(select(ledger.c.digest).order_by(ledger.c.seq.desc()).limit(1)).scalar() or GENESIS
    entry = {"namespace": namespace, "owner": owner, "model": model, "kind": kind, "window": window, "at": at.isoformat(), "body": json.loads(json.dumps(body, default=str))}
    digest = link(previous, entry)
    c.execute(insert(ledger).values(**entry, previous=previous, digest=digest))
    return digest


def entries(control: Control, namespace: str, model: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
    """Entries in order, of one model or kind if asked."""
    query = select(ledger).where(ledger.c.namespace == namespace).order_by(ledger.c.seq)
    if model is not None:
        query = query.where(ledger.c.model == model)
    if kind is not None:
        query = query.where(ledger.c.kind == kind)
    with control.read() as c:
        return [dict(r._mapping) for r in c.execute(query)]
