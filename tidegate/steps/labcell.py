"""One cell of the lab: a fault of one size on some nights, what every rule says of them, and what it really cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tidegate.alarms.history import RECENT, WEEKDAYS, later_history
from tidegate.alarms.own import losses, own_profile
from tidegate.alarms.series import Series
from tidegate.lab.catalogue import FAULTS, SIZES, LabFault
from tidegate.lab.plan import Plan
from tidegate.lab.realised import row_values, with_fault
from tidegate.lab.rules import Column
from tidegate.performance.constant import constant_scores
from tidegate.performance.tally import Tally
from tidegate.profile.grid import Grid
from tidegate.profile.profile import Profile, profile_of
from tidegate.steps.laborder import Order, View
from tidegate.steps.labtrial import Floats, columns_of, model_columns
from tidegate.steps.observe import LOSS, own_of
from tidegate.steps.trial import scored_rows, weekdays

NIGHTS, SLOW = 7, 14
"""Nights from the onset within which a page counts, of a sudden and of a slow fault."""
BEFORE = 28
"""Nights of the order before an onset, at least: the yardsticks of the weekdays need them."""

Told = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Onset:
    """Where a seed's faults begin, and what each is about."""

    seed: int
    start: int
    lab: int

    def rng(self, fault: LabFault, *more: int) -> np.random.Generator:
        return np.random.default_rng([self.lab, self.seed, FAULTS.index(fault), *more])


def onset(order: Order, lab: int, seed: int, longest: int) -> Onset:
    """The first night of all faults of a seed; `longest`: nights that must follow."""
    start = np.random.default_rng([lab, seed]).integers(BEFORE, len(order.dates) - longest + 1)
    return Onset(seed, int(start), lab)


def plan_of(order: Order, fault: LabFault, at: Onset) -> Plan | None:
    """Drawn from the night before the onset; the same for every size."""
    base = order.base
    frame = base.frame(order.night(at.start - 1))
    return fault.plan(frame, base.types, "label", at.rng(fault, 1), base.importance)


def cell(order: Order, fault: LabFault, size: int, plan: Plan, at: Onset, delays: tuple[int, ...]) -> dict[str, Any]:
    """A line of the lab: the harm, and by delay and rule what the rule says on each night that may tell of the fault.

    What a rule says of the same nights without the fault is in the order's history.
    """
    began = time.process_time()
    nights = SLOW if fault.slow else NIGHTS
    changed: dict[int, View] = {}
    told: dict[int, Told] = {}
    sums = np.zeros(4)
    for k in range(nights):
        position = at.start + k
        plain = order.base.frame(order.night(position))
        frame = fault.apply(plain, plan, fault.magnitudes[size], k, at.rng(fault, 2, k))
        changed[position], told[position], values = _changed(order, position, plain, frame, fault.of, changed)
        sums += values
    harm = (sums[0] / max(sums[1], 1) - sums[2] / max(sums[3], 1)) / abs(order.split.usual_worth)
    line: dict[str, Any] = {
        "kind": "cell", "fault": fault.name, "size": SIZES[size], "seed": at.seed, "order": order.k, "start": at.start,
        "about": plan.words, "harm": round(float(harm), 6), "held": {},
    }  # fmt: skip
    for delay in delays:
        late = delay if fault.of == "labels" else 0
        line["held"][str(delay)] = {"late": late} | _held(order, at.start + late, nights, changed, told, delay)
    return line | {"cpu_s": round(time.process_time() - began, 3)}


def _held(
    order: Order, first: int, nights: int, changed: Mapping[int, View], told: Mapping[int, Told], delay: int
) -> dict[str, list[float]]:
    scores = order.scores.copy()
    for p, view in changed.items():
        scores[p] = order.limits.scores(view.values[None], weekdays([view.date]))[0]
    known = order.known(scores, delay)
    views = {p: changed.get(p) or View(order, p, before=changed) for p in range(first, first + nights)}
    numbers = {"tidegate": order.own_numbers(views, known, delay)}
    every = [told.get(p) or order.told[p] for p in range(first + nights)]
    numbers |= order.rule_numbers(every, first, delay)
    return {rule: [round(float(v), 4) for v in n] for rule, n in numbers.items()}


