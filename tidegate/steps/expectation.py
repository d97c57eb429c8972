"""Expectation: what a package lets one expect of rows without labels, and how far that was off on its reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.errors import SourceError
from tidegate.performance.chances import Chances, fit_chances
from tidegate.performance.errormodel import ErrorModel, crossfit_errors, fit_errors
from tidegate.performance.expected import expected_errors, expected_outcomes
from tidegate.performance.gap import LEAST, Yardstick, limit_for, yardstick
from tidegate.performance.metrics import METRICS
from tidegate.performance.tally import Floats, Tally
from tidegate.steps.observe import by_night
from tidegate.steps.outcomes import tally_by
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores
from tidegate.training.scoring import design
from tidegate.training.thresholds import cuts_of

LOSS = {"binary": "log_loss", "multiclass": "log_loss", "regression": "mae"}
"""The mean over rows whose gap is watched beside the primary metric's."""
KEPT = 8


@dataclass(frozen=True)
class Expectation:
    """How a package's rows are expected to fare; ``why`` says why nothing is expected, and is empty else."""

    model: Model
    package: Loaded
    chances: Chances = field(default_factory=Chances)
    errors: ErrorModel | None = None
    yardsticks: Mapping[str, Yardstick] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    why: str = ""

    def tally(self, stores: Stores, event: str, rows: pa.Table) -> Tally:
        """The expected tally of inference rows of one window; of a regression, of those whose features are stored."""
        if self.model.kind != "regression":
            scores = scores_of(rows)
            return expected_outcomes(self.model, scores, self.chances.of(scores), cuts_of(self.package.spec, rows))
        frame, kept = _features(stores, self.model, self.package, [event], rows)
        assert self.errors is not None
        return expected_errors(self.model, *self.errors.of(frame, scores_of(rows)[kept]))


_known: dict[tuple[str, str, str], Expectation] = {}


def expectation(stores: Stores, model: Model, package: Loaded) -> Expectation:
    """What a package lets one expect; kept in this process, since a package never changes."""
    key = (package.digest, model.model_dump_json(), str(stores.home.shared))
    if key not in _known:
        while len(_known) >= KEPT:
            del _known[next(iter(_known))]
        _known[key] = _expectation(stores, model, package)
    return _known[key]


def _expectation(stores: Stores, model: Model, package: Loaded) -> Expectation:
    try:
        outcomes = package.reference("outcomes")
    except FileNotFoundError:
        return Expectation(model, package, why="the package has no reference outcomes")
    if not outcomes.num_rows:
        return Expectation(model, package, why="the package's reference has no outcomes")
    if model.kind != "regression" and pc.count_distinct(outcomes["label"]).as_py() < 2:
        return Expectation(model, package, why="the reference's labels are of one class only")
    made = _of_numbers(stores, model, package, outcomes) if model.kind == "regression" else _of_classes(model, outcomes)
    chances, errors, outcomes, expected = made
    if not outcomes.num_rows or len(expected) < 2:
        return Expectation(model, package, why="the rows of the reference are no longer stored")
    known = tally_by(model, outcomes, "event_window", cuts_of(package.spec, outcomes))
    cut, nights = cuts_of(package.spec, outcomes), by_night(outcomes.append_column("at", _range(outcomes)), set(known))
    guessed = {}
    for night, part in nights.items():
        at = part["at"].to_numpy()
        if model.kind == "regression":
            guessed[night] = expected_errors(model, expected[at, 0], expected[at, 1])
        else:
            guessed[night] = expected_outcomes(model, scores_of(part), expected[at], cut[at])
    wanted = [n for n in METRICS[model.kind] if n != "kpi" or model.kpi.priced]
    found = {n: yardstick(METRICS[model.kind][n], known, guessed, model.gate.block_nights) for n in wanted}
    watched = watched_metrics(model)
    rate = model.retrain.decay_alpha / len(watched)
    limits = {
        n: limit_for(found[n].blocks, model.gate.block_nights, rate, np.random.default_rng(0))
        for n in watched if found[n].blocks >= LEAST
    }  # fmt: skip
    return Expectation(model, package, chances, errors, found, limits)


def watched_metrics(model: Model) -> list[str]:
    """The metrics whose gap is watched: the primary one, and the mean loss."""
    return list(dict.fromkeys((model.metric.primary, LOSS[model.kind])))


def _of_classes(model: Model, outcomes: pa.Table) -> tuple[Chances, None, pa.Table, Floats]:
    """Curves fitted on all held-out rows, and each row's chances by curves of the other folds."""
    scores, labels, fold = scores_of(outcomes), outcomes["label"].to_numpy(), _folds(model, outcomes)
    whole = fit_chances(scores, labels, fold)
    chances = np.empty((len(labels), scores.shape[1] if scores.ndim == 2 else 2))
    for k in np.unique(fold):
        mine = fold == k
        # Whether curves help was asked of all rows; which curve, of the other folds.
        curve = fit_chances(scores[~mine], labels[~mine]) if whole.curves else whole
        chances[mine] = curve.of(scores[mine])
    return whole, None, outcomes, chances


def _of_numbers(
    stores: Stores, model: Model, package: Loaded, outcomes: pa.Table
) -> tuple[Chances, ErrorModel | None, pa.Table, Floats]:
    """A model of the errors, and each row's expected errors by models of the other folds."""
    nights = sorted(set(outcomes["event_window"].to_pylist()))
    frame, kept = _features(stores, model, package, nights, outcomes)
    outcomes = outcomes.filter(pa.array(kept))
    if not outcomes.num_rows:
        return Chances(), None, outcomes, np.zeros((0, 2))
    scores, labels, seed = scores_of(outcomes), outcomes["label"].to_numpy(), model.estimator.seed
    absolute, squared = crossfit_errors(frame, scores, labels, _folds(model, outcomes), seed)
    return Chances(), fit_errors(frame, scores, labels, seed), outcomes, np.column_stack([absolute, squared])


def _folds(model: Model, outcomes: pa.Table) -> np.ndarray:
    """The fold of each row: that of the training, or blocks of nights in turn where it had none."""
    if "fold" in outcomes.column_names and pc.count_distinct(outcomes["fold"]).as_py() > 1:
        return np.asarray(outcomes["fold"].to_numpy())
    nights = {n: i for i, n in enumerate(sorted(set(outcomes["event_window"].to_pylist())))}
    return np.array([nights[n] // model.gate.block_nights % 5 for n in outcomes["event_window"].to_pylist()])


def _features(
    stores: Stores, model: Model, package: Loaded, nights: list[str], rows: pa.Table
) -> tuple[pd.DataFrame, np.ndarray]:
    """The estimator's input for rows whose batch is stored, and which rows those are, shape (rows,)."""
    wanted = ["row_id", *package.spec["features"]]
    stored = stores.data.read("batches", model.dataset, nights)
    lacking = [c for c in wanted if c not in stored.column_names]
    if lacking and stored.num_rows:
        raise SourceError(f"batches of {model.dataset}", f"columns {lacking}", "none", "ingest the windows again")
    at = {r: i for i, r in enumerate(stored["row_id"].to_pylist())} if stored.num_rows else {}
    where = np.array([at.get(r, -1) for r in rows["row_id"].to_pylist()], dtype=np.int64)
    if not (where >= 0).any():
        return pd.DataFrame(), where >= 0
    batch = stored.select(wanted).take(pa.array(where[where >= 0]))
    return design(batch, package.spec, package.features), where >= 0


def _range(table: pa.Table) -> pa.Array:
    return pa.array(np.arange(table.num_rows))
