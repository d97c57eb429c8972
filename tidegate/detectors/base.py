"""What every sequential detector is: a frozen state, and a step that takes one observation a series.

A detector holds the settings, its state holds what it remembers of each of many series. Neither
changes: ``step`` gives the next state, so a night can be stored, repeated and undone::

    state = detector.start(series)
    step = detector.step(state, observation)     # → step.state, step.statistic, step.alarm

An observation of NaN is no information: that series' state stays as it was and gives no alarm.
±inf counts as ± the detector's ``cap``, and so does all that lies beyond it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tidegate.errors import UsageError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """After an observation: the new state, and per series the statistic and whether it alarms.

    ``since``: how many informative observations ago the suspected change began, this one
    included; 0 where nothing is suspected.
    """

    state: S
    statistic: Floats
    alarm: Flags
    since: Counts


class Detector(Protocol[S]):
    """A sequential test of many series at once."""

    def start(self, series: int = 1) -> S: ...
    def step(self, state: S, observation: ArrayLike) -> Step[S]: ...


def first_alarms(detector: Detector[S], observations: Iterable[ArrayLike], series: int = 1) -> Counts:
    """The observation, from 1, at which each series first alarms; 0 where none does.

    Examples
    --------
    >>> from tidegate.detectors.cusum import Cusum
    >>> nights = [[0.1, 0.1], [2.0, float("nan")], [3.0, -0.2], [2.5, 0.3]]
    >>> first_alarms(Cusum(k=0.5, h=4.0), nights, series=2).tolist()
    [4, 0]
    """
    state, first = detector.start(series), np.zeros(series, dtype=np.int64)
    for t, observation in enumerate(observations, start=1):
        step = detector.step(state, observation)
        state = step.state
        first[step.alarm & (first == 0)] = t
    return first


def observed(observation: ArrayLike, series: int, low: float, high: float) -> tuple[Floats, Flags]:
    """The observations clipped to [low, high], 0 for NaN, and which of them are informative."""
    x = np.asarray(observation, dtype=np.float64)
    if x.shape not in {(), (series,)}:
        raise UsageError("observation", f"one number for each of {series} series", f"shape {x.shape}")
    x = np.broadcast_to(x, (series,))
    known = ~np.isnan(x)
    return np.where(known, np.clip(x, low, high), 0.0), known
