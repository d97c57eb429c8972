"""What a gate says of a candidate's reasons: importance, contributions, counterfactuals. It decides nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.config.model import Kind
from tidegate.errors import TidegateError
from tidegate.explain.attribution import shares
from tidegate.explain.counterfactuals import Counterfactual, counterfactuals, decided
from tidegate.explain.importance import permutation_importance
from tidegate.gate.feasible import Feasible
from tidegate.performance.loss import row_loss

Floats = NDArray[np.float64]
Score = Callable[[pa.Table], Floats]

ADDITIVE = 1e-6
"""Contributions that miss the score by more than this are told as wrong."""


@dataclass(frozen=True)
class Sizes:
    """How many rows are asked of, so that a gate stays within seconds (at 45 µs a row and 30 ms a call, 8 s of CPU)."""

    rows: int = 1000
    repeats: int = 4
    explained: int = 32
    background: int = 40
    flipped: int = 4


SIZES = Sizes()


def evidence_of_explanations(
    score: Score,
    rows: pa.Table,
    label: Floats,
    night: NDArray[np.str_],
    row_id: NDArray[np.str_],
    *,
    kind: Kind,
    threshold: float,
    feasible: Mapping[str, Feasible],
    immutable: Collection[str],
    rng: np.random.Generator,
    block: int = 1,
    sizes: Sizes = SIZES,
) -> dict[str, Any]:
    """Explanations of one model on a sample of `rows`, as plain values.

    A part that could not be made is empty, and `why` says why; a number that is not defined is None.

    Parameters
    ----------
    score : callable
        Table of n rows to scores, (n,) or (n, classes).
    rows : Table
        n rows, the declared feature columns only; unseen in training, or what was learned by heart counts, too.
    label : ndarray, shape (n,)
        Class positions, or the target; rows whose label is NaN do not count for the permutation importance.
    night, row_id : ndarray of str, shape (n,)
    threshold : float
        Of a binary model.
    feasible : mapping of str to Range or Choices
        As `tidegate.gate.feasible.feasible_of` makes it of the rows.
    immutable : collection of str
        Columns that counterfactuals keep: the declared ones, protected and private ones.
    block : int
        Nights in a block.

    Returns
    -------
    dict
        ``permutation`` (name, mean, sd, low, high, keeps, stable), ``shap`` (name, mean_abs, keeps, stable),
        ``agreement`` (Kendall's τ of two halves), ``additivity`` (worst error) and ``additive``, ``counterfactuals``
        (row_id, score, after, decision, other, flipped, changes, distance), ``sizes``, ``why``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> none = np.array([], dtype=str)
    >>> found = evidence_of_explanations(lambda t: np.zeros(t.num_rows), pa.table({"x": pa.array([], pa.float64())}),
    ...     np.zeros(0), none, none, kind="binary", threshold=0.5, feasible={}, immutable=(), rng=rng)
    >>> found["permutation"], found["why"]["permutation"]
    ([], 'no labelled rows')
    """
    at = np.sort(rng.permutation(rows.num_rows)[: sizes.rows])
    rows, label, night, row_id = rows.take(pa.array(at)), label[at], night[at], row_id[at]
    made: dict[str, Any] = {
        "permutation": [], "shap": [], "agreement": None, "additivity": None, "additive": None, "counterfactuals": [],
        "sizes": {"rows": int(np.isfinite(label).sum()), "repeats": sizes.repeats, "explained": 0, "background": 0},
        "why": {},
    }  # fmt: skip
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "permutation": lambda: _permutation(score, rows, label, night, kind, rng, block, sizes),
        "shap": lambda: _shap(score, rows, rng, sizes),
        "counterfactuals": lambda: _flips(score, rows, row_id, kind, threshold, feasible, immutable, rng, sizes),
    }
    for name, part in parts.items():
        try:
            found = part()
        except TidegateError as fault:
            # What the user's code does with a mixed row must not cost the gate its verdict.
            made["why"][name] = str(fault)
            continue
        made["sizes"] |= found.pop("sizes", {})
        made["why"] |= found.pop("why", {})
        made |= found
    return made


def _permutation(
    score: Score,
    rows: pa.Table,
    label: Floats,
    night: NDArray[np.str_],
    kind: Kind,
    rng: np.random.Generator,
    block: int,
    sizes: Sizes,
) -> dict[str, Any]:
    loss = partial(row_loss, kind)
    found = permutation_importance(score, rows, label, loss, rng, repeats=sizes.repeats, nights=night, block=block)
    if not found:
        return {"why": {"permutation": "no labelled rows"}}
    names = ("mean", "sd", "low", "high", "keeps")
    return {
        "permutation": [
            {"name": i.name} | {n: _plain(getattr(i, n)) for n in names} | {"stable": i.stable} for i in found
        ]
    }


def _shap(score: Score, rows: pa.Table, rng: np.random.Generator, sizes: Sizes) -> dict[str, Any]:
    n = rows.num_rows
    explained = min(sizes.explained, n // 2)
    background = min(sizes.background, n - explained)
    if explained < 2 or background < 2:
        return {"why": {"shap": f"{n} rows are too few"}}
    order = pa.array(rng.permutation(n))
    drawn = rows.take(order)
    found = shares(score, drawn.slice(0, explained), drawn.slice(explained, background), rng)
    columns = [
        {"name": s.name, "mean_abs": _plain(s.mean_abs), "keeps": _plain(s.keeps), "stable": s.stable}
        for s in found.columns
    ]
    additive = {"additivity": _plain(found.error), "additive": found.error <= ADDITIVE}
    sized = {"sizes": {"explained": explained, "background": background}}
    return {"shap": columns, "agreement": _plain(found.agreement), **additive, **sized}


def _flips(
    score: Score,
    rows: pa.Table,
    row_id: NDArray[np.str_],
    kind: Kind,
    threshold: float,
    feasible: Mapping[str, Feasible],
    immutable: Collection[str],
    rng: np.random.Generator,
    sizes: Sizes,
) -> dict[str, Any]:
    if kind == "regression":
        return {"why": {"counterfactuals": "a regression decides nothing that could flip"}}
    if not rows.num_rows:
        return {"why": {"counterfactuals": "no rows"}}
    at = _some_of_each(decided(score(rows), threshold), sizes.flipped, rng)
    found = counterfactuals(score, rows.take(pa.array(at)), feasible, immutable, threshold, rng, most=1)
    return {"counterfactuals": [told(c) | {"row_id": str(row_id[at[c.row]])} for c in found]}


def _some_of_each(decisions: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Places of rows, drawn from each decision in turn: typical ones, not those that flip most easily."""
    drawn = [rng.permutation(np.flatnonzero(decisions == d)) for d in np.unique(decisions)]
    turns = [int(part[i]) for i in range(count) for part in drawn if i < len(part)]
    return np.array(turns[:count], dtype=np.int64)


def told(found: Counterfactual) -> dict[str, Any]:
    """A counterfactual as plain values."""
    changes = [{"column": c, "from": _plain(a), "to": _plain(b)} for c, (a, b) in found.changes.items()]
    return {
        "score": _plain(found.before), "after": _plain(found.after), "decision": found.decisions[0],
        "other": found.decisions[1], "flipped": found.flipped, "changes": changes, "distance": _plain(found.distance),
    }  # fmt: skip


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
