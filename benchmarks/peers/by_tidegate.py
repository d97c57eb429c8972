"""Tidegate: a profile of each file on a grid fitted to the reference, and the findings at the default margins."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from answer import Verdicts, answer


def imports() -> None:
    pass


def judge(asked: Namespace) -> Verdicts:
    from tidegate.drift.findings import findings_of

    from tidegate.adapters.profiling import profile_files
    from tidegate.config.model import Monitors
    from tidegate.drift.compare import compare

    limits = Monitors()
    reference = profile_files([Path(asked.reference)])
    current = profile_files([Path(asked.current)], like=reference.grid)
    drifts = compare(reference, current, confidence=float(limits.confidence))
    out: dict[str, bool | str] = {d.column: False for d in drifts}
    for finding in findings_of("window", "feature", drifts, limits):
        if finding.outcome == "fail":
            out[finding.subject] = True
    return out


answer(imports, judge)
