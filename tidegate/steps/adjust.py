"""Adjust: a candidate of its own from the champion's package, with a calibration map or another threshold."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.decision.adjusting import Fitted, cuts_after, no_threshold, recalibrated, rethresholded
from tidegate.errors import SourceError, UsageError
from tidegate.performance.blocks import cut
from tidegate.performance.loss import row_loss
from tidegate.performance.threshold import best_threshold
from tidegate.steps.candidate import register
from tidegate.steps.decide import labelled_nights
from tidegate.steps.measure import effect_of, reference_blocks
from tidegate.steps.outcomes import join, labels_of
from tidegate.steps.score import score_columns, scores_of
from tidegate.steps.stores import Stores
from tidegate.training.recalibration import apply_map, composed, fit_map, prior_rows
from tidegate.training.thresholds import cuts_of
from tidegate.windows import Window

Floats = NDArray[np.float64]
What = Literal["recalibrate", "move_threshold"]
WORDS: dict[What, str] = {"recalibrate": "recalibration", "move_threshold": "another threshold"}


@dataclass(frozen=True)
class Adjusted:
    """The new version, what it adjusts and how, and the matured nights that it was fitted on."""

    version: int
    of: int
    what: What
    nights: tuple[str, ...]
    known: bool = False


@dataclass(frozen=True)
class Made:
    """An adjustment's package: of which version, fitted on which nights, and what its spec says of it."""

    folder: Path
    digest: str
    of: int
    nights: tuple[str, ...]
    adjusts: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Recent:
    """Matured nights that a champion was not trained on: rows, its scores, labels, the threshold of each row."""

    nights: tuple[str, ...]
    rows: pa.Table
    scores: Floats
    labels: Floats
    cut: Floats

    @property
    def night(self) -> NDArray[Any]:
        return np.asarray(self.rows["window"].to_numpy(zero_copy_only=False))


def adjust(stores: Stores, model: Model, window: Window, now: datetime, what: What, *, reason: str) -> Adjusted:
    """Register the champion with a calibration map, or with another threshold; the gate looks at it once.

    The estimator's bytes stay. The map or threshold is fitted on the newest `decision.nights` matured nights that the
    champion was not trained on; beside it the package keeps these rows as they come out when their own block of nights
    and its neighbours are left out of the fit, on which it is gated. The reference keeps its rows and labels, with
    mapped scores and new decisions. Doing it again on the same nights gives the version that is there already.

    Raises
    ------
    UsageError
        If there is no champion, or nothing of that kind to adjust.
    SourceError
        If the matured nights do not allow a fit: too few, or labels of one class only.
    """
    made = adjusted_package(stores, model, window, what)
    known = next((v for v in stores.records.versions(model.name) if v["digest"] == made.digest), None)
    if known is not None:
        return Adjusted(known["version"], made.of, what, made.nights, known=True)
    version = register(
        stores, model, made.folder, made.digest, window, now, reason=reason, more={"adjusts": made.adjusts}
    )
    return Adjusted(version, made.of, what, made.nights)


def adjusted_package(stores: Stores, model: Model, window: Window, what: What) -> Made:
    """The package of an adjustment, which nobody has registered; raises as `adjust`."""
    version, champion = _champion(stores, model)
    against = no_threshold(model, grouped=bool(champion.spec.get("group_thresholds")))
    if what == "move_threshold" and against:
        do = f"tidegate recalibrate {model.name}, or tidegate retrain {model.name}"
        raise UsageError(f"threshold of {model.name}", "one that can be moved", against, do)
    recent = recent_of(stores, model, champion, window)
    blocks, needed = len(cut(recent.nights, model.gate.block_nights)), model.gate.min_blocks
    if blocks < needed:
        wanted = f"{needed} blocks of {model.gate.block_nights} matured nights since the champion's training"
        _cannot(model, what, wanted, f"{blocks}")
    grouped = bool(champion.spec.get("group_thresholds"))
    threshold: float | Floats = recent.cut if grouped else float(champion.spec["threshold"])
    held = (
        recalibrated(model, recent.scores, recent.labels, recent.night, threshold)
        if what == "recalibrate"
        else rethresholded(model, recent.scores, recent.labels, recent.night)
    )
    if isinstance(held, str):
        _cannot(model, what, "labelled rows that can be fitted", held)
    spec, new = _fitted(model, champion, recent, blocks, what)
    adjusts = {"version": version, "package": champion.digest, "what": what, "nights": list(recent.nights)}
    spec |= {"adjusts": {**adjusts, "map": new, "threshold": spec["threshold"]}}
    folder, digest = _package(stores, model, champion, spec, new, _kept(model, recent, held))
    return Made(folder, digest, version, recent.nights, spec["adjusts"])


def recent_of(stores: Stores, model: Model, package: Loaded, window: Window, *, after: str = "") -> Recent:
    """The newest `decision.nights` matured nights since a package's training (and `after`), scored by it."""
    since = max(package.spec["trained"][-1], after)
    nights = [n for n in sorted(labelled_nights(stores, model, window)) if n > since][-model.decision.nights :]
    batches = stores.data.read("batches", model.dataset, nights) if nights else None
    if batches is None or not batches.num_rows:
        return Recent((), pa.table({"window": pa.array([], pa.string())}), np.zeros(0), np.zeros(0), np.zeros(0))
    rows = join(batches, labels_of(stores, model, nights, window))
    labels = rows["label"].to_numpy().astype(np.float64)
    return Recent(tuple(nights), rows, package.scores(rows), labels, cuts_of(package.spec, rows))


