"""How far a window's profile is from the reference's, column by column."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.drift.binning import aligned, categories
from tidegate.drift.distances import Counts, Index, divergences, gaps, psi_limit
from tidegate.drift.placing import placed
from tidegate.errors import UsageError
from tidegate.profile.column import ColumnProfile
from tidegate.profile.grid import Grid
from tidegate.profile.profile import Profile


@dataclass(frozen=True, slots=True)
class Drift:
    """Distances of one column.

    ``psi``, ``kl`` (nats), ``js``: over the reference's deciles or categories, plus a bin for
    rows without a usable value. ``psi_limit``: what undrifted, independent rows stay below at the
    asked confidence; NaN when there is only one bin, which judges nothing. ``ks``: in [0, 1], and
    ``w1_sigma``: in reference standard deviations, over finite values; NaN for categories,
    ``w1_sigma`` also for a constant reference. ``missing``: the change in the share of nulls and
    NaN. ``unseen``: the share of rows in categories the reference never had. ``infinite``: the
    window's rows with ±inf. A number that cannot be told is NaN, never 0.
    """

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
    """The drift of every column of the grid, in its order.

    Raises
    ------
    UsageError
        The grids differ, or the confidence is not between 0 and 1.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from tidegate.profile.profile import grid_of, profile_of
    >>> year, night = pa.table({"delay": [1.0, 2.0, 3.0, 4.0]}), pa.table({"delay": [3.0, 4.0, None, 4.0]})
    >>> [drift] = compare(profile_of(year, grid_of(year)), profile_of(night, grid_of(year)))
    >>> drift.column, drift.ks, drift.missing
    ('delay', 0.5, 0.25)
    """
    if reference.grid is not current.grid and reference.grid.digest != current.grid.digest:
        raise UsageError(
            "drift",
            f"grid {reference.grid.digest[:12]}",
            f"grid {current.grid.digest[:12]}",
            "profile both on one grid",
        )
    found = _distances(reference, current)
    return [
        _drift(name, reference.columns[name], current.columns[name], found[name], confidence)
        for name in reference.grid.axes
    ]


def column_drift(name: str, reference: ColumnProfile, current: ColumnProfile, confidence: float = 0.99) -> Drift:
    """The drift of one column; every distance is NaN when a side has no rows.

    When a side has rows but none of them usable, PSI, KL and JS still see the missing bin; KS and
    W1 are NaN.
    """
    if reference.axis != current.axis:
        raise UsageError(f"drift of {name}", f"axis {reference.axis}", str(current.axis), "profile both on one grid")
    on = Grid({name: reference.axis})
    return compare(Profile(on, {name: reference}), Profile(on, {name: current}), confidence=confidence)[0]


@dataclass(frozen=True, slots=True)
class _Distances:
    """Of one column; ``bins`` are those that a side has rows in, ``unseen`` is in rows."""

    bins: int
    unseen: float = 0.0
    psi: float = math.nan
    kl: float = math.nan
    js: float = math.nan
    ks: float = math.nan
    w1: float = math.nan


def _distances(reference: Profile, current: Profile) -> dict[str, _Distances]:
    names: list[str] = []
    ref, cur, sizes = [np.empty(0)], [np.empty(0)], np.empty(0, dtype=np.int64)
    order: dict[str, tuple[float, float]] = {}
    unseen: dict[str, float] = {}
    if reference.numbers.columns:
        names = list(reference.numbers.columns)
        found = placed(reference.numbers, current.numbers)
        ref, cur, sizes = [found.ref], [found.cur], np.diff(found.bins)
        order = dict(zip(names, zip(found.ks.tolist(), found.w1.tolist(), strict=True), strict=True))
    for name, r in reference.columns.items():
        if r.axis.kind == "category":
            c = current.columns[name]
            a, b, unseen[name] = categories(r, c)
            ref.append(np.append(a, r.missing))
            cur.append(np.append(b, c.missing))
            names, sizes = [*names, name], np.append(sizes, len(a) + 1)
    judged = np.array([reference.columns[n].n > 0 and current.columns[n].n > 0 for n in names])
    bins, shapes = _shapes(np.concatenate(ref), np.concatenate(cur), sizes, judged)
    out = {}
    for name, size, shape in zip(names, bins, shapes, strict=True):
        ks, w1 = order.get(name, (math.nan, math.nan))
        if math.isfinite(ks) and not math.isfinite(w1):  # values whose differences overflow
            w1 = float(gaps(*aligned(reference.columns[name], current.columns[name]), np.zeros(1, np.int64))[1][0])
        out[name] = _Distances(size, unseen.get(name, 0.0), *shape, ks, w1)
    return out


def _shapes(
    ref: Counts, cur: Counts, sizes: Index, judged: NDArray[np.bool_]
) -> tuple[list[int], list[tuple[float, float, float]]]:
    """How many bins of each column either side has rows in, and PSI, KL and JS over those."""
    used = (ref + cur) > 0
    bins = np.add.reduceat(used, np.cumsum(sizes) - sizes, dtype=np.int64)
    out = np.full((3, len(sizes)), math.nan)
    if judged.any():
        kept = used & judged.repeat(sizes)
        out[:, judged] = divergences(ref[kept], cur[kept], np.cumsum(bins[judged]) - bins[judged])
    return bins.tolist(), list(zip(*out.tolist(), strict=True))


def _drift(name: str, reference: ColumnProfile, current: ColumnProfile, d: _Distances, confidence: float) -> Drift:
    sigma = reference.std
    judged = reference.n > 0 and current.n > 0
    return Drift(
        name,
        d.psi,
        psi_limit(d.bins, reference.n, current.n, confidence),
        d.kl,
        d.js,
        d.ks,
        d.w1 / sigma if sigma > 0 else math.nan,
        current.missing / current.n - reference.missing / reference.n if judged else math.nan,
        d.unseen / current.n if judged else math.nan,
        current.infinite,
        current.n,
        reference.n,
    )
