"""From findings to alarms: only what persists, once, to the right person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

from tidegate.config.model import Model
from tidegate.verdicts import Alarm, Finding

SHOWN = 3
"""Subjects that an alarm spells out."""


def alarms_from(recent: Sequence[Finding], raised: Sequence[Alarm], window: str, model: Model) -> list[Alarm]:
    """Alarms of one window.

    A subject persists when its monitor failed on this window and on `persistence` of the
    last `within` windows. What persists in one monitor is one alarm, which names the
    subjects, the furthest from their limits first, unless that monitor alarmed within
    `cooldown`: thirty drifting columns are one thing to look at. Drift without proven harm
    goes to the digest.

    Parameters
    ----------
    recent : sequence of Finding
        Those of other windows than the last `within` are left out.
    raised : sequence of Alarm
        The model's alarms so far. One of this very window is given again, so that a rerun
        changes nothing; one of a later window counts as any other, so that a restatement
        of the past raises nothing twice.
    """
    rules, today = model.alarms, date.fromisoformat(window)
    failed: dict[tuple[str, str], list[Finding]] = {}
    for finding in recent:
        if finding.outcome == "fail" and 0 <= (today - date.fromisoformat(finding.window)).days < rules.within:
            failed.setdefault((finding.monitor, finding.subject), []).append(finding)
    lasting: dict[str, list[tuple[float, list[Finding], str]]] = {}
    for (monitor, _), findings in failed.items():
        now = [f for f in findings if f.window == window]
        nights = sorted({f.window for f in findings})
        if now and len(nights) >= rules.persistence:
            excess = max(abs(f.value) / f.limit if f.limit else math.inf for f in now)
            lasting.setdefault(monitor, []).append((excess, now, nights[0]))
    out = []
    for monitor, found in lasting.items():
        told_before = [a for a in raised if (a.monitor, a.window) == (monitor, window)]
        if told_before:
            # Restated rows may name other subjects: that is the same alarm, not another.
            out += told_before
            continue
        others = [a.window for a in raised if a.monitor == monitor]
        if any(abs(today - date.fromisoformat(other)) < rules.cooldown for other in others):
            continue
        found.sort(key=lambda entry: (-entry[0], entry[1][0].subject))
        told = [f for _, findings, _ in found for f in findings][:SHOWN]
        text = "; ".join(f"{f.subject} {f.statistic} {f.value:.3f} (limit {f.limit:.3f}), {f.reason}" for f in told)
        subject = ", ".join(findings[0].subject for _, findings, _ in found[:SHOWN])
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        since = min(first for _, _, first in found)
        command = f"tidegate findings {model.name} {window}"
        out.append(Alarm(window, monitor, subject + more, "digest", since, f"{monitor}: {text}{more}", command))
    return out
