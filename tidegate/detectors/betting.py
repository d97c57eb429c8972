"""Betting against a bounded mean: evidence that may be looked at every night, whatever the dependence.

If the mean of each observation given the past is m, a stake set before the observation makes
wealth K = Π(1 + λ(x − m)) a martingale from 1: a fair game. Growing rich is evidence against m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tidegate.detectors.base import Counts, Flags, Floats, Step, observed
from tidegate.errors import UsageError

Sides = Literal["up", "down", "both"]

# The largest stake, as a part of what would lose everything on the worst observation.
BOLDEST = 0.5


@dataclass(frozen=True, slots=True)
class BettingState:
    """Log wealth of the bets on more and on less, shape (2, series), and the running moments of x.

    ``run`` is what a bet has gained since it was last poorest, ``since`` how many observations ago
    that was; ``peak`` is the largest statistic ever. x is scaled to [0, 1].
    """

    wealth: Floats
    run: Floats
    since: Counts
    peak: Floats
    rows: Floats
    mean: Floats
    variance: Floats


@dataclass(frozen=True, slots=True)
class _Bets:
    """The bets that both detectors make, on observations between `low` and `high`."""

    mean: float
    low: float = 0.0
    high: float = 1.0
    sides: Sides = "both"

    def __post_init__(self) -> None:
        if not (self.low < self.mean < self.high and math.isfinite(self.high - self.low)):
            raise UsageError("betting", "low < mean < high, all finite", f"{self.low}, {self.mean}, {self.high}")
        if self.sides not in {"up", "down", "both"}:
            raise UsageError("betting", "sides up, down or both", str(self.sides))

    @property
    def _fair(self) -> float:
        return (self.mean - self.low) / (self.high - self.low)

    def _bets(self, state: BettingState, observation: ArrayLike) -> tuple[Floats, Floats, Flags]:
        """Log gains of both bets, shape (2, series), the scaled observations and which are informative."""
        x, known = observed(observation, len(state.mean), self.low, self.high)
        x, m = (x - self.low) / (self.high - self.low), self._fair
        # The stake that would have made the past grow fastest (aGRAPA), set before x is looked at.
        edge = state.mean - m
        stake = edge / (state.variance + edge**2)
        more = np.log1p(np.clip(stake, 0.0, BOLDEST / m) * (x - m))
        less = np.log1p(np.clip(-stake, 0.0, BOLDEST / (1 - m)) * (m - x))
        return np.where(known, np.stack((more, less)), 0.0), x, known

    def _after(
        self, state: BettingState, wealth: Floats, gains: Floats, x: Floats, known: Flags, memory: float
    ) -> tuple[BettingState, Floats, Counts]:
        """The new state, the statistic and since when, for the sides that are asked for."""
        run = np.maximum(state.run + gains, 0.0)
        since = np.where(known, np.where(run > 0, state.since + 1, 0), state.since)
        both = np.logaddexp(wealth[0], wealth[1]) - math.log(2)
        statistic = {"up": wealth[0], "down": wealth[1], "both": both}[self.sides]
        richer = {"up": since[0], "down": since[1], "both": np.where(wealth[0] >= wealth[1], since[0], since[1])}
        rows = state.rows + known
        weight = np.where(known, np.maximum(1 / (rows + 1), 1 / memory), 0.0)  # the prior counts as one row
        mean = state.mean + weight * (x - state.mean)
        variance = state.variance + weight * ((x - state.mean) * (x - mean) - state.variance)
        peak = np.maximum(state.peak, statistic)
        return BettingState(wealth, run, since, peak, rows, mean, variance), statistic, richer[self.sides]

    def _nothing(self, series: int, wealth: float) -> BettingState:
        pair, zero = np.zeros((2, series)), np.zeros(series)
        return BettingState(
            pair + wealth, pair, pair.astype(np.int64), zero + wealth, zero, zero + self._fair, zero + 0.25
        )


@dataclass(frozen=True, slots=True)
class Betting(_Bets):
    """A test of "the mean is `mean`" (``up``: at most, ``down``: at least) that may stop at any time.

    Alarms once wealth has reached 1/alpha, and stays: by Ville's inequality that ever happens, over
    all nights together, with probability at most `alpha`, for any distribution in [low, high] and
    any dependence that leaves the mean given the past alone. The statistic is log wealth; its
    exponential is an e-value at any stopping time. An alarm that stands includes nights without information.

    Parameters
    ----------
    mean, low, high : float
        In the observation's unit. What lies outside [low, high] counts as the bound: the claim is
        about the mean of the clipped observation.
    alpha : float, in (0, 1)
        The probability of a false alarm ever. Smaller needs ln(1/alpha) of evidence more.

    Examples
    --------
    >>> test = Betting(0.2, alpha=0.01)
    >>> state = test.start()
    >>> for night in [0.5] * 40:
    ...     step = test.step(state, night)
    ...     state = step.state
    >>> step.alarm.tolist(), bool(step.statistic[0] > np.log(100))
    ([True], True)

    References
    ----------
    Ville 1939; Waudby-Smith & Ramdas, Estimating means of bounded random variables by betting, 2024.
    """

    alpha: float = 0.01

    def __post_init__(self) -> None:
        _Bets.__post_init__(self)
        if not 0 < self.alpha < 1:
            raise UsageError("alpha", "a number between 0 and 1", str(self.alpha))

    def start(self, series: int = 1) -> BettingState:
        return self._nothing(series, wealth=0.0)

    def step(self, state: BettingState, observation: ArrayLike) -> Step[BettingState]:
        gains, x, known = self._bets(state, observation)
        after, statistic, since = self._after(state, state.wealth + gains, gains, x, known, math.inf)
        return Step(after, statistic, after.peak >= math.log(1 / self.alpha), since)


@dataclass(frozen=True, slots=True)
class EDetector(_Bets):
    """A change of a bounded mean at an unknown night: a new bet is begun each night, all are summed.

    M = (M + 1)·(1 + λ(x − m)), alarms when M ≥ arl0, then begins anew. Without a change the mean
    number of nights until an alarm is at least `arl0`, for any distribution in [low, high] and any
    dependence that leaves the mean given the past alone; a CUSUM's run length is stated for
    independent normal rows only. The price is delay.

    Parameters
    ----------
    arl0 : float, > 1
        Nights between false alarms, at least.
    memory : float, ≥ 1
        Over how many nights the stake remembers. Short adapts fast and bets wildly.

    Examples
    --------
    >>> EDetector(0.2, arl0=365.0).step(EDetector(0.2).start(), 0.9).alarm.tolist()
    [False]

    References
    ----------
    Shin, Ramdas & Rinaldo, E-detectors: a nonparametric framework for sequential change
    detection, 2024.
    """

    arl0: float = 365.0
    memory: float = 20.0

    def __post_init__(self) -> None:
        _Bets.__post_init__(self)
        if not (self.arl0 > 1 and self.memory >= 1):
            raise UsageError("e-detector", "arl0 above 1 and a memory of at least 1", str(self))

    def start(self, series: int = 1) -> BettingState:
        return self._nothing(series, wealth=-math.inf)

    def step(self, state: BettingState, observation: ArrayLike) -> Step[BettingState]:
        gains, x, known = self._bets(state, observation)
        wealth = np.where(known, np.logaddexp(state.wealth, 0.0) + gains, state.wealth)
        after, statistic, since = self._after(state, wealth, gains, x, known, self.memory)
        alarm = known & (statistic >= math.log(self.arl0))
        anew = replace(
            after,
            wealth=np.where(alarm, -math.inf, after.wealth),
            run=np.where(alarm, 0.0, after.run),
            since=np.where(alarm, 0, after.since),
        )
        return Step(anew, statistic, alarm, since)
