"""The error of the gate: declared for a year, spent look by look.

Hold-outs overlap from look to look and from attempt to attempt, so what they say is not independent; the union
bound (Bonferroni) needs no independence. An attempt gets the year's error over the attempts that a year allows,
its look k of K the part k / (1 + 2 + … + K): later looks, which have more nights, see more. What was spent in the
365 days before a look counts against it, so that no stretch of 365 days ever spends more than was declared; and what
was spent in the 365 days after it, where a look is taken on an evening of the past.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from tidegate.config.gating import Gate
from tidegate.errors import UsageError

YEAR = timedelta(days=365)
LEAST = 1e-6
"""Less error than this is none: no hold-out of a year could pass with it."""


def look_part(looks: int, look: int) -> float:
    """The part of an attempt's error that look `look` (from 1) of `looks` gets, in (0, 1].

    Examples
    --------
    >>> [round(look_part(3, k), 4) for k in (1, 2, 3)]
    [0.1667, 0.3333, 0.5]
    """
    return look / (looks * (looks + 1) / 2)


def spent_in_year(spent: Sequence[tuple[str, float]], window: str) -> float:
    """The error of the looks less than 365 days from `window`, before or after it; 0 without any.

    Parameters
    ----------
    spent : sequence of (window, error)
        Looks and what each of them could spend; this look itself is not among them.
    window : str
        The date of this look, ``YYYY-MM-DD``.

    Examples
    --------
    >>> spent_in_year([("2012-01-05", 0.01), ("2013-01-05", 0.002)], "2013-02-01")
    0.002
    """
    now = date.fromisoformat(window)
    return sum(error for at, error in spent if abs(now - date.fromisoformat(at)) < YEAR)


def share(settings: Gate, max_per_year: int, look: int, spent_by_others: float) -> float:
    """The one-sided error that "better" may use on this look; 0 when the year's error is spent.

    Parameters
    ----------
    max_per_year : int
        Attempts that a year allows; 0 counts as 1.
    look : int
        Which look of the attempt this is, from 1.
    spent_by_others : float
        Error of the other looks of these 365 days, as `spent_in_year` sums it.

    Raises
    ------
    UsageError
        If `look` is not one of ``settings.looks``.

    Examples
    --------
    >>> round(share(Gate(), 6, 3, 0.0), 6), share(Gate(), 6, 3, 0.05)
    (0.004167, 0.0)
    """
    if not 1 <= look <= settings.looks:
        raise UsageError("look at a candidate", f"1 to {settings.looks}", str(look), "see gate.looks")
    part = settings.error_per_year / max(1, max_per_year) * look_part(settings.looks, look)
    left = settings.error_per_year - spent_by_others
    return min(part, left) if left > LEAST else 0.0


def exhausted(settings: Gate, spent: Sequence[tuple[str, float]], window: str) -> str:
    """Why nothing can be proven better now, and when some error comes back.

    Examples
    --------
    >>> exhausted(Gate(), [("2013-01-05", 0.02), ("2013-03-01", 0.03)], "2013-06-01")
    "the year's error of 0.05 is spent (0.05 since 2012-06-02): 0.02 comes back on 2014-01-05"
    """
    now = date.fromisoformat(window)
    recent = sorted((at, e) for at, e in spent if e > 0 and abs(now - date.fromisoformat(at)) < YEAR)
    words = f"the year's error of {settings.error_per_year:g} is spent"
    if not recent:
        return words
    first = recent[0][0]
    back = sum(error for at, error in recent if at == first)
    since = now - YEAR + timedelta(days=1)
    total = sum(error for _, error in recent)
    return f"{words} ({total:.4g} since {since}): {back:.4g} comes back on {date.fromisoformat(first) + YEAR}"
