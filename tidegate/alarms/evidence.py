"""Which series are past their limits tonight, since when, and whether it lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tidegate.alarms.calibration import Calibration
from tidegate.alarms.pages import cumulative, lasting
from tidegate.alarms.series import Series

Floats = NDArray[np.float64]

LOOK_BACK = 45
"""Nights that a gradual sum is taken over: what grew more slowly is another reference's business."""


@dataclass(frozen=True, slots=True)
class Excess:
    """A series past its limit tonight.

    ``kind``: sudden (``score``: tonight's standard score, in the direction that alarms) or gradual (``score``: the
    cumulative sum). ``since``: the first night of it. ``lasts``: it has gone on for as long as a page takes.
    """

    series: Series
    kind: Literal["sudden", "gradual"]
    score: float
    limit: float
    since: str
    lasts: bool
    falling: bool = False


def excesses(calibration: Calibration, nights: Sequence[str], scores: Floats) -> list[Excess]:
    """What is past its limit on the last of the nights; the furthest first.

    Parameters
    ----------
    nights : sequence of str
        Window ids in order, tonight last. None gives none.
    scores : float array, shape (nights, series)
        Standard scores of the calibration's series; NaN where a night has none.
    """
    if not len(nights):
        return []
    z = calibration.directed(scores)[None]
    names = [(s, False) for s in calibration.series] + [(s, True) for s in calibration.series if s.signed]
    rule = calibration.rule
    held = lasting(z, rule.nights, rule.within)[0, -1]
    # Not started again after a crossing: while a drift lasts, so does its signal.
    sums = cumulative(z)[0]
    out = []
    for j, (series, falling) in enumerate(names):
        track = z[0, :, j]
        if track[-1] > calibration.sudden:
            recent = np.flatnonzero(track[-rule.within :] > calibration.sudden)[0]
            since = nights[max(len(nights) - rule.within, 0) + int(recent)]
            lasts = bool(held[j] > calibration.sudden)
            out.append(Excess(series, "sudden", float(track[-1]), calibration.sudden, since, lasts, falling))
        if series.gradual and sums[-1, j] > calibration.gradual:
            began = np.flatnonzero(sums[:-1, j] <= 0)
            since = nights[int(began[-1]) + 1 if len(began) else 0]
            out.append(Excess(series, "gradual", float(sums[-1, j]), calibration.gradual, since, True, falling))
    return sorted(out, key=lambda e: (not e.lasts, -e.score / e.limit, e.series))
