"""One cell of the lab: a fault in a fork of the baseline, what the system made of it, and what it really cost."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from tidegate.adapters.packages import Loaded
from tidegate.explain.importance import permutation_importance
from tidegate.lab.catalogue import LabFault
from tidegate.lab.onrows import RAMP
from tidegate.lab.plan import Plan
from tidegate.lab.realised import row_values, with_fault
from tidegate.performance.constant import constant_scores
from tidegate.performance.loss import row_loss
from tidegate.steps.effect import usual_worth
from tidegate.steps.labbase import Base
from tidegate.steps.labfork import carry_on, fork
from tidegate.steps.labframes import TRUTH
from tidegate.training.thresholds import cuts_of

NIGHTS = 7
"""Affected nights that are lived through; `RAMP` for what comes slowly or shows in labels only."""


@dataclass(frozen=True, eq=False)
class Change:
    """A fault with what one seed of it is about, on a baseline; ``onset``: the first night whose rows it touches."""

    base: Base
    fault: LabFault
    plan: Plan
    magnitude: float
    onset: str
    seed: int

    def frame(self, night: str, whole: pd.DataFrame) -> pd.DataFrame:
        """A night's rows as they come; before the onset as they are."""
        if night < self.onset:
            return whole
        since = (pd.Timestamp(night) - pd.Timestamp(self.onset)).days
        rng = np.random.default_rng([self.seed, since, 7])
        return self.fault.apply(whole, self.plan, self.magnitude, since, rng)


@dataclass(frozen=True, eq=False)
class Bench:
    """A baseline with what every cell on it needs."""

    base: Base

    @cached_property
    def champion(self) -> Loaded:
        found = self.base.stores.champion(self.base.model_name)
        assert found is not None
        return found[1]

    @cached_property
    def columns(self) -> dict[str, str]:
        return {f: self.base.nights.dataset.columns[f].type for f in self.base.model.features}

    @cached_property
    def usual(self) -> float:
        """What a row is usually worth."""
        return usual_worth(self.base.model, self.champion)

    @cached_property
    def importance(self) -> dict[str, float]:
        """How much the champion heeds each feature, on the newest three nights that it learned from."""
        path = self.base.home.state / "importance.json"
        if not path.is_file():
            model, nights = self.base.model, self.base.nights
            some = {n: nights.frame(n) for n in self.champion.spec["trained"][-3:]}
            whole = pd.concat(list(some.values()), ignore_index=True)
            found = permutation_importance(
                self.champion.scores, nights.table(whole).select(list(model.features)),
                whole[TRUTH].to_numpy(), lambda s, y: row_loss(model.kind, s, y), np.random.default_rng(1), repeats=1,
                nights=np.repeat(np.array(list(some)), [len(f) for f in some.values()]),
            )  # fmt: skip
            path.write_text(json.dumps({i.name: i.mean for i in found}))
        read: dict[str, float] = json.loads(path.read_text())
        return read

    def change(self, fault: LabFault, magnitude: float, onset: str, seed: int) -> Change | None:
        """A fault's plan for one seed, drawn from the night before its onset; None where nothing could be touched."""
        rng = np.random.default_rng([seed, 11])
        before = self.base.nights.frame(self.base.nights_before(onset, 1))
        plan = fault.plan(before, self.columns, TRUTH, rng, self.importance)
        return None if plan is None else Change(self.base, fault, plan, magnitude, onset, seed)

    def values(self, package: Loaded, frame: pd.DataFrame) -> np.ndarray:
        """What each row of a frame turns out to be worth when a package decides, NaN without a label."""
        if not len(frame):
            return np.zeros(0)
        table = self.base.nights.table(frame)
        cut = cuts_of(package.spec, table)
        return row_values(self.base.model, package.scores(table), frame[TRUTH].to_numpy(), cut)

    def unscored(self, frame: pd.DataFrame) -> np.ndarray:
        """What each row is worth when nothing scores it: decided as the best constant answer would."""
        model, known = self.base.model, self.champion.reference("outcomes")["label"].to_numpy()
        constant = constant_scores(model, known)[:1]
        truth = frame[TRUTH].to_numpy()
        scores = np.repeat(constant, len(truth), axis=0)
        return row_values(model, scores, truth, float(self.champion.spec["threshold"]))


