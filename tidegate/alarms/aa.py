"""Does the budget hold? False pages counted where nothing drifts, with limits set elsewhere.

Nested: each repeat orders the nights anew within their weekdays (so that nothing can drift), sets limits on the
first half and counts pages on the second, which the limits never saw, and on fresh histories simulated mostly from
the second half (see `UNSEEN`) with nuisances beyond those that the calibration allowed for. The interval is
Student's over repeats, so what one calibration happens to give is in it; repeats share the same nights, so for
those it is no shorter than Poisson's on the months that there really are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from scipy.stats import t as student

from tidegate.alarms.calibration import Calibration
from tidegate.alarms.null import Nuisance, simulate
from tidegate.alarms.pages import gradual_pages, lasting, sudden_pages
from tidegate.alarms.series import adding_up

Floats = NDArray[np.float64]

BEYOND = Nuisance(autocorrelation=0.1, weekday=0.1, holiday=0.5)
"""Added to the calibration's own nuisances where the simulated histories are drawn."""
UNSEEN = 2**-0.5
"""Share of the simulated nights that is drawn from nights that calibration never saw, the rest from its own: then
the draw is as far from what calibration knows as a new year would be (two halves differ by √2 as much)."""
HISTORIES = 12
MONTH = 30


@dataclass(frozen=True, slots=True)
class Rate:
    """False pages per 30 nights with its 95 % interval, and the months they were counted over."""

    measured: float
    lower95: float
    upper95: float
    months: float


def permuted(nights: Sequence[str], weekdays: Sequence[int], rng: np.random.Generator) -> dict[str, str]:
    """For each night's date the night that is put there: another of the same weekday.

    Examples
    --------
    >>> sorted(permuted(["2013-01-01", "2013-01-08"], [1, 1], np.random.default_rng(1)).values())
    ['2013-01-01', '2013-01-08']
    """
    out: dict[str, str] = {}
    for day in sorted(set(weekdays)):
        same = [n for n, d in zip(nights, weekdays, strict=True) if d == day]
        out |= dict(zip(same, (same[i] for i in rng.permutation(len(same))), strict=True))
    return {n: out[n] for n in nights}


def pages(calibration: Calibration, scores: Floats) -> NDArray[np.int64]:
    """Pages of each history by evidence and persistence alone, shape (histories,).

    The business effect, which a page needs as well, is not asked for: the count errs on the safe side.

    Parameters
    ----------
    scores : float array, shape (histories, nights, series)
    """
    z = calibration.directed(scores)
    rule = calibration.rule
    highest = lasting(z, rule.nights, rule.within).max(axis=-1)
    adding = adding_up(calibration.series)
    sudden = sudden_pages(highest, [calibration.sudden], rule.quiet)[0]
    return np.asarray(sudden + gradual_pages(z[..., adding], [calibration.gradual], rule.quiet)[0])


def simulated_pages(
    calibration: Calibration, seen: Floats, unseen: Floats, rng: np.random.Generator
) -> tuple[float, float]:
    """Pages and months of fresh histories drawn from scores of nights, (nights, series); `unseen` may be empty."""
    drawn = round(4000 * UNSEEN) if len(unseen) else 0
    parts = [part[rng.integers(0, len(part), n)] for part, n in ((unseen, drawn), (seen, 4000 - drawn)) if n]
    scores = np.concatenate(parts)
    own = calibration.nuisance
    wider = replace(
        own,
        autocorrelation=min(own.autocorrelation + BEYOND.autocorrelation, 0.9),
        weekday=own.weekday + BEYOND.weekday,
        holiday=own.holiday + BEYOND.holiday,
    )
    found = pages(calibration, simulate(scores, HISTORIES, 365, wider, rng))
    return float(found.sum()), HISTORIES * 365 / MONTH


def rate(counts: Sequence[float], months: Sequence[float], distinct: float | None = None) -> Rate:
    """The rate over repeats with a 95 % interval.

    Student's over repeats; where the repeats see the same `distinct` months again and again, at least as wide as
    the exact Poisson interval of their mean count in those months (Garwood 1936). NaN without a repeat; an upper
    end of infinity with one.
    """
    if not counts:
        return Rate(math.nan, math.nan, math.nan, 0.0)
    each, total = np.array(counts) / np.array(months), float(np.sum(months))
    mean = float(each.mean())
    if len(each) < 2:
        return Rate(mean, 0.0, math.inf, total)
    reach = float(student.ppf(0.975, len(each) - 1) * each.std(ddof=1) / math.sqrt(len(each)))
    seen = total if distinct is None else distinct
    k = mean * seen
    low, high = float(chi2.ppf(0.025, 2 * k)) / 2 if k else 0.0, float(chi2.ppf(0.975, 2 * k + 2)) / 2
    return Rate(mean, max(min(mean - reach, low / seen), 0.0), max(mean + reach, high / seen), seen)


def together(parts: Mapping[str, Rate]) -> Rate:
    """One answer from several: the part with the highest upper end."""
    known = [r for r in parts.values() if r.months]
    return max(known, key=lambda r: r.upper95) if known else Rate(math.nan, math.nan, math.nan, 0.0)
