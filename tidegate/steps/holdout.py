"""The hold-out: labelled rows that neither the candidate nor its opponent trained on, scored by both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.errors import SourceError
from tidegate.gate.judged import Judged
from tidegate.lineage.usercode import load_copied
from tidegate.performance.constant import constant_scores
from tidegate.steps.case import Case
from tidegate.steps.decide import labelled_nights
from tidegate.steps.outcomes import join, labels_of
from tidegate.steps.score import scores_of
from tidegate.training.scoring import design
from tidegate.training.thresholds import crossfit, cuts_of
from tidegate.verdicts import Verdict

Floats = NDArray[np.float64]
SEEN_BY_ALL = -1
"""Fold of rows after the candidate's training, which all its members score."""


@dataclass(frozen=True, eq=False)
class HoldOut:
    """Feature rows and what both sides made of them, in the same order."""

    rows: pa.Table
    judged: Judged

    def newest(self, rows: int) -> HoldOut:
        """About so many rows of the newest nights, or all, in their order."""
        order = np.argsort(self.judged.night, kind="stable")[-rows:]
        keep = np.zeros(len(self.judged), dtype=bool)
        keep[order] = True
        return HoldOut(self.rows.filter(pa.array(keep)), self.judged.where(keep))


def hold_out(case: Case) -> HoldOut | Verdict:
    """The rows to judge a candidate on, or why there are none.

    A candidate that gives no scores fails; a champion that gives none, or does not know a class, leaves nothing to
    compare with, which is inconclusive.
    """
    adjusts = _adjusts(case)
    try:
        if case.champion is None:
            return _against_constant(case)
        if adjusts is not None:
            return _against_adjusted(case, case.champion[1], adjusts)
        return _against_champion(case, case.champion[1])
    except SourceError as fault:
        return Verdict("fail", (str(fault),))


def kept_by(case: Case) -> tuple[str, ...]:
    """Metrics that an adjustment cannot change: those of the ranks alone, of a binary model."""
    return ("roc_auc", "pr_auc") if _adjusts(case) is not None and case.model.kind == "binary" else ()


def _adjusts(case: Case) -> dict[str, Any] | None:
    """What the candidate adjusts, if that is what it was made for: a mitigation of an adjusted package was not."""
    record = next((v for v in case.stores.records.versions(case.model.name) if v["version"] == case.version), None)
    return case.package.spec["adjusts"] if record is not None and record["body"].get("adjusts") else None


def _against_adjusted(case: Case, champion: Loaded, adjusts: dict[str, Any]) -> HoldOut | Verdict:
    """Labelled nights since the first that an adjustment was fitted on; both sides count with their means.

    On nights of its fit the candidate counts with scores and thresholds that were fitted without the night, as its
    `adjustment` has them; on later ones with its own. The champion counts as it serves: what is asked is whether its
    threshold and its scores are still the right ones.
    """
    if adjusts["package"] != champion.digest:
        why = f"it adjusts version {adjusts['version']}, which is not the champion any more"
        return Verdict("inconclusive", (why,))
    package, kept = case.package, case.package.reference("adjustment")
    first, last = adjusts["nights"][0], adjusts["nights"][-1]
    rows = _labelled(case, [n for n in labelled_nights(case.stores, case.model, case.window) if n >= first])
    at = {row: i for i, row in enumerate(kept["row_id"].to_pylist())}
    where = np.array([at.get(r, -1) for r in rows["row_id"].to_pylist()], dtype=np.int64)
    inside = where >= 0
    early = rows.filter(pa.array(inside))
    late = rows.filter(pa.array(~inside & pc.greater(rows["window"], last).to_numpy(zero_copy_only=False)))
    if not early.num_rows + late.num_rows:
        return Verdict("inconclusive", ("no labelled row since the first night of the fit",))
    ours = [scores_of(kept)[where[inside]], *([package.scores(late)] if late.num_rows else [])]
    both = pa.concat_tables([early, late])
    try:
        theirs = champion.scores(both)
    except SourceError as fault:
        return Verdict("inconclusive", (f"the champion gives no scores: {fault}",))
    our_cut = np.concatenate([kept["cut"].to_numpy()[where[inside]], cuts_of(package.spec, late)])
    return _judged(case, both, np.concatenate(ours), theirs, our_cut, cuts_of(champion.spec, both))


