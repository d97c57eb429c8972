"""Tallies: additive counts from which every performance metric is computed.

A tally of two windows is the sum of their tallies, so nights, months, segments and the
blocks of a resampling are all the same few arrays. Scores are kept in `BINS` equal bins;
everything but the two areas under curves is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model

BINS = 1000
EPS = 1e-7
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tally:
    """Sums over rows.

    ``sums`` holds named totals; ``hist`` has, for each class, the rows per score bin that
    are not of the class and that are, shape (classes, 2, BINS); ``confusion`` has rows by
    true and predicted class, shape (classes, classes). Regression leaves both empty.
    """

    sums: Mapping[str, float]
    hist: Floats
    confusion: Floats

    def __add__(self, other: Tally) -> Tally:
        names = {**self.sums, **other.sums}
        return Tally({k: self.sums.get(k, 0.0) + other.sums.get(k, 0.0) for k in names}, _plus(self.hist, other.hist), _plus(self.confusion, other.confusion))

    def __sub__(self, other: Tally) -> Tally:
        return Tally({k: v - other.sums.get(k, 0.0) for k, v in self.sums.items()}, self.hist - other.hist, self.confusion - other.confusion)

    @property
    def n(self) -> int:
        return round(self.sums.get("n", 0.0))

    def as_dict(self) -> dict[str, Any]:
        """A sparse form for storage."""
        flat = self.hist.ravel()
        at = np.flatnonzero(flat)
        return {"sums": dict(self.sums), "shape": list(self.hist.shape), "at": at.tolist(), "rows": flat[at].tolist(), "confusion": self.confusion.tolist()}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Tally:
        hist = np.zeros(int(np.prod(body["shape"])))
        hist[np.asarray(body["at"], dtype=int)] = body["rows"]
        return cls(dict(body["sums"]), hist.reshape(body["shape"]), np.array(body["confusion"], dtype=float).reshape(len(body["confusion"]), len(body["confusion"])))


EMPTY = Tally({}, np.zeros((0, 2, BINS)), np.zeros((0, 0)))


def _plus(a: Floats, b: Floats) -> Floats:
    return b if a.size == 0 else a if b.size == 0 else a + b


def total(tallies: Sequence[Tally]) -> Tally:
    """The sum of tallies; of none, an empty tally."""
    out = EMPTY
    for tally in tallies:
        out = out + tally
    return out


def tally_of(model: Model, scores: Floats, labels: NDArray[Any], threshold: float = 0.5) -> Tally:
    """Tally labelled rows.

    Parameters
    ----------
    scores : ndarray
        Shape (n,) probability of the positive class for a binary model, (n, classes)
        probabilities for multiclass, (n,) predictions for regression.
    labels : ndarray, shape (n,)
        Class positions (0..classes-1; 1 is positive for binary) or the target's values.
        Rows with a NaN label or score must be left out before.
    threshold : float
        Binary: predict positive when the score is at least this.
    """
    if not len(labels):
        return EMPTY
    if model.kind == "regression":
        return _regression(model, scores, np.asarray(labels, dtype=float))
    y = np.asarray(labels, dtype=int)
    if model.kind == "binary":
        p = np.column_stack([1 - scores, scores])
        guess = (scores >= threshold).astype(int)
    else:
        p, guess = np.asarray(scores, dtype=float), np.asarray(scores).argmax(axis=1)
    classes = p.shape[1]
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, (y, guess), 1.0)
    onehot = np.eye(classes)[y]
    shown = slice(1, 2) if model.kind == "binary" else slice(0, classes)
    hist = np.stack([_hist(p[:, c], y == c) for c in range(classes)[shown]])
    mine = np.clip(p[np.arange(len(y)), y], EPS, 1.0)
    sums = {
        "n": float(len(y)),
        "log_loss": float(-np.log(mine).sum()),
        "brier": float(((p - onehot) ** 2).sum() / (2 if model.kind == "binary" else 1)),
        "predicted": float(p[:, 1].sum()) if model.kind == "binary" else 0.0,
        "kpi": _kpi(model, confusion),
    }
    return Tally(sums, hist, confusion)


def _regression(model: Model, scores: Floats, y: Floats) -> Tally:
    error = scores - y
    sums = {"n": float(len(y)), "error": float(error.sum()), "absolute": float(np.abs(error).sum()), "squared": float((error**2).sum()),
            "y": float(y.sum()), "yy": float((y**2).sum()), "kpi": float(model.kpi.per_unit_error * np.abs(error).sum())}
    return Tally(sums, np.zeros((0, 2, BINS)), np.zeros((0, 0)))


def _hist(p: Floats, is_class: NDArray[np.bool_]) -> Floats:
    at = np.minimum((p * BINS).astype(int), BINS - 1)
    return np.stack([np.bincount(at[~is_class], minlength=BINS), np.bincount(at[is_class], minlength=BINS)]).astype(float)


def _kpi(model: Model, confusion: Floats) -> float:
    k = model.kpi
    if model.kind == "binary":
        (tn, fp), (fn, tp) = confusion
        return float(k.true_negative * tn + k.false_positive * fp + k.false_negative * fn + k.true_positive * tp)
    right = float(np.trace(confusion))
    return k.correct * right + k.wrong * (float(confusion.sum()) - right)
