"""One order of a lab's nights: limits and fitted rules, and what every rule says of its nights without a fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa

from tidegate.alarms.calibrate import calibrate
from tidegate.alarms.evidence import LOOK_BACK
from tidegate.alarms.history import yardsticks
from tidegate.alarms.pages import lasting
from tidegate.alarms.series import Series
from tidegate.errors import UsageError
from tidegate.lab.rules import COMPARATORS, Column
from tidegate.lab.rules.base import Measure
from tidegate.lab.rules.tidegate import FARTHEST, factors, judged
from tidegate.performance.tally import EMPTY, Tally, tally_of, total
from tidegate.profile.profile import Profile
from tidegate.steps.calibrate import rule_of
from tidegate.steps.effect import Night
from tidegate.steps.labtrial import Base, Floats
from tidegate.steps.score import scores_of
from tidegate.steps.signals import Pairs, size_of
from tidegate.steps.trial import values_of, weekdays
from tidegate.steps.watch import ASKED, UNKNOWN

LATE = ("label", "performance")
"""Monitors whose values are known when labels come."""
RULES = ("tidegate", *(r.name for r in COMPARATORS))
Numbers = dict[str, Floats]


class Order:
    """The nights in one order. Positions count the dates after the learned ones."""

    def __init__(self, base: Base, k: int, seed: int, budget: float) -> None:
        self.base, self.k = base, k
        self.trial = base.trial
        order, learned = base.order(k, seed)
        self.split = self.trial.split(order, learned)
        self.dates = self.split.rest
        series, before, _ = values_of(self.split)
        rng = np.random.default_rng([seed, 13, k])
        days = [date.fromisoformat(d) for d in self.split.learned]
        limits = calibrate(before, days, series, budget, rng, rule_of(self.trial.model))
        if limits is None or not limits.certified:
            found = limits.words if limits else f"{len(days)} nights"
            raise UsageError(
                f"lab of {self.trial.model.name}", "certified limits", found, "name more nights, or budget"
            )
        self.limits = limits
        self.late = np.array([s.monitor in LATE for s in limits.series])
        values = [[self.split.later[d].get(s, np.nan) for s in limits.series] for d in self.dates]
        self.values: Floats = np.array(values)
        self.scores = limits.scores(self.values, weekdays(self.dates))
        self.threshold = float(self.trial.package.spec.get("threshold") or 0.5)
        self.tallies = [self.tally(self.clean_scores(p), self.rows(p)) for p in range(len(self.dates))]

    # -- nights ---------------------------------------------------------------------------------------------------

    def night(self, position: int) -> str:
        return self.split.order[self.dates[position]]

    def rows(self, position: int) -> pa.Table:
        return self.trial.rows[self.night(position)]

    def clean_scores(self, position: int) -> Floats:
        return scores_of(self.trial.outcomes[self.night(position)])

    def tally(self, scores: Floats, rows: pa.Table) -> Tally:
        return tally_of(self.trial.model, scores, rows["label"].to_numpy(), self.threshold)

    # -- the rules of the trade -----------------------------------------------------------------------------------

    @cached_property
    def measures(self) -> dict[str, dict[str, Measure]]:
        """By rule and column, fitted to the learned nights."""
        past = [self.base.columns(self.split.order[d]) for d in self.split.learned]
        return {r.name: {c: r.fit([night[c] for night in past]) for c in past[0]} for r in COMPARATORS}

    @cached_property
    def told(self) -> list[dict[str, dict[str, float]]]:
        """By position, rule and column: the values without a fault."""
        return [self.columns_told(self.base.columns(self.night(p))) for p in range(len(self.dates))]

    def columns_told(self, columns: Mapping[str, Column]) -> dict[str, dict[str, float]]:
        """The values of some columns of a night, by rule."""
        return {r: {c: by[c](column) for c, column in columns.items()} for r, by in self.measures.items()}

    def rule_numbers(self, told: Sequence[Mapping[str, Mapping[str, float]]], first: int, delay: int) -> Numbers:
        """What each rule says from position `first` on, given the values of all positions; the label's come later.

        After two of three nights, as of every rule: shape (len(told) - first,).
        """
        out: Numbers = {}
        for rule in COMPARATORS:
            raw = []
            for p in range(max(first - self.limits.rule.within, 0), len(told)):
                mine = ("label", "prediction") if rule.features_only else ("label",)
                today = [v for c, v in told[p][rule.name].items() if c not in mine]
                if p >= delay and not rule.features_only:
                    today.append(told[p - delay][rule.name]["label"])
                raw.append(rule.night(today))
            held = lasting(np.array(raw)[None, :, None], self.limits.rule.nights, self.limits.rule.within)[0, :, 0]
            out[rule.name] = np.minimum(held[len(held) - (len(told) - first) :], FARTHEST)
        return out

    # -- Tidegate's own -------------------------------------------------------------------------------------------

    def known(self, scores: Floats, delay: int) -> Floats:
        """What is known on each position's evening: the labels' part is that of `delay` nights before."""
        out = scores.copy()
        out[:, self.late] = np.nan
        out[delay:, self.late] = scores[: max(len(scores) - delay, 0), self.late]
        return out

    def own_numbers(self, views: Mapping[int, View], known: Floats, delay: int) -> Floats:
        """For each view the factor on its limits up to which Tidegate would page."""
        out = []
        for p, view in views.items():
            track = known[max(p + 1 - LOOK_BACK, 0) : p + 1]
            reached, which = factors(self.limits, track)
            matters, material = partial(view.matters, delay=delay), partial(view.material, delay=delay)
            out.append(judged(reached, which, matters, material, ASKED))
        return np.array(out)

    @cached_property
    def views(self) -> list[View]:
        return [View(self, p) for p in range(len(self.dates))]

    def clean(self, delay: int) -> Numbers:
        """What every rule says of all positions without a fault."""
        known = self.known(self.scores, delay)
        own = self.own_numbers(dict(enumerate(self.views)), known, delay)
        return {"tidegate": own, **self.rule_numbers(self.told, 0, delay)}


class View:
    """What is judged from one evening: values, the profiles behind them, and what they cost."""

    def __init__(
        self, order: Order, position: int, *, values: Floats | None = None, rows: pa.Table | None = None,
        scores: Floats | None = None, profiles: Mapping[str, Profile] | None = None,
        own: Mapping[str, Profile] | None = None, before: Mapping[int, View] | None = None, tally: Tally | None = None,
    ) -> None:  # fmt: skip
        """`before`: the other nights that a fault has changed, by position; the rest is as it is without."""
        self.order, self.position = order, position
        self.date = order.dates[position]
        self.values = order.values[position] if values is None else values
        self._rows, self._scores, self._profiles, self._own = rows, scores, profiles, own or {}
        self.before = before or {}
        self.tally = order.tallies[position] if tally is None else tally
        self._known: dict[Any, bool] = {}

    @cached_property
    def rows(self) -> pa.Table:
        return self.order.rows(self.position) if self._rows is None else self._rows

    @cached_property
    def profiles(self) -> Mapping[str, Profile]:
        """By date, with what the fault has changed so far."""
        return self.order.split.profiles if self._profiles is None else self._profiles

    def event(self, delay: int) -> View | None:
        """The night whose labels are known tonight."""
        at = self.position - delay
        return None if at < 0 else self.before.get(at) or (self if delay == 0 else self.order.views[at])

    def value(self, series: int, delay: int) -> float:
        event = self.event(delay) if self.order.late[series] else self
        return float(event.values[series]) if event else float("nan")

    def matters(self, series: int, delay: int) -> bool:
        """Whether a series is surely above the margin below which nothing matters."""
        view = self.event(delay) if self.order.late[series] else self
        if view is None:
            return False
        one = self.order.limits.series[series]
        key = ("margin", series)
        if key not in view._known:
            effect = float(self.order.trial.package.spec.get("design_effect") or UNKNOWN)
            pairs = view.pairs(one)
            monitors = self.order.trial.model.monitors
            view._known[key] = size_of(one, float(view.values[series]), pairs, monitors, effect).matters
        return view._known[key]

    def pairs(self, series: Series) -> Pairs:
        split, key = self.order.split, (series.monitor, series.against)
        if series.monitor == "feature":
            now = self.profiles[self.date]
            yard = split.reference if series.against == "champion" else self._yardsticks.get(series.against)
            return {key: (yard, now)} if yard is not None else {}
        if series.monitor not in split.own_reference:
            return {}
        own = (
            self._own.get(series.monitor)
            or self.order.trial.own_profiles[series.monitor][self.order.night(self.position)]
        )
        return {key: (split.own_reference[series.monitor], own)}

    @cached_property
    def _yardsticks(self) -> dict[str, Profile]:
        return yardsticks(self.date, self.profiles)

    def material(self, series: int, delay: int) -> bool:
        """Whether what a series tells costs enough, as live watching works it out."""
        one = self.order.limits.series[series]
        column = one.subject.split(" [", 1)[0] if one.monitor == "feature" else one.monitor
        key = (column, delay) if self.order.late[series] else column
        if key not in self._known:
            effect = self._night(delay).effect(one, self.value(series, delay))
            self._known[key] = effect is not None and effect.material
        return self._known[key]

    def _night(self, delay: int) -> Night:
        split, trial = self.order.split, self.order.trial
        scores = self.order.clean_scores(self.position) if self._scores is None else self._scores
        lately = []
        for back in range(trial.model.alarms.within):
            event = self.event(delay + back)
            lately.append(event.tally if event else EMPTY)
        own = split.own_reference["prediction"].columns["prediction"]
        return Night(
            trial.model, self.order.threshold, split.usual_worth, self._score, split.reference, own, self.rows, scores,
            total(lately), trial.model.estimator.seed,
        )  # fmt: skip

    def _score(self, rows: pa.Table) -> Floats:
        return self.order.base.score(self.order.night(self.position), rows)
