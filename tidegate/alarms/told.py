"""What a group has been told of an incident, and what it would have to be woken for once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from tidegate.alarms.severity import LOUDNESS, Graded
from tidegate.verdicts import Severity, Signal


@dataclass(frozen=True, slots=True)
class Told:
    """What one group knows of one incident.

    ``severity`` is the loudest that it was told, ``paged`` the newest window it was woken on, ``keys`` the
    signals it was woken for, ``fault`` the newest window of the run of faults it was woken for.
    """

    severity: Severity = "digest"
    paged: str = ""
    keys: tuple[str, ...] = ()
    fault: str = ""


def unheard(told: Told, found: Sequence[Graded], window: str, before: str, rest: int) -> list[Graded]:
    """Those of a night's signals that page and that a group which was woken already has not heard of.

    A fault is news on the first window of a run: not when the window judged before this one, or a newer one, was
    a fault that the group was woken for. Any other signal is news once, and waits until the group has had
    `rest` nights since it was last woken; if it is gone by then it is not told.

    Parameters
    ----------
    before : str
        The window that was judged before this one; empty if there is none.
    rest : int
        Nights, at least 1.

    Returns
    -------
    list of Graded
        In the order of `found`; empty if nothing pages.
    """
    rested = not told.paged or days(told.paged, window) >= rest

    def news(signal: Signal) -> bool:
        return not in_run(told, window, before) if signal.kind == "fault" else rested and signal.key not in told.keys

    return [g for g in found if g.severity == "page" and news(g.signal)]


def in_run(told: Told, window: str, before: str) -> bool:
    """Whether a fault on a window belongs to the run of faults that a group was woken for."""
    return bool(told.fault) and told.fault >= (before or window)


def after(told: Told, found: Sequence[Graded], window: str, severity: Severity) -> Told:
    """What a group knows once it was told of a night's signals; only a page makes it know what pages."""
    loudest = max(told.severity, severity, key=lambda s: LOUDNESS[s])
    if severity != "page":
        return replace(told, severity=loudest)
    loud = [g.signal for g in found if g.severity == "page"]
    return Told(
        severity=loudest,
        paged=max(told.paged, window),
        keys=tuple(dict.fromkeys([*told.keys, *(s.key for s in loud)])),
        fault=max(told.fault, window) if any(s.kind == "fault" for s in loud) else told.fault,
    )


def days(earlier: str, later: str) -> int:
    """Days from one window to another."""
    return (date.fromisoformat(later) - date.fromisoformat(earlier)).days
