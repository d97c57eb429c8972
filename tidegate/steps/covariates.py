"""Covariates: what a window's inputs cost if the world moved, from the champion's labelled reference rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.decision.harm import Labelled, covariate_effect, not_estimable
from tidegate.drift.weights import density_ratio
from tidegate.performance.blocks import cut
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import cuts_of
from tidegate.verdicts import Effect
from tidegate.windows import Window

ROWS = 6000
"""Reference rows that are weighed, drawn evenly over its nights."""
NIGHTS = 90
"""Reference nights that they are read from, in whole blocks: a longer history costs no more."""
RECENT = 7
"""Newest nights that a window's inputs are taken from, at most: from the night on which the drift began."""
WINDOW_ROWS = 2000
KEPT = 4

Known = tuple[pa.Table, Labelled]
_known: dict[tuple[str, str, str], Known | None] = {}


class Covariates:
    """The covariate reading of one night, worked out once for each start."""

    def __init__(self, stores: Stores, model: Model, package: Loaded, window: Window, usual: float) -> None:
        self.stores, self.model, self.package, self.window, self.usual = stores, model, package, window, usual
        self.found: dict[str, Effect] = {}

    def effect(self, since: str) -> Effect:
        """What the inputs of the nights since one cost per row; the night itself without one."""
        first = max(since or self.window.id, (self.window.date - timedelta(days=RECENT - 1)).isoformat())
        if first not in self.found:
            self.found[first] = self._effect(first)
        return self.found[first]

    def _effect(self, first: str) -> Effect:
        model, package = self.model, self.package
        known = reference_rows(self.stores, model, package)
        if known is None:
            return not_estimable(model, "covariate", "the reference's rows are no longer stored")
        calendar = self.stores.project.calendar(self.stores.project.dataset(model.dataset))
        nights = [w.id for w in calendar.range(date.fromisoformat(first), self.window.date)]
        quality = self.stores.data_records.outcomes(model.dataset, "quality")
        good = [n for n in nights if quality.get(n) == "pass"]
        rows = self.stores.data.read("batches", model.dataset, good) if good else known[0].slice(0, 0)
        rng = np.random.default_rng([model.estimator.seed, self.window.date.toordinal()])
        if rows.num_rows > WINDOW_ROWS:
            rows = rows.take(pa.array(np.sort(rng.permutation(rows.num_rows)[:WINDOW_ROWS])))

        def scores() -> NDArray[np.float64]:
            return package.member_scores(rows, rng.integers(0, max(members_of(package), 1), rows.num_rows))

        return effect_of_inputs(model, known, rows, scores, self.usual, rng)


def effect_of_inputs(
    model: Model,
    known: Known,
    rows: pa.Table,
    scores: Callable[[], NDArray[np.float64]],
    usual: float,
    rng: np.random.Generator,
) -> Effect:
    """The covariate reading of rows against reference rows whose outcome is known; scores only where they serve."""
    table, labelled = known
    weights = density_ratio(table, rows, rng=rng, columns=columns_of(model, table), reference_blocks=labelled.blocks)
    if not weights.estimable:
        return not_estimable(model, "covariate", weights.reason)
    return covariate_effect(
        model, labelled, weights, scores(), usual, model.alarms.min_effect, model.monitors.confidence
    )


def columns_of(model: Model, table: pa.Table) -> list[str]:
    """The features by which windows are compared; when rows came tells windows apart by itself."""
    return [c for c in model.features if not pa.types.is_temporal(table[c].type)]


def members_of(package: Loaded) -> int:
    """How many members the package's ensemble has."""
    return len(package.estimator.estimators_)


def reference_rows(stores: Stores, model: Model, package: Loaded) -> Known | None:
    """A sample of the champion's held-out reference rows with features and outcome; kept in this process.

    None where their batches are not stored any more.
    """
    key = (str(stores.home.state), model.name, package.digest)
    if key not in _known:
        while len(_known) >= KEPT:
            del _known[next(iter(_known))]
        _known[key] = _read(stores, model, package)
    return _known[key]


def _read(stores: Stores, model: Model, package: Loaded) -> Known | None:
    outcomes = package.reference("outcomes")
    every = sorted(pc.unique(outcomes["event_window"]).to_pylist())
    blocks = cut(every, model.gate.block_nights)
    taken = np.unique(np.linspace(0, len(blocks) - 1, max(1, min(len(blocks), NIGHTS // model.gate.block_nights))))
    nights = [n for i in taken.astype(int).tolist() for n in blocks[i]] if blocks else []
    mine = outcomes.filter(pc.is_in(outcomes["event_window"], pa.array(nights, pa.string())))
    rng = np.random.default_rng(model.estimator.seed)
    mine = mine.take(pa.array(np.sort(rng.permutation(mine.num_rows)[:ROWS])))
    columns = ["row_id", *model.features]
    stored = stores.data.read("batches", model.dataset, nights, columns=columns) if nights else None
    if stored is None or not stored.num_rows:
        return None
    at = pc.index_in(mine["row_id"], stored["row_id"].combine_chunks())
    there = pc.is_valid(at)
    mine, at = mine.filter(there), at.filter(there)
    if not mine.num_rows:
        return None
    return stored.select(list(model.features)).take(at), labelled_of(model, package, mine)


def labelled_of(model: Model, package: Loaded, outcomes: pa.Table) -> Labelled:
    """Outcomes as rows whose result is known, in blocks of nights."""
    nights = outcomes["event_window"].to_pylist()
    order = {n: i // model.gate.block_nights for i, n in enumerate(sorted(set(nights)))}
    return Labelled(
        scores_of(outcomes),
        np.asarray(outcomes["label"].to_numpy(), dtype=np.float64),
        cuts_of(package.spec, outcomes),
        np.array([order[n] for n in nights], dtype=np.int64),
    )
