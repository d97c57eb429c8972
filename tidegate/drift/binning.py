"""Both sides of a comparison as counts over the same bins, all set by the reference."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from tidegate.profile.column import OTHER, ColumnProfile
from tidegate.profile.grid import value_of

Counts = NDArray[np.float64]

BINS = 10
# Cochran's rule: with fewer expected rows in a bin, PSI does not follow its χ² (300 categories
# and 500 rows a side went over the 99 % limit 99 times in 100 without any drift).
FEWEST = 5.0
# Two values closer than this (relative) are one: float32 and float64 of the same number.
SAME = float(np.finfo(np.float32).eps)


def aligned(reference: ColumnProfile, current: ColumnProfile) -> tuple[Counts, Counts, Counts]:
    """Ascending values and both sides' counts there, each of shape (points,).

    A point is a bucket of either side; its value is the atom, or else the bucket's middle. Where
    both sides have one single value in a bucket, and not the same, it becomes two points: an atom
    that moves within its bucket would not be seen otherwise.
    """
    i = np.searchsorted(reference.buckets, current.buckets)
    j = np.flatnonzero(np.append(reference.buckets, -1)[i] == current.buckets)
    a, b = reference.atoms[i[j]], current.atoms[j]
    apart = np.abs(a - b) > SAME * np.maximum(np.abs(a), np.abs(b))  # never with NaN: not an atom
    keys_r, keys_c = 2 * reference.buckets, 2 * current.buckets
    keys_r[i[j][apart & (a > b)]] += 1
    keys_c[j[apart & (b > a)]] += 1
    new = np.ones(len(keys_c), dtype=bool)
    new[j] = apart
    # The window's own points go in between the reference's many, which are not sorted again.
    place = np.searchsorted(keys_r, keys_c[new]) + np.arange(np.count_nonzero(new))
    old = np.ones(len(keys_r) + len(place), dtype=bool)
    old[place] = False
    keys, values, r, c = np.empty(len(old), dtype=np.int64), np.empty(len(old)), np.zeros(len(old)), np.zeros(len(old))
    keys[old], keys[place] = keys_r, keys_c[new]
    values[old], values[place] = reference.atoms, current.atoms[new]
    r[old], c[place] = reference.rows, current.rows[new]
    c[np.flatnonzero(old)[i[j[~new[j]]]]] = current.rows[~new]
    mixed = np.isnan(values)
    values[mixed] = value_of(keys[mixed] // 2, reference.axis)
    return values, r, c


def deciles(reference: Counts, current: Counts) -> tuple[Counts, Counts]:
    """Counts in the reference's quantile bins, from counts at ascending points.

    A point with at least half a decile of the reference (an atom, like the zeros of rain) is a bin
    of its own. The stretches before, between and after such points have bins of their own too, a
    tenth of the rows each or the whole stretch if it has less: what leaves or joins an atom is
    always seen. Without heavy points these are the ten deciles. A bin may have no reference rows.
    """
    n = float(reference.sum())
    if not n > 0:
        return np.zeros(1), np.array([current.sum()])
    heavy = reference >= n / (2 * BINS)
    if not heavy.any():
        middle = np.cumsum(reference) - reference / 2
        tenth = np.minimum((BINS * middle / max(n, 1)).astype(np.int64), BINS - 1)
        ref, cur = np.bincount(tenth, reference, BINS), np.bincount(tenth, current, BINS)
        return ref.astype(np.float64), cur.astype(np.float64)
    stretch = np.cumsum(heavy)
    light = np.where(heavy, 0.0, reference)
    rows = np.bincount(stretch, light)
    parts = np.maximum(np.rint(BINS * rows / n), 1).astype(np.int64)
    # Bins in order: stretch 0, heavy 1, stretch 1, heavy 2, ...
    start = np.cumsum(parts) - parts + np.arange(len(parts))
    before = np.cumsum(light) - light / 2 - (np.cumsum(rows) - rows)[stretch]
    part = np.minimum((parts[stretch] * before / np.maximum(rows, 1)[stretch]).astype(np.int64), parts[stretch] - 1)
    bins = np.where(heavy, start[stretch] - 1, start[stretch] + part)
    size = int(start[-1] + parts[-1])
    ref, cur = np.bincount(bins, reference, size), np.bincount(bins, current, size)
    return ref.astype(np.float64), cur.astype(np.float64)


def categories(reference: ColumnProfile, current: ColumnProfile) -> tuple[Counts, Counts, float]:
    """Counts over the reference's categories with one bin for the rest, and the rows unseen.

    The rest is OTHER, categories too rare to judge (`FEWEST`) and those the reference never had.
    If the reference itself hit its cap, its share of OTHER is expected in the rest; only what is
    beyond that counts as unseen.
    """
    known = np.zeros(len(reference.names) + 1)
    places = reference.places
    known[[places.get(name, -1) for name in current.names]] = current.rows  # the last place is for the others
    named = np.ones(len(reference.names), dtype=bool)
    if (at := places.get(OTHER)) is not None:
        named[at] = False
    ref, cur = reference.rows[named].astype(np.float64), known[:-1][named]
    ratio = current.present / reference.present if reference.present else 0.0
    cur += _cut_off(ref * ratio, cur, current)
    rest_ref, rest_cur = reference.present - ref.sum(), max(current.present - cur.sum(), 0.0)
    unseen = max(float(rest_cur - rest_ref * ratio), 0.0)
    rare = ref * min(1.0, ratio) < FEWEST
    rest_ref, rest_cur = rest_ref + ref[rare].sum(), rest_cur + cur[rare].sum()
    return np.append(ref[~rare], rest_ref), np.append(cur[~rare], rest_cur), unseen


def _cut_off(expected: Counts, found: Counts, current: ColumnProfile) -> Counts | float:
    """Rows to give back to the reference's categories that the *current* cap put into OTHER.

    Such a category has at most as many rows as the rarest one that was kept. Without this every
    undrifted column with more categories than the cap would look new.
    """
    at = bisect_left(current.names, OTHER)
    if at == len(current.names) or current.names[at] != OTHER:
        return 0.0
    floor = np.delete(current.rows, at).min() if len(current.rows) > 1 else 0
    back = np.where(found == 0, np.minimum(expected, floor), 0.0)
    return np.asarray(back * min(1.0, int(current.rows[at]) / max(back.sum(), 1.0)), dtype=np.float64)
