"""Limits that keep to a false-alarm budget: calibrated on nights without drift, with a tolerance.

1. The weekday effect is taken out of each series (shrunk, so that noise is not taken for one).
2. Each series gets its own distribution with tails (`Marginal`): all become standard scores.
3. Histories without drift are simulated from the calibration nights, with autocorrelation, weekday effects and
   holidays on top (`Nuisance`), and the pages that any limit would cause are counted. Because whole nights
   are drawn and the real page rule is applied, this covers the multiplicity over features, segments and nights.
4. Another calibration might have been drawn: whole weeks are resampled, the scores fitted anew, and the pages
   counted again. The limits are those at which nine of ten such calibrations keep to three quarters of the budget;
   the rest is for nights that are stranger than any that were simulated.

Half goes to sudden changes, half to gradual ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tidegate.alarms.calibration import GRADUAL, LEAST, MONTH, MOST, SUDDEN, TOLERANCE, Calibration, Floats, Rule
from tidegate.alarms.marginal import Marginal, scores_of
from tidegate.alarms.null import Nuisance, autocorrelation, autocorrelations, simulate
from tidegate.alarms.pages import directed, gradual_pages, lasting, sudden_pages
from tidegate.alarms.series import Series, adding_up
from tidegate.errors import UsageError

RESAMPLED = 24
YEARS = 12
TWICE = Rule()


def calibrate(
    values: Floats,
    dates: Sequence[date],
    series: Sequence[Series],
    budget: float,
    rng: np.random.Generator,
    rule: Rule = TWICE,
) -> Calibration | None:
    """Limits for a budget of false pages per 30 nights; None with fewer than 42 nights.

    Parameters
    ----------
    values : float array, shape (nights, series)
        Of nights without drift (leave-block-out against their own reference), in order of date; NaN where a
        night has none.
    budget : float
        Pages per 30 nights, ≥ 0; 0 gives infinite limits.
    """
    if not (budget >= 0 and math.isfinite(budget)):
        raise UsageError("budget", "pages per 30 days, 0 or more", str(budget), "declare a budget such as 1")
    values, dates = values[-MOST:], list(dates)[-MOST:]
    if len(values) < LEAST:
        return None
    weekdays = np.array([d.weekday() for d in dates])
    effects, marginals = _fit(values, weekdays, series)
    found_in = autocorrelation(scores_of(marginals, values - effects[weekdays]))
    truth = Nuisance(autocorrelation=max(Nuisance().autocorrelation, found_in))
    rates = _rates(values, weekdays, series, effects, marginals, truth, rule, rng)
    found = Calibration(
        budget,
        len(values),
        (dates[-1] - dates[0]).days + 1,
        tuple(series),
        marginals,
        effects,
        math.inf,
        math.inf,
        (0.0, 0.0),
        *rates,
        rule,
        truth,
    )
    return found.at(budget)


def _fit(
    values: Floats, weekdays: NDArray[np.int64], series: Sequence[Series]
) -> tuple[Floats, tuple[Marginal | None, ...]]:
    effects = weekday_effects(values, weekdays)
    rest = values - effects[weekdays]
    return effects, tuple(Marginal.fit(rest[:, j], s.floor) for j, s in enumerate(series))


def weekday_effects(values: Floats, weekdays: NDArray[np.int64]) -> Floats:
    """Effects of the weekdays, shape (7, series), in the series' units: means shrunk towards none.

    The share kept is the variance between weekdays beyond what their sampling explains (James & Stein 1961);
    0 for a weekday without nights.
    """
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    mean = filled.sum(0) / np.maximum(known.sum(0), 1)
    effects, counts = np.zeros((7, values.shape[1])), np.zeros((7, values.shape[1]))
    for day in range(7):
        at = weekdays == day
        counts[day] = known[at].sum(0)
        effects[day] = np.where(counts[day] > 0, filled[at].sum(0) / np.maximum(counts[day], 1) - mean, 0.0)
    within = np.where(known, (values - mean - effects[weekdays]) ** 2, 0.0).sum(0) / np.maximum(known.sum(0) - 7, 1)
    explained = (within / np.maximum(counts, 1)).mean(0)
    between = np.maximum((effects**2).mean(0) - explained, 0.0)
    kept = np.divide(between, between + explained, out=np.zeros_like(between), where=between > 0)
    return np.asarray(effects * kept, dtype=np.float64)


def _rates(
    values: Floats,
    weekdays: NDArray[np.int64],
    series: Sequence[Series],
    effects: Floats,
    marginals: tuple[Marginal | None, ...],
    nuisance: Nuisance,
    rule: Rule,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Pages per 30 nights at every limit: mean, 5 %, tolerance and 95 % point over resampled calibrations."""
    used = [j for j, m in enumerate(marginals) if m is not None]
    if not used:
        return np.zeros((4, len(SUDDEN))), np.zeros((4, len(GRADUAL)))
    scores = scores_of(marginals, values - effects[weekdays])[:, used]
    y = simulate(scores, YEARS, 365, nuisance, rng, autocorrelations(scores))
    days = np.arange(365) % 7
    truth = np.empty_like(y)
    for k, j in enumerate(used):
        m = marginals[j]
        assert m is not None
        truth[..., k] = m.value(y[..., k]) + effects[days, j]
    names, known = [series[j] for j in used], values[:, used]
    signed = np.array([s.signed for s in names], dtype=bool)
    adding = adding_up(names)
    months = YEARS * 365 / MONTH
    found: list[tuple[Floats, Floats]] = []
    for _ in range(RESAMPLED):
        chosen = _weeks(len(values), rng)
        other, fitted = _fit(known[chosen], weekdays[chosen], names)
        z = directed(scores_of(fitted, truth - other[days]), signed)
        highest = lasting(z, rule.nights, rule.within).max(axis=-1)
        found.append((
            sudden_pages(highest, SUDDEN.tolist(), rule.quiet).sum(axis=1) / months,
            gradual_pages(z[..., adding], GRADUAL.tolist(), rule.quiet).sum(axis=1) / months,
        ))  # fmt: skip
    points = [_points(np.array([f[kind] for f in found])) for kind in (0, 1)]
    return points[0], points[1]


def _points(rates: Floats) -> Floats:
    """Mean, 5 %, tolerance and 95 % point over calibrations; never rising with the limit."""
    at = np.vstack([rates.mean(axis=0), np.quantile(rates, [0.05, TOLERANCE, 0.95], axis=0)])
    return np.asarray(np.maximum.accumulate(at[:, ::-1], axis=1)[:, ::-1], dtype=np.float64)


def _weeks(nights: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Nights of whole weeks drawn with replacement, as many as there are."""
    starts = rng.integers(0, max(nights - 6, 1), nights // 7 + 1)
    return np.asarray((starts[:, None] + np.arange(7)).ravel()[:nights] % nights, dtype=np.int64)
