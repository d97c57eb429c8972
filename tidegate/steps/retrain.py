"""Retrain: a point-in-time training set, a candidate package, its registration."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tidegate import __version__
from tidegate.adapters.packages import save
from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.lineage.digest import file_digest, folder_digest, json_digest
from tidegate.lineage.usercode import copy_code, load_copied
from tidegate.performance.threshold import best_threshold
from tidegate.profile.profile import merge_all
from tidegate.profile.table import from_table, to_table
from tidegate.steps.decide import labelled_nights
from tidegate.steps.ingest import grid
from tidegate.steps.measure import effect_of, reference_blocks
from tidegate.steps.outcomes import join, labels_of
from tidegate.steps.score import score_columns
from tidegate.steps.stores import Stores
from tidegate.training.members import folds, train
from tidegate.training.scoring import design, score
from tidegate.windows import Window

PROBE = 64


def build_candidate(stores: Stores, model: Model, window: Window, now: datetime) -> tuple[Path, str]:
    """Train on everything that was known on the evening of `window`; returns the package and its digest.

    Only windows that passed quality count, and only labels that had arrived.
    """
    if model.estimator.build is None:
        raise UsageError(f"model {model.name}", "estimator.build", "a monitor-only model", "declare build to train it")
    nights = sorted(labelled_nights(stores, model, window))
    if len(nights) < 3:
        raise UsageError(
            f"training set of {model.name}", "at least 3 matured nights", f"{len(nights)}", "ingest more windows first"
        )
    staging = Path(tempfile.mkdtemp(prefix="candidate-", dir=_folder(stores, model)))
    try:
        return _build(stores, model, window, now, nights, model.estimator.build, staging)
    finally:
        shutil.rmtree(staging)


def _build(
    stores: Stores, model: Model, window: Window, now: datetime, nights: list[str], build: str, staging: Path
) -> tuple[Path, str]:
    batches = stores.data.read("batches", model.dataset, nights)
    rows = join(batches, labels_of(stores, model, nights, window))
    dataset = stores.project.dataset(model.dataset)
    user = staging / "user"
    code = copy_code(build, stores.home.root, user)
    if model.estimator.features:
        code = copy_code(model.estimator.features, stores.home.root, user)
    spec: dict[str, Any] = {
        "model": model.name,
        "kind": model.kind,
        "features": {f: dataset.columns[f].type for f in model.features},
        "classes": _classes(model),
        "user": {"build": build, "features": model.estimator.features, "digest": code},
        "params": dict(model.estimator.params),
        "seed": model.estimator.seed,
    }
    features = load_copied(model.estimator.features, user, model.name, code) if model.estimator.features else None
    frame = design(rows, spec, features)
    target = rows["label"].to_numpy()
    night_of = rows["window"].to_pylist()
    fold_of = folds(nights, model.gate.block_nights)
    trained = train(
        load_copied(build, user, model.name, code),
        spec["params"],
        model.estimator.seed,
        frame,
        target if model.kind == "regression" else target.astype(int),
        np.array([fold_of[n] for n in night_of]),
        spec,
    )
    spec |= _lineage(stores, model, nights, rows.num_rows, trained.scores, target, now, window)
    outcomes = pa.table(
        {
            "row_id": rows["row_id"],
            "event_window": pa.array(night_of),
            "fold": pa.array([fold_of[n] for n in night_of], pa.int32()),
            "label": rows["label"],
            **score_columns(model, trained.scores),
        }
    )
    outcomes = outcomes.append_column("prediction", pa.array(_guess(model, trained.scores, spec["threshold"])))
    blocks = reference_blocks(model, outcomes, spec["threshold"])
    spec["design_effect"] = effect_of(model, blocks, _row_variance(model, trained.scores, target))
    package = staging / "package"
    save(package, trained.estimator, frame, score(trained.estimator, frame.head(PROBE), spec))
    inside = package / "tidegate"
    shutil.move(user, inside / "user")
    (inside / "reference").mkdir()
    pq.write_table(outcomes, inside / "reference" / "outcomes.parquet", write_page_checksum=True)
    on = grid(stores, dataset, batches, now)
    stored = stores.data.read("profiles", dataset.name, nights)
    nightly = [from_table(stored.filter(pa.compute.equal(stored["window"], n)), on) for n in nights]
    pq.write_table(to_table(merge_all(nightly)), inside / "reference" / "profile.parquet", write_page_checksum=True)
    probe = rows.select(["row_id", *model.features]).slice(0, PROBE)
    probe = probe.append_column("expected", pa.array(score(trained.estimator, frame.head(PROBE), spec).tolist()))
    pq.write_table(probe, inside / "reference" / "probe.parquet", write_page_checksum=True)
    # Not sorted: the order of the features is the order of the estimator's columns.
    (inside / "spec.json").write_text(json.dumps(spec, indent=1, default=str))
    digest = folder_digest(package)
    target_folder = stores.package_folder(model.name, digest)
    if not target_folder.exists():
        package.rename(target_folder)
    return target_folder, digest


def _folder(stores: Stores, model: Model) -> Path:
    folder = stores.home.state / "packages" / model.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _classes(model: Model) -> list[Any]:
    classes = list(model.label.classes or ())
    return (
        [c for c in classes if c != model.label.positive] + [model.label.positive]
        if model.kind == "binary"
        else classes
    )


def _guess(model: Model, scores: np.ndarray, threshold: float) -> np.ndarray:
    if model.kind == "regression":
        return scores
    return scores.argmax(axis=1) if scores.ndim == 2 else (scores >= threshold).astype(int)


def _row_variance(model: Model, scores: np.ndarray, target: np.ndarray) -> float:
    if model.kind == "regression":
        loss = np.abs(scores - target)
    else:
        y = target.astype(int)
        mine = scores[np.arange(len(y)), y] if scores.ndim == 2 else np.where(y == 1, scores, 1 - scores)
        loss = -np.log(np.clip(mine, 1e-7, 1))
    return float(loss.var())


def _lineage(
    stores: Stores,
    model: Model,
    nights: list[str],
    rows: int,
    scores: np.ndarray,
    target: np.ndarray,
    now: datetime,
    window: Window,
) -> dict[str, Any]:
    """What the version was made from: windows and their digests, configuration, code, libraries."""
    from tidegate.adapters.packages import requirements

    dataset = stores.project.dataset(model.dataset)
    lock = stores.home.root / "requirements.lock"
    return {
        "trained": nights,
        "rows": rows,
        "as_of": window.id,
        "trained_at": now.isoformat(),
        "threshold": best_threshold(model, scores, target),
        "batches": {s.window: s.digest for s in stores.data.many("batches", model.dataset, nights)},
        "labels": {s.window: s.digest for s in stores.lake.many("labels", model.name) if s.window <= window.id},
        "config": {
            "model": json_digest(model.model_dump(mode="json")),
            "dataset": json_digest(dataset.model_dump(mode="json")),
        },
        "code": {"tidegate": __version__, "revision": _revision(stores.home.root)},
        "libraries": requirements(),
        "lock": file_digest(lock) if lock.is_file() else None,
    }


def _revision(root: Path) -> str | None:
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
