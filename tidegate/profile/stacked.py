"""The number columns of a profile, one after another in one array.

A night has some twenty columns of a few hundred buckets, and a NumPy call costs as much as a few
hundred buckets do: what is asked of every column is asked once of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tidegate.profile.column import ColumnProfile
from tidegate.profile.grid import CODES, MAX_CELLS, value_of

BITS = (MAX_CELLS * CODES).bit_length()
"""A key is the bucket, and above so many bits the number of the column; no bucket has the topmost bit."""


@dataclass(frozen=True, eq=False)
class Stacked:
    """Columns that are numbers. A point is a bucket that has rows; arrays have shape (points,)."""

    columns: Mapping[str, ColumnProfile]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each column's points start, and the end of the last; shape (columns + 1,)."""
        return np.cumsum([0, *(len(c.buckets) for c in self.columns.values())], dtype=np.int64)

    @cached_property
    def column(self) -> NDArray[np.int64]:
        """The number of each point's column."""
        return np.repeat(np.arange(len(self.columns)), np.diff(self.starts))

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        """Ascending: column, then bucket."""
        return np.asarray(np.concatenate([c.buckets for c in self.columns.values()]) + (self.column << BITS))

    @cached_property
    def atoms(self) -> NDArray[np.float64]:
        return np.concatenate([c.atoms for c in self.columns.values()])

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        return np.concatenate([c.rows for c in self.columns.values()])

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """The atom, or else the bucket's middle."""
        out = np.empty(int(self.starts[-1]))
        for c, (a, b) in zip(self.columns.values(), pairwise(self.starts.tolist()), strict=True):
            out[a:b] = values_of(c)
        return out


def values_of(column: ColumnProfile) -> NDArray[np.float64]:
    """The value of each bucket of a column: its atom, or else its middle."""
    out = column.atoms.copy()
    mixed = np.flatnonzero(np.isnan(out))
    if len(mixed):
        out[mixed] = value_of(column.buckets[mixed], column.axis)
    return out
