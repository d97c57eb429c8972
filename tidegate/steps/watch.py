"""Watch: a window's values → findings → what is past its limits, what it costs → alarms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache

import numpy as np
import pyarrow as pa

from tidegate.adapters.detectors import Detectors
from tidegate.adapters.packages import Loaded
from tidegate.alarms.calibration import VERSION, Calibration
from tidegate.alarms.cause import causes
from tidegate.alarms.evidence import Excess, Floats, excesses
from tidegate.alarms.incidents import rules_of
from tidegate.alarms.series import Series
from tidegate.config.model import Model
from tidegate.decision.effect import effect_of_loss
from tidegate.decision.harm import Harm
from tidegate.performance.tally import total
from tidegate.steps.calibrate import ensure_limits
from tidegate.steps.decide import decay, labelled_nights
from tidegate.steps.effect import Night, night_of, usual_worth, worth
from tidegate.steps.harms import record_harms
from tidegate.steps.measure import matured, nightly_tallies
from tidegate.steps.observe import Observed, observe
from tidegate.steps.score import scored_by
from tidegate.steps.scores import FINDINGS, past_scores
from tidegate.steps.service import service_signals
from tidegate.steps.signals import drift_words, fault_signal, gap_signal, harm_signal, signal_of, size_of
from tidegate.steps.skew import skew_signals
from tidegate.steps.stores import Stores
from tidegate.verdicts import Alarm, Cause, Finding, Outcome, Signal
from tidegate.windows import Window

ASKED = 12
"""Signals a night whose effect is worked out, the furthest past their limits first."""
UNKNOWN = 14.0
OTHER = "the limits are those of other monitors. Next: tidegate detectors propose {}"


def watch(stores: Stores, model: Model, window: Window, now: datetime) -> list[Alarm]:
    """Store the window's findings, judge what they come to with its quality and matured harm, keep the alarms.

    A window that was judged before keeps its alarms: restated data changes findings, and pages nobody.
    """
    quality = stores.data_records.verdict(model.dataset, "quality", window.id)
    champion = scored_by(stores, model, window) or stores.champion(model.name)
    signals: list[Signal] = []
    harms: dict[str, tuple[Cause, Harm]] = {}
    if quality is not None and not quality.passed:
        signals.append(fault_signal(window.id, quality))
    elif quality is not None and champion is not None:
        found, harms = _drift(stores, model, champion, window, now)
        signals += found
    signals += _harm(stores, model, window)
    signals += [*service_signals(stores, model, window), *skew_signals(stores, model, window)]
    platform = stores.project.platform
    rules = rules_of(model, stores.project.dataset(model.dataset), platform)
    record_harms(stores, model, window, signals, harms, now)
    freezes = platform.freezes
    return stores.incidents.night(signals, rules, window.id, owner=model.owner, freezes=freezes, known_at=now)


def _drift(
    stores: Stores, model: Model, champion: tuple[int, Loaded], window: Window, now: datetime
) -> tuple[list[Signal], dict[str, tuple[Cause, Harm]]]:
    """Findings of every running set of limits are stored; the active one's make signals, with what they cost."""
    package = champion[1]
    seen = observe(stores, model, package, window)
    running = ensure_limits(stores, model, champion, window, now)
    # Read when the first set has something to ask, and once.
    night = cache(lambda: night_of(stores, model, champion, seen, window))
    sets = [_Set(stores, model, d, seen, window) for d in running if d.body["version"] == VERSION]
    told = [s.signals(champion[1], night) for s in sets]
    found = [f for s, t in zip(sets, told, strict=True) for f in s.findings(package, t)]
    if not sets:
        why = "nothing is calibrated: too few nights of reference"
        found = _uncalibrated(seen, window, package, OTHER.format(model.name) if running else why)
    table = pa.Table.from_pylist([{k: getattr(f, k) for k in FINDINGS.names} for f in found], schema=FINDINGS)
    stores.lake.put("findings", model.name, window.id, table, now)
    active = [(s, t) for s, t in zip(sets, told, strict=True) if s.detectors.since]
    return [signal for _, t in active for signal in t.values()], {k: v for s, _ in active for k, v in s.harms.items()}


