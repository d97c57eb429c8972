"""Fitting an axis to a sample: offset, scale, and more cells where one is too coarse."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tidegate.profile.grid import CODES, MAX_CELLS, Axis, bucket_of

FINE = 0.0005
"""The largest share of rows that one bucket of several values should hold."""
SAMPLE = 65_536
"""More rows than this are thinned to this many before an axis is fitted."""


def axis_of(values: NDArray[np.float64]) -> Axis:
    """An axis fitted to a sample: the offset is its median, the scale a power of two near the
    middle half's width (with most rows at one value, the others' typical distance from it).

    While a bucket of several values holds more than .05 % of the rows (beyond what chance explains
    in the sample), the cell it is in is cut at the widest gap between the bucket and the cell's
    offset, and the far side gets a cell of its own; at most 8 cells.

    Parameters
    ----------
    values : float array, shape (n,)
        In the column's unit. NaN and inf are left out; nothing left gives offset 0, scale 1.

    Examples
    --------
    >>> axis_of(np.array([10.0, 12.0, 14.0, np.nan]))
    Axis(kind='number', offset=12.0, scale=4.0, cuts=(), cells=(), of='value', distinct=0)
    """
    x = np.sort(values[np.isfinite(values)]) + 0.0
    if not len(x):
        return Axis("number")
    if len(x) > SAMPLE:  # every so-manyth in order: thinner, and the same distribution
        x = x[np.linspace(0, len(x) - 1, SAMPLE).astype(np.int64)]
    offset, scale = _centre(x)
    axis, edges = Axis("number", offset, scale), [0, len(x)]
    while len(edges) <= MAX_CELLS and (cut := _cut(x, axis, edges)) is not None:
        edges = sorted([*edges, cut])
        cells = tuple(_centre(x[a:b]) for a, b in pairwise(edges))
        cuts = tuple(_between(float(x[e - 1]), float(x[e])) for e in edges[1:-1])
        axis = Axis("number", offset, scale, cuts, cells)
    return axis


def _centre(x: NDArray[np.float64]) -> tuple[float, float]:
    """Offset and scale of sorted values."""
    # A value that occurs, never one between two: an atom at the median gets a bucket of its own.
    low, mid, high = (x[max(math.ceil(q * len(x)) - 1, 0)] for q in (0.25, 0.5, 0.75))
    with np.errstate(over="ignore"):
        width = float(high - low)
        if not width:  # most rows at one value: one outlier among the rest must not set the scale
            away = np.abs(x[x != mid] - mid)
            width = float(np.quantile(away, 0.5, method="inverted_cdf")) if len(away) else 1.0
    exponent = min(max(round(math.log2(min(width, 1e300))), -1000), 1000)
    return float(mid), 2.0**exponent


def _cut(x: NDArray[np.float64], axis: Axis, edges: list[int]) -> int | None:
    """Where in the sorted sample to cut, or None if the axis is fine enough."""
    buckets = bucket_of(x, axis)
    starts = np.flatnonzero(np.concatenate(([True], buckets[1:] != buckets[:-1])))
    rows = np.diff(starts, append=len(x))
    # Four standard errors more than the wanted share: less is the luck of the sample.
    limit = FINE * len(x) + 4 * math.sqrt(FINE * len(x))
    heavy = np.flatnonzero((rows > limit) & (x[starts] != x[starts + rows - 1]))
    for k in heavy[np.argsort(-rows[heavy], kind="stable")]:
        cell = int(buckets[starts[k]] // CODES)
        first, last = edges[cell], edges[cell + 1]
        offset = axis.parts[cell][0]
        # The gap lies between the heavy bucket and the offset, which stays on its own side.
        if x[starts[k]] > offset:
            low, high = int(np.searchsorted(x, offset, side="right")) - 1, int(starts[k])
        elif x[starts[k] + rows[k] - 1] < offset:
            low, high = int(starts[k] + rows[k]) - 1, int(np.searchsorted(x, offset))
        else:
            continue  # the offset's own bucket: halving the scale is not a cut
        low, high = max(low, first), min(high, last - 1)
        if high <= low:
            continue
        with np.errstate(over="ignore"):
            cut = low + 1 + int(np.argmax(np.diff(x[low : high + 1])))
        if first < cut < last:
            return cut
    return None


def _between(a: float, b: float) -> float:
    middle = a / 2 + b / 2
    return middle if a < middle <= b else b
