"""Density-ratio weights: the reference's rows weighed so that their inputs are those of a window.

A classifier over all columns jointly tells the window's rows from the reference's; its odds are the ratio of the two
densities (Bickel, Brückner & Scheffer 2009; Sugiyama, Suzuki & Kanamori, Density ratio estimation in machine
learning, 2012). It is a logistic curve over `tidegate.drift.tilt.Basis`: exact where the numbers were and are jointly
normal, with the leaves of a small tree for what such a curve cannot say; thirty times as cheap as boosted trees, and
less blunt. Each row's odds come from a fit that saw neither it nor, of the reference, its block of nights. Fits are
surer than they should be, so a second curve over the out-of-fold scores takes that back (Platt 1999): where the window
cannot be told apart, every weight is one. At last the weights are tilted so that each column's mean, spread, missing
share and categories, weighted, are the window's (entropy balancing: Hainmueller 2012; Deville & Särndal 1992).

Weights are cut at √n times their mean (Ionides, Truncated importance sampling, 2008): the level that grows too slowly
for a single row to rule the mean, and fast enough that in the end nothing is cut. A window row whose ratio is above
it lies where the reference has next to nothing to say, so its mass is off support, as is that of unseen categories,
values outside the reference's range, and missing values where the reference has none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from tidegate.drift.encode import encoded
from tidegate.drift.tilt import Basis
from tidegate.errors import UsageError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FEWEST_EFFECTIVE = 200.0
"""Effective reference rows below which nothing is said."""
MOST_OFF_SUPPORT = 0.01
"""Share of the window's rows that the reference may not cover."""
FEWEST_ROWS = 50
"""Rows of a side below which no classifier is fitted."""
SLACK = 0.1
"""How far beyond its range a number is outside the reference, as a share of the range."""
FOLDS = 3


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of the reference's rows.

    ``weight``: shape (reference rows,), mean one, none below zero; NaN where nothing could be fitted.
    ``off``: shape (window rows,), which lie off the reference's support. ``n_eff``: Kish's effective rows,
    (Σw)²/Σw². ``limit``: where weights were cut, as a multiple of the mean; ``cut``: the share of the reference's
    weight that was. ``reason`` says in words why an expectation over these weights would not hold; empty if it would.
    """

    weight: Floats
    off: Flags
    n_eff: float
    limit: float
    cut: float
    reason: str

    @property
    def off_support(self) -> float:
        """Share of the window's rows off the reference's support; NaN without rows."""
        return float(self.off.mean()) if len(self.off) else math.nan

    @property
    def estimable(self) -> bool:
        """Whether what the weighted reference says may be believed."""
        return not self.reason


def density_ratio(
    reference: pa.Table,
    current: pa.Table,
    *,
    rng: np.random.Generator,
    columns: Sequence[str] | None = None,
    reference_blocks: ArrayLike | None = None,
    folds: int = FOLDS,
) -> Weights:
    """The weights under which the reference's rows stand for the window's.

    Parameters
    ----------
    columns : sequence of str, optional
        Both tables have them; default the reference's. Numbers, booleans and text; NaN and null are information.
        Leave out keys and event times: they tell windows apart by themselves.
    reference_blocks : array, shape (reference rows,), optional
        The block of nights of each row: no row's weight comes from trees that saw its block.
    folds : int
        At least two.

    Returns
    -------
    Weights
        Fewer than 50 rows of a side, or too many window rows outside the reference by a value of their own: NaN
        weights and the reason. Columns that do not vary: weights of one.

    Raises
    ------
    UsageError
        A column is missing on a side, blocks of another length than the reference, fewer than two folds.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=4000)
    >>> found = density_ratio(pa.table({"x": x}), pa.table({"x": rng.normal(0.5, 1, 2000)}), rng=rng)
    >>> round(float((found.weight * x).mean()), 1), found.estimable, found.n_eff > 2000
    (0.5, True, True)
    """
    names = list(reference.column_names if columns is None else columns)
    _check(reference, current, names, reference_blocks, folds)
    n, m = reference.num_rows, current.num_rows
    if min(n, m) < FEWEST_ROWS:
        reason = f"{m} rows in the window and {n} in the reference, {FEWEST_ROWS} of each are needed"
        return Weights(np.full(n, math.nan), np.zeros(m, dtype=bool), math.nan, math.nan, math.nan, reason)
    tables = [reference.select(names), current.select(names)]
    x, categorical = encoded(pa.concat_tables(tables, promote_options="permissive"))
    off = _outside(x, categorical, n)
    if off.mean() > MOST_OFF_SUPPORT:  # no fit makes up for that
        return Weights(np.full(n, math.nan), off, math.nan, math.nan, math.nan, _reason(math.inf, float(off.mean())))
    logits = _logits(x, categorical, n, reference_blocks, folds, rng)
    limit = math.sqrt(n)
    margins = Basis.plain(x, categorical, np.arange(n + m) >= n).margins(x)
    told = logits + margins @ _tilt(np.exp(logits[:n]), margins, limit)
    ratio = np.exp(np.minimum(told - told[:n].max(), 50.0))
    mean = float(ratio[:n].mean())
    off |= ratio[n:] > limit * mean
    kept = np.minimum(ratio[:n], limit * mean)
    weight = kept / kept.mean()
    n_eff = float(weight.sum() ** 2 / (weight**2).sum())
    cut = 1 - float(kept.sum()) / (n * mean)
    return Weights(weight, off, n_eff, limit, cut, _reason(n_eff, float(off.mean())))


def _reason(n_eff: float, off: float) -> str:
    found = []
    if n_eff < FEWEST_EFFECTIVE:
        found.append(f"only {n_eff:.0f} effective reference rows are like it, {FEWEST_EFFECTIVE:.0f} are needed")
    if off > MOST_OFF_SUPPORT:
        found.append(f"{off:.1%} of its rows are where the reference has none, at most {MOST_OFF_SUPPORT:.0%} may be")
    return "; ".join(found)


def _outside(x: Floats, categorical: Flags, n: int) -> Flags:
    """Window rows with a category, a missing value or a number that no reference row has, nor any beyond it."""
    out = np.zeros(len(x) - n, dtype=bool)
    for column, named in zip(x.T, categorical.tolist(), strict=True):
        known, now = column[:n], column[n:]
        missing = np.isnan(known)
        out |= np.isnan(now) & ~missing.any()
        present = known[~missing]
        if named:
            out |= ~np.isnan(now) & ~np.isin(now, present)
        elif len(present):
            low, high = float(present.min()), float(present.max())
            # A sample's ends are passed by a few rows in a thousand of each column without any drift.
            slack = SLACK * (high - low)
            out |= (now < low - slack) | (now > high + slack)
        else:
            out |= ~np.isnan(now)
    return out


def _logits(
    x: Floats, categorical: Flags, n: int, blocks: ArrayLike | None, folds: int, rng: np.random.Generator
) -> Floats:
    """ln of the ratio of densities at each row, up to a constant, from trees that did not see the row."""
    out = np.zeros(len(x))
    current = np.arange(len(x)) >= n
    groups = np.arange(n) if blocks is None else np.unique(np.asarray(blocks), return_inverse=True)[1]
    # Rows of the window are dealt one by one: its nights cannot be held out of themselves.
    dealt = (rng.permutation(int(groups.max()) + 1)[groups], rng.permutation(len(x) - n))
    fold = np.concatenate(dealt) % folds
    for k in np.unique(fold).tolist():
        held = fold == k
        if not (~held & current).any() or not (~held & ~current).any():
            continue
        out[held] = Basis.of(x[~held], categorical, current[~held]).odds(x[held])
    return _tempered(out, current)


def _tempered(logits: Floats, current: Flags) -> Floats:
    """The logits times the slope of a logistic curve over them, both sides weighing the same; never turned round."""
    from sklearn.linear_model import LogisticRegression

    if not float(np.ptp(logits)) > 0:
        return np.zeros(len(logits))
    weight = np.where(current, 0.5 / current.mean(), 0.5 / (~current).mean())
    curve = LogisticRegression(C=1e4).fit(logits[:, None], current, weight)
    return max(float(curve.coef_[0, 0]), 0.0) * logits


def _tilt(weight: Floats, margins: Floats, limit: float) -> Floats:
    """The exponent that makes the weighted means of the reference's `margins` those of the window, up to noise.

    Newton's method on the dual, ln Σ w·exp(λ·(b − target)) + |λ|²/2m: the penalty is what m window rows leave open.
    """
    n = len(weight)
    off = margins[:n] - margins[n:].mean(axis=0)
    penalty = 1 / max(len(margins) - n, 1)
    found = np.zeros(off.shape[1])
    base = np.log(np.minimum(weight / weight.mean(), limit))

    def level(at: Floats) -> float:
        return float(logsumexp(base + off @ at) + penalty / 2 * (at @ at))

    now = level(found)
    for _ in range(20):
        q = np.exp(base + off @ found - logsumexp(base + off @ found))
        slope = q @ off + penalty * found
        curve = (off * q[:, None]).T @ off - np.outer(q @ off, q @ off) + penalty * np.eye(len(found))
        step = np.linalg.solve(curve, slope)
        size = 1.0
        while size > 1e-3 and level(found - size * step) > now - 1e-4 * size * float(slope @ step):
            size /= 2
        found = found - size * step
        before, now = now, level(found)
        if before - now < 1e-6:
            break
    return np.asarray(found, dtype=np.float64)


def _check(reference: pa.Table, current: pa.Table, names: list[str], blocks: ArrayLike | None, folds: int) -> None:
    for side, table in (("reference", reference), ("window", current)):
        missing = sorted(set(names) - set(table.column_names))
        if missing or not names:
            raise UsageError(f"weights, {side}", "the columns that are compared", f"no {', '.join(missing)}")
    if blocks is not None and np.asarray(blocks).shape != (reference.num_rows,):
        found = f"shape {np.asarray(blocks).shape}"
        raise UsageError("blocks of the reference", f"one for each of {reference.num_rows} rows", found)
    if folds < 2:
        raise UsageError("weights", "two folds or more", str(folds))
