"""Every statistic by name, as a function of a reference's and a window's column."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from tidegate.drift.compare import column_drift
from tidegate.profile.column import ColumnProfile

Statistic = Callable[[ColumnProfile, ColumnProfile], float]


def _statistic(field: str) -> Statistic:
    def of(reference: ColumnProfile, current: ColumnProfile) -> float:
        if not (reference.n and current.n):
            return math.nan
        return float(getattr(column_drift("", reference, current), field))

    return of


STATISTICS: Mapping[str, Statistic] = {
    name: _statistic(name) for name in ("psi", "kl", "js", "ks", "w1_sigma", "missing", "unseen", "infinite")
}
