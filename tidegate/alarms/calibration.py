"""Limits with what is needed to score a night, and what they promise; `tidegate.alarms.calibrate` makes them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.alarms.marginal import Marginal, scores_of
from tidegate.alarms.null import Nuisance
from tidegate.alarms.pages import directed
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
        if not self.rates[1]:
            why = "nothing moved on these nights, so nothing is known of false pages"
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
        return scores_of(self.marginals, values - self.weekday[weekdays])

    def directed(self, scores: Floats) -> Floats:
        """Scores in the directions in which they alarm: unsigned series, then signed ones turned round."""
        return directed(scores, self.signed)

    def at(self, budget: float) -> Calibration:
        """With the lowest limits at which the tolerance point keeps half of the budget each.

        Nothing is simulated again; a budget of 0 gives infinite limits.
        """
        limits, rates = [], np.zeros(2)
        for tried, points in ((SUDDEN, self.sudden_rates), (GRADUAL, self.gradual_rates)):
            kept = np.flatnonzero((points[2] <= SPENT * budget / 2) & (budget > 0))
            limits.append(float(tried[kept[0]]) if len(kept) else math.inf)
            if len(kept):
                rates += points[[1, 3], kept[0]]
        chosen = (float(rates[0]), float(rates[1]))
        return replace(self, budget=budget, sudden=limits[0], gradual=limits[1], rates=chosen)

    def as_dict(self) -> dict[str, Any]:
        return {
            "version": self.version, "budget": self.budget, "nights": self.nights, "days": self.days,
            "sudden": _finite(self.sudden), "gradual": _finite(self.gradual), "rates": list(self.rates),
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


def _number(value: float | str | None) -> float:
    return math.inf if value is None else float(value)


def _finite(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None
