"""Probe: what a model retrained tonight would make of the nights that the champion has not seen.

Two members, each blind to every other block of the newest of those nights and trained on the others and on a sample
of what came before: what the gate would look at after a retrain, at a fraction of its cost. Fewer rows and single
members make the probe no better than the candidate that would follow, so its gain errs on the low side.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.errors import SourceError
from tidegate.gate.judged import Judged
from tidegate.steps.holdout import texts
from tidegate.steps.outcomes import join, labels_of
from tidegate.steps.retrain import user_code
from tidegate.steps.stores import Stores
from tidegate.training.members import SEEN, folds, train
from tidegate.training.scoring import design
from tidegate.training.thresholds import crossfit, cuts_of
from tidegate.windows import Window

ROWS = 40_000
"""Rows that a probe learns from: the judged nights, and so many nights before them, drawn by lot."""
MEMBERS = 2
SPAN = 2
"""Times `decision.nights` that are judged: older nights say less of what is to come."""


@dataclass(frozen=True, eq=False)
class Probe:
    """The judged rows as the gate would have them, and with the threshold that the champion really uses."""

    gate: Judged
    real: Judged


def probe(
    stores: Stores, model: Model, champion: Loaded, nights: list[str], window: Window, rng: np.random.Generator
) -> Probe | str:
    """Retrain on a sample and score the nights since the champion's training; a reason where that cannot be done.

    `nights` are the labelled ones known by `window`, in order.
    """
    unseen = [n for n in nights if n > champion.spec["trained"][-1]]
    unseen = unseen[-SPAN * model.decision.nights :]
    needed = model.gate.min_blocks * model.gate.block_nights
    if len(unseen) < needed:
        return f"{len(unseen)} nights since the champion's training, {needed} needed"
    if list(champion.spec["classes"]) != _classes(model):
        return "the champion has other classes"
    rows = _rows(stores, model, nights, unseen, window, rng)
    fold_of = folds(unseen, model.gate.block_nights, MEMBERS)
    fold = np.array([fold_of.get(n, SEEN) for n in rows["window"].to_pylist()], dtype=np.int64)
    try:
        scores = _scores(stores, model, rows, fold)
        held = fold != SEEN
        judged, fold = rows.filter(pa.array(held)), fold[held]
        theirs = champion.member_scores(judged, fold)
    except SourceError as fault:
        return str(fault)
    return _probe(model, champion, judged, scores[held], theirs)


def _probe(model: Model, champion: Loaded, rows: pa.Table, ours: np.ndarray, theirs: np.ndarray) -> Probe:
    label = rows["label"].to_numpy()
    own = champion.spec.get("group_thresholds")
    column = own["column"] if own else ""
    night, ids = (rows[c].to_numpy(zero_copy_only=False) for c in ("window", "row_id"))
    # A threshold from half of these nights would be noisier than a candidate's: each block's is chosen on all others.
    block = _blocks(night, model.gate.block_nights)
    cut = crossfit(model, ours, label, None, block, "")
    fitted = crossfit(model, theirs, label, texts(rows[column]) if own else None, block, column)

    def judged(their_cut: np.ndarray) -> Judged:
        return Judged(night, label, ours, theirs, cut, their_cut, row_id=ids)

    return Probe(judged(fitted), judged(cuts_of(champion.spec, rows)))


def _blocks(night: np.ndarray, block: int) -> np.ndarray:
    """The block of nights of each row."""
    names, at = np.unique(night, return_inverse=True)
    return np.asarray((len(names) - 1 - at) // block, dtype=np.int64)


def _classes(model: Model) -> list[object]:
    from tidegate.steps.labels import class_order

    return list(class_order(model))


def _rows(
    stores: Stores, model: Model, nights: list[str], unseen: list[str], window: Window, rng: np.random.Generator
) -> pa.Table:
    """Labelled rows: all of the judged nights, and so many of the earlier ones that `ROWS` are reached."""
    late = _labelled(stores, model, unseen, window)
    early = sorted(set(nights) - set(unseen))
    left = ROWS - late.num_rows
    if not early or left <= 0:
        return late
    sizes = {s.window: s.rows for s in stores.data.many("batches", model.dataset, early)}
    mean = sum(sizes.values()) / max(len(sizes), 1)
    # Whole nights are drawn, so that only those are read.
    drawn = sorted(rng.permutation(early)[: max(1, round(left / max(mean, 1)))].tolist())
    return pa.concat_tables([_labelled(stores, model, drawn, window), late])


def _labelled(stores: Stores, model: Model, nights: list[str], window: Window) -> pa.Table:
    batches = stores.data.read("batches", model.dataset, nights)
    return join(batches, labels_of(stores, model, nights, window)).sort_by([("window", "ascending")])


def _scores(stores: Stores, model: Model, rows: pa.Table, fold: np.ndarray) -> np.ndarray:
    """Out-of-fold scores of the rows, by the code as it is now."""
    build = model.estimator.build
    assert build is not None
    stores.home.state.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="probe-", dir=stores.home.state))
    try:
        spec, builder, features = user_code(stores, model, build, folder / "user")
        frame = design(rows, spec, features)
        target = pc.cast(rows["label"], pa.float64()).to_numpy()
        target = target if model.kind == "regression" else target.astype(int)
        return train(builder, spec["params"], spec["seed"], frame, target, fold, spec).scores
    finally:
        shutil.rmtree(folder)
