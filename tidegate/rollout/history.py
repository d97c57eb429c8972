"""What the changes of a serving plan say of each version: was it champion, and what is it now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the plan, as its ledger entry has it.

    ``back``: a rollback. ``undoes``: the revision that it takes back, because no gateway could load it. ``was``: the
    status of the new champion before.
    """

    revision: int
    before: int | None
    after: int | None
    window: str
    at: datetime
    by: str
    back: bool = False
    undoes: int | None = None
    was: str = ""


@dataclass(slots=True)
class Fate:
    """The status of a version, and the windows on which it became and ceased to be champion."""

    status: str
    promoted: str | None = None
    restored: str | None = None
    rolled_back: str | None = None


def changes(entries: Iterable[Mapping[str, Any]]) -> tuple[Change, ...]:
    """The changes of one model's plan, from its ledger entries of kind ``plan`` in their order."""
    out = []
    for e in entries:
        b = e["body"]
        out.append(
            Change(
                b["to"]["revision"],
                b["from"]["champion"],
                b["to"]["champion"],
                e["window"] or "",
                datetime.fromisoformat(e["at"]),
                b.get("by", ""),
                "rolls_back" in b,
                b.get("undoes"),
                b.get("was", ""),
            )
        )
    return tuple(out)


def held(found: Sequence[Change]) -> tuple[Change, ...]:
    """The changes that were not taken back, without those that took back."""
    undone = {c.undoes for c in found if c.undoes is not None}
    return tuple(c for c in found if c.undoes is None and c.revision not in undone)


def champions(found: Sequence[Change]) -> list[int]:
    """Every version that was champion, by the last time that it became one; empty for no changes.

    Examples
    --------
    >>> at = datetime(2024, 1, 1)
    >>> plan = [Change(1, None, 1, "w1", at, ""), Change(2, 1, 2, "w2", at, ""), Change(3, 2, 1, "w3", at, "", True)]
    >>> champions(plan)
    [2, 1]
    >>> champions([*plan, Change(4, 1, 2, "w3", at, "", undoes=3)])
    [1, 2]
    """
    became = [c.after for c in held(found) if c.after is not None]
    return [v for i, v in enumerate(became) if v not in became[i + 1 :]]


def fates(found: Sequence[Change]) -> dict[int, Fate]:
    """What became of every version that a change made champion.

    Examples
    --------
    >>> at = datetime(2024, 1, 1)
    >>> plan = [Change(1, None, 1, "w1", at, ""), Change(2, 1, 2, "w2", at, ""), Change(3, 2, 1, "w3", at, "", True)]
    >>> fates(plan)[1]
    Fate(status='champion', promoted='w1', restored='w3', rolled_back=None)
    >>> fates(plan)[2].status, fates([*plan, Change(4, 1, 2, "w3", at, "", undoes=3)])[1].status
    ('rolled_back', 'retired')
    """
    out: dict[int, Fate] = {}
    for change in held(found):
        if change.before == change.after:
            continue
        if change.before is not None:
            fate = out.setdefault(change.before, Fate("champion"))
            fate.status = "rolled_back" if change.back else "retired"
            if change.back:
                fate.rolled_back = change.window
        if change.after is not None:
            fate = out.setdefault(change.after, Fate("champion"))
            fate.status = "champion"
            if change.back:
                fate.restored = change.window
            else:
                fate.promoted = change.window
    for change in found:
        # What was taken back at once is what it was before.
        if change.after is not None and change.after not in out and change.was:
            out[change.after] = Fate(change.was)
    return out


def rollbacks(found: Sequence[Change]) -> list[str]:
    """The windows of the rollbacks that held, in order."""
    return [c.window for c in held(found) if c.back]


__all__ = ["Change", "Fate", "champions", "changes", "fates", "held", "rollbacks"]
