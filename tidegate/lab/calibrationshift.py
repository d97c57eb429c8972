"""A shift of calibration: the same rows rank as before, but what is predicted comes true more or less often."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EPS = 1e-6


def shifted(kind: str, scores: Floats, truth: Floats, size: float, rng: np.random.Generator) -> Floats:
    """What comes true when every row's odds are multiplied by exp(`size`), or each amount grows by `size` deviations.

    A label is turned with the probability that takes a row from p to the shifted p′: a negative one with
    (p′ − p) / (1 − p), or for a falling rate a positive one with 1 − p′ / p. So the order of the rows' true
    probabilities is kept as far as `scores` have it, and nothing but an intercept has changed (prior shift on the
    logit, Saerens, Latinne & Decaestecker 2002).

    Parameters
    ----------
    kind : str
        ``binary`` or ``regression``; for several classes the odds of the last class against the others are
        multiplied, by the row's own share of it.
    scores : ndarray, shape (n,) or (n, classes)
        Calibrated probabilities; of a regression not used.
    truth : ndarray, shape (n,)
        Class positions or amounts; NaN stays NaN.

    Returns
    -------
    ndarray, shape (n,)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(0.1, 0.5, 20000)
    >>> y = (rng.random(20000) < p).astype(float)
    >>> float(shifted("binary", p, y, 1.0, rng).mean().round(2)), float(y.mean().round(2))
    (0.52, 0.3)
    """
    if not len(truth):
        return truth.copy()
    if kind == "regression":
        return np.asarray(truth + size * np.nanstd(truth))
    last = 1.0 if scores.ndim == 1 else float(scores.shape[1] - 1)
    p = np.clip(scores if scores.ndim == 1 else scores[:, -1], EPS, 1 - EPS)
    odds = p / (1 - p) * np.exp(size)
    new = odds / (1 + odds)
    draw, out = rng.random(len(truth)), truth.copy()
    rises = np.isfinite(truth) & (truth != last) & (draw < (new - p) / (1 - p))
    falls = (truth == last) & (draw < 1 - new / p)
    out[rises] = last
    if scores.ndim == 1:
        out[falls] = 0.0
    elif falls.any():
        out[falls] = scores[falls, :-1].argmax(axis=1)
    return out
