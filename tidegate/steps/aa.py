"""The A/A trial: how often would the monitors have woken somebody for nothing, and would they wake for harm?"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.alarms.aa import Rate, pages, permuted, rate, simulated_pages, together
from tidegate.alarms.budget import budget_of
from tidegate.alarms.calibrate import calibrate
from tidegate.alarms.calibration import CERTIFIED, PRESENT, Calibration
from tidegate.config.model import Model
from tidegate.steps.calibrate import rule_of
from tidegate.steps.power import NIGHTS, power
from tidegate.steps.stores import Stores
from tidegate.steps.trial import Split, Trial, take_in, trial, values_of, weekdays

Floats = NDArray[np.float64]
Say = Callable[[str], None]

REPEATS = 6


@dataclass(frozen=True)
class Answer:
    """What a trial says; NaN where it cannot say."""

    model: str
    budget: float
    nights: int
    calibrated_on: int
    certified: bool
    words: str
    range: tuple[float, float]
    measured: float
    lower95: float
    upper95: float
    months: float
    power: float
    silent_share: float
    parts: dict[str, Rate]
    limits: dict[str, float]
    shifts: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what is not a finite number is null."""
        body: dict[str, Any] = json.loads(json.dumps(asdict(self)), parse_constant=lambda _: None)
        return body


def aa(
    stores: Stores,
    model: Model,
    first: date,
    last: date,
    now: datetime,
    *,
    budget: float | None = None,
    repeats: int = REPEATS,
    seed: int = 1,
    say: Say = lambda _: None,
) -> Answer:
    """Measure false pages per 30 nights, and the power against large harmful shifts, with the same limits.

    The nights are put in another order within their weekdays, so that nothing can drift; the first half sets the
    limits. With too few nights for two halves of 26 weeks all of them set the limits, the answer is "not
    certifiable", and only simulated histories measure it.
    """
    say(f"taking in {first} to {last}")
    nights = take_in(stores, model, first, last, now)
    share = budget_of(model, stores.project.models(), stores.project.platform) if budget is None else budget
    cut = (date.fromisoformat(nights[0]) + timedelta(days=CERTIFIED)).isoformat() if nights else ""
    half = sum(n < cut for n in nights)
    # Two halves of 26 weeks, or else all of them set the limits and none is left to measure on.
    learned = half if len(nights) - half >= PRESENT * CERTIFIED else len(nights)
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    window = calendar.shift(calendar.window(last), 40)
    if len(nights) < 2 * NIGHTS:
        return _short(model, share, len(nights))
    say(f"training a model on {len(nights)} nights, each night scored by a member that is blind to it")
    with trial(stores, model, nights, window, now) as tried:
        return _measured(tried, share, learned, repeats, seed, say)


def _measured(tried: Trial, budget: float, learned: int, repeats: int, seed: int, say: Say) -> Answer:
    counts: dict[str, list[tuple[float, float]]] = {"unseen nights": [], "simulated histories": []}
    first: tuple[Split, Calibration] | None = None
    for k in range(repeats):
        say(f"limits and false pages, order {k + 1} of {repeats}")
        split, limits = _calibrated(tried, budget, learned, np.random.default_rng([seed, k]))
        if limits is None:
            return _short(tried.model, budget, len(tried.nights))
        first = first or (split, limits)
        _, before, after = values_of(split, limits.series)
        seen, unseen = limits.scores(before, weekdays(split.learned)), limits.scores(after, weekdays(split.rest))
        if split.rest:
            counts["unseen nights"].append((float(pages(limits, unseen[None]).sum()), len(split.rest) / 30))
        rng = np.random.default_rng([seed, k, 1])
        counts["simulated histories"].append(simulated_pages(limits, seen, unseen, rng))
    assert first is not None
    split, limits = first
    real = {"unseen nights": len(split.rest) / 30}
    parts = {n: rate([p for p, _ in c], [m for _, m in c], real.get(n)) for n, c in counts.items() if c}
    both = together(parts)
    strength, silent, told = power(tried, split, limits, seed, say) if split.rest else (math.nan, math.nan, [])
    return Answer(
        tried.model.name, budget, len(tried.nights), limits.nights, limits.certified, limits.words, limits.rates,
        both.measured, both.lower95, both.upper95, both.months, strength, silent, parts,
        {"sudden": limits.sudden, "gradual": limits.gradual}, told,
    )  # fmt: skip


def _short(model: Model, budget: float, nights: int) -> Answer:
    nan = math.nan
    words = f"a budget of {budget:g} a month on {nights} nights of reference: not certifiable, range unknown"
    words += f" (42 nights are the least that limits are set on, {CERTIFIED} that they are certified on)"
    return Answer(
        model.name, budget, nights, 0, False, words, (nan, nan), nan, nan, nan, 0.0, nan, nan, {}, {}, []
    )  # fmt: skip


def _calibrated(
    tried: Trial, budget: float, learned: int, rng: np.random.Generator
) -> tuple[Split, Calibration | None]:
    dates = list(tried.nights)
    order = permuted(dates, weekdays(dates).tolist(), rng)
    split = tried.split(order, dates[:learned])
    series, before, _ = values_of(split)
    days = [date.fromisoformat(d) for d in split.learned]
    return split, calibrate(before, days, series, budget, rng, rule_of(tried.model))


__all__ = ["Answer", "aa"]
