"""Three sigma, after NannyML: a column alarms outside mean ± 3 standard deviations of its reference chunks.

Each night is a chunk. The value is the Jensen-Shannon distance (base 2) from the whole reference: numbers over Doane's
bins of the reference, categories over its values, and what falls outside is one more bin. Missing values are left out.

Source: NannyML 0.13.1, `drift/univariate/methods.py` (`ContinuousJensenShannonDistance`,
`CategoricalJensenShannonDistance`) and `thresholds.py::StandardDeviationThreshold`; a distance is never below 0, so a
lower limit below 0 never alarms. `benchmarks/lab_rules.py` holds this against the library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tidegate.lab.rules.base import Column, Floats, Measure, jensen_shannon, merged


class ThreeSigma:
    """The largest distance of any column from its mean over reference nights, in their standard deviations."""

    name = "three_sigma"
    title = "Three sigma after NannyML"
    source = "NannyML 0.13.1, UnivariateDriftCalculator"
    threshold = 3.0
    reached = False
    features_only = False

    def fit(self, nights: Sequence[Column]) -> Measure:
        distance = distance_from(merged(nights))
        usual = np.array([distance(night) for night in nights])
        usual = usual[np.isfinite(usual)]
        if not len(usual):
            return lambda _: math.nan
        mean, spread = float(usual.mean()), float(usual.std())

        def measure(column: Column) -> float:
            off = abs(distance(column) - mean)
            # A reference that never moved: anything else is outside, however many sigma are allowed.
            return off / spread if spread > 0 else math.inf if off > 0 else off

        return measure

    def night(self, values: Sequence[float]) -> float:
        known = [v for v in values if not math.isnan(v)]
        return max(known, default=math.nan)


def distance_from(whole: Column) -> Callable[[Column], float]:
    """NannyML's Jensen-Shannon distance of a night from a reference; NaN without a value on either side."""
    if not whole.present:
        return lambda _: math.nan
    edges = np.histogram_bin_edges(whole.raw.astype(np.float64), bins="doane") if not whole.coded else np.zeros(0)

    def counts(column: Column) -> Floats:
        if whole.coded:
            return column.on(whole.values)
        return np.asarray(np.histogram(column.values, edges, weights=column.counts)[0], dtype=np.float64)

    usual = counts(whole) / whole.present

    def distance(column: Column) -> float:
        if not column.present:
            return math.nan
        share = counts(column) / column.present
        left = max(1.0 - float(share.sum()), 0.0)
        return jensen_shannon(np.append(usual, 0.0), np.append(share, left), 2.0)

    return distance
