"""When labels arrive, and whether those that are there are like those that are not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tidegate.performance.blocks import Estimate, weighted, widened
from tidegate.performance.tally import Floats

ERROR = 0.05
"""Chance that any difference is called where there is none, shared over all that are looked at."""
CUTS = 5
"""Ages at which early labels are held against late ones, at most."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Share of rows that have a label by age: ``share[i]`` at ``age[i]`` nights, with ``n[i]`` rows watched so long."""

    age: tuple[int, ...]
    share: tuple[float, ...]
    n: tuple[int, ...]

    @property
    def ever(self) -> float:
        """The share at the oldest age that was watched; NaN without rows."""
        return self.share[-1] if self.share else math.nan

    def at(self, age: float) -> float:
        """The share at an age: of the last age before it that anything is known of."""
        found = [s for a, s in zip(self.age, self.share, strict=True) if a <= age]
        return found[-1] if found else 0.0 if self.age else math.nan

    def until(self, part: float) -> int | None:
        """Nights until that part of the labels that ever come is there; None if none came."""
        if not self.share or not self.ever > 0:
            return None
        near = part * self.ever - 1e-12
        return next(a for a, s in zip(self.age, self.share, strict=True) if s >= near)


def arrival(age: Floats, watched: Floats) -> Arrival:
    """The arrival curve of labels, in whole nights; rows still without one count for as long as they were watched.

    Parameters
    ----------
    age : ndarray, shape (n,)
        Nights from a row's window to its label; NaN where none has come. Below 0 counts as 0.
    watched : ndarray, shape (n,)
        Nights from a row's window to now, 0 or more.

    Returns
    -------
    Arrival
        One minus the product-limit estimate (Kaplan & Meier 1958), at every age up to the oldest; empty for no rows.

    Examples
    --------
    >>> nan = math.nan
    >>> found = arrival(np.array([1.0, 1.0, 3.0, nan]), np.array([3.0, 3.0, 3.0, 1.0]))
    >>> found.age, [round(s, 3) for s in found.share], found.n, found.until(0.5)
    ((0, 1, 2, 3), [0.0, 0.5, 0.5, 1.0], (4, 4, 3, 3), 1)
    """
    known = np.isfinite(watched)
    age, watched = np.asarray(age, dtype=np.float64)[known], np.asarray(watched, dtype=np.float64)[known]
    if not len(age):
        return Arrival((), (), ())
    came = np.isfinite(age)
    at = np.where(came, np.maximum(np.nan_to_num(age), 0), watched).astype(np.int64)
    last = int(max(watched.max(), at.max()))
    labels, left = np.bincount(at[came], minlength=last + 1), np.bincount(at, minlength=last + 1)
    open_ = len(at) - np.append(0, np.cumsum(left)[:-1])
    rest = np.cumprod(1 - np.divide(labels, open_, out=np.zeros(last + 1), where=open_ > 0))
    n = [int((watched >= a).sum()) for a in range(last + 1)]
    return Arrival(tuple(range(last + 1)), tuple((1 - rest).tolist()), tuple(n))


@dataclass(frozen=True, slots=True)
class Difference:
    """How one group of rows differs: ``what``, the mean within and of the rest, their difference with its error."""

    what: str
    inside: float
    outside: float
    estimate: Estimate
    n: int
    proven: bool


def differences(
    value: Floats,
    groups: Mapping[str, NDArray[np.bool_]],
    night: NDArray[np.int64],
    block: int,
    margin: float,
    times: int = 1,
) -> list[Difference]:
    """Where the mean of `value` within a group differs from the rest by more than `margin`.

    The difference is taken night by night, and blocks of nights carry the error. Only bounds beyond the margin prove it
    (at large n everything differs a little), at a level shared over the groups (Bonferroni).

    Parameters
    ----------
    value : ndarray, shape (n,)
        Whether a row has a label, or the label itself. NaN rows are left out.
    groups : mapping of str to ndarray of bool, shape (n,)
    night : ndarray of int, shape (n,)
        The date of each row, as a number of days.
    times : int
        How many such questions the error is shared over.

    Returns
    -------
    list of Difference
        The largest first; groups that are empty, or everything, are left out.
    """
    known = np.isfinite(value)
    value, night = value[known], night[known]
    out = []
    level = ERROR / 2 / max(len(groups), 1) / times
    for what, member in groups.items():
        inside = member[known]
        if not inside.any() or inside.all():
            continue
        found = _nightly(value, inside, night, block)
        reach = found.upper(level) - found.value if found.blocks > 2 else math.inf
        out.append(
            Difference(what, float(value[inside].mean()), float(value[~inside].mean()), found, int(inside.sum()),
                       abs(found.value) - reach > margin)
        )  # fmt: skip
    return sorted(out, key=lambda d: -abs(d.estimate.value) if math.isfinite(d.estimate.value) else 0.0)


def _nightly(value: Floats, inside: NDArray[np.bool_], night: NDArray[np.int64], block: int) -> Estimate:
    """The mean difference within nights, with blocks of nights as the unit of its error."""
    names, at = np.unique(night, return_inverse=True)
    n1, n0 = np.bincount(at, inside, len(names)), np.bincount(at, ~inside, len(names))
    both = (n1 > 0) & (n0 > 0)
    one = np.bincount(at, value * inside, len(names))[both] / n1[both]
    none = np.bincount(at, value * ~inside, len(names))[both] / n0[both]
    # What a night tells of a difference of two means, as if its rows were independent.
    weight, gap, of = (n1 * n0 / (n1 + n0))[both], one - none, names[both] // block
    parts = [of == b for b in np.unique(of)]
    means = [float(np.average(gap[p], weights=weight[p])) for p in parts]
    return widened(weighted(means, np.array([weight[p].sum() for p in parts])), gap, block)


def early_groups(age: Floats, curve: Arrival) -> dict[str, NDArray[np.bool_]]:
    """Rows whose label came by an age, for a few ages at which labels are neither none nor all; NaN ages are out."""
    ages = [a for a, s in zip(curve.age, curve.share, strict=True) if 0.02 < s / max(curve.ever, 1e-12) < 0.98]
    chosen = sorted({ages[i] for i in np.linspace(0, len(ages) - 1, min(CUTS, len(ages))).astype(int)}) if ages else []
    return {f"by night {a}": age <= a for a in chosen}


def score_bands(scores: Floats, bands: int = 4) -> dict[str, NDArray[np.bool_]]:
    """Rows by quantile of a score, for as many bands as its values allow; NaN is in none.

    Examples
    --------
    >>> [(k, int(m.sum())) for k, m in score_bands(np.array([0.1, 0.2, 0.3, 0.4]), 2).items()]
    [('score below 0.25', 2), ('score 0.25 and above', 2)]
    """
    finite = scores[np.isfinite(scores)]
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, bands + 1)[1:-1])).tolist() if len(finite) else []
    edges = [e for e in edges if (finite < e).any()]
    if not edges:
        return {}
    out = {f"score below {edges[0]:.3g}": scores < edges[0]}
    for low, high in pairwise(edges):
        out[f"score {low:.3g} to {high:.3g}"] = (scores >= low) & (scores < high)
    return {**out, f"score {edges[-1]:.3g} and above": scores >= edges[-1]}
