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
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.alarms.marginal import Marginal
from tidegate.alarms.null import Nuisance, autocorrelation, autocorrelations, simulate
from tidegate.alarms.pages import directed, gradual_pages, lasting, sudden_pages
from tidegate.alarms.series import Series
from tidegate.errors import UsageError

Floats = NDArray[np.float64]

VERSION = "tidegate-monitors/1"
"""Changes with every change of what a monitor computes; stored scores of another version are not mixed."""

CERTIFIED = 182
"""Days that the reference spans, below which a budget cannot be certified: 26 weeks."""
PRESENT = 0.9
"""Share of these days that have a night."""
LEAST = 42
"""Nights below which nothing is calibrated: 6 of each weekday."""
MOST = 364
"""Nights that are used, the newest."""

SUDDEN = np.round(np.arange(1.0, 6.51, 0.1), 2)
GRADUAL = np.concatenate([np.arange(3.0, 16.0, 1.0), np.arange(16.0, 41.0, 2.0)])
"""Limits that are tried."""
TOLERANCE = 0.9
SPENT = 0.75
"""Share of the budget that limits are set for; the rest is kept for what calibration cannot foresee."""
RESAMPLED = 24
YEARS = 12
MONTH = 30


@dataclass(frozen=True)
class Rule:
    """When scores become a page: on `nights` of the last `within` nights, and quiet for `quiet` nights after."""

    nights: int = 2
    within: int = 3
    quiet: int = 7


