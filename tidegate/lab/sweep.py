"""Thresholds at equal false pages: swept on histories without a fault, read on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.alarms.pages import sudden_pages

Floats = NDArray[np.float64]

MONTH = 30
MOST = 600
"""Thresholds that are tried."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Two neighbouring thresholds of which a seed has the lower with probability ``share``: so a rule that knows few
    different numbers keeps to a rate as exactly as one that knows many. A night pages above the threshold.
    """

    low: float
    high: float
    share: float

    def mixed(self, at_low: float, at_high: float) -> float:
        """What is expected, of what holds at the one and at the other."""
        return self.share * at_low + (1 - self.share) * at_high


def pages_of(held: Floats, threshold: float, quiet: int) -> int:
    """Pages of one history at a threshold; none for `quiet` nights after a page."""
    return int(sudden_pages(held[None], [threshold], quiet)[0, 0])


def swept(histories: Sequence[Floats], quiet: int, budget: float) -> Cut:
    """The cut at which histories without a fault have `budget` pages in 30 nights, together.

    Parameters
    ----------
    histories : sequence of float arrays, shape (nights,)
        The night's number of one rule, persistence applied. Without a night nothing pages.

    Examples
    --------
    >>> swept([np.array([0.0, 1.0, 2.0] * 10)], quiet=0, budget=5.0)
    Cut(low=1.0, high=2.0, share=0.5)
    """
    tried, rates = curve(histories, quiet)
    kept = np.flatnonzero(rates <= budget)
    at = int(kept[0]) if len(kept) else len(tried) - 1
    if at == 0 or not len(kept):
        return Cut(float(tried[at]), float(tried[at]), 0.0)
    over, under = float(rates[at - 1]), float(rates[at])
    return Cut(float(tried[at - 1]), float(tried[at]), (budget - under) / (over - under))


def curve(histories: Sequence[Floats], quiet: int) -> tuple[Floats, Floats]:
    """Thresholds, ascending, and the pages in 30 nights at each; never rising."""
    nights = sum(len(h) for h in histories)
    values = np.unique(np.concatenate([np.zeros(0), *histories]))
    if not nights:
        return np.array([np.inf]), np.zeros(1)
    if len(values) > MOST:
        values = np.unique(np.quantile(values, np.linspace(0, 1, MOST), method="nearest"))
    tried = np.append(values[0] - 1.0, values)
    pages = sum(sudden_pages(h[None], tried.tolist(), quiet)[:, 0] for h in histories)
    rates = np.asarray(pages, dtype=np.float64) * MONTH / nights
    return tried, np.maximum.accumulate(rates[::-1])[::-1]


def first_page(held: Floats, clean: Floats, threshold: float) -> float:
    """Nights until the first page that the fault brings: above the threshold where the same night without the fault
    is not; infinity for none.

    Examples
    --------
    >>> first_page(np.array([3.0, 1.0, 3.0]), np.array([3.0, 0.0, 0.0]), 2.0)
    2.0
    """
    new = np.flatnonzero((held > threshold) & (clean <= threshold))
    return float(new[0]) if len(new) else float("inf")


def wilson(share: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; (0, 1) without a case.

    Examples
    --------
    >>> [round(x, 3) for x in wilson(0.5, 10)]
    [0.237, 0.763]
    """
    if not n:
        return 0.0, 1.0
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * np.sqrt(max(share * (1 - share), 0.0) / n + z * z / (4 * n * n))
    return max(float(middle - reach), 0.0), min(float(middle + reach), 1.0)
