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
    new = np.concatenate(([True], buckets[1:] != buckets[:-1]))
    first, again = np.flatnonzero(new), np.flatnonzero(~new)
    group = again - np.arange(1, len(again) + 1)  # each repeat comes after its bucket's first
    order, repeats = order[first], order[again]
    every, counts = np.concatenate([p[1] for p in parts]), np.concatenate([p[2] for p in parts])
    atoms, rows = every[order], counts[order]
    atoms[group[every[repeats] != atoms[group]]] = np.nan  # NaN differs from all: it stays NaN
    np.add.at(rows, group, counts[repeats])
    return buckets[first], atoms, rows


def _inserted(big: Points, small: Points) -> Points:
    """A night into a long history: in time that hardly grows with the history's points."""
    at = np.searchsorted(big[0], small[0])
    known = big[0][np.minimum(at, len(big[0]) - 1)] == small[0]
    added = ~known
    at += np.cumsum(added) - added  # where it is once those before it are in
    place, hit = at[added], at[known]
    if len(place):
        old = np.ones(len(big[0]) + len(place), dtype=bool)
        old[place] = False
        buckets, atoms, rows = np.empty(len(old), np.int64), np.empty(len(old)), np.empty(len(old), np.int64)
        buckets[old], buckets[place] = big[0], small[0][added]
        atoms[old], atoms[place] = big[1], small[1][added]
        rows[old], rows[place] = big[2], small[2][added]
    else:
        buckets, atoms, rows = big[0], big[1].copy(), big[2].copy()
    rows[hit] += small[2][known]
    atoms[hit[atoms[hit] != small[1][known]]] = np.nan
    return buckets, atoms, rows