@dataclass(frozen=True, eq=False)
class Calibration:
    """A set of limits, with what is needed to score a night and to choose other limits.

    ``weekday``: effects, shape (7, series), in the series' units. ``sudden_rates`` and ``gradual_rates``: pages
    per 30 nights at each of `SUDDEN` and `GRADUAL`, rows: their mean, 5 %, tolerance and 95 % point over resampled
    calibrations. ``rates``: pages per 30 nights that the chosen limits may truly give, (low, high) at 90 %.
    """

    budget: float
    nights: int
    days: int
    series: tuple[Series, ...]
    marginals: tuple[Marginal | None, ...]
    weekday: Floats
    sudden: float
    gradual: float
    rates: tuple[float, float]
    sudden_rates: Floats
    gradual_rates: Floats
    rule: Rule = field(default_factory=Rule)
    nuisance: Nuisance = field(default_factory=Nuisance)
    version: str = VERSION

    @property
    def certified(self) -> bool:
        """Whether the budget is kept with the stated tolerance."""
        both = math.isfinite(self.sudden) and math.isfinite(self.gradual)
        return both and self.long_enough and 0 < self.rates[1] <= 1.5 * self.budget

    @property
    def long_enough(self) -> bool:
        """Whether the reference has the 26 weeks without which nothing is certified."""
        return self.days >= CERTIFIED and self.nights >= PRESENT * CERTIFIED

    @property
    def words(self) -> str:
        """What the calibration promises."""
        low, high = self.rates
        of = f"a budget of {self.budget:g} a month on {self.nights} nights of reference"
        if self.certified:
            return f"{of}: certified, {low:.2g} to {high:.2g} false pages expected"
        if self.budget == 0:
            return f"{of}: no page for drift, only for faults and proven harm"
        why = "the limits tried do not reach it" if self.long_enough else f"{CERTIFIED} nights needed"
        if not any(self.marginals):
            why = "no series has 21 nights that differ"
        return f"{of}: not certifiable, range {low:.2g} to {high:.2g} false pages ({why})"

    @property
    def run_lengths(self) -> tuple[float, float]:
        """Nights between two false pages for a sudden and for a gradual change (ARL0), on average; inf for none."""
        found = []
        for limit, tried, points in (
            (self.sudden, SUDDEN, self.sudden_rates),
            (self.gradual, GRADUAL, self.gradual_rates),
        ):
            rate = float(points[0, np.flatnonzero(tried == limit)[0]]) if math.isfinite(limit) else 0.0
            found.append(MONTH / rate if rate else math.inf)
        return found[0], found[1]

    @property
    def signed(self) -> NDArray[np.bool_]:
        return np.array([s.signed for s in self.series], dtype=bool)

    def scores(self, values: Floats, weekdays: NDArray[np.int64]) -> Floats:
        """Standard scores of values, both of shape (…, nights, series); NaN for a series that is not calibrated."""
        return _scores(self.marginals, values - self.weekday[weekdays])

    def directed(self, scores: Floats) -> Floats:
        """Scores in the directions in which they alarm: unsigned series, then signed ones turned round."""
        return directed(scores, self.signed)

    def at(self, budget: float) -> Calibration:
        """The same calibration with the limits of another budget; nothing is simulated again."""
        return _limited(self, budget)

    def as_dict(self) -> dict[str, Any]:
        return {
            "version": self.version, "budget": self.budget, "nights": self.nights, "days": self.days,
            "sudden": self.sudden, "gradual": self.gradual, "rates": list(self.rates),
            "series": [s.as_list() for s in self.series],
            "marginals": [m and m.as_dict() for m in self.marginals], "weekday": self.weekday.tolist(),
            "sudden_rates": self.sudden_rates.tolist(), "gradual_rates": self.gradual_rates.tolist(),
            "rule": [self.rule.nights, self.rule.within, self.rule.quiet], "nuisance": self.nuisance.as_dict(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> Calibration:
        """What `as_dict` wrote; raises `UsageError` when other monitors wrote it."""
        if body["version"] != VERSION:
            raise UsageError(
                "calibration", VERSION, str(body["version"]), "calibrate again: tidegate detectors propose"
            )
        return cls(
            body["budget"], body["nights"], body["days"], tuple(Series(*s) for s in body["series"]),
            tuple(m and Marginal.from_dict(m) for m in body["marginals"]),
            np.array(body["weekday"]).reshape(7, -1), _number(body["sudden"]), _number(body["gradual"]),
            (_number(body["rates"][0]), _number(body["rates"][1])), np.array(body["sudden_rates"]),
            np.array(body["gradual_rates"]), Rule(*body["rule"]), Nuisance(**body["nuisance"]),
        )  # fmt: skip


def calibrate(
    values: Floats,
    dates: Sequence[date],
    series: Sequence[Series],
    budget: float,
    rng: np.random.Generator,
    rule: Rule = Rule(),
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
    found_in = autocorrelation(_scores(marginals, values - effects[weekdays]))
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
    return _limited(found, budget)


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


def _scores(marginals: Sequence[Marginal | None], rest: Floats) -> Floats:
    out = np.full(rest.shape, np.nan)
    for j, m in enumerate(marginals):
        if m is not None:
            out[..., j] = m.z(rest[..., j])
    return out


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
    scores = _scores(marginals, values - effects[weekdays])[:, used]
    y = simulate(scores, YEARS, 365, nuisance, rng, autocorrelations(scores))
    days = np.arange(365) % 7
    truth = np.empty_like(y)
    for k, j in enumerate(used):
        m = marginals[j]
        assert m is not None
        truth[..., k] = m.value(y[..., k]) + effects[days, j]
    names, known = [series[j] for j in used], values[:, used]
    signed = np.array([s.signed for s in names], dtype=bool)
    adding = directed(np.array([[float(s.gradual) for s in names]]), signed)[0] > 0
    months = YEARS * 365 / MONTH
    found: list[tuple[Floats, Floats]] = []
    for _ in range(RESAMPLED):
        chosen = _weeks(len(values), rng)
        other, fitted = _fit(known[chosen], weekdays[chosen], names)
        z = directed(_scores(fitted, truth - other[days]), signed)
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


def _limited(c: Calibration, budget: float) -> Calibration:
    """With the lowest limits at which the tolerance point keeps half of the budget each."""
    limits, rates = [], np.zeros(2)
    for tried, points in ((SUDDEN, c.sudden_rates), (GRADUAL, c.gradual_rates)):
        kept = np.flatnonzero((points[2] <= SPENT * budget / 2) & (budget > 0))
        at = int(kept[0]) if len(kept) else -1
        limits.append(float(tried[at]) if at >= 0 else math.inf)
        if at >= 0:
            rates += points[[1, 3], at]
    return Calibration(
        budget, c.nights, c.days, c.series, c.marginals, c.weekday, limits[0], limits[1],
        (float(rates[0]), float(rates[1])), c.sudden_rates, c.gradual_rates, c.rule, c.nuisance, c.version,
    )  # fmt: skip


def _number(value: float | str | None) -> float:
    return math.inf if value is None else float(value)
