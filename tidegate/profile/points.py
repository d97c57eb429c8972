"""Merging the buckets of one column of several windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Points = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]
"""Ascending buckets, their atoms, their rows; each of shape (points,)."""


def merged(parts: Sequence[Points]) -> Points:
    """The points of all parts: rows added up, an atom where every part has the same one.

    Examples
    --------
    >>> one = np.array([3, 5]), np.array([0.5, np.nan]), np.array([1, 2])
    >>> two = np.array([3, 9]), np.array([0.5, 1.5]), np.array([4, 1])
    >>> [x.tolist() for x in merged([one, two])]
    [[3, 5, 9], [0.5, nan, 1.5], [5, 2, 1]]
    """
    parts = [p for p in parts if len(p[0])] or list(parts[:1])
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        small, big = sorted(parts, key=lambda p: len(p[0]))
        return _inserted(big, small)
    buckets = np.concatenate([p[0] for p in parts])
    # Sorting numbers is twice as fast as sorting places: the place rides along in the low bits.
    bits = len(buckets).bit_length()
    buckets = np.sort((buckets << bits) | np.arange(len(buckets)))
    order = buckets & ((1 << bits) - 1)
    buckets >>= bits
    atoms = np.concatenate([p[1] for p in parts])[order]
    new = np.concatenate(([True], buckets[1:] != buckets[:-1]))
    starts = np.flatnonzero(new)
    # Sums between ends and a look at who differs: `reduceat` is slow on many short groups.
    ends = np.cumsum(np.concatenate([p[2] for p in parts])[order])[np.append(starts[1:] - 1, len(new) - 1)]
    whole = atoms[starts]
    differ = np.flatnonzero((atoms[1:] != atoms[:-1]) & ~new[1:]) + 1
    whole[np.cumsum(new)[differ] - 1] = np.nan
    return buckets[starts], whole, np.diff(ends, prepend=0)


def _inserted(big: Points, small: Points) -> Points:
    """A night into a long history: in time that hardly grows with the history's points."""
    at = np.searchsorted(big[0], small[0])
    known = big[0][np.minimum(at, len(big[0]) - 1)] == small[0]
    hit = at[known]
    atoms, rows = big[1].copy(), big[2].copy()
    rows[hit] += small[2][known]
    atoms[hit[atoms[hit] != small[1][known]]] = np.nan  # NaN differs from all: it stays NaN
    if known.all():
        return big[0], atoms, rows
    added = ~known
    place = at[added] + np.arange(np.count_nonzero(added))
    old = np.ones(len(rows) + len(place), dtype=bool)
    old[place] = False
    buckets, whole, count = np.empty(len(old), np.int64), np.empty(len(old)), np.empty(len(old), np.int64)
    buckets[old], buckets[place] = big[0], small[0][added]
    whole[old], whole[place] = atoms, small[1][added]
    count[old], count[place] = rows, small[2][added]
    return buckets, whole, count
