"""A calibration map over a model's scores: what a recalibration changes, and all that it changes.

Binary: a straight line on the logit (Platt 1999). Several classes: one temperature and an offset for each class (Guo
et al. 2017, bias-corrected: Alexandari et al. 2020). A number: a straight line. Every map is monotone, so a binary
model ranks its rows as before. Each is fitted by maximum likelihood (a number: least squares) with a prior: the same
rows once more, with what the scores themselves say for labels, and the weight of `prior` rows. Few rows change little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import SourceError, UsageError

Floats = NDArray[np.float64]

EPS = 1e-7
"""Probabilities are clipped to [1e-7, 1 − 1e-7] before their logarithm is taken."""
LEAST_PRIOR = 100.0
"""Rows that the prior weighs at least."""
STEPS = 50
SAME = 1e-9


def fit_map(kind: str, scores: Floats, labels: NDArray[Any], *, prior: float = LEAST_PRIOR) -> dict[str, Any]:
    """The map that makes scores fit labels, or why there is none.

    Parameters
    ----------
    kind : str
        ``binary``, ``multiclass`` or ``regression``.
    scores : ndarray
        Shape (n,) probabilities of the positive class or predictions, (n, classes) probabilities for multiclass.
    labels : ndarray, shape (n,)
        Class positions, or numbers. Rows without a label must be left out before.
    prior : float
        Rows that the prior weighs, 0 or more. Rows of one night hang together: give it as many as a block of nights
        has (see `prior_rows`).

    Returns
    -------
    dict
        Plain JSON. ``slope`` is above 0; ``offset`` is a number, for multiclass a list. Where the best slope would not
        be above 0 it stays 1 and only the offset is fitted. Without rows, with NaN or infinite values, and with labels
        of one class only the dict has nothing but ``error``, the reason.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(0.05, 0.6, 4000)
    >>> y = rng.random(4000) < apply_map("binary", {"slope": 1.0, "offset": 1.0}, p)
    >>> found = fit_map("binary", p, y)
    >>> round(found["slope"], 1), round(found["offset"], 1)
    (1.0, 1.0)
    >>> fit_map("binary", p, np.ones(4000)), fit_map("regression", np.zeros(0), np.zeros(0))
    ({'error': 'labels of one class only'}, {'error': 'no labelled rows'})
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    why = _unfit(kind, x, y)
    if why:
        return {"error": why}
    if kind == "regression":
        return _line(x, (y * len(y) + prior * x) / (len(y) + prior) if len(y) + prior else y)
    logs = _logs(x)
    told = np.exp(logs)
    share = prior / len(y)
    wanted = (np.eye(logs.shape[1])[y.astype(np.int64)] + share * told) / (1 + share)
    slope, offset = _softmax_fit(logs, wanted)
    if slope <= SAME:
        slope, offset = _softmax_fit(logs, wanted, slope=1.0)
    if kind == "binary":
        return {"slope": slope, "offset": float(offset[1] - offset[0])}
    return {"slope": slope, "offset": (offset - offset.mean()).tolist()}


def apply_map(kind: str, found: Mapping[str, Any], scores: Floats) -> Floats:
    """Scores as a map makes them, the same shape; no rows stay none, NaN stays NaN.

    Raises
    ------
    UsageError
        If the map is none: a fit that failed, or parameters that are no numbers.

    Examples
    --------
    >>> apply_map("binary", {"slope": 1.0, "offset": math.log(2)}, np.array([0.5])).round(6).tolist()
    [0.666667]
    >>> apply_map("regression", {"slope": 2.0, "offset": 1.0}, np.array([3.0])).tolist()
    [7.0]
    """
    if why := wrong_map(kind, found):
        raise UsageError("calibration map", "a slope above 0 and an offset", why, "fit it again")
    x, slope = np.asarray(scores, dtype=np.float64), float(found["slope"])
    if kind == "regression":
        return np.asarray(found["offset"] + slope * x, dtype=np.float64)
    offset = np.array([0.0, found["offset"]]) if kind == "binary" else np.asarray(found["offset"], dtype=np.float64)
    mapped = _softmax(slope * _logs(x) + offset)
    return mapped[:, 1] if kind == "binary" else mapped


def composed(first: Mapping[str, Any] | None, then: Mapping[str, Any]) -> dict[str, Any]:
    """One map that does what `first` and `then` do one after the other; None is the map that changes nothing.

    Examples
    --------
    >>> composed({"slope": 2.0, "offset": 1.0}, {"slope": 3.0, "offset": 0.5})
    {'slope': 6.0, 'offset': 3.5}
    """
    if first is None:
        return dict(then)
    offset = np.asarray(first["offset"]) * then["slope"] + np.asarray(then["offset"])
    return {"slope": first["slope"] * then["slope"], "offset": offset.tolist()}


