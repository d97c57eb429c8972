"""Evidently's default dataset rule: drift, when at least half of the columns drifted.

Per column, for a reference of more than 1,000 rows: numbers with more than five different values by the Wasserstein
distance over the reference's standard deviation (at least .001), from .1 on; everything else by the Jensen-Shannon
distance (natural logarithm) over the values, from .1 on. Missing values are left out; a column without any value
would make it raise, and does not count here.

Source: Evidently 0.7.23, `DataDriftPreset` (`drift_share=0.5`), `stattests/registry.py::_get_default_stattest`,
`wasserstein_distance_norm.py`, `jensenshannon.py`. `benchmarks/lab_rules.py` holds this against the library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tidegate.errors import UsageError
from tidegate.lab.rules.base import Column, Floats, Measure, jensen_shannon, merged

LEAST = 1000
"""Rows up to which it would take tests instead of distances."""
FEW = 5
"""Different values up to which a number is judged by its values."""
BINNED = 20
"""Different values of the reference above which the Jensen-Shannon distance of numbers is taken over bins."""
LIMIT = 0.1


class Evidently:
    """The share of columns that drifted."""

    name = "evidently"
    title = "Evidently's default"
    source = "Evidently 0.7.23, DataDriftPreset"
    threshold = 0.5
    reached = True
    features_only = False

    def fit(self, nights: Sequence[Column]) -> Measure:
        """The column's distance over its limit: 1 and more is drift.

        Raises
        ------
        UsageError
            With 1,000 reference rows or fewer, where Evidently has other defaults.
        """
        whole = merged(nights)
        rows = whole.present + whole.missing
        if rows <= LEAST:
            raise UsageError("reference of Evidently's rule", f"more than {LEAST} rows", str(rows), "learn more nights")
        spread = max(_spread(whole), 0.001) if not whole.coded else math.nan
        cumulated = np.cumsum(whole.counts) / max(whole.present, 1)

        def measure(column: Column) -> float:
            if not (column.present and whole.present):
                return math.nan
            every = np.union1d(whole.values, column.values)
            if whole.coded or len(every) <= FEW:
                return jensen_shannon(whole.on(every), column.on(every)) / LIMIT
            return _wasserstein(whole, cumulated, column, every) / spread / LIMIT

        return measure

    def night(self, values: Sequence[float]) -> float:
        known = [v for v in values if not math.isnan(v)]
        return sum(v >= 1.0 for v in known) / len(known) if known else math.nan


def _spread(column: Column) -> float:
    if not column.present:
        return 0.0
    mean = float((column.values * column.counts).sum() / column.present)
    return math.sqrt(float(((column.values - mean) ** 2 * column.counts).sum() / column.present))


def _wasserstein(whole: Column, cumulated: Floats, column: Column, every: Floats) -> float:
    """∫ |F − G| over the union of the values."""
    f = np.append(0.0, cumulated)[np.searchsorted(whole.values, every, side="right")]
    other = np.append(0.0, np.cumsum(column.counts) / column.present)
    g = other[np.searchsorted(column.values, every, side="right")]
    return float((np.abs(f - g)[:-1] * np.diff(every)).sum())
