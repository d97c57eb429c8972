"""The rule of thumb of credit scoring: a feature has changed, when its PSI is above .2.

Over the reference's deciles (fewer, where values repeat) or categories; missing values are a bin of their own, and a
category that the reference never had is one, too. Half a row is added to each bin, so that an empty one costs no
infinity.

Source: Siddiqi, Credit risk scorecards, 2006 (.1 and .25); the .2 of Yurdakul & Naranjo, Statistical properties of the
population stability index, 2020, which is the one in common use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tidegate.drift.distances import psi
from tidegate.lab.rules.base import Column, Floats, Measure, merged

BINS = 10


class AnyPsi:
    """The highest PSI of any column."""

    name = "psi"
    title = "PSI of any feature"
    source = "Siddiqi 2006; Yurdakul & Naranjo 2020"
    threshold = 0.2
    reached = False
    features_only = True

    def fit(self, nights: Sequence[Column]) -> Measure:
        whole = merged(nights)
        if whole.coded:
            return lambda column: _psi(_codes(whole, whole), _codes(whole, column))
        share = np.cumsum(whole.counts) / max(whole.present, 1)
        cuts = np.unique(whole.values[np.searchsorted(share, np.arange(1, BINS) / BINS)]) if whole.present else share
        usual = _bins(whole, cuts)
        return lambda column: _psi(usual, _bins(column, cuts))

    def night(self, values: Sequence[float]) -> float:
        known = [v for v in values if not math.isnan(v)]
        return max(known, default=math.nan)


def _bins(column: Column, cuts: Floats) -> Floats:
    """Rows up to each cut, above the last, and missing."""
    rows = np.bincount(np.searchsorted(cuts, column.values), column.counts, minlength=len(cuts) + 1)
    return np.append(rows, column.missing)


def _codes(whole: Column, column: Column) -> Floats:
    """Rows of each known category, of unknown ones, and missing."""
    rows = column.on(whole.values)
    return np.append(rows, [column.present - rows.sum(), column.missing])


def _psi(reference: Floats, current: Floats) -> float:
    used = (reference + current) > 0
    return psi(reference[used], current[used]) if current.sum() and reference.sum() else math.nan
