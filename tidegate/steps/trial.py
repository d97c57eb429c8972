"""A trial of the monitors: stored nights, put in any order, with a model that has not seen the night it scores."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.adapters.packages import Loaded, load
from tidegate.alarms.history import drift_history, later_history, matrix, rows_history
from tidegate.alarms.own import Own, losses, own_grid, own_profile, usual_losses
from tidegate.alarms.series import Series
from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.lineage.digest import folder_digest
from tidegate.profile.grid import Grid
from tidegate.profile.profile import Profile, merge_all, profile_of
from tidegate.steps.decide import labelled_nights
from tidegate.steps.effect import worth
from tidegate.steps.ingest import ingest
from tidegate.steps.labels import collect_labels, delay_nights
from tidegate.steps.observe import LOSS, by_night, own_of, stored_profiles
from tidegate.steps.outcomes import join, labels_of, tally_table
from tidegate.steps.retrain import train_package
from tidegate.steps.score import score_columns
from tidegate.steps.stores import Stores
from tidegate.windows import Window

Floats = NDArray[np.float64]
Values = dict[str, dict[Series, float]]
MONITORS = ("prediction", "label")


def take_in(stores: Stores, model: Model, first: date, last: date, now: datetime) -> list[str]:
    """Ingest the windows and collect their labels, unless done; the labelled good nights among them."""
    dataset = stores.project.dataset(model.dataset)
    calendar, delay = stores.project.calendar(dataset), delay_nights(model)
    for window in calendar.range(first, last):
        ingest(stores, dataset, window, now)
        due = calendar.shift(window, delay)
        if stores.lake.stored("labels", model.name, due.id) is None:
            collect_labels(stores, model, due, now)
    known = labelled_nights(stores, model, calendar.shift(calendar.window(last), delay))
    return [n for n in sorted(known) if first.isoformat() <= n <= last.isoformat()]


@dataclass(frozen=True, eq=False)
class Trial:
    """The nights of a trial, everything by the night's own name.

    ``rows``: each night's batch with its labels. ``package``: a model of which each night has a member that is
    blind to it; its reference has the out-of-fold outcomes of all nights.
    """

    stores: Stores
    model: Model
    package: Loaded
    nights: tuple[str, ...]
    rows: Mapping[str, pa.Table]
    profiles: Mapping[str, Profile]

    @cached_property
    def outcomes(self) -> dict[str, pa.Table]:
        return by_night(self.package.reference("outcomes"), set(self.nights))

    @cached_property
    def grids(self) -> dict[str, Grid]:
        whole = self.package.reference("outcomes")
        return {m: own_grid(own_of(self.model, self.package, m, whole)) for m in MONITORS}

    @cached_property
    def own(self) -> dict[str, dict[str, Own]]:
        return {m: {n: own_of(self.model, self.package, m, t) for n, t in self.outcomes.items()} for m in MONITORS}

    @cached_property
    def own_profiles(self) -> dict[str, dict[str, Profile]]:
        return {m: {n: own_profile(o, self.grids[m]) for n, o in self.own[m].items()} for m in MONITORS}

    def score(self, night: str, rows: pa.Table) -> Floats:
        """Scores of rows by the member that is blind to this night."""
        fold = int(self.outcomes[night]["fold"][0].as_py())
        return self.package.member_scores(rows, np.full(rows.num_rows, fold))

    def split(self, order: Mapping[str, str], learned: Sequence[str]) -> Split:
        """The nights in another order, the `learned` dates as the reference of the rest."""
        return Split(self, dict(order), tuple(learned))


class Split:
    """Dates with a night put on each, and a reference made of the first of them."""

    def __init__(self, trial: Trial, order: dict[str, str], learned: tuple[str, ...]) -> None:
        self.trial, self.order, self.learned = trial, order, learned
        self.rest = tuple(d for d in order if d not in set(learned))
        self.profiles = {d: trial.profiles[n] for d, n in order.items()}
        self.reference = merge_all([self.profiles[d] for d in learned])
        mine = {order[d] for d in learned}
        self.own_reference = {m: merge_all([trial.own_profiles[m][n] for n in sorted(mine)]) for m in MONITORS}
        whole = pa.concat_tables([trial.outcomes[n] for n in sorted(mine)])
        self.usual = usual_losses(own_of(trial.model, trial.package, "label", whole))
        self.outcomes = whole

    @cached_property
    def history(self) -> Values:
        """The values of the learned dates, each against the others."""
        t = self.trial
        out = drift_history("feature", {d: self.profiles[d] for d in self.learned}, t.model.features, yardstick=True)
        for m in MONITORS:
            profiles = {d: t.own_profiles[m][self.order[d]] for d in self.learned}
            _add(out, drift_history(m, profiles, set(t.grids[m].axes)))
        _add(out, self._losses(self.learned))
        return _add(out, rows_history({d: t.rows[self.order[d]].num_rows for d in self.learned}))

    @cached_property
    def later(self) -> Values:
        """The values of the other dates against the reference."""
        t = self.trial
        out = later_history("feature", self.reference, self.profiles, self.rest, t.model.features, yardstick=True)
        for m in MONITORS:
            profiles = {d: t.own_profiles[m][self.order[d]] for d in self.rest}
            _add(out, later_history(m, self.own_reference[m], profiles, self.rest, set(t.grids[m].axes)))
        _add(out, self._losses(self.rest))
        rows = rows_history({d: t.rows[n].num_rows for d, n in self.order.items()})
        return _add(out, {d: rows[d] for d in self.rest})

    @cached_property
    def usual_worth(self) -> float:
        """The KPI (or loss) per row of the learned dates."""
        t = self.trial
        return worth(t.model, tally_table(t.model, self.outcomes, float(t.package.spec["threshold"])))

    def _losses(self, dates: Sequence[str]) -> Values:
        own, name = self.trial.own["label"], LOSS[self.trial.model.kind]
        return {d: losses(own[self.order[d]], self.usual, name) for d in dates}

    def changed(self, date_: str, rows: pa.Table, scores: Floats, before: Mapping[str, Profile]) -> dict[Series, float]:
        """The values of a date had its night these rows and scores; `before` are the changed profiles so far."""
        t, night = self.trial, self.order[date_]
        profile = profile_of(rows, self.reference.grid)
        past = {**self.profiles, **before, date_: profile}
        out = later_history("feature", self.reference, past, [date_], t.model.features, yardstick=True)[date_]
        outcomes = scored_rows(t, night, rows, scores)
        for m in MONITORS:
            own = own_of(t.model, t.package, m, outcomes)
            told = later_history(
                m, self.own_reference[m], {date_: own_profile(own, t.grids[m])}, [date_], set(t.grids[m].axes)
            )
            out |= told[date_]
            if m == "label":
                out |= losses(own, self.usual, LOSS[t.model.kind])
        return out | {s: v for s, v in self.later[date_].items() if s.monitor == "volume"}


def scored_rows(trial: Trial, night: str, rows: pa.Table, scores: Floats) -> pa.Table:
    """Rows with their scores, in the shape of a reference's outcomes."""
    names = dict.fromkeys((*trial.model.segments, *trial.model.protected))
    guess = scores
    if trial.model.kind != "regression":
        threshold = float(trial.package.spec["threshold"])
        guess = scores.argmax(axis=1) if scores.ndim == 2 else (scores >= threshold).astype(int)
    return pa.table(
        {
            **score_columns(trial.model, scores),
            "prediction": pa.array(guess),
            "label": rows["label"],
            **{f"segment_{n}": rows[n].cast(pa.string()) for n in names},
        }
    )


