"""CUSUM: a sustained shift of a known size, found as fast as a stated rate of false alarms allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tidegate.detectors.base import Counts, Floats, Step, observed
from tidegate.detectors.runlength import cusum_run_length, threshold_for
from tidegate.errors import UsageError


@dataclass(frozen=True, slots=True)
class CusumState:
    """Per series: both sums, and for how many observations each has been above zero."""

    high: Floats
    low: Floats
    high_since: Counts
    low_since: Counts


@dataclass(frozen=True, slots=True)
class Cusum:
    """S⁺ = max(0, S⁺ + x − k) and S⁻ = max(0, S⁻ − x − k); alarms when one is above h, then restarts it.

    Parameters
    ----------
    k : float, ≥ 0
        Allowance, in standard deviations of an observation: half the shift to be found fastest.
        Shifts below k are forgiven for ever.
    h : float, > 0
        Threshold, in the same unit. Higher is fewer false alarms and more delay: at k = .5 two
        sides give one false alarm in 168 nights at h = 4 (and find a shift of 1 in 8.4), one in 465
        at h = 5 (10.4). `for_run_length` sets it.
    sides : 1 or 2
        1 looks for an increase only.
    cap : float, > k
        Observations are clipped at ± cap. A cap of 3 makes one wild night add no more than 3 − k.

    Observations are standardised: mean 0, deviation 1, independent. With autocorrelation the run
    length is shorter than stated; feed it residuals, or measure it.

    Examples
    --------
    >>> chart = Cusum.for_run_length(365, k=0.5)
    >>> state = chart.start(series=2)
    >>> for night in ([0.2, 1.1], [float("nan"), 1.9], [-0.4, 2.6], [0.3, 1.7]):
    ...     step = chart.step(state, night)
    ...     state = step.state
    >>> round(chart.h, 3), step.statistic.round(1).tolist(), step.alarm.tolist(), step.since.tolist()
    (4.76, [0.0, 5.3], [False, True], [0, 4])

    References
    ----------
    Page, Continuous inspection schemes, 1954.
    """

    k: float
    h: float
    sides: int = 2
    cap: float = 8.0

    def __post_init__(self) -> None:
        if not (self.k >= 0 and self.h > 0 and self.sides in {1, 2} and self.cap > self.k):
            raise UsageError("CUSUM", "k ≥ 0, h > 0, 1 or 2 sides, a cap above k", str(self))

    @classmethod
    def for_run_length(cls, arl0: float, k: float = 0.5, *, sides: int = 2, cap: float = 8.0) -> Cusum:
        """The chart that gives a false alarm once in `arl0` independent normal observations."""
        h = threshold_for(lambda h: cusum_run_length(h, k, sides=sides), arl0)
        return cls(k, h, sides, cap)

    def run_length(self, shift: float = 0.0) -> float:
        """Mean observations until an alarm when the mean has moved by `shift` standard deviations."""
        return cusum_run_length(self.h, self.k, shift, sides=self.sides)

    def start(self, series: int = 1) -> CusumState:
        sums, since = np.zeros(series), np.zeros(series, dtype=np.int64)
        return CusumState(sums, sums, since, since)

    def step(self, state: CusumState, observation: ArrayLike) -> Step[CusumState]:
        x, known = observed(observation, len(state.high), -self.cap, self.cap)
        high, high_since = self._grown(state.high, state.high_since, x, known)
        low, low_since = state.low, state.low_since
        if self.sides == 2:
            low, low_since = self._grown(low, low_since, -x, known)
        up, down = (high > self.h) & known, (low > self.h) & known
        after = CusumState(
            np.where(up, 0.0, high),
            np.where(down, 0.0, low),
            np.where(up, 0, high_since),
            np.where(down, 0, low_since),
        )
        return Step(after, np.maximum(high, low), up | down, np.where(high >= low, high_since, low_since))

    def _grown(self, total: Floats, since: Counts, x: Floats, known: np.ndarray) -> tuple[Floats, Counts]:
        grown = np.where(known, np.maximum(total + x - self.k, 0.0), total)
        return grown, np.where(known, np.where(grown > 0, since + 1, 0), since)
