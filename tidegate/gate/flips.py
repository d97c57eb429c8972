"""The smallest change of a row that flips the model's decision: a counterfactual, verified by scoring it.

A bounded search in rounds of one scoring call each: all changes of one column; then changes of one more column on
top of those that moved the score furthest; then the found change is drawn back towards the row as far as the
decision stays flipped. Fewest columns first, then the least distance (each number by its standard deviation, 1 for
each other value). The search is not exhaustive: "none found" is no proof that there is none.

References
----------
Wachter, Mittelstadt & Russell, Counterfactual explanations without opening the black box, 2018; the distance is
Gower's (1971) with standard deviations in place of ranges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.errors import UsageError
from tidegate.gate.feasible import Choices, Feasible, Range

Score = Callable[[pa.Table], NDArray[np.float64]]
Change = dict[str, Any]

BEAM = 6
"""Changes that a further column is put on top of."""
REFINED = 4
"""Rounds in which a found change is drawn back."""
MOST_ROWS = 4000
"""Rows of one scoring call; of more changes a random part is tried."""


@dataclass(frozen=True)
class Flip:
    """A change that flips the decision.

    Parameters
    ----------
    changes : mapping of str to (old, new)
    distance : float
        Sum over the changed columns, in standard deviations; 1 for each value that is no number.
    before, after : float
        Score of the positive class, for multiclass of the class that was decided before; in [0, 1].
    decisions : (int, int)
        Class positions before and after.
    """

    changes: Mapping[str, tuple[Any, Any]]
    distance: float
    before: float
    after: float
    decisions: tuple[int, int]


def nearest_flip(
    score: Score,
    row: pa.Table,
    feasible: Mapping[str, Feasible],
    *,
    immutable: Collection[str] = (),
    rng: np.random.Generator,
    threshold: float,
    tries: int = 24,
    most: int = 3,
) -> Flip | None:
    """The smallest change found that flips the decision on `row`, or None if none is found.

    Parameters
    ----------
    score : callable
        Table of n rows to scores: (n,) of the positive class, or (n, classes). Its errors are passed on.
    row : Table of one row
        Every column that `score` needs; columns that are not in `feasible` stay as they are.
    feasible : mapping of str to Range or Choices
        As `tidegate.gate.feasible.feasible_of` makes it.
    immutable : collection of str
        Columns that must not change.
    threshold : float
        A score of at least this is decided as positive; of no effect with several classes.
    tries : int
        Values tried of each number in a round, 2 or more.
    most : int
        Most columns that may change.

    Raises
    ------
    UsageError
        If there is not one row.

    Examples
    --------
    >>> row = pa.table({"age": [30.0], "bmi": [20.0]})
    >>> feasible = {"age": Range(18.0, 90.0, 10.0), "bmi": Range(15.0, 40.0, 5.0)}
    >>> def score(t):
    ...     return 1 / (1 + np.exp(-(t["age"].to_numpy() / 10 + t["bmi"].to_numpy() - 28)))
    >>> flip = nearest_flip(score, row, feasible, rng=np.random.default_rng(0), threshold=0.5)
    >>> list(flip.changes), round(flip.distance, 2), flip.decisions
    (['bmi'], 1.0, (0, 1))
    """
    if row.num_rows != 1:
        raise UsageError("the nearest flip", "one row", f"{row.num_rows}", "ask for each row by itself")
    first = np.asarray(score(row), dtype=np.float64)
    if not np.isfinite(first).all():
        return None
    search = _Search(score, row, feasible, threshold, int(decided(first, threshold)[0]), rng)
    free = [c for c in feasible if c not in immutable and c in row.column_names]
    beam: list[Change] = [{}]
    for _ in range(most):
        tried = [{**b, c: v} for b in beam for c in free if c not in b for v in search.values(c, tries)]
        tried, margins = search.margins(tried)
        found = [t for t, m in zip(tried, margins.tolist(), strict=True) if m > 0]
        flip = search.best(search.drawn_back(found, tries), first) or search.best(found, first)
        if flip is not None:
            return flip
        beam = [tried[i] for i in np.argsort(-margins, kind="stable")[: 20 * BEAM].tolist()]
        # One of each set of columns: the best few would else be one change in as many sizes.
        beam = list({frozenset(b): b for b in reversed(beam)}.values())[::-1][:BEAM]
        if not beam:
            break
    return None


def changed(row: pa.Table, changes: Iterable[Mapping[str, Any]]) -> pa.Table:
    """A table with `row` under each of the changes, in the row's own types."""
    every = list(changes)
    out = row.take(pa.array(np.zeros(len(every), dtype=np.int64)))
    for i, name in enumerate(row.column_names):
        if any(name in c for c in every):
            old = row[name][0].as_py()
            made = pa.array([c.get(name, old) for c in every], row.schema.field(name).type)
            out = out.set_column(i, row.schema.field(name), made)
    return out


