"""Observe: one night's values of every watched series, and those of the nights a champion learned from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa

from tidegate.adapters.packages import Loaded, cached_by_package
from tidegate.alarms.history import RECENT, WEEKDAYS, drift_history, rows_history, yardsticks
from tidegate.alarms.own import (
    FEW,
    Own,
    losses,
    own_grid,
    own_profile,
    segment_masks,
    usual_losses,
    watched_segments,
)
from tidegate.alarms.series import Series, drift_series, rows_series
from tidegate.config.dataset import Dataset
from tidegate.config.model import Model
from tidegate.drift.compare import Drift, compare
from tidegate.performance.loss import row_loss
from tidegate.profile.grid import Grid
from tidegate.profile.profile import Profile
from tidegate.profile.table import from_table
from tidegate.steps.ingest import frozen_grid
from tidegate.steps.measure import matured
from tidegate.steps.outcomes import join, labels_of
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores
from tidegate.windows import Window

LOSS = {"binary": "log loss", "multiclass": "log loss", "regression": "absolute error"}
KEPT = 64


@dataclass(frozen=True)
class Observed:
    """The values of a night: of the window itself, and of the event window whose labels matured.

    ``drifts``: the comparisons behind them, and ``pairs``: yardstick and night, by monitor and yardstick.
    """

    today: Mapping[Series, float]
    matured: Mapping[Series, float]
    event: Window
    drifts: Mapping[tuple[str, str], list[Drift]] = field(default_factory=dict)
    pairs: Mapping[tuple[str, str], tuple[Profile, Profile]] = field(default_factory=dict)


def observe(stores: Stores, model: Model, package: Loaded, window: Window) -> Observed:
    """What the monitors see on one night, against the reference of the champion that scored it."""
    dataset = stores.project.dataset(model.dataset)
    calendar = stores.project.calendar(dataset)
    today: dict[Series, float] = {}
    late: dict[Series, float] = {}
    drifts: dict[tuple[str, str], list[Drift]] = {}
    pairs: dict[tuple[str, str], tuple[Profile, Profile]] = {}
    back = {calendar.shift(window, -k).id for k in range(1, RECENT + 1)}
    back |= {calendar.shift(window, -7 * k).id for k in range(1, WEEKDAYS + 1)}
    profiles = stored_profiles(stores, dataset, sorted({window.id, *back}), model.features)
    if window.id in profiles:
        current = profiles[window.id]
        champion = _reference(package, frozen_grid(stores, dataset), model.features)
        past = {"champion": champion, **yardsticks(window.id, profiles)}
        for name, yardstick in past.items():
            found = compare(yardstick, current)
            today |= drift_series("feature", yardstick, current, model.features, name, found)
            drifts["feature", name] = [d for d in found if d.column in model.features]
            pairs["feature", name] = (yardstick, current)
        usual = [
            s.rows
            for s in stores.data.many("batches", dataset.name, sorted(back))
            if _weekday(s.window) == window.date.weekday()
        ]
        stored = stores.data.stored("batches", dataset.name, window.id)
        today |= rows_series(stored.rows if stored else 0, usual)
    rows = stores.lake.read("inferences", model.name, [window.id])
    if rows.num_rows:
        _compare_own(model, package, _prediction(model, package, rows), today, drifts, pairs)
    event = matured(stores, model, window)
    scored = stores.lake.read("inferences", model.name, [event.id])
    # After a promotion the nights that mature first were the former champion's: they say nothing of this one.
    if scored.num_rows and scored["package"][0].as_py() == package.digest:
        joined = join(scored, labels_of(stores, model, [event.id], window))
        if joined.num_rows >= max(FEW, model.label.min_coverage * scored.num_rows):
            label = _label(model, package, joined)
            _compare_own(model, package, label, late, drifts, pairs)
            late |= losses(label, _own_reference(package, model, "label")[2], LOSS[model.kind])
    return Observed(today, late, event, drifts, pairs)


def history(stores: Stores, model: Model, package: Loaded, nights: list[str]) -> dict[str, dict[Series, float]]:
    """The values of nights that a champion learned from, each against a reference without its block."""
    dataset = stores.project.dataset(model.dataset)
    profiles = stored_profiles(stores, dataset, nights, model.features)
    out = drift_history("feature", profiles, model.features, yardstick=True)
    for night, values in rows_history(
        {s.window: s.rows for s in stores.data.many("batches", dataset.name, nights)}
    ).items():
        out.setdefault(night, {}).update(values)
    outcomes = package.reference("outcomes")
    for monitor in ("prediction", "label"):
        on, _, usual_loss = _own_reference(package, model, monitor)
        owned = {n: own_of(model, package, monitor, part) for n, part in by_night(outcomes, set(nights)).items()}
        told = drift_history(monitor, {n: own_profile(o, on) for n, o in owned.items()}, set(on.axes))
        for night, own in owned.items():
            values = out.setdefault(night, {})
            values |= told.get(night, {})
            if monitor == "label":
                values |= losses(own, usual_loss, LOSS[model.kind])
    return out


_profiles: dict[tuple[str, str, str, str, tuple[str, ...]], Profile] = {}


def stored_profiles(
    stores: Stores, dataset: Dataset, nights: list[str], columns: tuple[str, ...]
) -> dict[str, Profile]:
    """The stored profiles of some columns of windows, by window; those that have none are left out."""
    known = {s.window: s for s in stores.data.many("profiles", dataset.name, nights) if s.rows}
    keys = {n: (str(stores.home.shared), dataset.name, n, s.digest, columns) for n, s in known.items()}
    found = {n: _profiles[key] for n, key in keys.items() if key in _profiles}
    wanted = [n for n in keys if n not in found]
    if wanted:
        table = stores.data.read("profiles", dataset.name, wanted)
        on = frozen_grid(stores, dataset)
        parts = by_night(table, set(wanted), "window")
        found |= {night: _part(from_table(part, on), columns) for night, part in parts.items()}
        _profiles.update({keys[n]: found[n] for n in wanted if n in found})
        while len(_profiles) > KEPT:
            del _profiles[next(iter(_profiles))]
    return dict(sorted(found.items()))


def by_night(table: pa.Table, wanted: set[str], column: str = "event_window") -> dict[str, pa.Table]:
    """The rows of each wanted night, in the table's order."""
    coded = table[column].combine_chunks().dictionary_encode()
    codes = coded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    cuts = np.searchsorted(codes[order], np.arange(len(coded.dictionary) + 1))
    names = coded.dictionary.to_pylist()
    return {n: table.take(pa.array(order[a:b])) for n, a, b in zip(names, cuts, cuts[1:], strict=False) if n in wanted}


