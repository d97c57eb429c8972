"""Gate: a candidate and the champion on the nights that neither saw."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.gate.judge import GateResult, judge_candidate, judge_first
from tidegate.performance.blocks import blocks_of, cut
from tidegate.performance.tally import Tally, tally_of
from tidegate.performance.threshold import best_threshold
from tidegate.steps.decide import labelled_nights
from tidegate.steps.outcomes import join, labels_of, tally_by
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores
from tidegate.windows import Window


def gate(stores: Stores, model: Model, package: Loaded, window: Window, *, look: int = 1) -> GateResult:
    """One look at a candidate, on the evening of `window`.

    On nights of its training the candidate counts with out-of-fold scores, that is with single
    members; so the champion counts with single members there too, since a mean of several
    against one would not be a fair match. On later nights both count with their means.
    """
    champion = stores.champion(model.name)
    outcomes = package.reference("outcomes")
    if champion is None:
        ours = tally_by(model, outcomes, "event_window", float(package.spec["threshold"]))
        blocks = cut(sorted(ours), model.gate.block_nights)
        return judge_first(model, blocks_of(ours, blocks), blocks_of(_dummy(model, outcomes), blocks))
    _, theirs = champion
    nights = [n for n in labelled_nights(stores, model, window) if n > theirs.spec["trained"][-1]]
    if not nights:
        return judge_candidate(model, [], [], look=look)
    rows = join(stores.data.read("batches", model.dataset, nights), labels_of(stores, model, nights, window))
    paired = _paired(package, theirs, outcomes, rows)
    by_night = [_tallies(model, paired, side) for side in (0, 1)]
    blocks = cut(sorted(by_night[0]), model.gate.block_nights)
    return judge_candidate(model, blocks_of(by_night[0], blocks), blocks_of(by_night[1], blocks), look=look)


@dataclass(frozen=True)
class _Paired:
    """Rows that neither side saw: night, fold (-1 after the candidate's training), label, scores of both."""

    night: np.ndarray
    fold: np.ndarray
    label: np.ndarray
    scores: tuple[np.ndarray, np.ndarray]


def _paired(package: Loaded, theirs: Loaded, outcomes: pa.Table, rows: pa.Table) -> _Paired:
    at = {row: i for i, row in enumerate(outcomes["row_id"].to_pylist())}
    where = np.array([at.get(r, -1) for r in rows["row_id"].to_pylist()], dtype=np.int64)
    inside = where >= 0
    # A row of a night that it trained on, but without an out-of-fold score, was not unseen.
    after = pc.greater(rows["window"], package.spec["trained"][-1]).to_numpy(zero_copy_only=False)
    early, late = rows.filter(pa.array(inside)), rows.filter(pa.array(~inside & after))
    fold = outcomes["fold"].to_numpy()[where[inside]]
    parts = [(early, fold, scores_of(outcomes)[where[inside]], theirs.member_scores(early, fold))]
    if late.num_rows:
        parts.append((late, np.full(late.num_rows, -1), package.scores(late), theirs.scores(late)))
    return _Paired(
        np.concatenate([p[0]["window"].to_numpy(zero_copy_only=False) for p in parts]),
        np.concatenate([p[1] for p in parts]),
        np.concatenate([p[0]["label"].to_numpy() for p in parts]),
        (np.concatenate([p[2] for p in parts]), np.concatenate([p[3] for p in parts])),
    )


def _tallies(model: Model, paired: _Paired, side: int) -> dict[str, Tally]:
    """Nightly tallies of one side; each fold's threshold is chosen on the other folds' rows."""
    scores, out = paired.scores[side], {}
    for fold in np.unique(paired.fold):
        mine = paired.fold == fold
        threshold = best_threshold(model, scores[~mine], paired.label[~mine])
        for night in np.unique(paired.night[mine]):
            rows = mine & (paired.night == night)
            out[str(night)] = tally_of(model, scores[rows], paired.label[rows], threshold)
    return out


def _dummy(model: Model, outcomes: pa.Table) -> dict[str, Tally]:
    """A constant prediction, the training's own mean or class shares: the strongest of its kind."""
    y, nights = outcomes["label"].to_numpy(), np.array(outcomes["event_window"].to_pylist())
    if model.kind == "regression":
        scores = np.full(len(y), float(np.median(y)))
    elif model.kind == "binary":
        scores = np.full(len(y), float(y.mean()))
    else:
        scores = np.tile(np.bincount(y.astype(int), minlength=len(model.label.classes or ())) / len(y), (len(y), 1))
    return {n: tally_of(model, scores[nights == n], y[nights == n]) for n in sorted(set(nights.tolist()))}


def evidence_of(result: GateResult, window: Window, now: datetime) -> dict[str, object]:
    """What `gate.json` holds."""
    return {
        "window": window.id,
        "at": now.isoformat(),
        "look": result.look,
        "n": result.n,
        "blocks": result.blocks,
        "verdict": result.verdict.as_dict(),
        "checks": [asdict(c) for c in result.checks],
    }