def _against_champion(case: Case, champion: Loaded) -> HoldOut | Verdict:
    """Labelled nights since the champion's training.

    On nights of its training the candidate counts with out-of-fold scores, that is with single
    members; so the champion counts with single members there too, since a mean of several
    against one would not be a fair match. On later nights both count with their means.
    """
    package, known = case.package, set(champion.spec["classes"])
    strange = [c for c in package.spec["classes"] if c not in known]
    if strange or list(champion.spec["classes"]) != list(package.spec["classes"]):
        what = f"does not know class {strange[0]!r}" if strange else "has other classes"
        return Verdict("inconclusive", (f"the champion {what}: the two cannot be compared",))
    nights = [n for n in labelled_nights(case.stores, case.model, case.window) if n > champion.spec["trained"][-1]]
    if not nights:
        return Verdict("inconclusive", ("no labelled night since the champion's training",))
    rows = _labelled(case, nights)
    outcomes = package.reference("outcomes")
    at = {row: i for i, row in enumerate(outcomes["row_id"].to_pylist())}
    where = np.array([at.get(r, -1) for r in rows["row_id"].to_pylist()], dtype=np.int64)
    inside = where >= 0
    # A row of a night that it trained on, but without an out-of-fold score, was not unseen.
    after = pc.greater(rows["window"], package.spec["trained"][-1]).to_numpy(zero_copy_only=False)
    early, late = rows.filter(pa.array(inside)), rows.filter(pa.array(~inside & after))
    if not early.num_rows + late.num_rows:
        return Verdict("inconclusive", ("no labelled row since the champion's training",))
    fold = np.concatenate([outcomes["fold"].to_numpy()[where[inside]], np.full(late.num_rows, SEEN_BY_ALL)])
    ours = [scores_of(outcomes)[where[inside]], *([package.scores(late)] if late.num_rows else [])]
    try:
        theirs = [champion.member_scores(early, fold[: early.num_rows])] if early.num_rows else []
        theirs += [champion.scores(late)] if late.num_rows else []
    except SourceError as fault:
        return Verdict("inconclusive", (f"the champion gives no scores: {fault}",))
    both = pa.concat_tables([early, late])
    return _hold_out(case, both, fold, np.concatenate(ours), np.concatenate(theirs), champion)


def _against_constant(case: Case) -> HoldOut | Verdict:
    """A first model's own out-of-fold rows, against the best constant prediction of its training."""
    rows, fold, ours = _own(case)
    if not rows.num_rows:
        return Verdict("inconclusive", ("no labelled row that the model was not trained on",))
    return _hold_out(case, rows, fold, ours, constant_scores(case.model, rows["label"].to_numpy()), None)


def against_baseline(case: Case) -> HoldOut | None:
    """A first model's own rows against the declared baseline; None where the model file declares none.

    Raises
    ------
    SourceError
        If the user's function raises, or does not give a finite score for each row.
    """
    package, path = case.package, case.package.spec["user"].get("baseline")
    if not path:
        return None
    folder, digest = package.folder / "tidegate" / "user", package.spec["user"]["digest"]
    rows, fold, ours = _own(case)
    scores = _called(load_copied(path, folder, package.spec["model"], digest), path, rows, package, ours.shape)
    return _hold_out(case, rows, fold, ours, scores, None)


def _called(code: Callable[..., object], path: str, rows: pa.Table, package: Loaded, shape: tuple[int, ...]) -> Floats:
    try:
        scores = np.asarray(code(design(rows, package.spec, None)), dtype=np.float64)
    except Exception as fault:
        found = f"{type(fault).__name__}: {fault}"
        raise SourceError(f"user code {path}", "a score for each row", found, "mend the user code") from fault
    if scores.shape != shape or not np.isfinite(scores).all():
        found = f"shape {scores.shape}, {int((~np.isfinite(scores)).sum())} not finite"
        raise SourceError(f"user code {path}", f"finite scores of shape {shape}", found, "mend the user code")
    return scores


def _own(case: Case) -> tuple[pa.Table, NDArray[np.int64], Floats]:
    outcomes = case.package.reference("outcomes")
    rows = _labelled(case, sorted(set(outcomes["event_window"].to_pylist())))
    at = {row: i for i, row in enumerate(outcomes["row_id"].to_pylist())}
    where = np.array([at.get(r, -1) for r in rows["row_id"].to_pylist()], dtype=np.int64)
    rows, where = rows.filter(pa.array(where >= 0)), where[where >= 0]
    return rows, outcomes["fold"].to_numpy()[where].astype(np.int64), scores_of(outcomes)[where]


def _labelled(case: Case, nights: list[str]) -> pa.Table:
    batches = case.stores.data.read("batches", case.model.dataset, nights)
    return join(batches, labels_of(case.stores, case.model, nights, case.window))


def _hold_out(
    case: Case, rows: pa.Table, fold: NDArray[np.int64], ours: Floats, theirs: Floats, champion: Loaded | None
) -> HoldOut:
    label, model = rows["label"].to_numpy(), case.model
    our_cut = _cuts(model, case.package, rows, fold, ours, label)
    return _judged(case, rows, ours, theirs, our_cut, _cuts(model, champion, rows, fold, theirs, label))


def _judged(case: Case, rows: pa.Table, ours: Floats, theirs: Floats, our_cut: Floats, their_cut: Floats) -> HoldOut:
    judged = Judged(
        rows["window"].to_numpy(zero_copy_only=False),
        rows["label"].to_numpy(),
        ours,
        theirs,
        our_cut,
        their_cut,
        {name: texts(rows[name]) for name in case.model.judged_segments},
        rows["row_id"].to_numpy(zero_copy_only=False),
    )
    return HoldOut(rows, judged)


def texts(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """A column's values as text, ``missing`` for nulls."""
    return np.asarray(pc.fill_null(column.cast(pa.string()), "missing").to_numpy(zero_copy_only=False))


def _cuts(
    model: Model,
    package: Loaded | None,
    rows: pa.Table,
    fold: NDArray[np.int64],
    scores: Floats,
    label: Floats,
) -> Floats:
    """The threshold for each row, chosen on the other folds' rows; by group where the package goes by groups.

    Where all rows came after the training there are no others: the package's own, chosen at its training.
    """
    if package and (fold == SEEN_BY_ALL).all():
        return cuts_of(package.spec, rows)
    own = package.spec.get("group_thresholds") if package else None
    column = own["column"] if own else ""
    return crossfit(model, scores, label, texts(rows[column]) if own else None, fold, column)
