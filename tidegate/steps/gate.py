"""Gate: six checks of a candidate on the evening of a window, and the document that says what they found."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import numpy as np

from tidegate.errors import SourceError
from tidegate.gate.calibrated import calibrated
from tidegate.gate.curves import curves
from tidegate.gate.error import share, spent_in_year
from tidegate.gate.evidence import document
from tidegate.gate.judged import Judged
from tidegate.gate.line import Check, overall
from tidegate.gate.mitigation import offered
from tidegate.gate.performance import first_performance, performance
from tidegate.gate.segments import segments
from tidegate.performance.blocks import cut
from tidegate.steps.bearing import bearing
from tidegate.steps.case import Case
from tidegate.steps.explain import explanations
from tidegate.steps.holdout import HoldOut, against_baseline, hold_out, kept_by
from tidegate.steps.servable import servable
from tidegate.verdicts import Verdict

SEED = 20
"""Of every random draw of a gate, with the version: the same look gives the same evidence."""


@dataclass(frozen=True)
class Gated:
    """What one look came to: verdict, checks, the evidence as plain values, and the labelled rows, if any."""

    verdict: Verdict
    checks: tuple[Check, ...]
    document: Mapping[str, Any]
    judged: Judged | None


T = TypeVar("T")


@dataclass
class _Timed:
    """Runs the parts of a gate: each timed, and a model that gives no scores is a verdict, not a trace."""

    seconds: dict[str, float] = field(default_factory=dict)

    def check(self, name: str, make: Callable[[], Check]) -> Check:
        try:
            return self.part(name, make)
        except SourceError as fault:
            return Check(name, Verdict("fail", (str(fault),)))

    def part(self, name: str, make: Callable[[], T]) -> T:
        start = time.perf_counter()
        try:
            return make()
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 2)


def gate(case: Case, now: datetime) -> Gated:
    """One look at a candidate.

    What the look may spend of the year's error is in the ledger of looks before a label is looked at.
    """
    timed, model = _Timed(), case.model
    hold = timed.part("hold-out", lambda: hold_out(case))
    error = _error(case, hold if isinstance(hold, HoldOut) else None, now)
    checks = _on_rows(case, hold, timed, error["this_look"])
    rng = np.random.default_rng([SEED, case.version])
    rows = hold if isinstance(hold, HoldOut) else None
    checks.append(timed.check("robustness", lambda: bearing(case, rows, rng)))
    checks.append(
        timed.check("servability", lambda: servable(case.stores, model, case.version, case.package, case.window))
    )
    shown: dict[str, Any] = {}
    if rows is not None:
        shown["curves"] = timed.part("curves", lambda: curves(model, rows.judged))
        shown["explanations"] = timed.part(
            "explanations", lambda: explanations(model, case.dataset, case.package, rows.rows, rng)
        )
    verdict, first = overall(checks), checks[0]
    nights = rows.judged.nights() if rows else []
    made = document(
        model=model,
        version=case.version,
        against=case.champion[0] if case.champion else None,
        window=case.window.id,
        at=now.isoformat(),
        look=case.look,
        checks=checks,
        verdict=verdict,
        n=first.n,
        n_eff=first.n_eff,
        design_effect=first.n / first.n_eff if first.n_eff else math.nan,
        blocks=int(first.extra.get("blocks", 0)),
        nights=(nights[0], nights[-1]) if nights else None,
        error=error,
        shown=shown,
        spec=case.package.spec,
        digest=case.package.digest,
        seconds=timed.seconds,
    )
    return Gated(verdict, tuple(checks), made, rows.judged if rows else None)


def _on_rows(case: Case, hold: HoldOut | Verdict, timed: _Timed, taken: float) -> list[Check]:
    """The four checks that need labelled rows."""
    if isinstance(hold, Verdict):
        return [Check(name, hold) for name in ("performance", "segments", "calibration", "fairness")]
    model, judged, look, first = case.model, hold.judged, case.look, case.champion is None

    def judge() -> Check:
        if first:
            base = against_baseline(case)
            return first_performance(model, judged, base.judged if base else None)
        same = kept_by(case)
        return performance(model, judged, look=look, spent=_others(case), window=case.window.id, taken=taken, same=same)

    return [
        timed.check("performance", judge),
        timed.check("segments", lambda: segments(model, judged, look=look)),
        timed.check("calibration", lambda: calibrated(model, judged, look=look, first=first)),
        timed.check("fairness", lambda: offered(model, judged, look)),
    ]


def _error(case: Case, hold: HoldOut | None, now: datetime) -> dict[str, float]:
    """What this look may spend, written down; one on too few nights, or at a first model, spends nothing."""
    gate, spent, this = case.model.gate, spent_in_year(_others(case), case.window.id), 0.0
    nights = hold.judged.nights() if hold else []
    if case.champion and len(cut(nights, gate.block_nights)) >= gate.min_blocks and case.look <= gate.looks:
        this = share(gate, case.model.retrain.max_per_year, case.look, spent)
    if nights:
        ledger, at = case.stores.looks, (case.version, case.look, case.window.id)
        look = ledger.take(case.model.name, case.model.owner, *at, this, nights, now, year=gate.error_per_year)
        this = min(this, look.error)
    left = max(0.0, gate.error_per_year - spent - this)
    return {"year": gate.error_per_year, "spent": spent, "this_look": this, "left": left}


def _others(case: Case) -> list[tuple[str, float]]:
    """The year's other looks: the evening and the error of each."""
    taken = case.stores.looks.year(case.model.name, case.window.id)
    return [(k.window, k.error) for k in taken if (k.version, k.look) != (case.version, case.look)]
