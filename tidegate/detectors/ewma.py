"""EWMA: small sustained shifts, by a weighted mean that forgets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tidegate.detectors.base import Counts, Floats, Step, observed
from tidegate.detectors.runlength import ewma_run_length, threshold_for
from tidegate.errors import UsageError


@dataclass(frozen=True, slots=True)
class EwmaState:
    """Per series: the weighted mean, and for how many observations it has been on this side of zero."""

    mean: Floats
    since: Counts


@dataclass(frozen=True, slots=True)
class Ewma:
    """z = (1 − weight)·z + weight·x; alarms while |z| > limit·√(weight/(2 − weight)).

    Parameters
    ----------
    weight : float, in (0, 1]
        Of the newest observation. Small finds small shifts and is slow to forget; 1 is Shewhart's
        chart, which looks at one observation only.
    limit : float, > 0
        L, in standard deviations of z. Higher is fewer false alarms and more delay: weight .1 and
        limit 2.814 give one false alarm in 500 and find a shift of 1 in 10.3. `for_run_length`
        sets it.
    cap : float, > 0
        Observations are clipped at ± cap standard deviations.

    Observations are standardised as for `Cusum`. The chart goes on after an alarm.

    Examples
    --------
    >>> chart = Ewma.for_run_length(499.58, weight=0.1)
    >>> step = chart.step(chart.start(), [float("inf")])
    >>> round(chart.limit, 3), step.statistic.round(2).tolist(), step.alarm.tolist()
    (2.814, [3.49], [True])

    References
    ----------
    Lucas & Saccucci, Exponentially weighted moving average control schemes, 1990.
    """

    weight: float
    limit: float
    cap: float = 8.0

    def __post_init__(self) -> None:
        if not (0 < self.weight <= 1 and self.limit > 0 and self.cap > 0):
            raise UsageError("EWMA", "a weight in (0, 1], a limit and a cap above 0", str(self))

    @classmethod
    def for_run_length(cls, arl0: float, weight: float = 0.1, *, cap: float = 8.0) -> Ewma:
        """The chart that gives a false alarm once in `arl0` independent normal observations."""
        return cls(weight, threshold_for(lambda limit: ewma_run_length(limit, weight), arl0), cap)

    def run_length(self, shift: float = 0.0) -> float:
        """Mean observations until an alarm when the mean has moved by `shift` standard deviations."""
        return ewma_run_length(self.limit, self.weight, shift)

    def start(self, series: int = 1) -> EwmaState:
        return EwmaState(np.zeros(series), np.zeros(series, dtype=np.int64))

    def step(self, state: EwmaState, observation: ArrayLike) -> Step[EwmaState]:
        x, known = observed(observation, len(state.mean), -self.cap, self.cap)
        mean = np.where(known, (1 - self.weight) * state.mean + self.weight * x, state.mean)
        stayed = np.sign(mean) == np.sign(state.mean)
        since = np.where(known, np.where(mean == 0, 0, np.where(stayed, state.since + 1, 1)), state.since)
        statistic = np.abs(mean) / math.sqrt(self.weight / (2 - self.weight))
        return Step(EwmaState(mean, since), statistic, (statistic > self.limit) & known, since)
