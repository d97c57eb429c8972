"""Decisions: what was decided on each night, of which options, and what each would have gained."""

from __future__ import annotations

from typing import Any

from tidegate.config.model import Model
from tidegate.decision.decide import ACTS
from tidegate.steps.decide import attempts_of
from tidegate.steps.stores import Stores


def decisions(
    stores: Stores, model: Model, first: str = "", last: str = "9999", *, every: bool = False
) -> list[dict[str, Any]]:
    """The nights on which options were weighed or something was decided, oldest first; with `every` all of them.

    Each has ``window``, ``action``, ``reason``, ``acts`` (whether it was carried out), ``options`` as they were
    weighed, and ``losing``: why each other action was not taken.
    """
    out = []
    for window, verdict in stores.records.verdicts(model.name, "decision").items():
        numbers = verdict.numbers
        told = numbers.get("options") or numbers["action"] in (*ACTS, "fix_data")
        if not first <= window <= last or not (every or told):
            continue
        out.append({
            "window": window,
            "action": numbers["action"],
            "reason": verdict.reasons[0],
            "acts": bool(numbers.get("acts", numbers["action"] in ACTS)),
            "options": numbers.get("options") or [],
            "losing": numbers["losing"],
        })  # fmt: skip
    return out


NEXT = {
    "retrain": "tidegate retrain {}",
    "recalibrate": "tidegate recalibrate {}",
    "move_threshold": "tidegate recalibrate {} --threshold-only",
    "roll_back": "tidegate lineage {}",
    "fix_data": "tidegate alarms {}",
}


def recommended(stores: Stores, model: Model) -> str:
    """What the newest weighing recommends and nobody has carried out, with the next command; else an empty string."""
    known = [d for d in decisions(stores, model) if d["action"] != "regate"]
    if not known or known[-1]["acts"] or known[-1]["action"] not in NEXT:
        return ""
    last = known[-1]
    if any(a.window.isoformat() >= last["window"] for a in attempts_of(stores, model)):
        return ""
    do = NEXT[last["action"]].format(model.name)
    return f"recommended on {last['window']}: {last['action']} ({last['reason']}). Next: {do}"