def _reference(package: Loaded, on: Grid, columns: tuple[str, ...]) -> Profile:
    return _reference_cached(package, json.dumps(on.as_dict()), columns)


@cached_by_package
def _reference_cached(package: Loaded, on: str, columns: tuple[str, ...]) -> Profile:
    return _part(from_table(package.reference("profile"), Grid.from_dict(json.loads(on))), columns)


def _part(profile: Profile, columns: tuple[str, ...]) -> Profile:
    """The columns that are profiled: when rows came is not."""
    return profile.only([c for c in columns if c in profile.grid.axes])


def _weekday(night: str) -> int:
    return datetime.fromisoformat(night).weekday()


# -- the model's own columns -----------------------------------------------------------------


def own_of(model: Model, package: Loaded, monitor: str, rows: pa.Table) -> Own:
    """The model's own column of rows that have scores (and labels, for `label`), as `prediction` or `label`."""
    return _prediction(model, package, rows) if monitor == "prediction" else _label(model, package, rows)


def _prediction(model: Model, package: Loaded, rows: pa.Table) -> Own:
    if model.kind == "multiclass":
        column = rows["prediction"].cast(pa.int64()).cast(pa.string())
    else:
        column = rows["score"] if "score" in rows.column_names else rows["prediction"]
    return Own("prediction", column, segment_masks(rows, _segments(package, model)))


def _label(model: Model, package: Loaded, rows: pa.Table) -> Own:
    label = rows["label"]
    column = label.cast(pa.int64()).cast(pa.string()) if model.kind == "multiclass" else label
    loss = row_loss(model.kind, scores_of(rows), label.to_numpy())
    return Own("label", column, segment_masks(rows, _segments(package, model)), loss)


def _segments(package: Loaded, model: Model) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(
        _watched(package, tuple(dict.fromkeys((*model.segments, *model.protected))))
    )
    return found


@cached_by_package
def _watched(package: Loaded, names: tuple[str, ...]) -> str:
    return json.dumps(watched_segments(package.reference("outcomes"), names))


def _own_reference(package: Loaded, model: Model, monitor: str) -> tuple[Grid, Profile, dict[str, float]]:
    """Grid, profile and usual losses of one of the model's own columns on its reference."""
    return _own_cached(package, model.model_dump_json(), monitor)


@cached_by_package
def _own_cached(package: Loaded, model: str, monitor: str) -> tuple[Grid, Profile, dict[str, float]]:
    known = Model.model_validate_json(model)
    own = own_of(known, package, monitor, package.reference("outcomes"))
    on = own_grid(own)
    return on, own_profile(own, on), usual_losses(own)


def _compare_own(
    model: Model,
    package: Loaded,
    own: Own,
    values: dict[Series, float],
    drifts: dict[tuple[str, str], list[Drift]],
    pairs: dict[tuple[str, str], tuple[Profile, Profile]],
) -> None:
    on, reference, _ = _own_reference(package, model, own.monitor)
    current = own_profile(own, on)
    found = compare(reference, current)
    values |= drift_series(own.monitor, reference, current, set(on.axes), "champion", found)
    drifts[own.monitor, "champion"] = found
    pairs[own.monitor, "champion"] = (reference, current)


__all__ = ["LOSS", "Observed", "by_night", "history", "observe", "own_of", "stored_profiles"]