def _changed(
    order: Order, position: int, plain: pd.DataFrame, frame: pd.DataFrame, of: str, before: dict[int, View]
) -> tuple[View, Told, Floats]:
    """A night under a fault, what the rules of the trade see of it, and sums of values: without, rows, with, rows."""
    base, trial, night = order.base, order.trial, order.night(position)
    clean, usual = order.rows(position), order.clean_scores(position)
    moved = len(frame) != len(plain) or not frame.index.equals(plain.index)
    touched = [str(c) for c in frame if moved or not frame[c].equals(plain[c])]
    rows = _table(clean, frame, touched, moved)
    scores = usual if of == "labels" else base.score(night, rows)
    values = order.values[position].copy()
    found: dict[Series, float] = {}
    profiles: Mapping[str, Profile] | None = None
    columns: dict[str, Column] = {}
    if of == "rows":
        found, profiles = _features(order, position, rows, [c for c in touched if c in base.types], before)
        columns = columns_of(rows, {c: base.types[c] for c in touched if c in base.types})
    told_own, own = _own(order, night, rows, scores, of)
    found |= told_own
    columns |= model_columns(rows, scores, trial.model.kind)
    anew = ("label", "performance") if of == "labels" else ("prediction", "label", "performance")
    for j, series in enumerate(order.limits.series):
        # What is looked at anew and has too few rows now says nothing; it does not say what it said before.
        if series.monitor in anew or (series.monitor == "feature" and series.subject in touched):
            values[j] = found.get(series, np.nan)
        elif moved and series.monitor == "volume":
            values[j] += np.log(max(len(frame), 0.5) / max(len(plain), 1))
    tally = order.tally(scores, rows) if rows.num_rows else Tally({}, order.tallies[0].hist, order.tallies[0].confusion)
    view = View(
        order, position, values=values, rows=rows, scores=scores, profiles=profiles, own=own, before=before, tally=tally
    )
    told = {rule: dict(by) for rule, by in order.told[position].items()}
    for rule, by in order.columns_told(columns).items():
        told[rule] |= by
    return view, told, _sums(order, plain, frame, usual, scores)


def _table(clean: pa.Table, frame: pd.DataFrame, touched: list[str], moved: bool) -> pa.Table:
    if moved:
        wanted = clean.select(list(frame.columns)).schema
        return pa.Table.from_pandas(frame, schema=wanted, preserve_index=False).replace_schema_metadata(None)
    for name in touched:
        kind = clean.schema.field(name).type
        new = pa.chunked_array([pa.array(frame[name], type=kind, from_pandas=True)])
        clean = clean.set_column(clean.column_names.index(name), pa.field(name, kind), new)
    return clean


def _features(
    order: Order, position: int, rows: pa.Table, touched: list[str], before: Mapping[int, View]
) -> tuple[dict[Series, float], dict[str, Profile]]:
    """The values of the touched features; and the profiles by date with those of the fault's nights."""
    split, date = order.split, order.dates[position]
    names = [c for c in touched if c in split.reference.grid.axes]
    past = dict(split.profiles) | {view.date: view.profiles[view.date] for view in before.values()}
    if not names:
        return {}, past
    on = Grid({c: split.reference.grid.axes[c] for c in names}, split.reference.grid.max_categories)
    new = profile_of(rows.select(names), on)
    whole = past[date]
    past[date] = Profile(whole.grid, {**whole.columns, **new.columns})
    back = range(max(RECENT, 7 * WEEKDAYS) + 1)
    every = list(split.order)
    at = every.index(date)
    near = {d: _part(past[d], on) for d in (every[at - k] for k in back if at >= k)}
    told = later_history("feature", _part(split.reference, on), near, [date], names, yardstick=True)
    return told[date], past


def _part(profile: Profile, on: Grid) -> Profile:
    return Profile(on, {c: profile.columns[c] for c in on.axes})


def _own(
    order: Order, night: str, rows: pa.Table, scores: Floats, of: str
) -> tuple[dict[Series, float], dict[str, Profile]]:
    """The values of the model's own columns and of what came true, and their profiles."""
    trial, split = order.trial, order.split
    found: dict[Series, float] = {}
    profiles: dict[str, Profile] = {}
    if not rows.num_rows:
        return found, profiles
    outcomes = scored_rows(trial, night, rows, scores)
    for monitor in ("label",) if of == "labels" else ("prediction", "label"):
        own = own_of(trial.model, trial.package, monitor, outcomes)
        profiles[monitor] = own_profile(own, trial.grids[monitor])
        axes = set(trial.grids[monitor].axes)
        found |= later_history(monitor, split.own_reference[monitor], {night: profiles[monitor]}, [night], axes)[night]
        if monitor == "label":
            found |= losses(own, split.usual, LOSS[trial.model.kind])
    return found, profiles


def _sums(order: Order, plain: pd.DataFrame, frame: pd.DataFrame, usual: Floats, scores: Floats) -> Floats:
    model, cut = order.trial.model, order.threshold
    label = plain["label"].to_numpy(dtype=np.float64)
    # Without a score nothing is done: a binary model's row counts as negative, others get the best constant.
    constant = constant_scores(model, order.split.outcomes["label"].to_numpy())[:1]
    if model.kind == "binary" and model.kpi.priced:
        constant = np.full(1, -np.inf)
    none = np.repeat(constant, len(label), axis=0)
    without = row_values(model, usual, label, cut)
    faulty = row_values(model, scores, frame["label"].to_numpy(dtype=np.float64), cut)
    paid, rows = with_fault(frame.index.to_numpy(), faulty, row_values(model, none, label, cut))
    return np.array([np.nansum(without), np.isfinite(without).sum(), paid, rows])
