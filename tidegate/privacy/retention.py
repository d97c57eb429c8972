"""What may be given up of what is kept: windows past their time, and former contents of restated ones.

What a version that can still be reproduced was trained on stays, whatever its age.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise

RETIRED = "0" * 64
"""The digest that the record of a window has from the day on which its rows were given up."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a window: `id` grows with time, the newest of a window is the one in force."""

    id: int
    table: str
    owner: str
    window: str
    digest: str
    rows: int
    files: Mapping[str, str]
    known_at: datetime


@dataclass(frozen=True, slots=True)
class Needed:
    """What versions that can be reproduced need: digests of contents; by table and owner, windows from a first one."""

    digests: Collection[str] = field(default_factory=frozenset)
    since: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Given:
    """What is given up: windows past their time, former contents of windows; ``kept`` says what stays and why."""

    windows: tuple[Row, ...]
    former: tuple[Row, ...]
    kept: int


def give_up(
    rows: Sequence[Row],
    tables: Mapping[str, timedelta],
    restated: timedelta,
    needed: Needed,
    today: date,
    now: datetime,
) -> Given:
    """Which records lose their files.

    Parameters
    ----------
    rows : sequence of Row
        Records of windows, in any order; those without files have been given up, or never had rows.
    tables : mapping
        Age at which windows of a table are given up; a table that is not named is kept.
    restated : timedelta
        Age, by when the next content became known, at which a former content is given up.
    needed : Needed
        What stays whatever its age.
    today : date
        Ages of windows count from it; `now` is for what became known when.

    Returns
    -------
    Given
        Disjoint records; nothing for no rows.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2024, 1, 2, tzinfo=UTC)
    >>> old = Row(1, "served", "m", "2024-01-01", "a", 5, {"f": "x"}, at)
    >>> new = Row(2, "served", "m", "2024-01-01", "b", 6, {"g": "y"}, at + timedelta(days=1))
    >>> later = at + timedelta(days=200)
    >>> given = give_up([old, new], {}, timedelta(days=90), Needed(), later.date(), later)
    >>> [r.id for r in given.former], [r.id for r in given.windows]
    ([1], [])
    >>> given = give_up([old, new], {"served": timedelta(days=120)}, timedelta(days=90), Needed(), later.date(), later)
    >>> [r.id for r in given.windows]
    [2]
    """
    by_window: dict[tuple[str, str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda r: r.id):
        by_window.setdefault((row.table, row.owner, row.window), []).append(row)
    windows, former, kept = [], [], 0
    for (table, owner, window), found in by_window.items():
        for row, after in pairwise(found):
            if row.files and now - after.known_at > restated:
                if row.digest in needed.digests:
                    kept += 1
                else:
                    former.append(row)
        limit, last = tables.get(table), found[-1]
        if limit is None or not last.files or today - date.fromisoformat(window) <= limit:
            continue
        if last.digest in needed.digests or window >= needed.since.get((table, owner), "9999"):
            kept += 1
        else:
            windows.append(last)
    return Given(tuple(windows), tuple(former), kept)


__all__ = ["RETIRED", "Given", "Needed", "Row", "give_up"]
