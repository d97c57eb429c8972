"""Reliability by score bin with block intervals, beside what a perfect model would show; for drawing, not deciding."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom
from scipy.stats import t as student

BINS: Final = 15
LEVEL: Final = 0.95
"""Of the intervals and of the band, each bin for itself."""

Floats = NDArray[np.float64]


def reliability(p: Floats, is_class: NDArray[np.bool_], block: NDArray[np.int64]) -> dict[str, Any]:
    """Mean score and rate of the class in each of 15 equal bins of the score.

    The interval of a rate is from the delete-one-block jackknife. The null band holds the rate of a perfect model 95
    times of 100: binomial, its rows divided by the bin's design effect ``1 + (rows a block − 1) · icc`` (Kish
    1965), the intra-block correlation taken from how label − score varies between blocks.

    Parameters
    ----------
    p, is_class, block : ndarray, shape (n,)
        Scores in [0, 1], whether the row is of the class, and the block it lies in. No rows give no bins.

    Returns
    -------
    dict
        ``bins``: score, rate, lower, upper, null_lower, null_upper, rows for each bin with rows; NaN where a bin
        has rows of one block only. ``ece`` in [0, 1], ``design_effect`` of the whole, at least 1.

    Examples
    --------
    >>> made = reliability(np.full(8, 0.5), np.array([True, False] * 4), np.repeat([0, 1], 4))
    >>> made["ece"], made["bins"][0]["rate"], made["bins"][0]["null_lower"]
    (0.0, 0.5, 0.125)
    """
    if not len(p):
        return {"bins": [], "ece": math.nan, "design_effect": math.nan}
    at = np.minimum((p * BINS).astype(int), BINS - 1)
    blocks = len(np.unique(block))
    effect = _design_effect(p, is_class, block)
    icc = (effect - 1) / max(len(p) / blocks - 1, 1.0)
    out, off = [], 0.0
    for b in np.unique(at):
        mine = at == b
        n, score, rate = int(mine.sum()), float(p[mine].mean()), float(is_class[mine].mean())
        within = len(np.unique(block[mine]))
        independent = max(1, round(n / max(1.0, 1 + (n / within - 1) * icc)))
        reach = _reach(is_class[mine].astype(np.float64), block[mine])
        low, high = (float(binom.ppf(q, independent, score)) / independent for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
        off += n * abs(rate - score)
        out.append({
            "score": score, "rate": rate, "lower": max(0.0, rate - reach), "upper": min(1.0, rate + reach),
            "null_lower": low, "null_upper": high, "rows": n,
        })  # fmt: skip
    return {"bins": out, "ece": off / len(p), "design_effect": effect}


def deciles(predicted: Floats, actual: Floats, block: NDArray[np.int64]) -> list[dict[str, float]]:
    """Mean prediction and mean actual by tenth of the prediction, with block intervals; ties share a tenth.

    Examples
    --------
    >>> rows = deciles(np.arange(20.0), np.arange(20.0) + 1, np.tile([0, 1], 10))
    >>> len(rows), rows[0]["predicted"], rows[0]["actual"]
    (10, 0.5, 1.5)
    """
    if not len(predicted):
        return []
    edges = np.unique(np.quantile(predicted, np.arange(1, 10) / 10))
    at = np.searchsorted(edges, predicted, side="right")
    out = []
    for tenth in np.unique(at):
        mine = at == tenth
        mean, reach = float(actual[mine].mean()), _reach(actual[mine].astype(np.float64), block[mine])
        out.append({
            "predicted": float(predicted[mine].mean()), "actual": mean, "lower": mean - reach, "upper": mean + reach,
            "rows": int(mine.sum()),
        })  # fmt: skip
    return out


def _se(values: Floats, block: NDArray[np.int64]) -> tuple[float, int]:
    """Jackknife error of a mean over rows, blocks left out one by one; NaN with one block."""
    _, at = np.unique(block, return_inverse=True)
    sums, rows = np.bincount(at, values), np.bincount(at).astype(np.float64)
    b = len(rows)
    if b < 2:
        return math.nan, b
    without = (sums.sum() - sums) / (rows.sum() - rows)
    return float(np.sqrt((b - 1) / b * ((without - without.mean()) ** 2).sum())), b


def _reach(values: Floats, block: NDArray[np.int64]) -> float:
    se, blocks = _se(values, block)
    return float(student.ppf((1 + LEVEL) / 2, blocks - 1)) * se if blocks > 1 else math.nan


def _design_effect(p: Floats, is_class: NDArray[np.bool_], block: NDArray[np.int64]) -> float:
    se, blocks = _se(is_class - p, block)
    alone = float((p * (1 - p)).sum()) / len(p) ** 2
    return max(1.0, se**2 / alone) if blocks > 1 and alone > 0 else 1.0
