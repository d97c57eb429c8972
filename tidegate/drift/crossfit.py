"""A classifier between two samples, scored on rows that it did not learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sides:
    """Rows of both sides: matrix (rows, columns), which columns are categories, which rows are the window's, blocks."""

    x: Floats
    categorical: Flags
    current: Flags
    blocks: Index

    def dealt(self, rng: np.random.Generator) -> Sides:
        """Whole blocks dealt anew, as many to the window as it has now."""
        every = np.unique(self.blocks)
        size = len(np.unique(self.blocks[self.current]))
        return replace(self, current=np.isin(self.blocks, rng.permutation(every)[:size]))


@dataclass(frozen=True, slots=True)
class Crossfit:
    """AUC over folds; its standard error and degrees of freedom by blocks; columns by importance."""

    auc: float
    se: float
    freedom: int
    blocks: tuple[int, int]
    importance: tuple[tuple[str, float], ...]

    def bounds(self, margin: float, alpha: float) -> tuple[float, float, float]:
        """Lower and upper bound, each at level 1 − alpha, and the p-value of "at most the margin"."""
        reach = float(stdtrit(self.freedom, 1 - alpha)) * self.se
        beyond = (self.auc - margin) / self.se if self.se > 0 else math.copysign(math.inf, self.auc - margin)
        # However well few blocks are told apart: as many deals of the blocks would do it by chance.
        p = max(float(stdtr(self.freedom, -beyond)), _least_p(*self.blocks))
        low = self.auc - reach if p <= alpha else min(self.auc - reach, margin)
        return max(low, 0.0), min(self.auc + reach, 1.0), p


def crossfit(sides: Sides, folds: Index, names: Sequence[str], rng: np.random.Generator) -> Crossfit:
    """The AUC within each fold by trees fitted to the other folds, and its error.

    Areas are taken within folds and averaged by pairs: pooled over folds they would mix scores of
    classifiers that differ in level (Forman & Scholz 2010). The error sums, within blocks, what
    each row adds to the AUC (DeLong's placements); a row that is alone is a block. It is doubled,
    because folds learn from each other: with s_ij the share of what i and j have in common, the sum
    over folds of Σ_j s_ij counts each pair twice. `names` of the columns whose importance is
    wanted, in the matrix's order, or none.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson 1988; Obuchowski 1997; Bates, Hastie & Tibshirani,
    Cross-validation: what does it estimate and how well does it do it?, 2024 (the folds).
    """
    labels = np.unique(folds)
    pairs = np.array(
        [float((sides.current & (folds == f)).sum() * (~sides.current & (folds == f)).sum()) for f in labels]
    )
    weights = pairs / pairs.sum()
    placed, share = np.zeros(len(folds)), np.zeros(len(folds))
    auc, lost = 0.0, np.zeros(len(names))
    for fold, weight in zip(labels.tolist(), weights.tolist(), strict=True):
        if not weight:
            continue
        held = folds == fold
        # Trees cannot bin a column that has no value where they learn.
        matrix = np.where(np.isnan(sides.x[~held]).all(axis=0), 0.0, sides.x)
        model = _trees(sides.categorical).fit(matrix[~held], sides.current[~held])
        x, current = matrix[held], sides.current[held]
        placements = _placements(model.decision_function(x), current)
        area = float(placements[current].mean())
        auc += weight * area
        placed[held] = placements
        share[held] = weight / np.where(current, current.sum(), (~current).sum())
        for i in range(len(names)):
            mixed = x.copy()
            mixed[:, i] = rng.permutation(mixed[:, i])
            lost[i] += weight * (area - float(_placements(model.decision_function(mixed), current)[current].mean()))
    added = share * (placed - auc)
    variance, blocks = 0.0, []
    for side in (~sides.current, sides.current):
        sums = np.bincount(np.unique(sides.blocks[side], return_inverse=True)[1], added[side])
        blocks.append(len(sums))
        variance += float((sums**2).sum()) * len(sums) / max(len(sums) - 1, 1)
    order = np.argsort(-lost, kind="stable")
    importance = tuple((names[i], float(lost[i])) for i in order)
    return Crossfit(auc, math.sqrt(2 * variance), max(min(blocks) - 1, 1), (blocks[0], blocks[1]), importance)


def folds_of(sides: Sides, folds: int, whole: bool, rng: np.random.Generator) -> Index:
    """A fold for each row, both sides spread evenly; with `whole`, the same one for a whole block."""
    out = np.empty(len(sides.current), dtype=np.int64)
    for side in (sides.current, ~sides.current):
        groups = np.unique(sides.blocks[side], return_inverse=True)[1] if whole else np.arange(int(side.sum()))
        dealt = rng.permutation(int(groups.max()) + 1)
        out[side] = dealt[groups] % folds
    return out


def _trees(categorical: Flags):  # type: ignore[no-untyped-def]
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=50, max_leaf_nodes=15, early_stopping=False, categorical_features=categorical, random_state=0
    )


def _placements(scores: Floats, current: Flags) -> Floats:
    """For a window row the share of reference rows below it, for a reference row that of window rows above."""
    out = np.empty(len(scores))
    ranks = rankdata(scores)
    for side, sign in ((current, 1.0), (~current, -1.0)):
        others = len(scores) - int(side.sum())
        below = (ranks[side] - rankdata(scores[side])) / others
        out[side] = below if sign > 0 else 1 - below
    return out


def _least_p(reference: int, current: int) -> float:
    """One over the ways to deal the blocks to the two sides."""
    return 1 / math.comb(reference + current, current) if reference + current < 200 else 0.0
