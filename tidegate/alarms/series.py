"""The nightly series that are watched: one number a night for each column, statistic and yardstick."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.drift.compare import Drift, compare
from tidegate.profile.profile import Profile

FLOOR = {"shape": 0.15, "centre": 0.05, "missing": 0.005, "unseen": 0.001, "rows": 0.05, "loss": 0.01}
"""A change smaller than this, in the statistic's unit, is not a change: a steady series is not stared at."""

SIGNED = frozenset({"centre", "rows"})
"""Statistics that alarm either way; the others alarm when they rise."""

SMALL = 0.01
"""Added to PSI before its logarithm: what is below says nothing."""


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """What is watched.

    ``monitor`` is feature, prediction, label, performance or volume; ``subject`` a column, with its segment
    where there is one; ``against`` is the yardstick: the ``champion``'s reference, the ``recent`` windows,
    or the same ``weekday``'s.

    The statistics: ``shape``, ln(.01 + PSI); ``centre``, the change of the mean in standard deviations of
    the yardstick; ``missing`` and ``unseen``, changes of shares; ``rows``, ln of the ratio of row counts;
    ``loss``, the rise of the mean loss over its reference, as a share of it.
    """

    monitor: str
    subject: str
    statistic: str
    against: str = "champion"

    @property
    def signed(self) -> bool:
        return self.statistic in SIGNED

    @property
    def gradual(self) -> bool:
        """Whether small changes add up: against a yardstick that moves along they do not."""
        return self.against == "champion"

    @property
    def floor(self) -> float:
        return FLOOR[self.statistic]

    def as_list(self) -> list[str]:
        return [self.monitor, self.subject, self.statistic, self.against]


def adding_up(series: Sequence[Series]) -> NDArray[np.bool_]:
    """Which of the directed series (all, then the signed ones again) are gradual."""
    return np.array([s.gradual for s in series] + [s.gradual for s in series if s.signed], dtype=bool)


def drift_series(
    monitor: str,
    reference: Profile,
    current: Profile,
    columns: Collection[str],
    against: str = "champion",
    drifts: Sequence[Drift] | None = None,
) -> dict[Series, float]:
    """The values of one night's columns against a yardstick; NaN where there is nothing to compare.

    Against recent windows only ``shape`` is told: what matters there is whether anything jumped.
    `drifts` are the comparison of the two profiles, where it is known already.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from tidegate.profile.profile import grid_of, profile_of
    >>> year, night = pa.table({"delay": [1.0, 2.0, 3.0, 4.0]}), pa.table({"delay": [3.0, 4.0, None, 4.0]})
    >>> on = grid_of(year)
    >>> values = drift_series("feature", profile_of(year, on), profile_of(night, on), ["delay"])
    >>> {series.statistic: round(value, 3) for series, value in values.items()}
    {'shape': -0.518, 'missing': 0.25, 'centre': 1.043}
    """
    out: dict[Series, float] = {}
    for d in compare(reference, current) if drifts is None else drifts:
        if d.column in columns:
            out |= _values(monitor, d, reference, current, against)
    return out


def _values(monitor: str, d: Drift, reference: Profile, current: Profile, against: str) -> dict[Series, float]:
    def series(statistic: str) -> Series:
        return Series(monitor, d.column, statistic, against)

    shape = math.nan if math.isnan(d.psi) else math.log(SMALL + d.psi)
    if against != "champion":
        return {series("shape"): shape}
    out = {series("shape"): shape, series("missing"): d.missing}
    before, now = reference.columns[d.column], current.columns[d.column]
    if before.axis.kind == "category":
        out[series("unseen")] = d.unseen
    else:
        spread = before.std
        out[series("centre")] = (now.mean - before.mean) / spread if spread > 0 else math.nan
    return out


def rows_series(rows: int, usual: Sequence[int]) -> dict[Series, float]:
    """ln of a night's rows over the median of the same weekday's; NaN without any."""
    known = sorted(n for n in usual if n > 0)
    value = math.log(max(rows, 0.5) / known[len(known) // 2]) if known else math.nan
    return {Series("volume", "rows", "rows", "weekday"): value}


def loss_series(subject: str, loss: float, reference: float) -> dict[Series, float]:
    """The rise of a night's mean loss over its reference, as a share of the reference; NaN without one."""
    value = loss / reference - 1 if reference > 0 else math.nan
    return {Series("performance", subject, "loss"): value}
