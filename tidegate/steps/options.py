"""Options: what each action would gain on this model now, from what the matured nights show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
from scipy.stats import t as student

from tidegate.adapters.packages import Loaded
from tidegate.config.deciding import Costed
from tidegate.config.model import Model
from tidegate.decision.adjusting import Gain, recalibration_gain, threshold_gain
from tidegate.decision.chance import chance_to_pass
from tidegate.decision.effect import PER_ROW
from tidegate.decision.options import nothing, unknown, weigh
from tidegate.errors import SourceError
from tidegate.gate.checks import gain_of
from tidegate.gate.error import spent_in_year
from tidegate.gate.judged import Judged
from tidegate.gate.performance import guardrails
from tidegate.performance.blocks import Estimate, cut
from tidegate.steps.adjust import Recent, learned_through, recent_of
from tidegate.steps.candidate import judged_once
from tidegate.steps.effect import usual_worth
from tidegate.steps.former import former
from tidegate.steps.probe import probe
from tidegate.steps.stillfit import rollback_gain
from tidegate.steps.stores import Stores
from tidegate.verdicts import Option
from tidegate.windows import Window

LOSS = {"binary": "log_loss", "multiclass": "log_loss", "regression": "mae"}
NIGHT = timedelta(days=1)
STRETCHES = 20
"""Stretches of a night's rows that the bounds of a fault come from (`docs/harm.md`)."""
SEED = 50
"""Of every random draw of a weighing, with its night: the same night gives the same options."""


@dataclass(frozen=True)
class Weighing:
    """One model on one evening; ``nights`` are the labelled ones, in order."""

    stores: Stores
    model: Model
    champion: tuple[int, Loaded]
    nights: list[str]
    window: Window

    def options(self) -> tuple[Option, ...]:
        """Every action that the model file allows, weighed; doing nothing first."""
        able = {
            "recalibrate": lambda: self._adjusted("recalibrate", recalibration_gain),
            "move_threshold": lambda: self._adjusted("move_threshold", threshold_gain),
            "retrain": self._retrain,
            "roll_back": self._roll_back,
        }
        wanted = [a for a in able if a in self.model.decision.actions and self.model.estimator.build is not None]
        mend = self._fix_data()
        found = [able[a]() for a in wanted]
        return (nothing(self.model, self.rows), *([mend] if mend else []), *found)

    @property
    def metric(self) -> str:
        """What gains are counted in: the KPI, or the loss without one."""
        return "kpi" if self.model.kpi.priced else LOSS[self.model.kind]

    @cached_property
    def rows(self) -> float:
        """Rows expected within the horizon, as the newest matured nights had them.

        What is seen in a few nights is not carried further ahead than there is history.
        """
        recent = self.nights[-self.model.decision.nights :]
        sizes = [s.rows for s in self.stores.data.many("batches", self.model.dataset, recent)]
        ahead = min(self.model.decision.horizon / NIGHT, len(self.nights))
        return float(np.mean(sizes)) * ahead if sizes else 0.0

    @cached_property
    def usual(self) -> float:
        return usual_worth(self.model, self.champion[1])

    @cached_property
    def spent(self) -> float:
        taken = self.stores.looks.year(self.model.name, self.window.id)
        return spent_in_year([(k.window, k.error) for k in taken], self.window.id)

    @cached_property
    def recent(self) -> Recent:
        """The newest matured nights that this champion was not fitted on, with its scores."""
        package = self.champion[1]
        return recent_of(self.stores, self.model, package, self.window, after=learned_through(package.spec))

    def _adjusted(self, action: Costed, gain_by: Callable[..., Gain]) -> Option:
        recent, spec = self.recent, self.champion[1].spec
        if not recent.nights:
            return unknown(self.model, action, self.rows, "no matured night since the champion was fitted")
        cuts = recent.cut if spec.get("group_thresholds") else float(spec["threshold"])
        gain = gain_by(self.model, recent.scores, recent.labels, recent.night, cuts)
        if gain.why:
            return unknown(self.model, action, self.rows, gain.why)
        counts = {"kpi": gain} if self.model.kpi.priced else {LOSS[self.model.kind]: gain}
        chance = chance_to_pass(judged_once(self.model), counts, self.spent)
        why = f"cross-fitted on {len(recent.nights)} matured nights"
        return weigh(self.model, action, gain, self.rows, why, chance=chance, usual=self.usual)

    def _retrain(self) -> Option:
        rng = np.random.default_rng([SEED, self.window.date.toordinal()])
        found = probe(self.stores, self.model, self.champion[1], self.nights, self.window, rng)
        if isinstance(found, str):
            return unknown(self.model, "retrain", self.rows, found)
        gain = self._gains(found.real, [self.metric])[self.metric]
        counts = [self.model.metric.primary, *(["kpi"] if self.model.kpi.priced else []), *guardrails(self.model)]
        chance = chance_to_pass(self.model, self._gains(found.gate, counts), self.spent)
        why = f"a probe on {len(found.real.nights())} nights that the champion has not seen"
        return weigh(self.model, "retrain", gain, self.rows, why, chance=chance, usual=self.usual)

    def _gains(self, judged: Judged, metrics: list[str]) -> dict[str, Estimate]:
        ours, theirs = judged.tallies(self.model, "ours"), judged.tallies(self.model, "theirs")
        blocks = cut(judged.nights(), self.model.gate.block_nights)
        return {m: gain_of(self.model.kind, m, ours, theirs, blocks) for m in metrics}

    def _roll_back(self) -> Option:
        known = former(self.stores, self.model)
        if known is None:
            return unknown(self.model, "roll_back", self.rows, "there is no former champion")
        try:
            gain = rollback_gain(self.stores, self.model, self.window)
        except SourceError as fault:
            return unknown(self.model, "roll_back", self.rows, str(fault))
        why = gain.why or f"version {known[0]} on the nights that neither learned from"
        return weigh(self.model, "roll_back", gain, self.rows, why, usual=self.usual)

    def _fix_data(self) -> Option | None:
        """What mending the data is worth, where a fault in them has an estimated cost tonight."""
        harms = self.stores.records.verdict(self.model.name, "harm", self.window.id)
        told = harms.numbers["harms"] if harms else []
        # What the source is suspected of: read as a fault, any drift would ask for its data to be mended.
        faults = [h for h in told if h["kind"] == "fault" and h["cause"] == "upstream" and h["counts"]]
        # A missing batch costs rows and not money a row: it is no gain that could be compared.
        known = [h for h in faults if h["estimable"] and h["unit"].endswith(PER_ROW) and h["value"] is not None]
        if not faults:
            return None
        if not known:
            return unknown(self.model, "fix_data", self.rows, faults[0]["words"])
        worst = max(known, key=lambda h: float(h["value"]))
        low, high = (float(worst[k]) if worst.get(k) is not None else math.nan for k in ("low", "high"))
        blocks = max(self.model.gate.min_blocks, 2)
        sure = (1 + self.model.monitors.confidence) / 2
        gain = Estimate(float(worst["value"]), (high - low) / (2 * float(student.ppf(sure, STRETCHES - 1))), blocks)
        why = f"{worst['subject']}: {worst['words']}"
        return weigh(self.model, "fix_data", gain, self.rows, why, usual=self.usual)
