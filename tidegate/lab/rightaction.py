"""The right action, measured: which actions were right by what they were worth, and how often one of them is taken.

An action is right where its net value (realised gain over the horizon, less its cost) is the best, or within one
standard error of the paired difference to the best (the one-standard-error rule, Breiman et al. 1984): what cannot be
told apart is all accepted. A scenario counts in the row of the least intrusive of its right actions, and the score is
the mean over the rows (balanced accuracy): how many scenarios of a kind were tried favours no answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ORDER = ("nothing", "fix_data", "move_threshold", "recalibrate", "roll_back", "retrain")
"""The actions, the least intrusive first."""
REPEATS = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Outcome:
    """One scenario: which actions were right, and which the system chose."""

    scenario: str
    right: tuple[str, ...]
    chosen: str

    @property
    def undecided(self) -> bool:
        """Whether the least and the most intrusive action are both right: the scenario tells little."""
        return {"nothing", "retrain"} <= set(self.right)

    @property
    def row(self) -> str:
        """The least intrusive right action."""
        return min(self.right, key=ORDER.index)


def right_set(net: Mapping[str, float], se: Mapping[tuple[str, str], float]) -> tuple[str, ...]:
    """The actions that are right, the least intrusive first.

    Parameters
    ----------
    net : mapping of str to float
        Net value of each action over the horizon; NaN for one that could not be carried out, which is never right.
    se : mapping of (str, str) to float
        Standard error of the difference of two actions' values, under either order of the two; NaN, where it is not
        known, and a missing one accept no tie but an exact one.

    Returns
    -------
    tuple of str
        Empty without any value.

    Examples
    --------
    >>> right_set({"nothing": 0.0, "retrain": 5.0, "recalibrate": 4.5}, {("recalibrate", "retrain"): 1.0})
    ('recalibrate', 'retrain')
    >>> right_set({"nothing": 0.0, "fix_data": 0.0, "retrain": math.nan}, {})
    ('nothing', 'fix_data')
    """
    known = {a: v for a, v in net.items() if math.isfinite(v)}
    if not known:
        return ()
    best = max(known, key=lambda a: (known[a], -ORDER.index(a)))

    def near(action: str) -> float:
        found = se.get((action, best), se.get((best, action), 0.0))
        return found if math.isfinite(found) else 0.0

    return tuple(a for a in ORDER if a in known and known[best] - known[a] <= near(a) + 1e-9 * abs(known[best]))


def macro(outcomes: Sequence[Outcome], answers: Sequence[str] | None = None) -> float:
    """The share of right answers, as the mean over the rows that occur; NaN without outcomes.

    `answers` in place of what was chosen, one an outcome.

    Examples
    --------
    >>> found = [Outcome("a", ("nothing",), "nothing"), Outcome("b", ("nothing",), "nothing"),
    ...          Outcome("c", ("retrain",), "nothing")]
    >>> macro(found), macro([])
    (0.5, nan)
    """
    said = [o.chosen for o in outcomes] if answers is None else list(answers)
    rows: dict[str, list[bool]] = {}
    for outcome, answer in zip(outcomes, said, strict=True):
        rows.setdefault(outcome.row, []).append(answer in outcome.right)
    return float(np.mean([np.mean(hits) for hits in rows.values()])) if rows else math.nan


def best_constant(outcomes: Sequence[Outcome]) -> tuple[str, float]:
    """The one answer that would have scored best if it were always given, and its score.

    Examples
    --------
    >>> best_constant([Outcome("a", ("nothing",), "nothing"), Outcome("b", ("nothing", "retrain"), "retrain")])
    ('nothing', 1.0)
    """
    scores = {a: macro(outcomes, [a] * len(outcomes)) for a in ORDER}
    best = max(scores, key=lambda a: (scores[a] if math.isfinite(scores[a]) else -1.0, -ORDER.index(a)))
    return best, scores[best]


def confusion(outcomes: Sequence[Outcome]) -> dict[str, dict[str, int]]:
    """How often each answer was given in each row; an accepted tie is counted as the row's own action.

    Examples
    --------
    >>> confusion([Outcome("a", ("nothing", "fix_data"), "fix_data"), Outcome("b", ("retrain",), "nothing")])
    {'nothing': {'nothing': 1}, 'retrain': {'nothing': 1}}
    """
    out: dict[str, dict[str, int]] = {}
    for o in outcomes:
        said = o.row if o.chosen in o.right else o.chosen
        row = out.setdefault(o.row, {})
        row[said] = row.get(said, 0) + 1
    return {a: out[a] for a in ORDER if a in out}


def lower_bound(outcomes: Sequence[Outcome], rng: np.random.Generator, repeats: int = REPEATS) -> float:
    """The one-sided 95 % lower bound of `macro`: scenarios of a row are drawn anew, with replacement (Efron 1979).

    A row's scenarios of one name (kind and size of the change) hang together: they are drawn as a whole. NaN without
    outcomes. A row of one name only shows no spread: its bound is too good then, and `names` in `summary` says so.
    """
    if not outcomes:
        return math.nan
    rows: dict[str, dict[str, list[bool]]] = {}
    for o in outcomes:
        rows.setdefault(o.row, {}).setdefault(o.scenario, []).append(o.chosen in o.right)
    found = np.zeros(repeats)
    for by_name in rows.values():
        hits = np.array([sum(h) for h in by_name.values()], dtype=np.float64)
        sizes = np.array([len(h) for h in by_name.values()], dtype=np.float64)
        if len(sizes) == 1:
            # One name: only its seeds can be drawn.
            found += rng.binomial(int(sizes[0]), hits[0] / sizes[0], repeats) / sizes[0]
            continue
        drawn = rng.integers(0, len(sizes), (repeats, len(sizes)))
        found += hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return float(np.quantile(found / len(rows), 1 - CONFIDENCE))


def summary(outcomes: Sequence[Outcome], seed: int = 0) -> dict[str, Any]:
    """What the scoreboard says of the right action; numbers are None where nothing was measured.

    ``macro`` with its lower bound ``low``; ``constant``, the score of the ``best_constant`` answer; ``confusion`` by
    row and answer; ``n`` scenarios, by row in ``rows``, kinds of change by row in ``names``; ``undecided`` is in how
    many of them doing nothing and retraining are both right.
    """
    if not outcomes:
        return {"macro": None, "low": None, "constant": None, "best_constant": None, "confusion": {}, "n": 0}
    answer, score = best_constant(outcomes)
    rows = {a: [o for o in outcomes if o.row == a] for a in ORDER}
    return {
        "macro": macro(outcomes), "low": lower_bound(outcomes, np.random.default_rng(seed)), "constant": score,
        "best_constant": answer, "confusion": confusion(outcomes), "n": len(outcomes),
        "rows": {a: len(r) for a, r in rows.items() if r},
        "names": {a: len({o.scenario for o in r}) for a, r in rows.items() if r},
        "undecided": sum(o.undecided for o in outcomes),
        "accuracy": {a: float(np.mean([o.chosen in o.right for o in r])) for a, r in rows.items() if r},
    }  # fmt: skip
