"""Counterfactuals: what would have had to be different for another decision.

Each is the nearest flip that `tidegate.gate.flips` finds, asked again without the columns that were used before, so
that several ways out are told (Mothilal, Sharma & Tan 2020); each is scored once more by itself before it is told. The
search is bounded: that none was found is no proof that there is none. What is changed is what the model reads, not
what a person could change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.gate.feasible import Choices, Feasible
from tidegate.gate.flips import Flip, changed, nearest_flip

Score = Callable[[pa.Table], NDArray[np.float64]]


@dataclass(frozen=True)
class Counterfactual:
    """A change of a row under which the model decides otherwise, or that none was found.

    Parameters
    ----------
    row : int
        The row's place in the table.
    flipped : bool
        False where no change was found within the tries; then `changes` is empty and `after` as `before`.
    changes : mapping of str to (from, to)
    distance : float
        Sum over the changes, in standard deviations, 1 for each value that is no number; NaN without a flip.
    before, after : float
        Score of the positive class, for multiclass of the class that was decided before.
    decisions : (int, int)
        Class positions before and after.
    """

    row: int
    flipped: bool
    before: float
    after: float
    decisions: tuple[int, int]
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    distance: float = math.nan


def counterfactuals(
    score: Score,
    rows: pa.Table,
    feasible: Mapping[str, Feasible],
    immutable: Collection[str],
    threshold: float,
    rng: np.random.Generator,
    *,
    most: int = 3,
    tries: int = 24,
) -> tuple[Counterfactual, ...]:
    """Up to `most` verified counterfactuals for each row, the nearest first; one that says "none found" else.

    Parameters
    ----------
    score : callable
        Table of n rows to scores, (n,) of the positive class or (n, classes). Its errors are passed on.
    rows : Table
        Rows to explain; more than a few cost seconds.
    feasible : mapping of str to Range or Choices
        What may be changed, and within what, as `tidegate.gate.feasible.feasible_of` makes it.
    immutable : collection of str
        Columns that keep their values.
    threshold : float
        A score of at least this is decided as positive; of no effect with several classes.
    most : int
        Ways out for each row; no two share a column.
    tries : int
        Values that are tried of each number in a round.

    Examples
    --------
    >>> from tidegate.gate.feasible import Range
    >>> rows = pa.table({"age": [30.0], "income": [20.0]})
    >>> feasible = {"age": Range(18.0, 90.0, 10.0), "income": Range(10.0, 80.0, 10.0)}
    >>> def score(t):
    ...     return (t["age"].to_numpy() + t["income"].to_numpy()) / 160
    >>> found = counterfactuals(score, rows, feasible, ["age"], 0.5, np.random.default_rng(0))
    >>> [(list(c.changes), c.flipped, round(c.distance, 1), c.decisions) for c in found]
    [(['income'], True, 3.0, (0, 1))]
    """
    out: list[Counterfactual] = []
    for i in range(rows.num_rows):
        row, fixed, found = rows.slice(i, 1), set(immutable), []
        for _ in range(most):
            flip = nearest_flip(score, row, feasible, immutable=fixed, rng=rng, threshold=threshold, tries=tries)
            if flip is None:
                break
            if _holds(score, row, flip, feasible, set(immutable), threshold):
                told = Counterfactual(i, True, flip.before, flip.after, flip.decisions, flip.changes, flip.distance)
                found.append(told)
            fixed |= set(flip.changes)
        out += sorted(found, key=lambda c: (len(c.changes), c.distance)) or [_none(score, row, i, threshold)]
    return tuple(out)


def decided(scores: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """Class positions, shape (n,): of the greatest score, or whether the score reaches the threshold.

    Examples
    --------
    >>> decided(np.array([0.2, 0.5]), 0.5).tolist(), decided(np.array([[0.1, 0.7, 0.2]]), 0.5).tolist()
    ([0, 1], [1])
    """
    guess = scores.argmax(axis=1) if scores.ndim == 2 else scores >= threshold
    return np.asarray(guess).astype(np.int64)


def _none(score: Score, row: pa.Table, i: int, threshold: float) -> Counterfactual:
    scores = np.asarray(score(row), dtype=np.float64)
    now = int(decided(scores, threshold)[0])
    own = float(scores[0, now] if scores.ndim == 2 else scores[0])
    return Counterfactual(i, False, own, own, (now, now))


def _holds(
    score: Score, row: pa.Table, flip: Flip, feasible: Mapping[str, Feasible], immutable: set[str], threshold: float
) -> bool:
    """Whether a flip is what it says when the row is changed and scored once more."""
    made = changed(row, [{name: new for name, (_, new) in flip.changes.items()}])
    moved = {name for name in row.column_names if made[name].to_pylist() != row[name].to_pylist()}
    scores = [np.asarray(score(t), dtype=np.float64) for t in (row, made)]
    decisions = tuple(int(decided(s, threshold)[0]) for s in scores)
    allowed = all(_within(feasible[name], made[name][0].as_py()) for name in moved)
    return moved == set(flip.changes) and not moved & immutable and allowed and decisions[0] != decisions[1]


def _within(rule: Feasible, value: Any) -> bool:
    if isinstance(rule, Choices):
        return value in rule.values
    return bool(rule.low <= value <= rule.high and (not rule.seen or value in rule.seen))
