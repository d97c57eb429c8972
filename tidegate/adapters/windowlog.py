"""Every digest that a window of a table ever had: control keeps the older rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

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


def restated(lake: Lake, table: str, owner: str, wanted: Sequence[str]) -> list[tuple[str, tuple[int, int], datetime]]:
    """Each time that a window's content was replaced: the window, its rows before and after, when it became known."""
    w = windows.c
    at = (w.namespace == lake.namespace) & (w.owner == owner) & (w.table == table) & w.window.in_(wanted)
    out: list[tuple[str, tuple[int, int], datetime]] = []
    last: dict[str, Row[Any]] = {}
    with lake.control.read() as c:
        for row in c.execute(select(w.window, w.rows, w.digest, w.known_at).where(at).order_by(w.id)):
            before = last.get(row.window)
            if before is not None and before.digest != row.digest:
                out.append((row.window, (before.rows, row.rows), row.known_at))
            last[row.window] = row
    return out
