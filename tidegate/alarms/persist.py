"""From findings to alarms: only what persists, once, to the right person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from tidegate.config.model import Model
from tidegate.verdicts import Alarm, Finding


def alarms_from(recent: Sequence[Finding], raised: Sequence[Alarm], window: str, model: Model) -> list[Alarm]:
    """Alarms of one window.

    A subject alarms when its monitor failed on this window and on `persistence` of the
    last `within` windows, unless it alarmed within `cooldown` of it. Statistics of one
    subject are one alarm. Drift without proven harm goes to the digest.

    Parameters
    ----------
    recent : sequence of Finding
        Those of other windows than the last `within` are left out.
    raised : sequence of Alarm
        The model's alarms so far. One of this very window is given again, so that a rerun
        changes nothing; one of a later window counts as any other, so that a restatement
        of the past raises nothing twice.
    """
    rules, today = model.monitors, date.fromisoformat(window)
    failed: dict[tuple[str, str], list[Finding]] = {}
    for finding in recent:
        if finding.outcome == "fail" and 0 <= (today - date.fromisoformat(finding.window)).days < rules.within:
            failed.setdefault((finding.monitor, finding.subject), []).append(finding)
    out = []
    for (monitor, subject), findings in failed.items():
        now = [f for f in findings if f.window == window]
        nights = sorted({f.window for f in findings})
        if not now or len(nights) < rules.persistence:
            continue
        others = [a.window for a in raised if (a.monitor, a.subject) == (monitor, subject) and a.window != window]
        if any(abs(today - date.fromisoformat(other)) < rules.cooldown for other in others):
            continue
        text = "; ".join(f"{f.statistic} {f.value:.3f} (limit {f.limit:.3f}), {f.reason}" for f in now)
        command = f"tidegate findings {model.name} {window} --subject {subject}"
        out.append(Alarm(window, monitor, subject, "digest", nights[0], f"{monitor} {subject}: {text}", command))
    return out