def decided(scores: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """The class position that each score, (n,) or (n, classes), is decided as."""
    if scores.ndim == 2:
        return np.asarray(scores.argmax(axis=1), dtype=np.int64)
    return np.asarray(scores >= threshold, dtype=np.int64)


@dataclass(frozen=True)
class _Search:
    score: Score
    row: pa.Table
    feasible: Mapping[str, Feasible]
    threshold: float
    decided: int
    rng: np.random.Generator

    def old(self, name: str) -> Any:
        return self.row[name][0].as_py()

    def values(self, name: str, tries: int) -> list[Any]:
        """Values to try: of a number, spread over both sides of the row's own."""
        rule, old = self.feasible[name], self.old(name)
        if isinstance(rule, Choices):
            return [v for v in rule.values if v != old]
        if old is None or not math.isfinite(old):
            return rule.between(rule.low, rule.high, tries)
        sides = [*rule.between(rule.low, old, tries // 2), *rule.between(old, rule.high, tries - tries // 2)]
        return [v for v in dict.fromkeys(sides) if v != old]

    def margins(self, tried: list[Change]) -> tuple[list[Change], NDArray[np.float64]]:
        """How far beyond the decision each change is, in score; above 0 it is flipped. The changes that were tried."""
        if len(tried) > MOST_ROWS:
            tried = [tried[i] for i in np.sort(self.rng.permutation(len(tried))[:MOST_ROWS]).tolist()]
        if not tried:
            return [], np.zeros(0)
        scores = np.asarray(self.score(changed(self.row, tried)), dtype=np.float64)
        flipped = decided(scores, self.threshold) != self.decided
        if scores.ndim == 2:
            others = np.delete(scores, self.decided, axis=1).max(axis=1)
            gap = others - scores[:, self.decided]
        else:
            gap = (scores - self.threshold) * (-1 if self.decided else 1)
        # A score on the very threshold is decided, too: its sign is the decision's.
        tiny = np.finfo(np.float64).tiny
        return tried, np.where(flipped, np.maximum(gap, tiny), np.minimum(gap, 0.0))

    def distance(self, change: Change) -> float:
        total = 0.0
        for name, new in change.items():
            rule, old = self.feasible[name], self.old(name)
            known = isinstance(rule, Range) and old is not None and math.isfinite(old)
            total += abs(new - old) / rule.scale if known and isinstance(rule, Range) else 1.0
        return total

    def drawn_back(self, found: list[Change], tries: int) -> list[Change]:
        """Flips with their numbers drawn back towards the row, as far as they stay flips; the nearest of each set."""
        nearest: dict[frozenset[str], Change] = {}
        for c in sorted(found, key=self.distance):
            nearest.setdefault(frozenset(c), c)
        kept = list(nearest.values())[: 2 * BEAM]
        for k in range(REFINED):
            tried = [
                {**change, name: v}
                for change in kept
                for name, new in change.items()
                for v in self._nearer(name, new, tries, (2 / tries) ** k)
            ]
            tried, margins = self.margins(tried)
            if not len(tried):
                break
            for c, m in zip(tried, margins.tolist(), strict=True):
                kin = frozenset(c)
                if m > 0 and self.distance(c) < self.distance(nearest[kin]):
                    nearest[kin] = c
            kept = [nearest[frozenset(c)] for c in kept]
        return kept

    def _nearer(self, name: str, new: Any, tries: int, part: float) -> list[Any]:
        """Values in the last `part` of the way from the row's own value to `new`."""
        rule, old = self.feasible[name], self.old(name)
        if not isinstance(rule, Range) or old is None or not math.isfinite(old):
            return []
        return [v for v in rule.between(new + (old - new) * part, new, tries) if v not in (old, new)]

    def best(self, found: list[Change], first: NDArray[np.float64]) -> Flip | None:
        """The nearest of the flips that is one when it is scored by itself."""
        for change in sorted(found, key=self.distance)[:BEAM]:
            scores = np.asarray(self.score(changed(self.row, [change])), dtype=np.float64)
            now = int(decided(scores, self.threshold)[0])
            if now != self.decided and np.isfinite(scores).all():
                at = (0, self.decided) if scores.ndim == 2 else (0,)
                pairs = {name: (self.old(name), new) for name, new in change.items()}
                return Flip(pairs, self.distance(change), float(first[at]), float(scores[at]), (self.decided, now))
        return None
