"""Permutation importance: how much worse the model is when one column is shuffled.

The rise of the loss when the values of a declared column are dealt out to the rows anew (Breiman 2001; Fisher, Rudin &
Dominici 2019). It is the model's reliance on the column as it is, on rows that need not be possible: columns that
hang together share their importance, and each of them looks less important than it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.explain.ranks import DRAWS, STABLE, keeps_place
from tidegate.performance.blocks import Estimate, cut

Floats = NDArray[np.float64]
Score = Callable[[pa.Table], Floats]
Loss = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class Importance:
    """What a column is worth to a model.

    Parameters
    ----------
    mean : float
        Rise of the mean loss, in its unit, over the repeats; near 0 for a column that the model does not use.
    sd : float
        Standard deviation over the repeats, that is of the shuffling; NaN for one repeat.
    low, high : float
        95 % interval from blocks of nights and from the shuffling; NaN below two blocks.
    keeps : float
        Share of resamples (blocks and repeats) in which it keeps its place in the order, give or take one.
    stable : bool
        Whether that is at least 0.8, from two blocks or more.
    """

    name: str
    mean: float
    sd: float
    low: float
    high: float
    keeps: float
    stable: bool


def permutation_importance(
    score: Score,
    rows: pa.Table,
    label: Floats,
    loss: Loss,
    rng: np.random.Generator,
    *,
    repeats: int = 5,
    nights: NDArray[np.str_],
    block: int = 1,
) -> tuple[Importance, ...]:
    """The rise of the loss when each column of `rows` is shuffled, the most important first.

    Parameters
    ----------
    score : callable
        Table of n rows to scores, (n,) or (n, classes); called once, and once a repeat with (columns × n) rows. Its
        errors are passed on.
    rows : Table
        The declared feature columns, n rows; some 1,000 rows are enough.
    label : ndarray, shape (n,)
        Class positions, or the target. Rows whose label is NaN are left out.
    loss : callable
        Scores and labels to the loss of each row, shape (n,), as `tidegate.performance.loss.row_loss`.
    nights : ndarray of str, shape (n,)
        Window of each row; `block` neighbouring nights are one block of the interval.

    Returns
    -------
    tuple of Importance
        Empty without a labelled row.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = pa.table({"used": rng.normal(size=400), "idle": rng.normal(size=400)})
    >>> y, nights = rows["used"].to_numpy() * 2, np.repeat(np.array(["a", "b", "c", "d"]), 100)
    >>> found = permutation_importance(lambda t: t["used"].to_numpy() * 2, rows, y, lambda s, y: np.abs(s - y), rng,
    ...                                nights=nights)
    >>> [(i.name, i.mean > 1, i.stable) for i in found], found[1].mean
    ([('used', True, True), ('idle', False, True)], 0.0)
    """
    known = np.isfinite(label)
    rows, label, nights = rows.filter(pa.array(known)), label[known], nights[known]
    n, names = rows.num_rows, rows.column_names
    if not n or not names:
        return ()
    rise = np.empty((repeats, len(names), n))
    base = loss(score(rows), label)
    for repeat in range(repeats):
        shuffled = pa.concat_tables([_shuffled(rows, i, rng) for i in range(len(names))])
        worse = loss(score(shuffled), np.tile(label, len(names)))
        rise[repeat] = worse.reshape(len(names), n) - base
    groups = _blocks(nights, block)
    mean = rise.mean(axis=(0, 2))
    sd = rise.mean(axis=2).std(axis=0, ddof=1) if repeats > 1 else np.full(len(names), math.nan)
    keeps = keeps_place(_resampled(rise, groups, rng), mean)
    out = []
    for i, name in enumerate(names):
        nightly = block_mean(rise[:, i].mean(axis=0), groups)
        # The same shuffling is in all blocks: their differences do not show its part of the error.
        shuffling = sd[i] / math.sqrt(repeats) if repeats > 1 else 0.0
        estimate = Estimate(nightly.value, math.hypot(nightly.se, shuffling), nightly.blocks)
        whole = len(set(groups.tolist())) > 1
        low, high = (estimate.lower(0.025), estimate.upper(0.025)) if whole else (math.nan, math.nan)
        steady = bool(whole and keeps[i] >= STABLE)
        out.append(Importance(name, float(mean[i]), float(sd[i]), low, high, float(keeps[i]), steady))
    return tuple(sorted(out, key=lambda i: (-i.mean, i.name)))


def block_mean(values: Floats, groups: NDArray[np.int64]) -> Estimate:
    """The mean of `values`, shape (n,), with its delete-one-block jackknife error (Künsch 1989).

    Examples
    --------
    >>> block_mean(np.array([1.0, 3.0, 2.0, 2.0]), np.array([0, 0, 1, 1]))
    Estimate(value=2.0, se=0.0, blocks=2)
    """
    sums = np.bincount(groups, weights=values)
    rows = np.bincount(groups)
    sums, rows = sums[rows > 0], rows[rows > 0]
    b = len(rows)
    mean = float(sums.sum() / rows.sum())
    if b < 2:
        return Estimate(mean, math.nan, b)
    without = (sums.sum() - sums) / (rows.sum() - rows)
    return Estimate(mean, float(np.sqrt((b - 1) / b * ((without - without.mean()) ** 2).sum())), b)


def _shuffled(rows: pa.Table, column: int, rng: np.random.Generator) -> pa.Table:
    places = pa.array(rng.permutation(rows.num_rows))
    return rows.set_column(column, rows.schema.field(column), rows.column(column).take(places))


def _blocks(nights: NDArray[np.str_], block: int) -> NDArray[np.int64]:
    """The block of each row; a short rest of nights at the start goes with the first block."""
    every = sorted(set(nights.tolist()))
    of = {night: i for i, group in enumerate(cut(every, block)) for night in group}
    return np.array([of.get(night, 0) for night in nights.tolist()], dtype=np.int64)


def _resampled(rise: Floats, groups: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Mean rises of resamples, shape (draws, columns): blocks drawn with replacement, under a repeat drawn anew."""
    inside = np.eye(int(groups.max()) + 1)[groups]
    sums, rows = rise @ inside, inside.sum(axis=0)
    repeats, blocks = rise.shape[0], len(rows)
    times = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=DRAWS)
    at = rng.integers(repeats, size=DRAWS)
    return np.asarray(np.einsum("dcb,db->dc", sums[at], times) / (times @ rows)[:, None], dtype=np.float64)
