"""One column of both sides, counted over the same bins: what every distance and bound starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidegate.drift.binning import Counts, aligned, categories, deciles
from tidegate.errors import UsageError
from tidegate.profile.column import ColumnProfile


@dataclass(frozen=True, slots=True)
class Pair:
    """A column's two sides.

    ``ref`` and ``cur``: rows in the reference's deciles or categories and, last, without a usable
    value; bins that both sides leave empty are dropped. ``values``, ``r`` and ``c``: the finite
    values in ascending order with both sides' rows there (empty for categories). ``unseen``: the
    window's rows in categories the reference never had.
    """

    name: str
    reference: ColumnProfile
    current: ColumnProfile
    ref: Counts
    cur: Counts
    values: Counts
    r: Counts
    c: Counts
    unseen: float

    @property
    def judged(self) -> bool:
        """Both sides have rows."""
        return self.reference.n > 0 and self.current.n > 0

    @property
    def ordered(self) -> bool:
        """Both sides have finite values."""
        return self.reference.axis.kind == "number" and self.reference.present > 0 and self.current.present > 0


def pair_of(name: str, reference: ColumnProfile, current: ColumnProfile) -> Pair:
    """Both sides of a column over the reference's bins; raises `UsageError` if the axes differ."""
    if reference.axis != current.axis:
        raise UsageError(f"drift of {name}", f"axis {reference.axis}", str(current.axis), "profile both on one grid")
    unseen = 0.0
    values = r = c = np.empty(0)
    if reference.axis.kind == "category":
        ref, cur, unseen = categories(reference, current)
    else:
        values, r, c = aligned(reference, current)
        ref, cur = deciles(r, c)
    ref = np.append(ref, reference.missing + reference.infinite)
    cur = np.append(cur, current.missing + current.infinite)
    used = (ref + cur) > 0
    return Pair(name, reference, current, ref[used], cur[used], values, r, c, unseen)
