"""What changed around an incident: data, code, configuration, model and traffic, from what nights left behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from tidegate.text import printable

Matter = Literal["data", "code", "config", "model", "traffic", "incident"]
ORDER: tuple[Matter, ...] = ("config", "code", "model", "traffic", "data", "incident")
"""On one window: what people changed comes before what may have come of it."""
BEFORE = 14
"""Nights that a number is held against."""
FEW = 7
"""Nights of them that are needed: with fewer, any number is soon the largest."""
SHOWN = 6
"""Subjects that one entry spells out."""
SHORT = 12
"""Digits of a digest that are shown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: on which window, in what, from what to what, and where to look.

    ``before`` and ``after`` are words; either is empty where there is nothing to compare. ``at`` is when it became
    known, as ISO text, empty if only the window is known.
    """

    window: str
    matter: Matter
    what: str
    before: str = ""
    after: str = ""
    reference: str = ""
    at: str = ""

    @property
    def words(self) -> str:
        """The change in one line."""
        change = f": {self.before or 'none'} → {self.after}" if self.after else ""
        return f"{self.what}{change}"


def switched(matter: Matter, what: str, values: Mapping[str, str], reference: str = "") -> list[Entry]:
    """The windows on which something that is usually the same became another.

    Parameters
    ----------
    values : mapping of str to str
        By window; windows without a value are passed over. Fewer than two: no change is known.

    Examples
    --------
    >>> seen = {"2024-01-01": "a", "2024-01-02": "a", "2024-01-04": "b"}
    >>> [(e.window, e.words) for e in switched("config", "model file", seen)]
    [('2024-01-04', 'model file: a → b')]
    """
    windows = sorted(values)
    return [
        Entry(later, matter, what, _short(values[earlier]), _short(values[later]), reference.format(window=later))
        for earlier, later in pairwise(windows)
        if values[earlier] != values[later]
    ]


def unusual(matter: Matter, what: str, values: Mapping[str, float], reference: str = "") -> list[Entry]:
    """The windows on which a number left the range of the nights before it, and those on which it came back.

    Parameters
    ----------
    values : mapping of str to float
        By window; finite. Held against the `BEFORE` windows before, without those that were unusual themselves; of
        n exchangeable nights the next lies outside with a chance of 2 / (n + 1), so this is a hint and no proof.

    Examples
    --------
    >>> seen = [101, 108, 104, 102, 106, 103, 107, 105, 40, 105]
    >>> rows = {f"2024-01-{d:02}": float(n) for d, n in enumerate(seen, 1)}
    >>> [(e.window, e.words) for e in unusual("data", "rows", rows)]
    [('2024-01-09', 'rows: 101 to 108 → 40'), ('2024-01-10', 'rows: 40 → 105, as before')]
    """
    out: list[Entry] = []
    usual: list[float] = []
    odd = ""
    for window in sorted(values):
        value, recent = values[window], usual[-BEFORE:]
        where = reference.format(window=window)
        if len(recent) >= FEW and not min(recent) <= value <= max(recent):
            if not odd:
                span = f"{_number(min(recent))} to {_number(max(recent))}"
                out.append(Entry(window, matter, what, span, _number(value), where))
            odd = _number(value)
            continue
        if odd:
            out.append(Entry(window, matter, what, odd, f"{_number(value)}, as before", where))
        odd = ""
        usual.append(value)
    return out


def began(first: Mapping[str, str], matter: Matter, reference: str = "") -> list[Entry]:
    """What showed for the first time, by what it is: on which window. One entry a window, however many there are.

    Examples
    --------
    >>> [e.words for e in began({"price": "2024-01-02", "hue": "2024-01-02"}, "data")]
    ['drift begins: hue, price']
    """
    windows: dict[str, list[str]] = {}
    for name, window in sorted(first.items()):
        windows.setdefault(window, []).append(printable(name)[:60])
    out = []
    for window, names in sorted(windows.items()):
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        what = f"drift begins: {', '.join(names[:SHOWN])}{more}"
        out.append(Entry(window, matter, what, reference=reference.format(window=window)))
    return out


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries by window; on one window causes come before what they may have caused. Equal ones are one."""
    return sorted(dict.fromkeys(entries), key=lambda e: (e.window, ORDER.index(e.matter), e.at, e.what))


def _short(text: str) -> str:
    known = printable(text)
    digest = len(known) == 64 and all(c in "0123456789abcdef" for c in known)
    return known[:SHORT] if digest else known if len(known) <= 120 else known[:119] + "…"


def _number(x: float) -> str:
    return f"{x:,.0f}" if abs(x) >= 100 or x == int(x) else f"{x:.3g}"


__all__ = ["Entry", "Matter", "began", "in_order", "switched", "unusual"]