def wrong_map(kind: str, found: object) -> str:
    """What is wrong with a map of this kind of model, or an empty string.

    Examples
    --------
    >>> wrong_map("binary", {"slope": 1.0, "offset": 0.0}), wrong_map("binary", {"error": "no labelled rows"})
    ('', 'no labelled rows')
    """
    if not isinstance(found, Mapping):
        return f"{type(found).__name__}"
    if "error" in found:
        return str(found["error"])
    try:
        slope, offset = float(found["slope"]), np.asarray(found["offset"], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        return "no slope or no offset"
    if offset.ndim != (1 if kind == "multiclass" else 0):
        return f"offset of shape {offset.shape}"
    return "" if 0 < slope < math.inf and np.isfinite(offset).all() else f"slope {slope}, offset {found['offset']}"


def prior_rows(rows: int, blocks: int) -> float:
    """What the prior weighs: one block of nights' rows, 100 at least. A block, since its rows hang together.

    Examples
    --------
    >>> prior_rows(9000, 9), prior_rows(90, 9)
    (1000.0, 100.0)
    """
    return max(LEAST_PRIOR, rows / max(1, blocks))


def block_folds(nights: Sequence[str], block: int, most: int = 12) -> dict[str, int]:
    """A fold for each night: stretches of whole blocks of `block` nights, counted from the newest, at most `most`.

    Neighbouring nights are kept together, so that few have a neighbour in another fold (see `rest_of`).

    Examples
    --------
    >>> block_folds(["a", "b", "c", "d", "e"], 2)
    {'a': 2, 'b': 1, 'c': 1, 'd': 0, 'e': 0}
    """
    blocks = -(-len(nights) // block)
    each = -(-blocks // most)
    return {night: (len(nights) - 1 - i) // (block * each) for i, night in enumerate(nights)}


def rest_of(fold: NDArray[np.int64], night: NDArray[np.int64], held: int, guard: int) -> NDArray[np.bool_]:
    """The rows on which fold `held` may be fitted: those of other folds that lie more than `guard` nights away.

    What a night carries over to the next would tell the fit of the rows that it is held against (Burman, Chow & Nolan
    1994).

    Parameters
    ----------
    fold, night : ndarray of int, shape (n,)
        The fold of each row and its night, counted from 0.

    Examples
    --------
    >>> rest_of(np.array([1, 1, 0, 0]), np.array([0, 1, 2, 3]), 0, 1).tolist()
    [True, False, False, False]
    """
    mine = fold == held
    if not mine.any():
        return np.ones(len(fold), dtype=bool)
    first, last = int(night[mine].min()), int(night[mine].max())
    return np.asarray(~mine & ((night < first - guard) | (night > last + guard)))


def _unfit(kind: str, x: Floats, y: Floats) -> str:
    if not len(y):
        return "no labelled rows"
    if len(x) != len(y) or x.ndim != (2 if kind == "multiclass" else 1):
        raise SourceError("calibration map", f"scores of {len(y)} rows", f"shape {x.shape}", "score every labelled row")
    for what, values in (("scores", x), ("labels", y)):
        if not np.isfinite(values).all():
            return f"{what} that are not finite on {int((~np.isfinite(values)).reshape(len(y), -1).any(1).sum())} rows"
    if kind == "regression":
        return ""
    classes = x.shape[1] if x.ndim == 2 else 2
    if not np.isin(y, np.arange(classes)).all():
        return "labels of no declared class"
    return "labels of one class only" if y.min() == y.max() else ""


def _line(x: Floats, y: Floats) -> dict[str, Any]:
    """Least squares; a slope of 1 where predictions do not vary or go the wrong way."""
    off = x - x.mean()
    spread = float((off**2).sum())
    alike = spread <= len(x) * (1e-12 * float(np.abs(x).max())) ** 2
    slope = 1.0 if alike else float((off * (y - y.mean())).sum()) / spread
    slope = slope if slope > SAME else 1.0
    return {"slope": slope, "offset": float(y.mean() - slope * x.mean())}


def _logs(scores: Floats) -> Floats:
    """Logarithms of the probabilities of every class, shape (n, classes)."""
    p = np.column_stack([1 - scores, scores]) if scores.ndim == 1 else scores
    logs: Floats = np.log(np.clip(p, EPS, 1 - EPS))
    return logs


def _softmax(z: Floats) -> Floats:
    grown = np.exp(z - z.max(axis=1, keepdims=True))
    out: Floats = grown / grown.sum(axis=1, keepdims=True)
    return out


def _softmax_fit(logs: Floats, wanted: Floats, slope: float | None = None) -> tuple[float, Floats]:
    """Slope and offsets of least cross-entropy, by Newton's method with halved steps; convex, so it finds them.

    With a `slope`, only the offsets are fitted. The first class's offset is 0.
    """
    n, classes = logs.shape
    free = slope is None
    at = np.zeros(classes)
    at[0] = 1.0 if slope is None else slope

    def loss(point: Floats) -> tuple[float, Floats]:
        p = _softmax(point[0] * logs + np.append(0.0, point[1:]))
        return float(-(wanted * np.log(np.maximum(p, 1e-300))).sum() / n), p

    value, p = loss(at)
    for _ in range(STEPS):
        # One column a parameter: how the rows' values rise with it, shape (n, classes, parameters).
        rise = np.zeros((n, classes, classes))
        rise[:, :, 0] = logs if free else 0.0
        rise[:, np.arange(1, classes), np.arange(1, classes)] = 1.0
        slope_of = np.einsum("nc,ncp->p", p - wanted, rise) / n
        mean = np.einsum("nc,ncp->np", p, rise)
        bend = (np.einsum("nc,ncp,ncq->pq", p, rise, rise) - mean.T @ mean) / n
        step = np.linalg.lstsq(bend + 1e-12 * np.eye(classes), slope_of, rcond=None)[0]
        if not free:
            step[0] = 0.0
        length = 1.0
        while length > 1e-6:
            found, tried = loss(at - length * step)
            if found <= value:
                break
            length /= 2
        else:
            break
        done = value - found <= 1e-14 * max(1.0, abs(value))
        at, value, p = at - length * step, found, tried
        if done:
            break
    return float(at[0]), np.append(0.0, at[1:])
