"""How far a window's profile is from the reference's, column by column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidegate.drift.distances import divergences, gaps, psi_limit
from tidegate.drift.pair import Pair, pair_of
from tidegate.errors import UsageError
from tidegate.profile.column import ColumnProfile
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
    if reference.grid.digest != current.grid.digest:
        raise UsageError(
            "drift",
            f"grid {reference.grid.digest[:12]}",
            f"grid {current.grid.digest[:12]}",
            "profile both on one grid",
        )
    pairs = [pair_of(name, reference.columns[name], current.columns[name]) for name in reference.grid.axes]
    return drifts_of(pairs, confidence)


def column_drift(name: str, reference: ColumnProfile, current: ColumnProfile, confidence: float = 0.99) -> Drift:
    """The drift of one column; every distance is NaN when a side has no rows.

    When a side has rows but none of them usable, PSI, KL and JS still see the missing bin; KS and
    W1 are NaN.
    """
    return drifts_of([pair_of(name, reference, current)], confidence)[0]


def drifts_of(pairs: Sequence[Pair], confidence: float = 0.99) -> list[Drift]:
    """The drift of each pair, as `column_drift`."""
    shape = dict(zip((p.name for p in pairs if p.judged), _divergences(pairs), strict=True))
    order = dict(zip((p.name for p in pairs if p.ordered), _gaps(pairs), strict=True))
    return [
        _drift(p, shape.get(p.name, (math.nan,) * 3), order.get(p.name, (math.nan, math.nan)), confidence)
        for p in pairs
    ]


def _divergences(pairs: Sequence[Pair]) -> list[tuple[float, float, float]]:
    judged = [p for p in pairs if p.judged]
    if not judged:
        return []
    starts = np.cumsum([0] + [len(p.ref) for p in judged[:-1]])
    found = divergences(np.concatenate([p.ref for p in judged]), np.concatenate([p.cur for p in judged]), starts)
    return list(zip(*(f.tolist() for f in found), strict=True))


def _gaps(pairs: Sequence[Pair]) -> list[tuple[float, float]]:
    ordered = [p for p in pairs if p.ordered]
    if not ordered:
        return []
    starts = np.cumsum([0] + [len(p.r) for p in ordered[:-1]])
    values, r, c = (np.concatenate(side) for side in zip(*((p.values, p.r, p.c) for p in ordered), strict=True))
    return list(zip(*(f.tolist() for f in gaps(values, r, c, starts)), strict=True))


def _drift(pair: Pair, shape: tuple[float, float, float], order: tuple[float, float], confidence: float) -> Drift:
    reference, current = pair.reference, pair.current
    (psi, kl, js), (ks, w1) = shape, order
    sigma = reference.std
    return Drift(
        pair.name,
        psi,
        psi_limit(len(pair.ref), reference.n, current.n, confidence),
        kl,
        js,
        ks,
        w1 / sigma if sigma > 0 else math.nan,
        current.missing / current.n - reference.missing / reference.n if pair.judged else math.nan,
        pair.unseen / current.n if pair.judged else math.nan,
        current.infinite,
        current.n,
        reference.n,
    )
