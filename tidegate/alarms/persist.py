"""From findings to alarms: only what persists, once, to the right person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from tidegate.config.model import Model
from tidegate.verdicts import Alarm, Finding


def alarms_from(recent: Sequence[Finding], raised: Sequence[Alarm], window: str, model: Model) -> list[Alarm]:
    """Alarms of one window.

    A subject alarms when its monitor failed on this window and on `persistence` of the
    last `within` windows, unless it alarmed less than `cooldown` ago. Statistics of one
    subject are one alarm. Drift without proven harm goes to the digest.
    """
    rules = model.monitors
    out = []
    for monitor, subject in dict.fromkeys((f.monitor, f.subject) for f in recent if f.window == window and f.outcome == "fail"):
        failed = [f for f in recent if (f.monitor, f.subject) == (monitor, subject) and f.outcome == "fail"]
        nights = sorted({f.window for f in failed})
        last = max((a.window for a in raised if (a.monitor, a.subject) == (monitor, subject) and a.window < window), default=None)
        quiet = last is None or date.fromisoformat(window) - date.fromisoformat(last) >= rules.cooldown
        if len(nights) < rules.persistence or not quiet:
            continue
        now = [f for f in failed if f.window == window]
        text = "; ".join(f"{f.statistic} {f.value:.3f} (limit {f.limit:.3f}), {f.reason}" for f in now)
        out.append(Alarm(window, monitor, subject, "digest", nights[0], f"{monitor} {subject}: {text}",
                         f"tidegate findings {model.name} {window} --subject {subject}"))
    return out
