"""SHAP: how the columns of a row share the way from the average score to the row's own.

Shapley values of the score as the caller sees it: a column that is "out" takes the values of background rows
(interventional; Lundberg & Lee 2017; Janzing, Minorics & Blöbaum 2020), by the permutation explainer of the `shap`
library (forward and backward through each order of the columns: exact up to interactions of two columns). What
columns that hang together share between them is a convention, not a cause.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.errors import UsageError
from tidegate.explain.codes import Codes, encode
from tidegate.explain.ranks import DRAWS, STABLE, agreement, keeps_place

Floats = NDArray[np.float64]
Score = Callable[[pa.Table], Floats]


@dataclass(frozen=True, eq=False)
class Attribution:
    """Contributions of columns to scores.

    Parameters
    ----------
    names : tuple of str
    values : ndarray, shape (rows, columns) or (rows, columns, classes)
        In the score's unit.
    base : float or ndarray, shape (classes,)
        Mean score of the background.
    scores : ndarray, shape (rows,) or (rows, classes)
        Asked in a call of its own.
    error : float
        Largest distance of base + contributions from the scores; rounding, if the model answers each row by itself.
        NaN without rows.
    spread : ndarray of the shape of `values`, or None
        Half the distance between two halves of the background, where they were asked apart.
    """

    names: tuple[str, ...]
    values: Floats
    base: Floats
    scores: Floats
    error: float
    spread: Floats | None = None


@dataclass(frozen=True)
class Share:
    """Mean size of a column's contributions over a sample, in the score's unit.

    ``keeps`` is the share of resamples in which the column keeps its place in the order, give or take one; a resample
    is of one half of the rows, with that half's background. ``stable`` says whether it is at least 0.8.
    """

    name: str
    mean_abs: float
    keeps: float
    stable: bool


@dataclass(frozen=True)
class Shares:
    """The columns by the mean size of their contributions, the greatest first.

    ``agreement`` is Kendall's τ between the orders of two halves of the rows, each against its own half of the
    background; ``error`` is the worst additivity error of the sample.
    """

    columns: tuple[Share, ...]
    agreement: float
    error: float
    rows: int


def attribution(
    score: Score, rows: pa.Table, background: pa.Table, rng: np.random.Generator, *, permutations: int = 1
) -> Attribution:
    """Contributions of the columns of `rows` to their scores, against `background`.

    Parameters
    ----------
    score : callable
        Table of n rows to scores, (n,) or (n, classes); called once for all rows, and for each row and permutation
        with up to (2 × columns + 1) × background rows. Its errors are passed on.
    rows, background : Table
        The same columns, of any type that Arrow can tell apart.
    permutations : int
        Orders of the columns that are tried for each row, each forward and backward.

    Raises
    ------
    UsageError
        Without a background row or a column.

    Examples
    --------
    >>> rows = pa.table({"x": [2.0], "day": ["sunday"]})
    >>> background = pa.table({"x": [0.0, 1.0], "day": ["monday", "monday"]})
    >>> def score(t):
    ...     return t["x"].to_numpy() + 3 * np.array([d == "sunday" for d in t["day"].to_pylist()])
    >>> found = attribution(score, rows, background, np.random.default_rng(0))
    >>> found.values.tolist(), float(found.base), found.scores.tolist()
    ([[1.5, 3.0]], 0.5, [5.0])
    """
    if not background.num_rows or not rows.num_columns:
        found = f"{background.num_rows} rows of {rows.num_columns} columns"
        raise UsageError("background of an explanation", "a row of a column at least", found, "hand over more rows")
    background = background.select(rows.column_names)
    codes, (mine, others) = encode([rows, background])
    base = np.asarray(score(background), dtype=np.float64).mean(axis=0)
    scores = np.asarray(score(rows), dtype=np.float64)
    if not rows.num_rows:
        return Attribution(tuple(rows.column_names), np.zeros((0, rows.num_columns)), base, scores, math.nan)
    values = _contributions(score, codes, mine, others, int(rng.integers(2**32)), permutations)
    error = float(np.abs(base + values.sum(axis=1) - scores).max())
    return Attribution(tuple(rows.column_names), values, base, scores, error)


def with_spread(
    score: Score, rows: pa.Table, background: pa.Table, rng: np.random.Generator, *, permutations: int = 1
) -> Attribution:
    """As `attribution`, by two halves of the background that are asked apart: their mean, and how far they differ.

    A background of an odd number of rows loses one; of one row, there is no spread.
    """
    half = background.num_rows // 2
    if not half:
        return attribution(score, rows, background, rng, permutations=permutations)
    one, other = (
        attribution(score, rows, background.slice(at, half), rng, permutations=permutations) for at in (0, half)
    )
    values, base = (one.values + other.values) / 2, np.asarray((one.base + other.base) / 2)
    error = float(np.abs(base + values.sum(axis=1) - one.scores).max(initial=0.0)) if rows.num_rows else math.nan
    return Attribution(one.names, values, base, one.scores, error, np.abs(one.values - other.values) / 2)


def shares(
    score: Score, rows: pa.Table, background: pa.Table, rng: np.random.Generator, *, permutations: int = 1
) -> Shares:
    """SHAP importance: mean |contribution| of each column over `rows`, and how well its order holds.

    Two halves of the rows are explained against a half of the background each, so that the order is tried on
    other rows and on another background. Several classes count with their mean.

    Returns
    -------
    Shares
        No columns without a row.

    Raises
    ------
    UsageError
        With fewer than two background rows.
    """
    half = background.num_rows // 2
    if not half:
        raise UsageError("background of an explanation", "2 rows or more", f"{background.num_rows}", "hand over more")
    edge = (rows.num_rows + 1) // 2
    parts = [
        attribution(score, rows.slice(at, n), background.slice(side * half, half), rng, permutations=permutations)
        for side, (at, n) in enumerate(((0, edge), (edge, rows.num_rows - edge)))
        if n
    ]
    if not parts:
        return Shares((), math.nan, math.nan, 0)
    sizes = [s.mean(axis=2) if s.ndim == 3 else s for s in (np.abs(p.values) for p in parts)]
    every = np.concatenate(sizes)
    whole = every.mean(axis=0)
    # Of one half each, so that another background counts as much as other rows do.
    draws = [part[rng.integers(len(part), size=(DRAWS // len(sizes), len(part)))].mean(axis=1) for part in sizes]
    keeps = keeps_place(np.concatenate(draws), whole)
    tau = agreement(*(s.mean(axis=0) for s in sizes)) if len(sizes) == 2 else math.nan
    found = [
        Share(name, float(whole[i]), float(keeps[i]), bool(len(every) > 1 and keeps[i] >= STABLE))
        for i, name in enumerate(rows.column_names)
    ]
    columns = tuple(sorted(found, key=lambda s: (-s.mean_abs, s.name)))
    return Shares(columns, tau, max(p.error for p in parts), len(every))


class _Masker:
    """What `shap` asks for: the background, with the columns of `x` that `mask` lets in."""

    immutable_outputs = True

    def __init__(self, background: Floats) -> None:
        self.background, self.shape = background, background.shape

    def __call__(self, mask: NDArray[np.bool_], x: Floats) -> Floats:
        return np.where(mask, x, self.background)

    def invariants(self, x: Floats) -> NDArray[np.bool_]:
        return np.asarray(self.background == x)


def _contributions(
    score: Score, codes: Codes, rows: Floats, background: Floats, seed: int, permutations: int
) -> Floats:
    """Shapley values, shape (rows, columns) or (rows, columns, classes)."""

    def model(matrix: Floats) -> Floats:
        return np.asarray(score(codes.decode(matrix)), dtype=np.float64)

    # It seeds NumPy's one global generator: whoever else draws from that must not notice.
    before = np.random.get_state()
    try:
        explainer: Any = _shap().explainers.Permutation(model, _Masker(background), seed=seed)
        calls = permutations * (2 * rows.shape[1] + 1)
        found = explainer(rows, max_evals=calls, batch_size=calls, silent=True)
    finally:
        np.random.set_state(before)
    return np.asarray(found.values, dtype=np.float64)


@cache
def _shap() -> ModuleType:
    """The library, loaded where it is needed: it costs two seconds.

    Its loops are short here, and compiling them costs six seconds in every process: they run as Python.
    """
    import numba

    was = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = True
    try:
        with warnings.catch_warnings():
            # What its own imports deprecate is none of the caller's business.
            warnings.simplefilter("ignore")
            import shap
    finally:
        numba.config.DISABLE_JIT = was
    return shap  # type: ignore[no-any-return]
