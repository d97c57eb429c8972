"""Histories in which nothing drifts, for setting limits and for measuring what they let through."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Nuisance:
    """What nights do without any drift, beyond what the sampled nights show.

    ``autocorrelation`` of neighbouring nights; ``weekday``: standard deviation of further weekday effects,
    and ``holiday``: how many times wider a holiday's scores are, ten a year, undeclared. The defaults are what
    limits allow for at least, however quiet the nights were that they are set on.
    """

    autocorrelation: float = 0.35
    weekday: float = 0.25
    holiday: float = 2.5

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


HOLIDAYS = 10 / 365


def simulate(
    scores: Floats,
    histories: int,
    nights: int,
    nuisance: Nuisance,
    rng: np.random.Generator,
    own: Floats | None = None,
) -> Floats:
    """Standard scores of fresh histories, shape (histories, nights, series).

    Whole nights are drawn from `scores`, shape (n, series), so that series keep hanging together as they
    do; then come holidays, autocorrelation (a first-order autoregression, which keeps the variance), and
    weekday effects. NaN counts as 0. `own`, shape (series,), is the autocorrelation that each series shows; the
    larger of it and the nuisance's counts.
    """
    pool = np.nan_to_num(scores, nan=0.0)
    y = pool[rng.integers(0, len(pool), (histories, nights))]
    y[rng.random((histories, nights)) < HOLIDAYS] *= nuisance.holiday
    phi = np.maximum(nuisance.autocorrelation, 0.0 if own is None else own)
    fresh = np.sqrt(1 - phi * phi)
    for t in range(1, nights):
        y[:, t] = phi * y[:, t - 1] + fresh * y[:, t]
    effects = rng.normal(0.0, nuisance.weekday, (histories, 7, pool.shape[1]))
    effects -= effects.mean(axis=1, keepdims=True)  # a level would be a drift
    y += effects[:, np.arange(nights) % 7]
    return y


def autocorrelations(scores: Floats) -> Floats:
    """Lag-one autocorrelation of each series, in [0, .9], shape (series,); 0 with fewer than 21 pairs of nights."""
    a, b = scores[:-1], scores[1:]
    both = np.isfinite(a) & np.isfinite(b)
    out = np.zeros(scores.shape[1])
    for j in range(scores.shape[1]):
        x, y = a[both[:, j], j], b[both[:, j], j]
        if len(x) > 20 and x.std() > 0 and y.std() > 0:
            out[j] = np.corrcoef(x, y)[0, 1]
    return np.asarray(np.clip(out, 0.0, 0.9), dtype=np.float64)


def autocorrelation(scores: Floats) -> float:
    """The upper end of what the median series' autocorrelation may be, in [0, .8]: two standard errors above it."""
    found = autocorrelations(scores)
    return float(np.clip(np.median(found) + 2 / math.sqrt(len(scores)), 0.0, 0.8)) if len(found) else 0.5
