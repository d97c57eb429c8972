"""How far a window's profile is from the reference's, column by column."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tidegate.drift.binning import aligned, categories, deciles
from tidegate.drift.distances import js, kl, ks, psi, psi_limit, w1
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
    return [
        column_drift(name, reference.columns[name], current.columns[name], confidence) for name in reference.grid.axes
    ]


def column_drift(name: str, reference: ColumnProfile, current: ColumnProfile, confidence: float = 0.99) -> Drift:
    """The drift of one column; every distance is NaN when a side has no rows.

    When a side has rows but none of them usable, PSI, KL and JS still see the missing bin; KS and
    W1 are NaN.
    """
    if reference.axis != current.axis:
        raise UsageError(f"drift of {name}", f"axis {reference.axis}", str(current.axis), "profile both on one grid")
    unseen, near_ks, near_w1 = 0.0, math.nan, math.nan
    if reference.axis.kind == "category":
        ref, cur, unseen = categories(reference, current)
    else:
        values, r, c = aligned(reference, current)
        ref, cur = deciles(r, c)
        near_ks, sigma = ks(r, c), reference.std
        near_w1 = w1(values, r, c) / sigma if sigma > 0 else math.nan
    ref = np.append(ref, reference.missing + reference.infinite)
    cur = np.append(cur, current.missing + current.infinite)
    used = (ref + cur) > 0
    ref, cur = ref[used], cur[used]
    missing = current.missing / current.n - reference.missing / reference.n if current.n and reference.n else math.nan
    return Drift(
        name,
        psi(ref, cur),
        psi_limit(len(ref), reference.n, current.n, confidence),
        kl(ref, cur),
        js(ref, cur),
        near_ks,
        near_w1,
        missing,
        unseen / current.n if current.n and reference.n else math.nan,
        current.infinite,
        current.n,
        reference.n,
    )