def _champion(stores: Stores, model: Model) -> tuple[int, Loaded]:
    if model.estimator.build is None:
        do = "declare build, or adjust the scores where they are made"
        raise UsageError(f"model {model.name}", "estimator.build", "a monitor-only model", do)
    champion = stores.champion(model.name)
    if champion is None:
        raise UsageError(f"model {model.name}", "a champion to adjust", "none", f"tidegate retrain {model.name}")
    return champion


def _cannot(model: Model, what: What, wanted: str, found: str) -> NoReturn:
    raise SourceError(f"{WORDS[what]} of {model.name}", wanted, found, "wait for more labelled nights")


def _fitted(
    model: Model, champion: Loaded, recent: Recent, blocks: int, what: What
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The new package's spec, and the map over the champion's scores (None: they stay)."""
    spec = dict(champion.spec)
    if what == "move_threshold":
        return spec | {"threshold": best_threshold(model, recent.scores, recent.labels)}, None
    prior = prior_rows(len(recent.labels), blocks)
    new = fit_map(model.kind, recent.scores, recent.labels, prior=prior)
    if "error" in new:
        _cannot(model, what, "labelled rows that can be fitted", str(new["error"]))
    spec |= {"calibration": composed(champion.spec.get("calibration"), new)}
    groups = champion.spec.get("group_thresholds")
    if groups and model.kind == "binary":
        values = [*groups["by"].values(), float(spec["threshold"])]
        *by, overall = np.asarray(cuts_after(model, new, np.array(values))).tolist()
        mapped = dict(zip(groups["by"], by, strict=True))
        return spec | {"threshold": overall, "group_thresholds": {**groups, "by": mapped}}, new
    return spec | {"threshold": float(np.asarray(cuts_after(model, new, float(spec["threshold"]))))}, new


def _kept(model: Model, recent: Recent, held: Fitted) -> pa.Table:
    """The rows of the fit as they come out when they are left out of it."""
    return pa.table({
        "row_id": recent.rows["row_id"], "event_window": recent.rows["window"], "fold": pa.array(held.fold, pa.int32()),
        "label": pa.array(recent.labels), **score_columns(model, held.scores), "cut": pa.array(held.cut),
    })  # fmt: skip


def _package(
    stores: Stores, model: Model, champion: Loaded, spec: dict[str, Any], new: dict[str, Any] | None, kept: pa.Table
) -> tuple[Path, str]:
    """A copy of the champion's package with its reference mapped and decided anew, under its own digest."""

    def mapped(scores: Floats) -> Floats:
        return scores if new is None else apply_map(model.kind, new, scores)

    outcomes = champion.reference("outcomes")
    scores = mapped(scores_of(outcomes))
    guess = scores
    if model.kind != "regression":
        guess = scores.argmax(axis=1) if scores.ndim == 2 else (scores >= cuts_of(spec, outcomes)).astype(int)
    for name, column in {**score_columns(model, scores), "prediction": pa.array(guess)}.items():
        outcomes = outcomes.set_column(outcomes.column_names.index(name), name, column)
    probe = champion.reference("probe")
    expected = probe["expected"].to_pylist()
    if new is not None and expected:
        expected = mapped(np.array(expected, dtype=np.float64)).tolist()
    probe = probe.set_column(probe.column_names.index("expected"), "expected", pa.array(expected))
    if new is not None:
        label = outcomes["label"].to_numpy()
        blocks = reference_blocks(model, outcomes, cuts_of(spec, outcomes))
        spec = spec | {"design_effect": effect_of(model, blocks, float(row_loss(model.kind, scores, label).var()))}
    return _copied(stores, model, champion, spec, {"outcomes": outcomes, "probe": probe, "adjustment": kept})


def _copied(
    stores: Stores, model: Model, champion: Loaded, spec: dict[str, Any], reference: dict[str, pa.Table]
) -> tuple[Path, str]:
    with stores.staging(model.name) as staging:
        copy = staging / "package"
        shutil.copytree(champion.folder, copy)
        (copy / "tidegate" / "spec.json").write_text(json.dumps(spec, indent=1, default=str))
        for name, table in reference.items():
            path = copy / "tidegate" / "reference" / f"{name}.parquet"
            path.unlink(missing_ok=True)
            pq.write_table(table, path, write_page_checksum=True)
        return stores.keep(model.name, copy)


def learned_through(spec: dict[str, Any]) -> str:
    """The last night that anything of a package was fitted on: its estimator, its map or its threshold."""
    nights: list[str] = [*spec["trained"][-1:], *(spec.get("adjusts") or {}).get("nights", [])[-1:]]
    return max(nights)


__all__ = ["WORDS", "Adjusted", "Made", "Recent", "What", "adjust", "adjusted_package", "learned_through", "recent_of"]
