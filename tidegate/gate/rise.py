"""How much larger one loss is than another on the same rows, with blocks of nights for its error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from tidegate.gate.ranking import ranked
from tidegate.performance.blocks import Estimate, cut, level
from tidegate.performance.tally import NO_CONFUSION, NO_HIST, Tally

Floats = NDArray[np.float64]


def mean_by_blocks(values: Floats, night: NDArray[Any], nights: Sequence[Any], block: int) -> Estimate:
    """The mean of a value of each row, with the jackknife error over blocks of nights.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Rows whose value is NaN count nothing.
    night : ndarray, shape (n,)
    nights : sequence
        The windows, in the rows' own terms, that are cut into blocks, so that a group is cut as the whole is.

    Returns
    -------
    Estimate
        NaN without rows; its bounds are infinite below two blocks. The mean is over all rows in whole blocks.

    Examples
    --------
    >>> mean_by_blocks(np.array([1.0, 2.0, 3.0]), np.array(["a", "a", "b"]), ["a", "b"], 1)
    Estimate(value=2.0, se=0.75, blocks=2)
    """
    row, blocks = rows_in_blocks(night, nights, block)
    kept = np.isfinite(values) & (row >= 0)
    sums, counts = np.bincount(row[kept], values[kept], blocks), np.bincount(row[kept], minlength=blocks)
    tallies = [
        Tally({"n": float(c), "value": float(s) / float(c)}, NO_HIST, NO_CONFUSION)
        for c, s in zip(counts, sums, strict=True)
        if c
    ]
    return level(lambda t: t.sums["value"], tallies)


def rows_in_blocks(night: NDArray[Any], nights: Sequence[Any], block: int) -> tuple[NDArray[np.int64], int]:
    """The block of each row, −1 outside all, and how many blocks there are."""
    blocks = cut(sorted(nights), block)
    block_of = {n: i for i, part in enumerate(blocks) for n in part}
    names, code = np.unique(night, return_inverse=True)
    return np.array([block_of.get(n, -1) for n in names.tolist()], dtype=np.int64)[code], len(blocks)


def ranked_by_blocks(
    kind: str, scores: Floats, label: Floats, night: NDArray[Any], nights: Sequence[Any], block: int
) -> Estimate:
    """How well scores rank labels within blocks of nights (`tidegate.gate.ranking.ranked`), weighted by their rows.

    Blocks in which it is not defined count nothing; parameters and bounds as of `mean_by_blocks`.
    """
    tallies = []
    row, blocks = rows_in_blocks(night, nights, block)
    for i in range(blocks):
        at = row == i
        if at.any():
            sums = {"n": float(at.sum()), "value": ranked(kind, scores[at], label[at])}
            tallies.append(Tally(sums, NO_HIST, NO_CONFUSION))
    return level(lambda t: t.sums["value"], tallies)


def p_above(estimate: Estimate, limit: float) -> float:
    """p-value of "at most `limit`", by Student's t on blocks − 1; 1 where the error is not known.

    Examples
    --------
    >>> round(p_above(Estimate(0.03, 0.01, 7), 0.0), 4), p_above(Estimate(0.03, float("nan"), 1), 0.0)
    (0.012, 1.0)
    """
    beyond = estimate.value - limit
    if estimate.blocks < 2 or not np.isfinite(beyond) or np.isnan(estimate.se):
        return 1.0
    if estimate.se == 0:
        return 0.0 if beyond > 0 else 1.0
    return float(student.sf(beyond / estimate.se, estimate.blocks - 1))


def holm(p: Sequence[float], alpha: float) -> list[bool]:
    """Which of several tests to believe, so that even one false one has a probability of at most `alpha`.

    Examples
    --------
    >>> holm([0.02, 0.6, 0.01], 0.05), holm([], 0.05)
    ([True, False, True], [])

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    believed = [False] * len(p)
    for rank, i in enumerate(np.argsort(np.asarray(p, dtype=np.float64), kind="stable").tolist()):
        if not p[i] <= alpha / (len(p) - rank):
            break
        believed[i] = True
    return believed
