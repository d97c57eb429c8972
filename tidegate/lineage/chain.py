"""The hash chain of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tidegate.lineage.digest import json_digest

GENESIS = "0" * 64


def link(previous: str, entry: Mapping[str, Any]) -> str:
    """The digest of an entry that follows `previous` (both hex SHA-256)."""
    return json_digest({"previous": previous, "entry": dict(entry)})


def broken_at(entries: Iterable[Mapping[str, Any]]) -> int | None:
    """The sequence number of the first entry that does not fit its chain, or None.

    Each entry has `seq`, `previous`, `digest`; the rest is what was signed. An entry that
    was changed, added, removed or moved breaks the chain there or right after. Entries
    cut off at the end cannot be seen: compare the last digest with one kept elsewhere.
    None for no entries.

    Examples
    --------
    >>> first = {"seq": 1, "previous": GENESIS, "digest": link(GENESIS, {"body": 1}), "body": 1}
    >>> broken_at([first]), broken_at([{**first, "body": 2}])
    (None, 1)
    """
    previous = GENESIS
    for entry in entries:
        body = {k: v for k, v in entry.items() if k not in ("seq", "previous", "digest")}
        if entry["previous"] != previous or link(previous, body) != entry["digest"]:
            return int(entry["seq"])
        previous = entry["digest"]
    return None


__all__ = ["GENESIS", "broken_at", "link"]
