"""Every digest that a window of a table ever had: control keeps the older rows."""

from __future__ import annotations

from sqlalchemy import select

from tidegate.adapters.lake import Lake
from tidegate.adapters.schema import windows


def digests_of(lake: Lake, table: str, owner: str) -> dict[str, list[str]]:
    """Window → its digests, oldest first."""
    w = windows.c
    at = (w.namespace == lake.namespace) & (w.owner == owner) & (w.table == table)
    out: dict[str, list[str]] = {}
    with lake.control.read() as c:
        for row in c.execute(select(w.window, w.digest).where(at).order_by(w.id)):
            out.setdefault(row.window, []).append(row.digest)
    return out
