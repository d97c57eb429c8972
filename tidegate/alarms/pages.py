"""When calibrated scores are worth waking somebody: a sudden change that lasts, or a gradual one that adds up.

All arrays are standard scores, shape (histories, nights, series), each series in the direction in which it
alarms (see `directed`); NaN is no information. Live watching looks at the lasting scores and sums of one history;
calibration and the false-page measurement count pages over many. They count sums that start again after each page
and reach back without end, which live ones do not: the count errs on the safe side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NONE = -99.0
DRIFT = 0.5
"""Page's k: half of the smallest lasting shift, in standard deviations, that should be found quickly."""
CAP = 4.0
"""A night counts at most this much in a gradual sum: one outlier alone is not a trend."""


def directed(z: Floats, signed: NDArray[np.bool_]) -> Floats:
    """Scores with the signed series once more, turned round: shape (…, series + signed)."""
    return np.asarray(np.concatenate([z, -z[..., signed]], axis=-1), dtype=np.float64)


def lasting(z: Floats, nights: int = 2, within: int = 3) -> Floats:
    """The score that a series reached tonight and on `nights` of the last `within` nights; same shape.

    Examples
    --------
    >>> lasting(np.array([[[5.0], [0.0], [4.0], [0.0]]]))[0, :, 0].tolist()
    [-99.0, 0.0, 4.0, 0.0]
    """
    known = np.where(np.isnan(z), NONE, z)
    if nights <= 1:
        return known
    past = np.full((*z.shape, within), NONE)
    for back in range(within):
        past[..., back:, :, back] = known[..., : z.shape[-2] - back, :]
    return np.asarray(np.minimum(known, np.sort(past, axis=-1)[..., within - nights]), dtype=np.float64)


def cumulative(z: Floats) -> Floats:
    """Page's cumulative sum of each series, C ← max(0, C + min(z, 4) − ½), from 0; same shape.

    References
    ----------
    Page, Continuous inspection schemes, 1954.
    """
    step = np.nan_to_num(np.clip(z, -CAP, CAP), nan=DRIFT) - DRIFT
    out = np.zeros_like(step)
    c = np.zeros(step.shape[:1] + step.shape[2:])
    for t in range(step.shape[1]):
        c = np.maximum(0.0, c + step[:, t])
        out[:, t] = c
    return out


def sudden_pages(highest: Floats, limits: Sequence[float], quiet: int) -> NDArray[np.int64]:
    """Pages by limit and history, shape (limits, histories), from the highest lasting score a night.

    Of one history, for `quiet` nights after a page nothing pages again. That counts one cause at a time: a night
    whose signals have two suspected causes may give two pages, and an open incident may page once more for what it
    has not told (`tidegate.alarms.judge`).
    """
    over = highest[None] > np.asarray(limits)[:, None, None]
    return _paged(over, quiet)


def gradual_pages(z: Floats, limits: Sequence[float], quiet: int) -> NDArray[np.int64]:
    """Pages of cumulative sums by limit and history, shape (limits, histories); as `sudden_pages`."""
    step = np.nan_to_num(np.clip(z, -CAP, CAP), nan=DRIFT).astype(np.float32) - np.float32(DRIFT)
    bounds = np.asarray(limits, dtype=np.float32)[:, None]
    c = np.zeros((len(limits), z.shape[0], z.shape[2]), dtype=np.float32)
    over = np.zeros((len(limits), *z.shape[:2]), dtype=bool)
    for t in range(z.shape[1]):
        np.add(c, step[None, :, t], out=c)
        np.maximum(c, 0, out=c)
        over[:, :, t] = c.max(axis=-1) > bounds
        c[c > bounds[..., None]] = 0
    return _paged(over, quiet)


def _paged(over: Bools, quiet: int) -> NDArray[np.int64]:
    pages = np.zeros(over.shape[:2], dtype=np.int64)
    last = np.full(over.shape[:2], -quiet - 1)
    for t in range(over.shape[2]):
        page = over[:, :, t] & (t - last > quiet)
        pages += page
        last = np.where(page, t, last)
    return pages
