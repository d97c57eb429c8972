"""One version of one model, ready to answer: what is swapped as a whole when the plan changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.adapters.environment import environment_digest
from tidegate.adapters.fastscorer import Prepared, prepare
from tidegate.adapters.packages import Loaded
from tidegate.adapters.proofs import Proofs
from tidegate.config.dataset import Dataset
from tidegate.config.model import Model


@dataclass(frozen=True, slots=True)
class Answer:
    """Scores, predictions and confidence, a value a row (scores: a list a row where there are several classes)."""

    scores: list[Any]
    predictions: list[Any]
    positions: list[Any]
    confidence: list[float | None]


@dataclass(frozen=True, slots=True)
class Hosted:
    """A loaded, smoke-tested version; never changed."""

    version: int
    revision: int
    package: Loaded
    prepared: Prepared
    classes: tuple[Any, ...]
    threshold: float
    groups: dict[str, float]
    group_at: int

    @property
    def code(self) -> str:
        """The digest of the user's code: the version of its features."""
        return str(self.package.spec["user"]["digest"])

    def answer(self, rows: Sequence[tuple[Any, ...]]) -> Answer:
        """What the model says of rows, whose first values are its features in order.

        Raises
        ------
        SourceError
            If the user's code or the estimator fails on them.
        """
        width = len(self.prepared.columns)
        scores = self.prepared.scores([r[:width] for r in rows] if rows and len(rows[0]) > width else rows)
        kind = self.package.spec["kind"]
        plain = scores.tolist()
        if kind == "regression":
            return Answer(plain, plain, plain, [None] * len(plain))
        if scores.ndim == 2:
            best = scores.argmax(axis=1).tolist()
            return Answer(plain, [self.classes[i] for i in best], best, scores.max(axis=1).tolist())
        if self.groups:
            values = ("missing" if r[self.group_at] is None else str(r[self.group_at]) for r in rows)
            best = [int(p >= self.groups.get(v, self.threshold)) for p, v in zip(plain, values, strict=True)]
        else:
            cut = self.threshold
            best = [int(p >= cut) for p in plain]
        return Answer(plain, [self.classes[i] for i in best], best, [p if p >= 0.5 else 1 - p for p in plain])


def host(
    package: Loaded,
    dataset: Dataset,
    model: Model,
    columns: Sequence[str],
    version: int,
    revision: int,
    proofs: Proofs | None = None,
) -> Hosted:
    """Make a loaded package ready: its fast path checked, its thresholds at hand.

    Parameters
    ----------
    columns : sequence of str
        The columns of the rows that `answer` gets.
    proofs : Proofs, optional
        Where proofs of fast paths are kept.
    """
    prepared = prepare(package, dataset, proofs)
    own = package.spec.get("group_thresholds") or {}
    group_at = list(columns).index(own["column"]) if own else -1
    threshold = threshold_of(package.spec)
    classes = _classes(model)
    warm = Hosted(version, revision, package, prepared, classes, threshold, dict(own.get("by") or {}), group_at)
    if np.isnan(threshold):
        raise ValueError(f"package {package.digest[:12]} has no threshold")
    return warm


def threshold_of(spec: dict[str, Any]) -> float:
    """The decision threshold of a package; .5 where it has none, as a regression. 0 is a threshold.

    Examples
    --------
    >>> threshold_of({"threshold": 0.0}), threshold_of({"threshold": None}), threshold_of({})
    (0.0, 0.5, 0.5)
    """
    found = spec.get("threshold")
    return 0.5 if found is None else float(found)


def _classes(model: Model) -> tuple[Any, ...]:
    """Classes by position: as declared; a binary model's positive one last."""
    classes = list(model.label.classes or ())
    return tuple(sorted(classes, key=lambda c: c == model.label.positive) if model.kind == "binary" else classes)


def environment() -> str:
    """A short digest of Python and the libraries that scores depend on: the one that a replay compares with."""
    return environment_digest()


__all__ = ["Answer", "Hosted", "environment", "host"]
