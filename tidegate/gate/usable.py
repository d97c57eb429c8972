"""Can these rows be judged at all? What cannot is a verdict, never a fault."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.gate.judged import Judged
from tidegate.verdicts import Verdict


def unusable(model: Model, judged: Judged) -> Verdict | None:
    """Why no check can be made of these rows; None where they can be judged.

    A candidate whose scores are missing, not finite or no probabilities fails. The same of the other side, labels
    that are no class, one class only, and no rows are inconclusive.

    Raises
    ------
    UsageError
        If the two sides do not have a score for each row: they were not paired.
    """
    sides = {"the candidate": judged.ours, "what it is compared with": judged.theirs}
    if any(len(scores) != len(judged) for scores in sides.values()) or len(judged.night) != len(judged):
        found = f"{len(judged.ours)} and {len(judged.theirs)} scores for {len(judged)} labels"
        raise UsageError("rows of the gate", "the same rows for both models", found, "score both on the same rows")
    if not len(judged):
        return Verdict("inconclusive", ("no labelled rows that neither model saw",))
    for (who, scores), outcome in zip(sides.items(), ("fail", "inconclusive"), strict=True):
        why = _wrong_scores(model, np.asarray(scores))
        if why:
            return Verdict("fail" if outcome == "fail" else "inconclusive", (f"{who} {why}",))
    why = _wrong_labels(model, np.asarray(judged.label))
    return Verdict("inconclusive", (why,)) if why else None


def _wrong_scores(model: Model, scores: NDArray[Any]) -> str:
    classes = len(model.label.classes or ())
    if model.kind == "multiclass" and (scores.ndim != 2 or scores.shape[1] != classes):
        known = scores.shape[1] if scores.ndim == 2 else 1
        return f"has scores of {known} classes, {classes} are declared"
    if model.kind != "multiclass" and scores.ndim != 1:
        return f"has {scores.shape[1]} scores a row, 1 expected"
    if scores.dtype.kind not in "iuf":
        return "has scores that are no numbers"
    bad = ~np.isfinite(scores)
    if bad.any():
        return f"has no finite score on {int(bad.reshape(len(scores), -1).any(axis=1).sum()):,} of {len(scores):,} rows"
    if model.kind != "regression" and not ((scores >= -1e-9) & (scores <= 1 + 1e-9)).all():
        return "has scores that are no probabilities"
    return ""


def _wrong_labels(model: Model, labels: NDArray[Any]) -> str:
    if labels.dtype.kind not in "biuf":
        return "labels are no numbers"
    known = (
        np.isfinite(labels) if model.kind == "regression" else np.isin(labels, range(len(model.label.classes or ())))
    )
    if not known.all():
        return f"{int((~known).sum()):,} of {len(labels):,} labels are {_none(model)}"
    if model.kind != "regression" and labels.min() == labels.max():
        return "the labels are of one class only"
    return ""


def _none(model: Model) -> str:
    return "not finite" if model.kind == "regression" else "of no declared class"
