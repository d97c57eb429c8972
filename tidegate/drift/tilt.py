"""The odds that a row is of the window and not of the reference: a logistic curve over a basis of all columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FARTHEST = 6.0
"""Standard deviations at which a number is cut: one value must not steer the curve."""
PAIRED = 12
"""Numbers of which all products are in the basis, those that moved most."""
COMMON = 0.005
"""Categories with a smaller share are one together."""
LEAVES = 16
RIDGE = 10.0
"""Prior precision of the coefficients, in rows: each is taken to be within .3 or so."""
ASIDE = 0.3
"""Products and leaves count for so much of a number: there are many of them, and most are noise."""


@dataclass(frozen=True, eq=False)
class Basis:
    """Numbers, their squares and products, what is missing, categories, and the leaves of one tree; with the fit.

    The log ratio of two normal distributions is a quadratic form, so numbers that are jointly normal on both sides
    lie within the basis (Efron, The efficiency of logistic regression, 1975).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, side = rng.normal(size=(2000, 2)), np.arange(2000) >= 1000
    >>> x[side, 0] += 1
    >>> odds = Basis.of(x, np.array([False, False]), side).odds(np.array([[-0.5, 0.0], [0.5, 0.0], [1.5, 0.0]]))
    >>> odds.round(0).tolist()
    [-1.0, 0.0, 1.0]
    """

    categorical: Flags
    centre: Floats
    spread: Floats
    paired: NDArray[np.int64]
    common: tuple[Floats, ...]
    tree: Any
    curve: Any

    @classmethod
    def plain(cls, x: Floats, categorical: Flags, current: Flags) -> Basis:
        """The basis of rows of both sides, shape (rows, columns), NaN missing; without a fit."""
        known = np.where(np.isnan(x[~current]).all(axis=0), 0.0, x[~current])
        centre, spread = np.nanmean(known, axis=0), np.nanstd(known, axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        z = _standard(x, np.flatnonzero(~categorical), centre, spread)
        moved = np.abs(z[current].mean(axis=0) - z[~current].mean(axis=0))
        paired = np.sort(np.argsort(-moved, kind="stable")[:PAIRED])
        common = tuple(_common(x[:, j]) for j in np.flatnonzero(categorical))
        return cls(categorical, centre, spread, paired, common, None, None)

    @classmethod
    def of(cls, x: Floats, categorical: Flags, current: Flags) -> Basis:
        """The basis with its tree and curve, fitted to tell the `current` rows from the others."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.tree import DecisionTreeClassifier

        bare = cls.plain(x, categorical, current)
        weight = np.where(current, 0.5 / max(current.mean(), 1e-9), 0.5 / max((~current).mean(), 1e-9))
        tree = DecisionTreeClassifier(
            max_leaf_nodes=LEAVES, min_samples_leaf=max(20, len(x) // 200), random_state=0
        ).fit(_ranked(x), current, weight)
        grown = replace(bare, tree=tree)
        curve = LogisticRegression(C=1 / RIDGE, solver="newton-cholesky", max_iter=50, tol=1e-3)
        return replace(grown, curve=curve.fit(grown._matrix(x), current))

    def odds(self, x: Floats) -> Floats:
        """ln of the odds of rows, shape (rows,)."""
        return np.asarray(self.curve.decision_function(self._matrix(x)), dtype=np.float64)

    def _matrix(self, x: Floats) -> Floats:
        numbers = np.flatnonzero(~self.categorical)
        z = _standard(x, numbers, self.centre, self.spread)
        parts = [z, z**2 - 1, np.isnan(x[:, numbers]).astype(np.float64)]
        near = z[:, self.paired]
        first, second = np.triu_indices(near.shape[1], k=1)
        parts.append(ASIDE * near[:, first] * near[:, second])
        parts += self._named(x)
        leaf = self.tree.apply(_ranked(x))
        parts.append(ASIDE * (leaf[:, None] == np.flatnonzero(self.tree.tree_.children_left < 0)))
        return np.column_stack(parts)

    def margins(self, x: Floats) -> Floats:
        """What the columns are one by one, shape (rows, terms): numbers and squares, what is missing, categories."""
        numbers = np.flatnonzero(~self.categorical)
        z = _standard(x, numbers, self.centre, self.spread)
        return np.column_stack([z, z**2 - 1, np.isnan(x[:, numbers]), *self._named(x)])

    def _named(self, x: Floats) -> list[Floats]:
        parts = []
        for j, names in zip(np.flatnonzero(self.categorical), self.common, strict=True):
            parts.append((x[:, j][:, None] == names).astype(np.float64))
            parts.append(np.isnan(x[:, j])[:, None].astype(np.float64))
        return parts


def _ranked(x: Floats) -> NDArray[np.float32]:
    """For the tree: missing values below all others."""
    return np.nan_to_num(x, nan=-1e30, posinf=1e30, neginf=-1e30).astype(np.float32)


def _standard(x: Floats, numbers: NDArray[np.int64], centre: Floats, spread: Floats) -> Floats:
    """Numbers in standard deviations of the reference, missing ones at its mean."""
    z = np.nan_to_num((x[:, numbers] - centre[numbers]) / spread[numbers], nan=0.0)
    return np.asarray(np.clip(z, -FARTHEST, FARTHEST), dtype=np.float64)


def _common(column: Floats) -> Floats:
    names, rows = np.unique(column[~np.isnan(column)], return_counts=True)
    return names[rows >= COMMON * len(column)]
