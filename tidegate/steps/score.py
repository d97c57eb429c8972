"""Score: the champion's predictions for one window, into `inferences`."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime

import numpy as np
import pyarrow as pa

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import cuts_of
from tidegate.windows import Window


def score(stores: Stores, model: Model, window: Window, now: datetime) -> int | None:
    """Score a window with the champion; returns the rows, None without a champion.

    A window that was scored before keeps its version: what was served is not rewritten.
    """
    champion = scored_by(stores, model, window) or stores.champion(model.name)
    if champion is None:
        return None
    version, package = champion
    batch = stores.data.read("batches", model.dataset, [window.id])
    if not batch.num_rows:
        return 0
    stores.lake.put("inferences", model.name, window.id, inferences(model, package, version, batch, window), now)
    return int(batch.num_rows)


def scored_by(stores: Stores, model: Model, window: Window) -> tuple[int, Loaded] | None:
    """The version whose predictions a window has, and its package."""
    if not (stored := stores.lake.stored("inferences", model.name, window.id)) or not stored.rows:
        return None
    first = stores.lake.read("inferences", model.name, [window.id], columns=["version", "package"]).slice(0, 1)
    version = int(first["version"][0].as_py())
    return version, stores.package(model.name, version, first["package"][0].as_py())


def inferences(model: Model, package: Loaded, version: int, batch: pa.Table, window: Window) -> pa.Table:
    """The inference rows of a batch: ids, version, scores, prediction, confidence, segments."""
    scores = package.scores(batch)
    ids = batch["row_id"].to_pylist()
    columns: dict[str, pa.Array] = {
        "row_id": pa.array(ids),
        "inference_id": pa.array([inference_id(window, version, i) for i in ids]),
        "version": pa.array([version] * len(ids), pa.int32()),
        "package": pa.array([package.digest] * len(ids)),
        "route": pa.array(["champion"] * len(ids)),
        "source": pa.array(["batch"] * len(ids)),
    }
    columns |= score_columns(model, scores)
    if model.kind == "regression":
        columns["prediction"] = pa.array(scores)
    else:
        guess = scores.argmax(axis=1) if scores.ndim == 2 else (scores >= cuts_of(package.spec, batch)).astype(int)
        columns["prediction"] = pa.array(guess, pa.int32())
        columns["confidence"] = pa.array(scores.max(axis=1) if scores.ndim == 2 else np.maximum(scores, 1 - scores))
    decided_by = (package.spec.get("group_thresholds") or {}).get("column")
    for name in dict.fromkeys((*model.segments, *model.protected, *filter(None, (decided_by,)))):
        columns[f"segment_{name}"] = batch[name].cast(pa.string())
    return pa.table(columns)


def score_columns(model: Model, scores: np.ndarray) -> dict[str, pa.Array]:
    """Scores as columns: `score`, or `score_0`… one a class."""
    if scores.ndim == 1:
        return {"score": pa.array(scores)}
    return {f"score_{i}": pa.array(scores[:, i]) for i in range(scores.shape[1])}


def scores_of(table: pa.Table) -> np.ndarray:
    """The scores that `score_columns` wrote, (n,) or (n, classes)."""
    if "score" in table.column_names:
        return np.asarray(table["score"].to_numpy())
    several = sorted((c for c in table.column_names if c.startswith("score_")), key=lambda c: int(c[6:]))
    return np.column_stack([table[c].to_numpy() for c in several])


def inference_id(window: Window, version: int, row_id: str) -> str:
    """A UUIDv7 of the window's start; the same for the same row and version: a rerun changes nothing."""
    noise = hashlib.sha256(f"{version}\0{row_id}".encode()).digest()
    value = int(window.start.timestamp() * 1000) << 80 | int.from_bytes(noise[:10], "big")
    value = value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62
    return str(uuid.UUID(int=value))
