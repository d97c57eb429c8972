"""What if: the stored findings judged again under another budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tidegate.adapters.detectors import Detectors
from tidegate.alarms.budget import budget_of
from tidegate.alarms.calibration import VERSION, Calibration
from tidegate.alarms.evidence import LOOK_BACK, excesses
from tidegate.alarms.incidents import Incident, Standing, rules_of
from tidegate.alarms.judge import judge
from tidegate.alarms.series import Series
from tidegate.config.model import Model
from tidegate.steps.scores import FINDINGS, scores_of_nights
from tidegate.steps.signals import fault_signal
from tidegate.steps.stores import Stores
from tidegate.verdicts import Alarm, Effect, Signal

Scored = dict[int, dict[Series, float]]
Known = dict[tuple[str, int], dict[tuple[str, ...], bool | None]]
UNASKED = "its effect was not worked out at the time"


@dataclass(frozen=True)
class WhatIf:
    """What a budget would have come to.

    ``pages`` and ``tickets``: alarms by the stored findings. ``perhaps``: further pages, had those effects been
    material that nobody worked out because the limits of the time were not passed.
    """

    budget: float
    nights: int
    certified_nights: int
    pages: int
    perhaps: int
    tickets: int
    alarms: tuple[Alarm, ...]


def whatif(stores: Stores, model: Model, budget: float | None = None) -> WhatIf:
    """Judge every stored night again with the limits of another budget (the model's own, if left out).

    The scores, effects and faults are those that were stored; mutes, freezes and what people did are left out.
    Proven harm, which no budget touches, is left out too.
    """
    share = budget_of(model, stores.project.models(), stores.project.platform) if budget is None else budget
    low, certified, nights = _judged(stores, model, share, material=False)
    high, _, _ = _judged(stores, model, share, material=True)
    pages, more = (sum(a.severity == "page" for a in found) for found in (low, high))
    tickets = sum(a.severity == "ticket" for a in low)
    return WhatIf(share, nights, certified, pages, max(more - pages, 0), tickets, tuple(low))


def _judged(stores: Stores, model: Model, budget: float, *, material: bool) -> tuple[list[Alarm], int, int]:
    rules = rules_of(model, stores.project.dataset(model.dataset), stores.project.platform)
    approved = (d for d in stores.detectors.all(model.name) if d.since)
    sets = {d.number: d for d in approved if d.body["version"] == VERSION}
    limits = {n: Calibration.from_dict(d.body).at(budget) for n, d in sets.items()}
    nights = [s.window for s in stores.lake.many("findings", model.name) if s.rows]
    scores = scores_of_nights(stores, model, nights)
    effects = _known(stores, model, nights)
    quality = stores.data_records.verdicts(model.dataset, "quality")
    alarms: list[Alarm] = []
    standing, certified = Standing(), 0
    every = sorted({*nights, *(n for n, v in quality.items() if not v.passed and nights and n >= nights[0])})
    for night in every:
        signals: list[Signal] = []
        if (verdict := quality.get(night)) is not None and not verdict.passed:
            signals.append(fault_signal(night, verdict))
        number = _in_force(sets, scores.get(night, {}), night)
        if number is not None:
            certified += limits[number].certified
            signals += _signals(limits[number], number, night, scores, effects, material)
        found = judge(signals, standing, rules, night)
        alarms += found.alarms
        standing = _after(standing, found.incidents, found.alarms, night)
    return alarms, certified, len(every)


def _in_force(sets: dict[int, Detectors], scores: Scored, night: str) -> int | None:
    """The number of the set that was in force on a night: approved before it, or else on it, the last one."""
    found = [n for n in scores if n in sets and (sets[n].since or "") <= night]
    return max(found, key=lambda n: ((sets[n].since or "") < night, sets[n].since or "", n), default=None)


def _signals(
    limits: Calibration,
    number: int,
    night: str,
    scores: dict[str, Scored],
    effects: Known,
    material: bool,
) -> list[Signal]:
    before = [n for n in sorted(scores) if n <= night and number in scores[n]][-LOOK_BACK:]
    track = np.array([[scores[n][number].get(s, np.nan) for s in limits.series] for n in before])
    out = []
    for e in excesses(limits, before, track):
        found, key = effects.get((night, number), {}), tuple(e.series.as_list())
        known = found.get(key)
        if key in found and known is None:
            continue  # below its margin
        effect = Effect(0.0, "", "" if known is not None else UNASKED, material if known is None else known)
        series, size = e.series, (e.score, math.nan, math.nan, e.score)
        told = Signal(night, series.monitor, series.subject, series.statistic, e.kind, *size, e.since, e.lasts, True)
        out.append(replace(told, effect=effect, certified=limits.certified))
    return out


def _known(stores: Stores, model: Model, nights: list[str]) -> Known:
    """What was found out at the time, by night and set: whether an effect was material, or too small to matter.

    A series that was past its limit and passed all the same was below its margin.
    """
    table = stores.lake.read("findings", model.name, nights)
    out: Known = {}
    if not set(FINDINGS.names) <= set(table.column_names):
        return out
    for row in table.select(["window", *FINDINGS.names]).to_pylist():
        series = (row["monitor"], row["subject"], row["statistic"], row["against"])
        past = abs(row["z"]) > row["limit"] or not math.isnan(row["total"])
        if row["material"] is not None or (past and row["outcome"] == "pass"):
            out.setdefault((row["window"], row["detectors"]), {})[series] = row["material"]
    return out


def _after(standing: Standing, changed: tuple[Incident, ...], alarms: tuple[Alarm, ...], night: str) -> Standing:
    """What is known on the next night."""
    incidents = {i.number: i for i in (*standing.incidents, *changed)}
    return replace(
        standing,
        incidents=tuple(incidents.values()),
        alarms=(*standing.alarms, *alarms),
        newest=night,
        next_number=max(incidents, default=0) + 1,
    )


__all__ = ["WhatIf", "whatif"]
