"""Bearing: what a candidate makes of disturbed rows, whether it leans on a leak, whether its labels were poisoned."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.adapters.packages import Loaded
from tidegate.gate.leakage import leakage
from tidegate.gate.line import Check, Line, unknown
from tidegate.gate.poisoning import Labelled, Sources, groups_of, guarded, poisoning
from tidegate.gate.robustness import robustness
from tidegate.steps.anchor import anchor_of
from tidegate.steps.case import Case
from tidegate.steps.holdout import HoldOut
from tidegate.steps.score import scores_of
from tidegate.training.scoring import design

Floats = NDArray[np.float64]

SCREENED = 20_000
"""Rows on which single features are screened for leaks."""
MADE = 64
"""Columns made by the user's `features` that are screened; a one-hot code of a thousand words is left to the rest."""
RECENT = 10_000
"""Newest rows of which those to disturb are drawn."""


def bearing(case: Case, hold: HoldOut | None, rng: np.random.Generator) -> Check:
    """The check of robustness, with its lines on leakage and poisoning.

    Raises
    ------
    SourceError
        If the candidate gives no scores on rows as they came.
    """
    if hold is None:
        return unknown("robustness", "no labelled rows to disturb")
    recent, champion = hold.newest(RECENT), case.champion[1] if case.champion else None
    return robustness(
        case.model,
        case.dataset,
        recent.rows,
        recent.judged.label,
        recent.judged.night,
        case.package.scores,
        champion=champion.scores if champion else None,
        threshold=float(case.package.spec["threshold"]),
        rng=rng,
        others=(*_leakage(case, hold, rng), *_poisoning(case, hold, champion)),
    )


def _leakage(case: Case, hold: HoldOut, rng: np.random.Generator) -> list[Line]:
    at = np.sort(rng.permutation(len(hold.judged))[:SCREENED])
    judged, rows = hold.judged, hold.rows.take(pa.array(at))
    features, column = list(case.package.spec["features"]), case.model.label.column
    settings = case.model.gate.robustness
    made = _made(case.package, rows)
    kind, label, night = case.model.kind, judged.label[at], judged.night[at]
    return leakage(case.dataset, features, column, kind, rows, label, night, settings, made)[0]


def _made(package: Loaded, rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    """The columns that the user's `features` adds or changes, at most `MADE` of them, as numbers or text."""
    if package.features is None:
        return {}
    plain, frame = design(rows, package.spec, None), design(rows, package.spec, package.features)
    out: dict[str, pa.ChunkedArray] = {}
    for i, name in enumerate(frame.columns[:MADE]):
        values = frame.iloc[:, i]
        if name in plain.columns and values.equals(plain[name]):
            continue
        dense = np.asarray(values)
        if np.issubdtype(dense.dtype, np.number) or dense.dtype == bool:
            column = pa.array(dense.astype(np.float64), from_pandas=True)
        else:
            column = pa.array([None if pd.isna(v) else str(v) for v in dense.tolist()], pa.string())
        out[f"{name}, made by features (column {i + 1})"] = pa.chunked_array([column])
    return out


def _poisoning(case: Case, hold: HoldOut, champion: Loaded | None) -> list[Line]:
    if champion is None:
        return poisoning(case.model, None)
    columns = guarded(case.model, case.dataset)
    kept = anchor_of(case.stores, case.model, champion)
    ours = _blind(case, kept.rows) if kept.rows.num_rows else kept.scores
    anchor = Labelled(kept.label, kept.night, kept.scores, ours, groups_of(kept.rows, columns))
    judged = hold.judged
    recent = Labelled(judged.label, judged.night, judged.theirs, None, groups_of(hold.rows, columns))
    return poisoning(case.model, anchor, recent, _sources(case, champion))


def _blind(case: Case, rows: pa.Table) -> Floats:
    """The candidate's scores, out of fold where it has them: what it learned by heart would speak for it."""
    outcomes, scores = case.package.reference("outcomes"), case.package.scores(rows)
    at = {row: i for i, row in enumerate(outcomes["row_id"].to_pylist())}
    where = np.array([at.get(r, -1) for r in rows["row_id"].to_pylist()], dtype=np.int64)
    scores[where >= 0] = scores_of(outcomes)[where[where >= 0]]
    return scores


def _sources(case: Case, champion: Loaded) -> Sources | None:
    column = case.model.gate.robustness.source
    if column is None:
        return None

    def of(package: Loaded) -> NDArray[np.object_]:
        nights = package.spec["trained"]
        rows = case.stores.data.read("batches", case.model.dataset, nights, columns=[column])
        texts = pc.fill_null(rows[column].cast(pa.string()), "missing")
        return np.asarray(texts.to_numpy(zero_copy_only=False))

    return Sources(of(champion), of(case.package))
