"""Multivariate drift: can a classifier tell the window's rows from the reference's?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from tidegate.drift.crossfit import Sides, crossfit, folds_of
from tidegate.drift.encode import encoded
from tidegate.errors import UsageError
from tidegate.verdicts import Outcome

FEWEST_ROWS = 50
FEWEST_BLOCKS = 5


@dataclass(frozen=True, slots=True)
class ClassifierTest:
    """The answer of the classifier two-sample test.

    ``auc``: the probability that a row of the window looks more like the window than a reference
    row does; .5 without drift. ``low``, ``high``: its bounds at confidence 1 − 2·alpha. ``p``: the
    p-value of "the AUC is at most the margin" (with permutations: of "the labels mean nothing").
    ``n``, ``n_reference``: rows used. ``blocks``: the smaller number of blocks, 0 if rows were
    taken as independent. ``importance``: columns by how much AUC is lost when each is shuffled,
    the most telling first.
    """

    auc: float
    low: float
    high: float
    p: float
    n: int
    n_reference: int
    blocks: int
    importance: tuple[tuple[str, float], ...]
    outcome: Outcome
    reason: str


def classifier_test(
    reference: pa.Table,
    current: pa.Table,
    *,
    rng: np.random.Generator,
    columns: Sequence[str] | None = None,
    reference_blocks: ArrayLike | None = None,
    current_blocks: ArrayLike | None = None,
    margin: float = 0.55,
    alpha: float = 0.01,
    rows: int = 5000,
    folds: int = 5,
    permutations: int = 0,
) -> ClassifierTest:
    """Is the cross-fitted AUC of a classifier between both sides above the margin?

    Each row is scored by trees that did not see it (nor, with blocks, its block), and compared with
    the other side's rows of the same fold. The error of the AUC is DeLong's, summed within blocks
    where they are given: rows of one night hang together, and taken as independent they give alarms
    for nothing. Fewer than five blocks on a side have no usable error (and one night cannot be held
    out of itself): ask for `permutations`, each of which deals the whole blocks (or rows) to the two
    sides anew and fits again, at the cost of as many tests.

    Parameters
    ----------
    columns : sequence of str, optional
        Both tables have them; default the reference's. Numbers, times, booleans and text; NaN and
        null are information. Leave out keys and event times: they tell windows apart by themselves.
    reference_blocks, current_blocks : array of shape (rows,), optional
        The night (or entity) of each row; both or neither.
    margin : float, in [0.5, 1)
        The largest AUC that does not matter. For shifts of one normal column by δ it is Φ(δ/√2).
    alpha : float, in (0, ½)
        The probability of a false ``fail``, and of a false ``pass``.
    rows : int
        At most so many of each side, drawn at random; the time does not grow with the window.

    Returns
    -------
    ClassifierTest
        ``fail``: above the margin. ``pass``: below it. ``inconclusive``: too few rows or blocks to
        tell, or no column that varies, with NaN for what is not known.

    Raises
    ------
    UsageError
        A column is missing on a side, blocks of one side only or of another length, or a setting
        is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(2, 1000))
    >>> year = pa.table({"wind": x[0], "delay": x[0] + 0.5 * x[1]})
    >>> night = pa.table({"wind": x[0], "delay": -x[0] + 0.5 * x[1]})
    >>> test = classifier_test(year, night, rng=rng)
    >>> test.outcome, test.auc > 0.9
    ('fail', True)

    References
    ----------
    Lopez-Paz & Oquab, Revisiting classifier two-sample tests, 2017; DeLong, DeLong &
    Clarke-Pearson 1988; Obuchowski, Nonparametric analysis of clustered ROC curve data, 1997.
    """
    names = list(reference.column_names if columns is None else columns)
    _check(reference, current, names, margin, alpha, rows, folds)
    blocked = reference_blocks is not None
    if blocked != (current_blocks is not None):
        raise UsageError("classifier test", "blocks of both sides or of neither", "one side's")
    blocks = [_block_ids(table, given) for table, given in ((reference, reference_blocks), (current, current_blocks))]
    taken = [np.sort(rng.permutation(t.num_rows)[:rows]) for t in (reference, current)]
    n_reference, n = (len(t) for t in taken)
    fewest = min(len(np.unique(b[t])) for b, t in zip(blocks, taken, strict=True)) if blocked else 0

    def unknown(reason: str) -> ClassifierTest:
        nan = math.nan
        return ClassifierTest(nan, nan, nan, nan, n, n_reference, fewest, (), "inconclusive", reason)

    if min(n, n_reference) < FEWEST_ROWS:
        return unknown(f"{min(n, n_reference)} rows on a side, {FEWEST_ROWS} are needed")
    if blocked and fewest < FEWEST_BLOCKS and not permutations:
        return unknown(f"{fewest} blocks on a side: {FEWEST_BLOCKS} are needed, or permutations")
    x, categorical = encoded(
        pa.concat_tables(
            [t.select(names).take(pa.array(i)) for t, i in zip((reference, current), taken, strict=True)],
            promote_options="permissive",
        )
    )
    if not any(len(np.unique(column)) > 1 for column in x.T):
        return unknown("no column varies")
    # A night of each side may bear the same name.
    ids = np.concatenate((2 * blocks[0][taken[0]], 2 * blocks[1][taken[1]] + 1))
    sides = Sides(x, categorical, np.arange(n + n_reference) >= n_reference, ids)
    whole = blocked and fewest >= FEWEST_BLOCKS
    found = crossfit(sides, folds_of(sides, folds, whole, rng), names, rng)
    if permutations:
        null = [
            crossfit(dealt, folds_of(dealt, folds, whole, rng), (), rng).auc
            for dealt in (sides.dealt(rng) for _ in range(permutations))
        ]
        low, high, p = _by_permutation(found.auc, np.array(null), alpha)
    else:
        low, high, p = found.bounds(margin, alpha)
    outcome: Outcome = "fail" if low > margin else "pass" if high <= margin else "inconclusive"
    reason = f"AUC {found.auc:.3f} ({low:.3f} to {high:.3f}), margin {margin:g}"
    return ClassifierTest(found.auc, low, high, p, n, n_reference, fewest, found.importance, outcome, reason)


def _by_permutation(auc: float, null: NDArray[np.float64], alpha: float) -> tuple[float, float, float]:
    """Bounds by the spread of the null, and the p-value, at least 1/(permutations + 1)."""
    rank = math.ceil((1 - alpha) * (len(null) + 1))
    p = (1 + int((null >= auc).sum())) / (len(null) + 1)
    if rank > len(null):  # too few permutations for this alpha
        return 0.0, 1.0, p
    reach = max(float(np.sort(null)[rank - 1]) - 0.5, 0.0)
    return max(auc - reach, 0.0), min(auc + reach, 1.0), p


def _block_ids(table: pa.Table, blocks: ArrayLike | None) -> NDArray[np.int64]:
    if blocks is None:
        return np.arange(table.num_rows)
    given = np.asarray(blocks)
    if given.shape != (table.num_rows,):
        raise UsageError("blocks", f"one for each of {table.num_rows} rows", f"shape {given.shape}")
    return np.unique(given, return_inverse=True)[1].astype(np.int64)


def _check(
    reference: pa.Table, current: pa.Table, names: list[str], margin: float, alpha: float, rows: int, folds: int
) -> None:
    for side, table in (("reference", reference), ("window", current)):
        missing = sorted(set(names) - set(table.column_names))
        if missing or not names:
            raise UsageError(f"classifier test, {side}", "the columns that are compared", f"no {', '.join(missing)}")
    if not (0.5 <= margin < 1 and 0 < alpha < 0.5 and rows >= 1 and folds >= 2):
        raise UsageError(
            "classifier test",
            "a margin in [0.5, 1), alpha in (0, 0.5), rows ≥ 1, folds ≥ 2",
            f"margin {margin}, alpha {alpha}, rows {rows}, folds {folds}",
        )
