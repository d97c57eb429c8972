"""Retrain: a point-in-time training set, a candidate package, its registration."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tidegate.adapters.packages import save
from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.lineage.usercode import copy_code, load_copied
from tidegate.performance.loss import row_loss
from tidegate.performance.threshold import best_threshold
from tidegate.profile.profile import merge_all
from tidegate.profile.table import from_table, to_table
from tidegate.steps.decide import labelled_nights
from tidegate.steps.ingest import grid
from tidegate.steps.labels import class_order
from tidegate.steps.measure import effect_of, reference_blocks
from tidegate.steps.outcomes import join, labels_of
from tidegate.steps.record import record_of
from tidegate.steps.score import score_columns
from tidegate.steps.stores import Stores
from tidegate.steps.trainingset import choose_training_set
from tidegate.training.members import SEEN, folds, train
from tidegate.training.scoring import design, score
from tidegate.windows import Window

PROBE = 64
REFERENCE = 24
"""Blocks of held-out nights, at least: the reference and the threshold need more than a few weeks."""


def build_candidate(stores: Stores, model: Model, window: Window, now: datetime) -> tuple[Path, str]:
    """Train on everything that was known on the evening of `window`; returns the package and its digest.

    Only windows that passed quality count, and only labels that had arrived. Where the model declares training sets,
    the one that does best on nights held out is taken.
    """
    if model.estimator.build is None:
        raise UsageError(f"model {model.name}", "estimator.build", "a monitor-only model", "declare build to train it")
    labelled = labelled_nights(stores, model, window)
    nights = sorted(labelled)
    if len(nights) < 3:
        raise UsageError(
            f"training set of {model.name}", "at least 3 matured nights", f"{len(nights)}", "ingest more windows first"
        )
    build, champion = model.estimator.build, stores.champion(model.name)
    unseen = [n for n in nights if champion is None or n > champion[1].spec["trained"][-1]]
    held = max(len(unseen), REFERENCE * model.gate.block_nights)
    with stores.staging(model.name) as staging:
        trial = staging / "trial"
        found = choose_training_set(stores, model, window, labelled, lambda: user_code(stores, model, build, trial))
        more = found.record
        package = train_package(stores, model, window, now, found.nights, staging, held=held, more=more)
        return stores.keep(model.name, package)


def train_package(
    stores: Stores,
    model: Model,
    window: Window,
    now: datetime,
    nights: list[str],
    staging: Path,
    *,
    held: int,
    more: dict[str, Any] | None = None,
) -> Path:
    """A package in a folder below `staging`, trained on these nights; the newest `held` have out-of-fold scores.

    `more` goes into its record.
    """
    build = model.estimator.build
    assert build is not None
    batches = stores.data.read("batches", model.dataset, nights)
    rows = join(batches, labels_of(stores, model, nights, window))
    spec, builder, features = user_code(stores, model, build, staging / "user")
    frame, target = design(rows, spec, features), rows["label"].to_numpy()
    fold_of = folds(nights, model.gate.block_nights, held=held)
    fold = np.array([fold_of[n] for n in rows["window"].to_pylist()], dtype=np.int64)
    classes = target if model.kind == "regression" else target.astype(int)
    trained = train(builder, spec["params"], spec["seed"], frame, classes, fold, spec)
    blind = fold != SEEN
    threshold = best_threshold(model, trained.scores[blind], target[blind])
    outcomes = _outcomes(model, rows.filter(pa.array(blind)), fold[blind], trained.scores[blind], threshold)
    spread = float(row_loss(model.kind, trained.scores[blind], target[blind]).var())
    spec |= record_of(stores, model, nights, window, now) | {
        "rows": rows.num_rows,
        "threshold": threshold,
        "design_effect": effect_of(model, reference_blocks(model, outcomes, threshold), spread),
        **(more or {}),
    }
    package, head = staging / "package", frame.head(PROBE)
    expected = score(trained.estimator, head, spec)
    save(package, trained.estimator, frame, expected)
    probe = (
        rows.select(["row_id", *model.features]).slice(0, PROBE).append_column("expected", pa.array(expected.tolist()))
    )
    reference = {"outcomes": outcomes, "profile": _profile(stores, model, batches, nights, now), "probe": probe}
    (package / "tidegate" / "reference").mkdir(parents=True)
    for name, table in reference.items():
        pq.write_table(table, package / "tidegate" / "reference" / f"{name}.parquet", write_page_checksum=True)
    shutil.move(staging / "user", package / "tidegate" / "user")
    # Not sorted: the order of the features is the order of the estimator's columns.
    (package / "tidegate" / "spec.json").write_text(json.dumps(spec, indent=1, default=str))
    return package


def user_code(
    stores: Stores, model: Model, build: str, folder: Path
) -> tuple[dict[str, Any], Callable[..., Any], Callable[..., Any] | None]:
    """What is to be trained, and the user's functions, imported from a copy of their code."""
    columns = stores.project.dataset(model.dataset).columns
    code = copy_code(build, stores.home.root, folder)
    for other in (model.estimator.features, model.gate.baseline):
        if other:
            code = copy_code(other, stores.home.root, folder)
    spec: dict[str, Any] = {
        "model": model.name,
        "kind": model.kind,
        "features": {f: columns[f].type for f in model.features},
        "classes": class_order(model),
        "user": {"build": build, "features": model.estimator.features, "baseline": model.gate.baseline, "digest": code},
        "params": dict(model.estimator.params),
        "seed": model.estimator.seed,
    }
    features = load_copied(model.estimator.features, folder, model.name, code) if model.estimator.features else None
    if model.gate.baseline:
        # Only the gate calls it, but one that is not there is told before anything is trained.
        load_copied(model.gate.baseline, folder, model.name, code)
    return spec, load_copied(build, folder, model.name, code), features


def _outcomes(
    model: Model, rows: pa.Table, fold: NDArray[np.int64], scores: NDArray[np.float64], threshold: float
) -> pa.Table:
    """The reference rows: held-out scores and predictions with their labels."""
    guess = scores
    if model.kind != "regression":
        guess = scores.argmax(axis=1) if scores.ndim == 2 else (scores >= threshold).astype(int)
    segments = {
        f"segment_{name}": rows[name].cast(pa.string()) for name in dict.fromkeys((*model.segments, *model.protected))
    }
    return pa.table({
        "row_id": rows["row_id"], "event_window": rows["window"], "fold": pa.array(fold, pa.int32()),
        "label": rows["label"], **score_columns(model, scores), "prediction": pa.array(guess), **segments,
    })  # fmt: skip


def _profile(stores: Stores, model: Model, batches: pa.Table, nights: list[str], now: datetime) -> pa.Table:
    """The merged profile of the training's windows, in their order."""
    dataset = stores.project.dataset(model.dataset)
    on = grid(stores, dataset, batches, now)
    stored = stores.data.read("profiles", dataset.name, nights)
    return to_table(merge_all([from_table(stored.filter(pa.compute.equal(stored["window"], n)), on) for n in nights]))
