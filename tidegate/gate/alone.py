"""What one feature says about the label by itself, on nights that it was not fitted to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from tidegate.gate.ranking import Floats, auc, ranked

FOLDS = 4
LEAVES = 24
COMMON = 10
SAME = 1e-9
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Alone:
    """One feature and the label.

    Parameters
    ----------
    auc, se : float
        How well it ranks the label (of several classes, the best against the rest), and the error over folds.
    auc_there, there : float
        The same over the rows in which it has a value, and their share.
    equal : float
        Of a regression, the share of rows on which it equals the label, beyond what chance would give.
    sharp, smooth : ndarray, shape (n, classes)
        Cross-fitted shares of each class: by small leaves, and by a smooth curve. No columns for a regression.
    repeated : ndarray of bool, shape (n,)
        Rows whose value (or lack of one) many others have.
    """

    auc: float
    se: float
    auc_there: float
    there: float
    equal: float
    n: int
    sharp: Floats
    smooth: Floats
    repeated: Flags


def alone(kind: str, column: pa.ChunkedArray, label: NDArray[Any], night: NDArray[Any]) -> Alone:
    """Screen one feature; at least `FOLDS` nights, labels that are numbers.

    Numbers, booleans and timestamps go through a small tree, which has a place for missing values; categories and
    text through the label's mean for each value, drawn towards the overall mean.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, night = rng.integers(0, 2, 800), np.repeat([f"night {i}" for i in range(8)], 100)
    >>> said = alone("binary", pa.chunked_array([y + rng.normal(0, 0.2, 800)]), y, night)
    >>> said.auc > 0.97
    True
    """
    present = ~column.is_null(nan_is_null=pa.types.is_floating(column.type)).to_numpy(zero_copy_only=False)
    words = (
        pa.types.is_string(column.type) or pa.types.is_dictionary(column.type) or pa.types.is_large_string(column.type)
    )
    x = _codes(column) if words else _numbers(column)
    fold = np.unique(night, return_inverse=True)[1]
    # Neighbouring nights share their shocks: they go into a fold together, and every fold has old and new ones.
    fold = fold // max(1, len(np.unique(fold)) // (3 * FOLDS)) % FOLDS
    classes = 0 if kind == "regression" else int(label.max()) + 1
    targets = label.astype(np.float64)[:, None] if kind == "regression" else np.eye(classes)[label.astype(int)]
    sharp = np.full(targets.shape, np.nan)
    smooth = np.tile(targets.mean(axis=0), (len(label), 1))
    for k in range(FOLDS):
        held = fold == k
        if not held.any() or held.all():
            continue
        sharp[held] = (_means if words else _leaves)(x[~held], targets[~held], x[held])
        if classes and not words:
            smooth[held] = _curve(x, present, label, held, smooth[held])
    area, se = _best(kind, sharp, x, label, fold, np.ones(len(label), bool), words)
    some, _ = _best(kind, sharp, x, label, fold, present, words) if not present.all() else (area, se)
    equal = _equal(x, present, label) if kind == "regression" and not words else 0.0
    _, at, counts = np.unique(np.where(present | words, x, np.inf), return_inverse=True, return_counts=True)
    if not classes:
        sharp = smooth = np.zeros((len(label), 0))
    return Alone(area, se, some, float(present.mean()), equal, len(label), sharp, smooth, counts[at] > COMMON)


def _codes(column: pa.ChunkedArray) -> Floats:
    """A number for each value, another one for null."""
    filled = pc.fill_null(column.cast(pa.string()), "\x00")
    return np.unique(filled.to_numpy(zero_copy_only=False).astype(str), return_inverse=True)[1].astype(np.float64)


def _numbers(column: pa.ChunkedArray) -> Floats:
    if pa.types.is_timestamp(column.type):
        # Time itself orders the nights, which are never both fitted and held: the time of day is what is left.
        x = column.cast(pa.int64()).to_numpy(zero_copy_only=False).astype(np.float64)
        return np.asarray(x % 86_400_000_000)
    x = column.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.asarray(np.where(np.isinf(x), np.sign(x) * 1e30, x))


def _leaves(x: Floats, targets: Floats, new: Floats) -> Floats:
    from sklearn.tree import DecisionTreeRegressor

    # A value that comes again and again, none at all too, speaks for itself and not for what lies beside it.
    x, new = np.where(np.isnan(x), np.inf, x), np.where(np.isnan(new), np.inf, new)
    values, counts = np.unique(x, return_counts=True)
    common = values[counts >= max(COMMON, len(x) // 400)]
    out, rest, other = _means(x, targets, new), ~np.isin(x, common), ~np.isin(new, common)
    if rest.sum() < 2 * COMMON or not other.any():
        return out
    # Float32 inside: large numbers are centred first. A tree of several outputs shares its leaves.
    finite = x[np.isfinite(x)]
    centre, spread = (float(np.median(finite)), float(finite.std())) if len(finite) else (0.0, 1.0)
    scale = spread if 0 < spread < math.inf else 1.0
    least = max(COMMON, len(x) // 400)
    x, new = np.where(np.isinf(x), np.nan, x), np.where(np.isinf(new), np.nan, new)
    tree = DecisionTreeRegressor(max_leaf_nodes=LEAVES, min_samples_leaf=least, random_state=0)
    tree.fit(((x[rest] - centre) / scale)[:, None], targets[rest])
    out[other] = np.asarray(tree.predict(((new[other] - centre) / scale)[:, None])).reshape(int(other.sum()), -1)
    return out


def _means(x: Floats, targets: Floats, new: Floats) -> Floats:
    values, at = np.unique(x, return_inverse=True)
    count = np.bincount(at).astype(np.float64)
    overall = targets.mean(axis=0)
    sums = np.stack([np.bincount(at, t) for t in targets.T], axis=1)
    # Half a row of the overall mean: a value seen a few times says little, one seen 50 times what it says.
    means = (sums + 0.5 * overall) / (count[:, None] + 0.5)
    where = np.clip(np.searchsorted(values, new), 0, len(values) - 1)
    known = (values[where] == new) & (count[where] >= COMMON)
    return np.asarray(np.where(known[:, None], means[where], overall))


def _curve(x: Floats, present: Flags, label: NDArray[Any], held: Flags, otherwise: Floats) -> Floats:
    """Class shares of the held rows by a logistic curve of the normal score and its square; else `otherwise`."""
    from sklearn.linear_model import LogisticRegression

    fit, new, out = present & ~held, present & held, otherwise.copy()
    if not new.any() or len(np.unique(label[fit])) < 2 or np.ptp(x[fit]) == 0:
        return out
    z = np.zeros(len(x))
    z[present] = norm.ppf((rankdata(x[present]) - 0.5) / present.sum())
    basis = np.stack([z, z**2], axis=1)
    curve = LogisticRegression(C=1e3, max_iter=200).fit(basis[fit], label[fit].astype(int))
    made = np.zeros((int(new.sum()), out.shape[1]))
    made[:, curve.classes_] = curve.predict_proba(basis[new])
    out[present[held]] = made
    return out


def _best(
    kind: str, sharp: Floats, x: Floats, label: NDArray[Any], fold: NDArray[Any], keep: Flags, words: bool
) -> tuple[float, float]:
    """The best area over classes, of the leaves or of the plain order of a number, averaged over folds."""
    kept = keep & np.isfinite(sharp).all(axis=1)
    best = (math.nan, math.nan)
    for c in range(sharp.shape[1]):
        plain = kept & np.isfinite(x) & (not words)
        for values, rows, either in ((sharp[:, c], kept, False), (x, plain, True)):
            parts = [rows & (fold == k) for k in range(FOLDS)]
            areas = np.array([_area(kind, values[p], label[p], c) for p in parts])
            size = np.array([p.sum() for p in parts], dtype=np.float64)
            ok = np.isfinite(areas)
            # The bare order of the few rows that have a value must not speak for all.
            if not ok.any() or rows.sum() < 0.9 * keep.sum():
                continue
            mean = float((areas * size)[ok].sum() / size[ok].sum())
            se = float(areas[ok].std(ddof=1) / math.sqrt(ok.sum())) if ok.sum() > 1 else math.nan
            mean = max(mean, 1 - mean) if either else mean
            if math.isnan(best[0]) or mean > best[0]:
                best = (mean, se)
        if sharp.shape[1] == 2 and kind != "regression":
            break
    return best


def _area(kind: str, values: Floats, label: NDArray[Any], c: int) -> float:
    return ranked(kind, values, label) if kind == "regression" else auc(values, label == c)


def _equal(x: Floats, present: Flags, label: NDArray[Any]) -> float:
    """Share of rows on which the feature is the label, less three times what chance would give."""
    scale = float(np.std(label)) or 1.0
    same = present & (np.abs(x - label) <= SAME * scale)
    values, counts = np.unique(label, return_counts=True)
    theirs, times = np.unique(x[present], return_counts=True)
    chance = sum(
        float(t) * float(counts[i]) for v, t in zip(theirs, times, strict=True)
        if (i := int(np.searchsorted(values, v))) < len(values) and values[i] == v
    ) / len(label) ** 2  # fmt: skip
    return max(0.0, float(same.mean()) - 3 * chance)
