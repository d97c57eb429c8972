"""How far a window's profile is from the reference's, column by column."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import UsageError
from tidegate.drift.distances import js, kl, ks, psi, psi_limit, w1
from tidegate.profile.grid import value_of
from tidegate.profile.profile import OTHER, ColumnProfile, Profile

BINS = 10


@dataclass(frozen=True, slots=True)
class Drift:
    """Distances of one column. PSI, KL, JS over the reference's deciles (or categories)
    plus a missing bin; KS in [0, 1]; ``w1_sigma`` in reference standard deviations (NaN
    for categories or a constant reference); ``missing`` the change in missing share;
    ``unseen`` the share of rows in categories the reference never had; ``psi_limit`` what
    undrifted rows stay below at the asked confidence."""

    column: str
    psi: float
    psi_limit: float
    kl: float
    js: float
    ks: float
    w1_sigma: float
    missing: float
    unseen: float
    infinite: int
    n: int
    n_reference: int


def compare(reference: Profile, current: Profile, *, confidence: float = 0.99) -> list[Drift]:
    """The drift of every column of the grid; raises `UsageError` if the grids differ."""
    if reference.grid.digest != current.grid.digest:
        raise UsageError("drift", f"grid {reference.grid.digest[:12]}", f"grid {current.grid.digest[:12]}", "profile both on one grid")
    return [column_drift(name, reference.columns[name], current.columns[name], confidence)
            for name in reference.grid.axes]


def column_drift(name: str, reference: ColumnProfile, current: ColumnProfile, confidence: float = 0.99) -> Drift:
    """The drift of one column; every distance is NaN when a side has no rows."""
    if reference.axis.kind == "category":
        ref, cur, unseen = _categories(reference, current)
        near_ks = near_w1 = math.nan
    else:
        values, r, c = _aligned(reference, current)
        ref, cur = _deciles(r, c)
        unseen = 0.0
        near_ks = ks(r, c)
        near_w1 = w1(values, r, c) / reference.std if reference.std and reference.present else math.nan
    ref = np.append(ref, reference.missing + reference.infinite)
    cur = np.append(cur, current.missing + current.infinite)
    used = (ref + cur) > 0
    ref, cur = ref[used], cur[used]
    missing = current.missing / current.n - reference.missing / reference.n if current.n and reference.n else math.nan
    return Drift(name, psi(ref, cur), psi_limit(len(ref), reference.n, current.n, confidence), kl(ref, cur), js(ref, cur), near_ks, near_w1,
                 missing, unseen / current.n if current.n else math.nan, current.infinite, current.n, reference.n)


def _categories(reference: ColumnProfile, current: ColumnProfile) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Counts over the reference's categories and one bin for the rest; rows unseen."""
    known = sorted(str(k) for k in reference.counts if k != OTHER)
    ref = [reference.counts[k] for k in known] + [reference.counts.get(OTHER, 0)]
    cur = [current.counts.get(k, 0) for k in known]
    rest = current.present - sum(cur)
    unseen = 0 if OTHER in reference.counts else rest
    return np.array(ref, dtype=np.float64), np.array([*cur, rest], dtype=np.float64), unseen


def _aligned(reference: ColumnProfile, current: ColumnProfile) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    buckets = np.array(sorted({*map(int, reference.counts), *map(int, current.counts)}), dtype=np.int64)
    r = np.array([reference.counts.get(int(b), 0) for b in buckets], dtype=np.float64)
    c = np.array([current.counts.get(int(b), 0) for b in buckets], dtype=np.float64)
    return value_of(buckets, reference.axis), r, c


def _deciles(reference: NDArray[np.float64], current: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both sides' counts in the reference's quantile bins; heavy buckets stand alone."""
    if reference.sum() <= 0:
        return np.zeros(1), np.array([current.sum()])
    upto = np.cumsum(reference) / reference.sum()
    bins = np.minimum((np.maximum(upto - 1e-12, 0) * BINS).astype(int), BINS - 1)
    return np.bincount(bins, reference, BINS), np.bincount(bins, current, BINS)
