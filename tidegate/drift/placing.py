"""Placing a window into a reference's distributions, all number columns at once.

What depends on the reference alone is worked out once and kept with it; a window is then placed
in time that hardly grows with the reference's points. Bins and KS are to the last bit what
`tidegate.drift.binning` and `tidegate.drift.distances` give; W1 up to rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from tidegate.drift.binning import BINS, SAME, Counts
from tidegate.profile.column import ColumnProfile
from tidegate.profile.stacked import BITS, Stacked, values_of

Ints = NDArray[np.int64]

TENTHS: Ints = -2 * np.arange(BINS)


@dataclass(frozen=True, eq=False)
class Steps:
    """The distribution functions of a reference's number columns, one after another.

    A column has one slot for each point and one past its end, which counts as one more row so
    that columns stay apart: ``keys``, ``values`` (and whether it is an ``atom``), the rows
    ``before`` it of this and of earlier columns, and the ``moment`` before it (the sum of value −
    offset, over the column's rows). ``first``: each column's first slot; ``present`` and
    ``offset`` of each. ``edges``: where bins start, in twice the rows before the middle of a
    point; ``counts``: the rows there, and after each column's bins those without a usable value;
    ``bins``: where each column's counts start.
    """

    keys: Ints
    values: Counts
    atom: NDArray[np.bool_]
    before: Ints
    moment: Counts
    first: Ints
    present: Counts
    offset: Counts
    edges: Ints
    counts: Counts
    bins: Ints


@dataclass(frozen=True)
class Placed:
    """A window's counts beside the reference's (shape (bins,), each column's from ``bins`` on), KS and W1 by column."""

    ref: Counts
    cur: Counts
    bins: Ints
    ks: Counts
    w1: Counts


_known: WeakKeyDictionary[Stacked, Steps] = WeakKeyDictionary()


def steps_of(reference: Stacked) -> Steps:
    """The reference's distribution functions, worked out once."""
    found = _known.get(reference)
    if found is None:
        found = _known[reference] = _steps(reference)
    return found


def _steps(reference: Stacked) -> Steps:
    columns = list(reference.columns.values())
    first = reference.starts[:-1] + np.arange(len(columns))
    size = int(reference.starts[-1]) + len(columns)
    keys, before = np.empty(size, np.int64), np.empty(size, np.int64)
    values, moment, atom = np.zeros(size), np.empty(size), np.zeros(size, dtype=bool)
    edges: list[Ints] = []
    counts: list[Ints] = []
    base = 0
    for k, (c, a) in enumerate(zip(columns, first.tolist(), strict=True)):
        b = a + len(c.buckets)
        np.add(c.buckets, k << BITS, out=keys[a:b])
        keys[b] = (k << BITS) | (1 << (BITS - 1))
        values[a:b] = values_of(c)
        np.isfinite(c.atoms, out=atom[a:b])
        before[a], moment[a] = 0, 0.0
        np.cumsum(c.rows, out=before[a + 1 : b + 1])
        with np.errstate(over="ignore", invalid="ignore"):
            np.cumsum((values[a:b] - c.axis.offset) * c.rows, out=moment[a + 1 : b + 1])
        moment[a : b + 1] /= max(c.present, 1)
        edge, count = _tenths(c, before[a : b + 1])
        edges.append(edge + 2 * base)
        counts.append(np.append(count, c.missing + c.infinite))
        before[a : b + 1] += base
        base += c.present + 1
    sizes = [len(e) + 1 for e in edges]
    return Steps(
        keys,
        values,
        atom,
        before,
        moment,
        first,
        np.array([c.present for c in columns], dtype=np.float64),
        np.array([c.axis.offset for c in columns]),
        np.concatenate(edges),
        np.concatenate(counts).astype(np.float64),
        np.cumsum([0, *sizes]),
    )


def _tenths(column: ColumnProfile, before: Ints) -> tuple[Ints, Ints]:
    """The bins of `binning.deciles`: where each starts, in twice the rows before, and its rows."""
    n, middles = column.present, before[:-1] + before[1:]
    heavy = np.flatnonzero(2 * BINS * column.rows >= n) if n else np.empty(0, np.int64)
    edges = _edges(before, heavy, n) if len(heavy) or not n else -(TENTHS * n // BINS)
    cuts = before[np.append(np.searchsorted(middles, edges), len(middles))]
    return edges, cuts[1:] - cuts[:-1]


def _edges(before: Ints, heavy: Ints, n: int) -> Ints:
    # Light stretches lie before, between and after the heavy points.
    starts, ends = before[np.concatenate(([0], heavy + 1))], before[np.append(heavy, len(before) - 1)]
    rows = ends - starts
    parts = np.maximum(np.rint(BINS * rows / max(n, 1)), 1).astype(np.int64)
    stretch = np.repeat(np.arange(len(parts)), parts)
    part = np.arange(len(stretch)) - np.repeat(np.cumsum(parts) - parts, parts)
    light = 2 * starts[stretch] - (-2 * part * rows[stretch] // parts[stretch])  # rounded up
    # A heavy point's bin starts just behind what lies before it.
    return np.insert(light, np.cumsum(parts)[:-1], 2 * ends[:-1] + 1)


@np.errstate(over="ignore", invalid="ignore")  # a distance beyond the largest float is inf, W1 then inf or NaN
def placed(reference: Stacked, current: Stacked) -> Placed:
    """The window's points in the reference's distributions; both have the same columns.

    KS and W1 (column's unit) are NaN where a side has no finite values.
    """
    s, column = steps_of(reference), current.column
    i = np.searchsorted(s.keys, current.keys)
    there, value = s.values[i], current.values
    same = s.keys[i] == current.keys
    # Two single values in one bucket, and not the same: two points (see `binning.aligned`).
    apart = np.abs(there - current.atoms) > SAME * np.maximum(np.abs(there), np.abs(current.atoms))
    apart &= same & s.atom[i]
    hit = same & ~apart
    enter = i + (apart & (current.atoms > there))
    leave = enter + hit  # the reference's points before each of the window's, without and with itself
    x = np.where(hit, there, value) - s.offset[column]
    counts = s.counts.copy()
    bin_ = np.searchsorted(s.edges, s.before[enter] + s.before[leave], side="right") - 1 + column
    cur = np.bincount(bin_, current.rows, len(counts)).astype(np.float64)
    cur[s.bins[1:] - 1] = [c.missing + c.infinite for c in current.columns.values()]
    with np.errstate(over="ignore", invalid="ignore"):
        ks, w1 = _gaps(s, current, column, enter, leave, x)
    return Placed(counts, cur, s.bins, ks, w1)


def _gaps(s: Steps, current: Stacked, column: Ints, enter: Ints, leave: Ints, x: Counts) -> tuple[Counts, Counts]:
    """KS and W1 of each column, from where the window's points stand in the reference.

    Between two of the window's points its own distribution function stays at a height g while the
    reference's F rises: |F − g| is largest at an end, and its integral needs only the ends and the
    point where F passes g.
    """
    size = len(s.first)
    ks, w1 = np.full(size, math.nan), np.full(size, math.nan)
    told = np.flatnonzero(np.diff(current.starts) > 0)
    if not len(told):
        return ks, w1
    heads, tails = current.starts[told], current.starts[told + 1] - 1
    n, base = np.where(s.present > 0, s.present, math.nan)[column], s.before[s.first][column]
    # The window's height before and at each point, and the reference's on arriving and on leaving.
    running = np.cumsum(current.rows)
    behind = (running[heads] - current.rows[heads]).repeat(tails - heads + 1)
    rows = (running[tails] - running[heads] + current.rows[heads]).repeat(tails - heads + 1)
    g, after = (running - current.rows - behind) / rows, (running - behind) / rows
    arriving, leaving = (s.before[enter] - base) / n, (s.before[leave] - base) / n
    ks[told] = np.maximum.reduceat(np.maximum(np.abs(arriving - g), np.abs(leaving - after)), heads)

    # The stretch up to each point begins at the point before it, the first one where F is 0.
    start, x0, f0 = np.roll(leave, 1), np.roll(x, 1), np.roll(leaving, 1)
    start[heads], x0[heads], f0[heads] = s.first[told], 0.0, 0.0
    m0, m1 = s.moment[start], s.moment[enter]
    area = x * (arriving - g) - x0 * (f0 - g) - (m1 - m0)  # ∫ F − g, by parts
    cross = np.flatnonzero((f0 < g) & (arriving > g))
    k = np.searchsorted(s.before, base[cross] + g[cross] * n[cross])
    k = np.clip(k, start[cross] + 1, enter[cross])
    g, at, n = g[cross], s.values[k - 1] - s.offset[column[cross]], n[cross]
    under, over = (s.before[k - 1] - base[cross]) / n, (s.before[k] - base[cross]) / n
    left = at * (under - g) - x0[cross] * (f0[cross] - g) - (s.moment[k - 1] - m0[cross])
    right = x[cross] * (arriving[cross] - g) - at * (over - g) - (m1[cross] - s.moment[k])
    area = np.abs(area)
    area[cross] = np.abs(left) + np.abs(right)
    ends = s.first[told] + np.diff(np.append(s.first, len(s.keys)))[told] - 1
    rest = x[tails] * (leaving[tails] - 1) - (s.moment[leave[tails]] - s.moment[ends])
    w1[told] = np.add.reduceat(area, heads) + np.abs(rest)
    return ks, w1
