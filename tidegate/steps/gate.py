"""Gate: a candidate and the champion on the nights that neither saw."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import numpy as np
import pyarrow as pa

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.gate.judge import GateResult, judge_candidate, judge_first
from tidegate.performance.blocks import blocks_of, cut
from tidegate.performance.tally import Tally, tally_of
from tidegate.steps.decide import labelled_nights
from tidegate.steps.outcomes import join, labels_of, tally_by
from tidegate.steps.score import score_columns
from tidegate.steps.stores import Stores
from tidegate.windows import Window


def gate(stores: Stores, model: Model, package: Loaded, window: Window, *, look: int = 1) -> GateResult:
    """One look at a candidate, on the evening of `window`.

    Nights of its training count with out-of-fold scores, later ones with its own.
    """
    champion = stores.champion(model.name)
    outcomes = package.reference("outcomes")
    if champion is None:
        nights = sorted(set(outcomes["event_window"].to_pylist()))
        ours = tally_by(model, outcomes, "event_window", float(package.spec["threshold"]))
        blocks = cut(nights, model.gate.block_nights)
        return judge_first(model, blocks_of(ours, blocks), blocks_of(_dummy(model, outcomes), blocks))
    _, theirs = champion
    nights = [n for n in labelled_nights(stores, model, window) if n > theirs.spec["trained"][-1]]
    rows = join(stores.data.read("batches", model.dataset, nights), labels_of(stores, model, nights, window))
    out_of_fold = outcomes.filter(pa.compute.is_in(outcomes["event_window"], pa.array(nights)))
    later = rows.filter(pa.compute.greater(rows["window"], package.spec["trained"][-1]))
    mine = tally_by(model, out_of_fold, "event_window", float(package.spec["threshold"])) | _tallies(
        model, package, later
    )
    other = _tallies(model, theirs, rows)
    both = sorted(n for n in mine if n in other and mine[n].n == other[n].n)
    blocks = cut(both, model.gate.block_nights)
    return judge_candidate(model, blocks_of(mine, blocks), blocks_of(other, blocks), look=look)


def _tallies(model: Model, package: Loaded, rows: pa.Table) -> dict[str, Tally]:
    if not rows.num_rows:
        return {}
    scored = pa.table({"window": rows["window"], "label": rows["label"], **score_columns(model, package.scores(rows))})
    return tally_by(model, scored, "window", float(package.spec["threshold"]))


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
