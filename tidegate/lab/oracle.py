"""The hindsight oracle: the best that could have been done with the models that were trained.

Given what every version would have earned on every night, the best path says which should have been champion when. It
is chosen with the labels in hand, so no policy can do as well, and with many versions part of what it earns is luck:
it bounds what a policy could still gain from above.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Path:
    """The version of each night, shape (nights,), what they earn together less the switches, and their number."""

    versions: NDArray[np.int64]
    value: float
    switches: int


def best_path(values: Floats, switch: float = 0.0, dwell: int = 1) -> Path:
    """The sequence of champions that earns most, by dynamic programming (Bellman 1957).

    Parameters
    ----------
    values : ndarray, shape (nights, versions)
        What a version earns on a night; NaN before it exists. Once there it must stay there.
    switch : float
        Cost of each change of champion, at least 0; the first one is free.
    dwell : int
        Nights that a champion stays at least, from 1; the last one may be cut short by the end.

    Returns
    -------
    Path
        Of no nights an empty path of value 0. Of equals the first version is taken.

    Raises
    ------
    UsageError
        If no version exists on the first night, or one disappears; `switch` below 0, `dwell` below 1.

    Examples
    --------
    >>> earned = np.array([[1.0, np.nan], [1.0, 3.0], [2.0, 1.0]])
    >>> path = best_path(earned)
    >>> path.versions.tolist(), path.value, path.switches
    ([0, 1, 0], 6.0, 2)
    >>> path = best_path(earned, switch=1.5)
    >>> path.versions.tolist(), path.value
    ([0, 0, 0], 4.0)
    """
    if switch < 0 or dwell < 1:
        raise UsageError("best path", "a switch cost of 0 or more, a dwell of 1 or more", f"{switch}, {dwell}")
    nights = len(values)
    if not nights:
        return Path(np.zeros(0, dtype=np.int64), 0.0, 0)
    there = np.isfinite(values)
    if not there[0].any() or (there[:-1] & ~there[1:]).any():
        raise UsageError("best path", "a version on the first night, and none that disappears", "another pool")
    earned = np.where(there, values, -np.inf)
    size = earned.shape[1]
    # best[v, a]: the most that is earned so far with v in office for a + 1 nights, `dwell` standing for that or more.
    best = np.full((size, dwell), -np.inf)
    best[:, 0] = earned[0]
    back = np.zeros((nights, size, dwell), dtype=np.int64)
    own = np.arange(size * dwell).reshape(size, dwell)
    for night in range(1, nights):
        new = np.full((size, dwell), -np.inf)
        # Grown a night older.
        new[:, 1:], back[night, :, 1:] = best[:, :-1], own[:, :-1]
        stays = best[:, -1] > new[:, -1] if dwell > 1 else np.ones(size, dtype=bool)
        new[:, -1] = np.where(stays, best[:, -1], new[:, -1])
        back[night, :, -1] = np.where(stays, own[:, -1], back[night, :, -1])
        # Come into office, after whoever may go.
        leaver = int(np.argmax(best[:, -1]))
        enters = best[leaver, -1] - switch > new[:, 0]
        new[:, 0] = np.where(enters, best[leaver, -1] - switch, new[:, 0])
        back[night, :, 0] = np.where(enters, own[leaver, -1], back[night, :, 0])
        best = new + earned[night][:, None]
    return _read(best, back)


def _read(best: Floats, back: NDArray[np.int64]) -> Path:
    """The path that ends in the best state."""
    nights, _, dwell = back.shape
    states = np.zeros(nights, dtype=np.int64)
    states[-1] = int(np.argmax(best))
    for night in range(nights - 1, 0, -1):
        states[night - 1] = back[night].reshape(-1)[states[night]]
    versions = states // dwell
    return Path(versions, float(best.max()), int((versions[1:] != versions[:-1]).sum()))
