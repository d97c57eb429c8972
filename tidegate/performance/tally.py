"""Tallies: additive counts from which every performance metric is computed.

The tally of two windows is the sum of their tallies, so nights, months, segments and the
blocks of a resampling are all the same few arrays. Scores are kept in equal bins; every
metric but the two areas under curves is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.errors import SourceError, UsageError

BINS: Final = 10_000
"""Score bins of a binary model: fine enough for a model whose scores keep to a narrow band."""
CLASS_BINS: Final = 1_000
"""Score bins of each class of a multiclass model; there are many classes, each an array."""

EPS: Final = float(np.finfo(np.float64).eps)  # as scikit-learn's log_loss
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tally:
    """Sums over rows.

    ``sums`` holds named totals; ``hist`` has, for each class, the rows per score bin that
    are not of the class and that are, shape (classes, 2, bins) (a binary model has its
    positive class only); ``confusion`` has rows by true and predicted class, shape
    (classes, classes). Regression leaves both empty.

    Examples
    --------
    >>> import numpy as np
    >>> one = Tally({"n": 2.0, "absolute": 3.0}, NO_HIST, NO_CONFUSION)
    >>> both = one + one
    >>> both.n, both.sums["absolute"], (both - one).n, EMPTY.n
    (4, 6.0, 2, 0)
    """

    sums: Mapping[str, float]
    hist: Counts
    confusion: Counts

    def __add__(self, other: Tally) -> Tally:
        """The tally of both; raises `UsageError` if they are of models of different kinds."""
        if not self.sums:
            return other
        if not other.sums:
            return self
        _same_kind(self, other)
        sums = {k: v + other.sums[k] for k, v in self.sums.items()}
        if "spread" in sums:
            sums["spread"] += _between(self.sums, other.sums)
        return Tally(sums, self.hist + other.hist, self.confusion + other.confusion)

    def __sub__(self, other: Tally) -> Tally:
        """What is left without the rows of `other`, which must be among these."""
        if not other.sums:
            return self
        _same_kind(self, other)
        sums = {k: v - other.sums[k] for k, v in self.sums.items()}
        if "spread" in sums:
            sums["spread"] = max(0.0, sums["spread"] - _between(sums, other.sums))
        return Tally(sums, self.hist - other.hist, self.confusion - other.confusion)

    @property
    def n(self) -> int:
        """Rows."""
        return round(self.sums.get("n", 0.0))

    def as_dict(self) -> dict[str, Any]:
        """A sparse form for storage, at most as long as there are rows."""
        flat = self.hist.ravel()
        at = np.flatnonzero(flat)
        return {
            "sums": dict(self.sums),
            "shape": list(self.hist.shape),
            "at": at.tolist(),
            "rows": flat[at].tolist(),
            "confusion": self.confusion.tolist(),
        }

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Tally:
        """The tally that `as_dict` wrote."""
        hist = np.zeros(int(np.prod(body["shape"])), dtype=np.int64)
        hist[np.asarray(body["at"], dtype=np.int64)] = body["rows"]
        classes = len(body["confusion"])
        confusion = np.array(body["confusion"], dtype=np.int64).reshape(classes, classes)
        return cls(dict(body["sums"]), hist.reshape(body["shape"]), confusion)


NO_HIST: Final[Counts] = np.zeros((0, 2, BINS), dtype=np.int64)
NO_CONFUSION: Final[Counts] = np.zeros((0, 0), dtype=np.int64)
EMPTY: Final = Tally({}, NO_HIST, NO_CONFUSION)


def _same_kind(a: Tally, b: Tally) -> None:
    # Without this, numpy would stretch a binary model's histogram over several classes.
    if a.hist.shape != b.hist.shape or a.confusion.shape != b.confusion.shape or a.sums.keys() != b.sums.keys():
        raise UsageError("tallies", f"the same classes and bins, {a.hist.shape}", str(b.hist.shape), "measure again")


def _between(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    """What joining two sets of rows adds to their squared spread (Chan, Golub & LeVeque 1983)."""
    if not a["n"] or not b["n"]:
        return 0.0
    return (a["y"] / a["n"] - b["y"] / b["n"]) ** 2 * a["n"] * b["n"] / (a["n"] + b["n"])


def total(tallies: Sequence[Tally]) -> Tally:
    """The sum of tallies; of none, an empty tally."""
    out = EMPTY
    for tally in tallies:
        out = out + tally
    return out


def tally_of(model: Model, scores: Floats, labels: NDArray[Any], threshold: float | Floats = 0.5) -> Tally:
    """Tally labelled rows; no rows give `EMPTY`.

    Parameters
    ----------
    scores : ndarray
        Shape (n,) probability of the positive class for a binary model, (n, classes)
        probabilities for multiclass, (n,) predictions for regression.
    labels : ndarray, shape (n,)
        Class positions (0..classes-1; 1 is positive for binary) or the target's values.
        Rows without a label must be left out before.
    threshold : float or ndarray, shape (n,)
        Binary: predict positive when the score is at least this.

    Raises
    ------
    SourceError
        If a score is missing or no probability, or a label is missing or no class: such
        rows would silently land in some bin.
    """
    scores, y = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if not len(y):
        return EMPTY
    _check(model, scores, y)
    if model.kind == "regression":
        return _regression(model, scores, y)
    return _classification(model, scores, y.astype(np.int64), threshold)


def _check(model: Model, scores: Floats, y: Floats) -> None:
    classes = len(model.label.classes or ())
    shape = (len(y), classes) if model.kind == "multiclass" else (len(y),)
    if scores.shape != shape:
        raise SourceError(f"scores of {model.name}", f"shape {shape}", str(scores.shape), "mend the estimator")
    likely = np.isfinite(scores) if model.kind == "regression" else (scores >= -1e-9) & (scores <= 1 + 1e-9)
    if not likely.all():
        wanted = "finite predictions" if model.kind == "regression" else "probabilities in 0..1"
        raise SourceError(f"scores of {model.name}", wanted, str(scores[~likely][0]), "mend the estimator")
    known = np.isfinite(y) if model.kind == "regression" else np.isin(y, np.arange(classes))
    if not known.all():
        wanted = "finite numbers" if model.kind == "regression" else f"class positions 0..{classes - 1}"
        raise SourceError(f"labels of {model.name}", wanted, str(y[~known][0]), "leave out rows without a label")


def _classification(model: Model, scores: Floats, y: Counts, threshold: float | Floats) -> Tally:
    binary = model.kind == "binary"
    p = np.column_stack([1 - scores, scores]) if binary else scores
    guess = (scores >= threshold).astype(np.int64) if binary else scores.argmax(axis=1)
    classes = p.shape[1]
    confusion = np.bincount(y * classes + guess, minlength=classes**2).reshape(classes, classes)
    shown, bins = ([1], BINS) if binary else (range(classes), CLASS_BINS)
    hist = np.stack([_hist(p[:, c], y == c, bins) for c in shown])
    mine = np.clip(p[np.arange(len(y)), y], EPS, 1.0)
    sums = {
        "n": float(len(y)),
        "log_loss": float(-np.log(mine).sum()),
        "brier": float(((p - np.eye(classes)[y]) ** 2).sum() / (2 if binary else 1)),
        "predicted": float(scores.sum()) if binary else 0.0,
        "kpi": _kpi(model, confusion),
    }
    return Tally(sums, hist, confusion)


def _regression(model: Model, scores: Floats, y: Floats) -> Tally:
    error = scores - y
    off = np.abs(error).sum()
    sums = {
        "n": float(len(y)),
        "error": float(error.sum()),
        "absolute": float(off),
        "squared": float((error**2).sum()),
        "y": float(y.sum()),
        # About the rows' own mean: a sum of y² would lose all its digits to a large offset.
        "spread": float(((y - y.mean()) ** 2).sum()),
        "kpi": float(model.kpi.per_unit_error * off),
    }
    return Tally(sums, NO_HIST, NO_CONFUSION)


def _hist(p: Floats, is_class: NDArray[np.bool_], bins: int) -> Counts:
    at = np.clip((p * bins).astype(np.int64), 0, bins - 1)
    return np.bincount(at + bins * is_class, minlength=2 * bins).reshape(2, bins)


def _kpi(model: Model, confusion: Counts) -> float:
    k = model.kpi
    if model.kind == "binary":
        (tn, fp), (fn, tp) = confusion
        return float(k.true_negative * tn + k.false_positive * fp + k.false_negative * fn + k.true_positive * tp)
    right = np.trace(confusion)
    return float(k.correct * right + k.wrong * (confusion.sum() - right))