def evenings(base: Base, after: int) -> list[str]:
    """The snapshots of a baseline that at least so many nights follow."""
    dates = base.nights.dates
    return [s for s in base.snapshots if s > base.since and sum(d > s for d in dates) >= after]


def cell(bench: Bench, fault: LabFault, size: int, seed: int) -> dict[str, Any] | None:
    """Live through the nights that a fault touches, from the snapshot before; None where the fault finds no column.

    A fault in the labels shows when they come: the fork begins on the evening before that. What the baseline made
    of the same nights stands beside it: a fork without a fault repeats it exactly.
    """
    base, began = bench.base, time.process_time()
    lasts = RAMP if fault.slow or fault.of == "labels" else NIGHTS
    usable = evenings(base, lasts)
    evening = usable[int(np.random.default_rng([seed, 3]).integers(len(usable)))]
    nights = [d for d in base.nights.dates if d > evening][:lasts]
    lag = base.delay if fault.of == "labels" else 0
    change = bench.change(fault, fault.magnitudes[size], base.nights_before(nights[0], lag), seed)
    if change is None:
        return None
    with fork(base, evening) as stores:
        for night in nights:
            event = base.nights_before(night, lag)
            whole = base.nights.frame(event)
            base.nights.deliver(stores.home, event, change.frame(event, whole), whole)
        told = [n.brief() for n in carry_on(base, stores, nights)]
    spent = time.process_time() - began
    usual = base.lived()
    return {
        "fault": fault.name, "of": fault.of, "benign": fault.benign, "size": size, "magnitude": change.magnitude,
        "delay": base.delay, "seed": seed, "order": base.home.shared.parent.name, "onset": change.onset,
        "first": nights[0], "nights": len(nights), "plan": change.plan.words, "harm": harm(bench, change, nights, lag),
        "with": summary(told), "without": summary([usual[n] for n in nights]), "cpu": round(spent, 2),
    }  # fmt: skip


def harm(bench: Bench, change: Change, nights: list[str], lag: int) -> float:
    """The loss of value per row under a fault, as a share of the usual value, had every row been scored."""
    lost, rows = 0.0, 0
    for night in nights:
        whole = bench.base.nights.frame(bench.base.nights_before(night, lag))
        event = bench.base.nights_before(night, lag)
        came = change.frame(event, whole)
        clean = bench.values(bench.champion, whole)
        total, counted = with_fault(came.index.to_numpy(), bench.values(bench.champion, came), bench.unscored(whole))
        per_row = float(np.nanmean(clean)) - total / counted if counted else 0.0
        lost, rows = lost + per_row * len(whole), rows + len(whole)
    return lost / rows / abs(bench.usual) if rows and bench.usual else float("nan")


def summary(lived: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the nights came to: which were blocked, the first night of each severity, and of a first action."""
    first: dict[str, int] = {}
    for i, night in enumerate(lived):
        for alarm in night["alarms"]:
            first.setdefault(alarm["severity"], i)
    acts = [(i, n["action"]) for i, n in enumerate(lived) if n["action"] != "nothing"]
    count = {s: sum(a["severity"] == s for n in lived for a in n["alarms"]) for s in ("page", "ticket", "digest")}
    return {
        "blocked": [i for i, n in enumerate(lived) if n["blocked"]], "first": first, "alarms": count,
        "pages": [a for n in lived for a in n["alarms"] if a["severity"] == "page"][:3],
        "why": next((n["why"] for n in lived if n["blocked"]), []),
        "action": acts[0][1] if acts else "nothing", "acted": acts[0][0] if acts else None,
        "options": lived[-1]["options"] if lived else [],
    }  # fmt: skip
