"""How long a chart runs until it alarms, on average: integral equations, solved to many digits.

With L(u) the mean run from state u, f the density of the next state and one point mass at the
start, L(u) = 1 + ∫ L(y) f(y | u) dy; Gauss-Legendre nodes turn it into a linear system.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from tidegate.errors import UsageError


def cusum_run_length(h: float, k: float, shift: float = 0.0, *, sides: int = 2) -> float:
    """The mean number of observations until a CUSUM alarms, from a start at zero.

    Observations are independent normal with mean `shift` and standard deviation 1, `h` and `k` in
    standard deviations. Two sides combine as rates, 1/ARL = 1/ARL⁺ + 1/ARL⁻: exact, since the
    other side is at zero when one alarms.

    Examples
    --------
    >>> [round(cusum_run_length(h, 0.5, shift), 2) for h in (4, 5) for shift in (0, 1)]
    [167.68, 8.38, 465.44, 10.38]

    References
    ----------
    Page 1954; Goel & Wu, Determination of ARL and a contour nomogram for CUSUM charts, 1971;
    van Dobben de Bruyn 1968 (two sides).
    """
    if not (h > 0 and k >= 0 and sides in {1, 2} and math.isfinite(h + k + shift)):
        raise UsageError("CUSUM", "h > 0, k ≥ 0 and 1 or 2 sides", f"h {h}, k {k}, sides {sides}")
    up = _one_sided(h, k - shift)
    return up if sides == 1 else 1 / (1 / up + 1 / _one_sided(h, k + shift))


def _one_sided(h: float, drift: float) -> float:
    """Page's equation L(u) = 1 + L(0)Φ(drift − u) + ∫₀ʰ L(y) φ(y + drift − u) dy, at u = 0."""
    y, w = _nodes(0.0, h, 1.0)
    u = np.append(0.0, y)
    kernel = np.column_stack((ndtr(drift - u), w * _density(y[None, :] + drift - u[:, None])))
    return float(np.linalg.solve(np.eye(len(u)) - kernel, np.ones(len(u)))[0])


def ewma_run_length(limit: float, weight: float, shift: float = 0.0) -> float:
    """The mean number of observations until an EWMA chart alarms, from a start at zero.

    `limit` is L: the chart alarms beyond ±L·√(weight/(2 − weight)). Weight 1 is Shewhart's chart.

    Examples
    --------
    >>> [round(ewma_run_length(2.814, 0.1, shift), 1) for shift in (0, 1)]
    [499.6, 10.3]
    >>> round(ewma_run_length(3.0, 1.0), 1)
    370.4

    References
    ----------
    Crowder, A simple method for studying run-length distributions of EWMA charts, 1987;
    Lucas & Saccucci 1990.
    """
    if not (limit > 0 and 0 < weight <= 1 and math.isfinite(limit + shift)):
        raise UsageError("EWMA", "a limit > 0 and a weight in (0, 1]", f"limit {limit}, weight {weight}")
    h = limit * math.sqrt(weight / (2 - weight))
    y, w = _nodes(-h, h, weight)
    u = np.append(0.0, y)
    kernel = w * _density((y[None, :] - (1 - weight) * u[:, None]) / weight - shift) / weight
    inside = np.linalg.solve(np.eye(len(y)) - kernel[1:], np.ones(len(y)))
    return float(1 + kernel[0] @ inside)


def threshold_for(run_length: Callable[[float], float], arl0: float, most: float = 50.0) -> float:
    """The threshold at which `run_length`, which grows with it, is `arl0` observations.

    Examples
    --------
    >>> round(threshold_for(lambda h: cusum_run_length(h, 0.5), 465.44), 3)
    5.0
    """
    if not 1 < arl0 < math.inf:
        raise UsageError("run length", "a finite number of observations above 1", str(arl0))
    low, high = 1e-3, 1.0
    while run_length(high) < arl0:
        low, high = high, 1.3 * high
        if high > most:
            raise UsageError("run length", f"one that a threshold below {most} reaches", str(arl0), "raise k")
    if run_length(low) > arl0:
        raise UsageError("run length", f"at least {run_length(low):.3g} observations", str(arl0), "ask for more")
    return float(brentq(lambda t: math.log(run_length(t) / arl0), low, high, xtol=1e-10))


def _nodes(low: float, high: float, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on [low, high], dense enough for a density of this spread."""
    x, w = np.polynomial.legendre.leggauss(40 + int(3 * (high - low) / spread))
    return (high - low) / 2 * x + (high + low) / 2, (high - low) / 2 * w


def _density(z: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-z * z / 2) / math.sqrt(2 * math.pi))