class _Set:
    """One set of limits on one night."""

    def __init__(self, stores: Stores, model: Model, detectors: Detectors, seen: Observed, window: Window) -> None:
        self.stores, self.model, self.detectors, self.seen, self.window = stores, model, detectors, seen, window
        self.limits = Calibration.from_dict(detectors.body)
        self.tonight = _scores(self.limits, seen, window)
        nights, past = past_scores(stores, model, self.limits, detectors.number, window)
        self.past_limit = excesses(self.limits, [*nights, window.id], np.vstack([past, self.tonight]))
        self.harms: dict[str, tuple[Cause, Harm]] = {}

    def signals(self, package: Loaded, night: Callable[[], Night]) -> dict[Excess, Signal]:
        """What is past its limit and surely above its margin, with what it costs where that lasts."""
        effect = _design_effect(package)
        out: dict[Excess, Signal] = {}
        for excess in self.past_limit:
            size = size_of(excess.series, self.value(excess), self.seen.pairs, self.model.monitors, effect)
            if size.matters:
                out[excess] = signal_of(self.window.id, excess, size, None, certified=self.limits.certified)
        lasting = [e for e in out if e.lasts][:ASKED]
        if lasting and (self.detectors.since or self.limits.certified):
            cause_of = dict(zip(out, self._causes(list(out.values())), strict=True))
            for e in lasting:
                harm = night().harm(e.series, self.value(e), cause_of[e], e.since)
                if harm is not None:
                    out[e] = replace(out[e], effect=harm.effect)
                    self.harms[out[e].key] = (cause_of[e], harm)
        return out

    def _causes(self, signals: list[Signal]) -> list[Cause]:
        """The suspected causes, as those who are told will be told them."""
        dataset = self.stores.project.dataset(self.model.dataset)
        rules = rules_of(self.model, dataset, self.stores.project.platform)
        known = self.stores.incidents.standing(rules, self.window.id).incidents
        return causes(signals, rules.features, {k: i.cause for i in known if i.status != "closed" for k in i.keys})

    def value(self, excess: Excess) -> float:
        return _value(self.seen, excess.series)

    def findings(self, package: Loaded, told: Mapping[Excess, Signal]) -> list[Finding]:
        """A finding for each series; it fails when it is among what is told."""
        failed = {e.series for e in told}
        material = {e.series: s.effect.material for e, s in told.items() if s.effect is not None and s.effect.estimable}
        totals = {e.series: e.score for e in self.past_limit if e.kind == "gradual"}
        out = []
        for series, z in zip(self.limits.series, self.tonight.tolist(), strict=True):
            outcome: Outcome = "inconclusive" if math.isnan(z) else "fail" if series in failed else "pass"
            limits = (z, self.limits.sudden, totals.get(series, math.nan), self.limits.gradual)
            one = _finding(self.seen, self.window, package, series, limits, outcome, self.detectors.number)
            out.append(replace(one, material=material.get(series)))
        return out


def _uncalibrated(seen: Observed, window: Window, package: Loaded, why: str) -> list[Finding]:
    nothing = (math.nan, math.nan, math.nan, math.nan)
    series = sorted({*seen.today, *seen.matured})
    return [replace(_finding(seen, window, package, s, nothing, "inconclusive", 0), reason=why) for s in series]


def _finding(
    seen: Observed,
    window: Window,
    package: Loaded,
    series: Series,
    limits: tuple[float, float, float, float],
    outcome: Outcome,
    detectors: int,
) -> Finding:
    effect = float(package.spec.get("design_effect") or math.nan)
    drift = next((d for d in seen.drifts.get((series.monitor, series.against), ()) if d.column == series.subject), None)
    n = drift.n if drift else 0
    reason = drift_words(drift) if drift and series.statistic == "shape" else ""
    return Finding(
        window.id, series.monitor, series.subject, series.statistic, series.against, _value(seen, series), *limits,
        outcome, n, n / effect, detectors, reason,
    )  # fmt: skip


def _design_effect(package: Loaded) -> float:
    """The champion's design effect, or where it is not known what nights commonly have (ADR 3)."""
    found = float(package.spec.get("design_effect") or math.nan)
    return found if math.isfinite(found) else UNKNOWN


def _value(seen: Observed, series: Series) -> float:
    return seen.today.get(series, seen.matured.get(series, math.nan))


def _scores(limits: Calibration, seen: Observed, window: Window) -> Floats:
    """Tonight's standard scores, shape (series,); what matured is held against its own weekday."""
    out = np.full(len(limits.series), np.nan)
    for values, day in ((seen.today, window.date.weekday()), (seen.matured, seen.event.date.weekday())):
        row = np.array([[values.get(s, np.nan) for s in limits.series]])
        scores = limits.scores(row, np.array([day]))[0]
        out = np.where(np.isnan(scores), out, scores)
    return out


def _harm(stores: Stores, model: Model, window: Window) -> list[Signal]:
    """Decay of the champion that is proven on matured labels."""
    champion = stores.champion(model.name)
    if champion is None:
        return []
    nights = labelled_nights(stores, model, window)
    verdict = decay(stores, model, champion, nights)
    gap = _gap(stores, model, champion, window, proven=verdict.outcome == "fail")
    if verdict.outcome != "fail":
        return gap
    unseen = [n for n in nights if n > champion[1].spec["trained"][-1]][-model.retrain.decay_nights :]
    return [harm_signal(window.id, unseen[0], verdict), *gap]


def _gap(stores: Stores, model: Model, champion: tuple[int, Loaded], window: Window, *, proven: bool) -> list[Signal]:
    """The signal of outcomes that stay worse than the champion's estimates."""
    event = matured(stores, model, window)
    verdict = stores.records.verdict(model.name, "gap", event.id)
    if verdict is None or verdict.outcome != "fail" or verdict.numbers["version"] != champion[0]:
        return []
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    since = [w.id for w in calendar.range(verdict.numbers["since"], event.id)]
    tallies = nightly_tallies(stores, model, since[-model.decision.nights :], champion[0])
    usual, least = usual_worth(model, champion[1]), model.alarms.min_effect
    effect = effect_of_loss(model, worth(model, total(list(tallies.values()))), usual, least) if tallies else None
    return [gap_signal(window.id, verdict, model.monitors.confidence, effect, proven=proven)]


__all__ = ["watch"]
