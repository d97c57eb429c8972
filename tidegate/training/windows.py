"""Training sets: which nights each declared one has, and which of them pays.

More history is not always better: what was true a year ago may be wrong now, and the same season may be worth more
than last month. Which it is shows only on nights that no set has: each set is cut before the newest nights, trained,
and scored on them (a rolling-origin test; Tashman 2000). Another set than all history is taken only where that is
proven, so that without drift the choice costs nothing but the trainings.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal

from tidegate.config.model import Model
from tidegate.performance.blocks import Estimate, cut, paired_nights
from tidegate.performance.metrics import HIGHER_IS_BETTER, METRICS
from tidegate.performance.tally import Tally

Name = Literal["all", "recent", "season", "clean"]
SEASON: Final = 45
"""Nights on either side of the same day of the year."""


@dataclass(frozen=True)
class TrainingSet:
    """The nights of a set, oldest first; none, and why, where it is not available."""

    name: Name
    nights: tuple[str, ...]
    why: str = ""


def training_sets(
    declared: Sequence[Name], nights: Sequence[str], unclean: Collection[str], *, recent: int, least: int
) -> list[TrainingSet]:
    """The nights of each declared training set; `all` comes first, declared or not.

    Parameters
    ----------
    nights : sequence of str
        Matured nights, oldest first, as dates.
    unclean : collection of str
        Nights from which rows were quarantined.
    recent : int
        Nights of `recent`, and of the newest part of `season`.
    least : int
        Fewer nights than this train nothing.

    Examples
    --------
    >>> week = [f"2013-03-0{i}" for i in range(1, 8)]
    >>> found = training_sets(["recent", "season", "clean"], week, {"2013-03-02"}, recent=4, least=3)
    >>> [(s.name, len(s.nights)) for s in found]
    [('all', 7), ('recent', 4), ('season', 0), ('clean', 6)]
    >>> found[2].why
    'not available: less than a year of history'
    """
    every = tuple(nights)
    made = [TrainingSet("all", every)]
    for name in dict.fromkeys(declared):
        if name == "all":
            continue
        chosen, why = _nights(name, every, unclean, recent)
        if not why and chosen == every:
            why = f"not available: the same {len(every)} nights as all history"
        if not why and len(chosen) < least:
            why = f"not available: {len(chosen)} nights, {least} needed"
        made.append(TrainingSet(name, () if why else chosen, why))
    return made


def _nights(name: Name, nights: tuple[str, ...], unclean: Collection[str], recent: int) -> tuple[tuple[str, ...], str]:
    if name == "recent":
        return nights[-recent:], ""
    if name == "clean":
        return tuple(n for n in nights if n not in unclean), ""
    newest = nights[-recent:]
    older = _season(nights[: len(nights) - len(newest)], nights[-1]) if nights else ()
    return (*older, *newest), "" if older else "not available: less than a year of history"


def _season(nights: Sequence[str], newest: str) -> tuple[str, ...]:
    """The nights at most `SEASON` days from the newest one's day in an earlier year."""
    today, reach = date.fromisoformat(newest), timedelta(days=SEASON)
    days = [date.fromisoformat(n) for n in nights]
    years = range(1, today.year - days[0].year + 2) if days else ()
    centres = [_years_before(today, k) for k in years]
    # The winter before last year's is nearer to a January than its own year number says.
    return tuple(n for n, d in zip(nights, days, strict=True) if any(abs(d - c) <= reach for c in centres))


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, day=28)


@dataclass(frozen=True)
class Choice:
    """The set that is taken, how many were trained to find out (1: no test was made), and what was found of each."""

    name: Name
    why: str
    tried: int
    sets: tuple[Mapping[str, Any], ...]

    def as_spec(self, known_rows: int) -> dict[str, Any]:
        """What `spec.json` keeps; `known_rows` are the labelled rows of all history."""
        return {
            "chosen": self.name,
            "why": self.why,
            "tried": self.tried,
            "known_rows": known_rows,
            "sets": [dict(s) for s in self.sets],
        }


def choose_set(
    model: Model, now: Sequence[TrainingSet], tested: Mapping[str, Mapping[str, Tally] | str], held: Sequence[str]
) -> Choice:
    """The training set to take, by how sets that end before the held nights did on them.

    Another set than `all` is taken when its paired gain in the primary metric over `all`, by blocks of nights, is
    above zero at `decision.confidence`, whose error is shared over the sets (Bonferroni); of several the largest gain.

    Parameters
    ----------
    now : sequence of TrainingSet
        What would be trained on, `all` first.
    tested : mapping of str to mapping of str to Tally, or str
        By set, a tally of each held night, on the same rows for all; or why it was not tested.
    held : sequence of str
        The held nights, oldest first.

    Returns
    -------
    Choice
        Its ``sets`` have ``name``, ``nights``, ``gain``, ``lower`` (None where unknown; positive is better) and
        ``why``.
    """
    metric, sign = METRICS[model.kind][model.metric.primary], 1 if HIGHER_IS_BETTER[model.metric.primary] else -1
    blocks = cut(list(held), model.gate.block_nights)
    base = tested.get("all", "all history was not tested")
    rivals = [s.name for s in now[1:] if not s.why and not isinstance(tested.get(s.name, ""), str)]
    alpha = (1 - model.decision.confidence) / max(1, len(rivals))
    found: list[dict[str, Any]] = [
        {"name": "all", "nights": len(now[0].nights), "gain": None, "lower": None, "why": ""}
    ]
    best: tuple[float, Name, str] | None = None
    for s in now[1:]:
        ours = tested.get(s.name, "not tested")
        gain, why = Estimate(math.nan, math.nan, 0), s.why
        if not why and isinstance(ours, str):
            why = ours
        elif not why and not isinstance(ours, str) and not isinstance(base, str):
            plain = paired_nights(metric, ours, base, blocks)
            gain = Estimate(sign * plain.value, plain.se, plain.blocks)
            why = _words(s.name, model.metric.primary, gain, alpha, len(held))
            if gain.lower(alpha) > 0 and (best is None or gain.value > best[0]):
                best = gain.value, s.name, why
        lower = gain.lower(alpha)
        found.append({
            "name": s.name, "nights": len(s.nights), "gain": gain.value if math.isfinite(gain.value) else None,
            "lower": lower if math.isfinite(lower) else None, "why": why,
        })  # fmt: skip
    tried = 1 + len(rivals) if rivals and not isinstance(base, str) else 1
    if best is not None:
        return Choice(best[1], best[2], tried, tuple(found))
    why = "no other set is proven better" if tried > 1 else "no other set could be tested"
    if isinstance(base, str):
        why = base
    return Choice("all", f"{why}: {'; '.join(f['why'] for f in found[1:])}" if found[1:] else why, tried, tuple(found))


def _words(name: str, metric: str, gain: Estimate, alpha: float, nights: int) -> str:
    if not math.isfinite(gain.value):
        return f"{name}: {metric} is not defined on the {nights} nights held out"
    least = f"at least {gain.lower(alpha):+.4f}" if math.isfinite(gain.lower(alpha)) else "its error is not known"
    return f"{name}: {metric} better by {gain.value:+.4f} than all history on {nights} nights held out, {least}"