def values_of(split: Split, series: Sequence[Series] | None = None) -> tuple[list[Series], Floats, Floats]:
    """The series, the learned dates' values and the rest's, shapes (dates, series)."""
    known, before = matrix(split.learned, split.history)
    wanted = known if series is None else list(series)
    after = np.array([[split.later[d].get(s, np.nan) for s in wanted] for d in split.rest]).reshape(-1, len(wanted))
    return known, before, after


def weekdays(dates: Sequence[str]) -> NDArray[np.int64]:
    """The weekday of each date, Monday 0."""
    return np.array([date.fromisoformat(d).weekday() for d in dates], dtype=np.int64)


def _add(out: Values, more: Mapping[str, Mapping[Series, float]]) -> Values:
    for night, values in more.items():
        out.setdefault(night, {}).update(values)
    return out


@contextmanager
def trial(stores: Stores, model: Model, nights: list[str], window: Window, now: datetime) -> Iterator[Trial]:
    """A trial on stored nights, whose labels were known by `window`; its model is gone afterwards."""
    if model.estimator.build is None:
        raise UsageError(
            f"trial of {model.name}", "estimator.build", "a monitor-only model", "declare build: a trial trains a model"
        )
    dataset = stores.project.dataset(model.dataset)
    stores.home.state.mkdir(parents=True, exist_ok=True)
    staging = tempfile.mkdtemp(prefix="trial-", dir=stores.home.state)
    try:
        folder = train_package(stores, model, window, now, nights, Path(staging), held=len(nights))
        package = load(folder, folder_digest(folder))
        batches = stores.data.read("batches", dataset.name, nights)
        rows = by_night(join(batches, labels_of(stores, model, nights, window)), set(nights), "window")
        kept = tuple(n for n in nights if n in rows)
        yield Trial(stores, model, package, kept, rows, stored_profiles(stores, dataset, list(kept), model.features))
    finally:
        shutil.rmtree(staging)
