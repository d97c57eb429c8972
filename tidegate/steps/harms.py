"""Harms: what a night's signals cost, kept as one verdict of the window for the decision to read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tidegate.config.model import Model
from tidegate.decision.effect import PER_ROW
from tidegate.decision.harm import Harm
from tidegate.steps.stores import Stores
from tidegate.verdicts import Cause, Effect, Outcome, Signal, Verdict
from tidegate.windows import Window

KIND = "harm"
SHOWN = 3
"""Reasons that the verdict spells out, the costliest."""


def record_harms(
    stores: Stores,
    model: Model,
    window: Window,
    signals: Sequence[Signal],
    harms: Mapping[str, tuple[Cause, Harm]],
    now: datetime,
) -> None:
    """Store the verdict ``harm`` of a window on which anything was worth judging; on a quiet night there is none.

    ``harms``: by the signal's key its suspected cause and what it costs by every reading. Signals without (faults,
    matured harm) give their effect.
    """
    found = [s for s in signals if s.worse and s.persistent and (s.effect is not None or s.key in harms)]
    if not found:
        return
    entries = []
    for s in found:
        cause, harm = harms.get(s.key, ("", None))
        readings = harm.readings if harm else (s.effect,)
        entries += [_entry(s, cause, harm, r) for r in readings if r is not None]
    stores.records.put_verdict(model.name, KIND, window.id, _verdict(found, entries), now)


def _verdict(signals: Sequence[Signal], entries: list[dict[str, Any]]) -> Verdict:
    effects = [s.effect for s in signals if s.effect is not None]
    outcome: Outcome = "pass"
    if any(e.material for e in effects):
        outcome = "fail"
    elif any(not e.estimable for e in effects):
        outcome = "inconclusive"
    order = sorted(entries, key=lambda e: (not e["counts"], not e["material"], not e["estimable"], -_size(e)))
    told = dict.fromkeys(f"{e['subject']}: {e['words']}" for e in order)
    return Verdict(outcome, tuple(told)[:SHOWN], {"harms": order})


def _entry(signal: Signal, cause: Cause | str, harm: Harm | None, reading: Effect) -> dict[str, Any]:
    per_row = reading.unit.endswith(PER_ROW) and harm is not None and reading.estimable
    a_night = reading.value * harm.rows if per_row and harm else math.nan
    counts = harm is None or reading.kind == harm.effect.kind
    return {
        "subject": signal.subject, "monitor": signal.monitor, "statistic": signal.statistic, "signal": signal.kind,
        "cause": cause, "kind": reading.kind, "value": _known(reading.value), "low": _known(reading.low),
        "high": _known(reading.high), "unit": reading.unit, "per_night": _known(a_night),
        "horizon": _known(a_night * harm.nights if harm else math.nan), "estimable": reading.estimable,
        "material": reading.material, "benign": reading.benign, "counts": counts,
        "words": harm.words(reading) if harm else reading.words,
    }  # fmt: skip


def _known(value: float) -> float | None:
    """A number for JSON; None for what is not known."""
    return float(value) if math.isfinite(value) else None


def _size(entry: Mapping[str, Any]) -> float:
    return float(entry["value"] or 0.0)
