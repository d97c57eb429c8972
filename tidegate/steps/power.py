"""Power: would large harmful shifts wake somebody, with limits that were set before?"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.alarms.calibration import Calibration
from tidegate.alarms.evidence import LOOK_BACK, excesses
from tidegate.lab.shifts import Shift, shifts
from tidegate.performance.tally import Tally, tally_of, total
from tidegate.profile.profile import Profile
from tidegate.steps.effect import Night, worth
from tidegate.steps.labels import delay_nights
from tidegate.steps.trial import Split, Trial, values_of, weekdays

Floats = NDArray[np.float64]
Say = Callable[[str], None]

STARTS = 3
NIGHTS = 7
"""Nights from the start of a shift within which a page counts."""
SAMPLED = 6
"""Nights that the harm of a shift is measured on."""
CELLS = 24
"""Shifts that are tried, the most harmful ones."""
LARGE = 2.5
"""A shift is large and harmful when it costs this many times `alarms.min_effect`."""
ASKED = 4
"""Series past their limits, the furthest first, whose effect is worked out on a night."""


def power(
    tried: Trial, split: Split, limits: Calibration, seed: int, say: Say
) -> tuple[float, float, list[dict[str, Any]]]:
    """Share of large harmful shifts that page within a week, share that raise nothing at all, and each shift."""
    rng = np.random.default_rng([seed, 99])
    say("looking for shifts that do large harm")
    cells = _harmful(tried, split, rng)
    starts = rng.choice(np.arange(28, len(split.rest) - NIGHTS), STARTS, replace=False)
    _, _, after = values_of(split, limits.series)
    clean = limits.scores(after, weekdays(split.rest))
    told, shares = [], np.zeros(3)
    for i, (shift, harm) in enumerate(cells):
        say(f"shift {i + 1} of {len(cells)}: {shift.column} {shift.name}")
        found = [_seen(tried, split, limits, clean, shift, int(s), rng) for s in starts]
        paged, silent = sum(p for p, _ in found), sum(not noticed for _, noticed in found)
        told.append({"shift": shift.name, "column": shift.column, "harm": round(harm, 4), "starts": len(found),
                     "paged": paged, "silent": silent})  # fmt: skip
        shares += np.array([paged, silent, len(found)])
    if not cells:
        return math.nan, math.nan, told
    return float(shares[0] / shares[2]), float(shares[1] / shares[2]), told


def _harmful(tried: Trial, split: Split, rng: np.random.Generator) -> list[tuple[Shift, float]]:
    """The shifts that cost much in what comes true, the worst first, with their cost as a share of the usual."""
    nights = [split.order[d] for d in rng.choice(np.array(split.rest), SAMPLED, replace=False)]
    usual = worth(tried.model, _tally(tried, nights, None, rng))
    out = []
    for shift in shifts(tried.package.spec["features"], "label"):
        value = worth(tried.model, _tally(tried, nights, shift, rng))
        cost = (usual - value) if tried.model.kpi.priced else (value - usual)
        if cost / abs(usual) >= LARGE * tried.model.alarms.min_effect:
            out.append((shift, cost / abs(usual)))
    return sorted(out, key=lambda found: -found[1])[:CELLS]


def _tally(tried: Trial, nights: list[str], shift: Shift | None, rng: np.random.Generator) -> Tally:
    return total([_outcome(tried, n, shift, rng)[2] for n in nights])


def _outcome(tried: Trial, night: str, shift: Shift | None, rng: np.random.Generator) -> tuple[pa.Table, Floats, Tally]:
    """A night's rows under a shift, their scores, and what came true."""
    rows = tried.rows[night] if shift is None else shift.apply(tried.rows[night], rng)
    scores = tried.score(night, rows)
    threshold = float(tried.package.spec["threshold"])
    return rows, scores, tally_of(tried.model, scores, rows["label"].to_numpy(), threshold)


def _seen(
    tried: Trial,
    split: Split,
    limits: Calibration,
    clean: Floats,
    shift: Shift,
    start: int,
    rng: np.random.Generator,
) -> tuple[bool, bool]:
    """Whether a shift that begins on a date pages within a week, and whether it raises anything at all."""
    track = clean[max(0, start - LOOK_BACK) : start + NIGHTS].copy()
    dates = list(split.rest[max(0, start - LOOK_BACK) : start + NIGHTS])
    undisturbed = track.copy()
    offset = min(start, LOOK_BACK)
    before: dict[str, Profile] = {}
    tallies: list[Tally] = []
    noticed, delay = False, delay_nights(tried.model)
    late = np.array([s.monitor in ("label", "performance") for s in limits.series])
    for k in range(NIGHTS):
        day = dates[offset + k]
        rows, scores, tally = _outcome(tried, split.order[day], shift, rng)
        values = split.changed(day, rows, scores, before)
        tallies.append(tally)
        row = np.array([[values.get(s, np.nan) for s in limits.series]])
        scored = limits.scores(row, weekdays([day]))[0]
        track[offset + k, ~late] = scored[~late]
        if k + delay < NIGHTS:  # what came true is known that much later
            track[offset + k + delay, late] = scored[late]
        usual = {(e.series, e.kind) for e in excesses(limits, dates[: offset + k + 1], undisturbed[: offset + k + 1])}
        new = [
            e for e in excesses(limits, dates[: offset + k + 1], track[: offset + k + 1])
            if (e.series, e.kind) not in usual
        ]  # fmt: skip
        noticed = noticed or bool(new)
        if not any(e.lasts for e in new):
            continue
        night = Night(
            tried.model,
            float(tried.package.spec["threshold"]),
            split.usual_worth,
            partial(tried.score, split.order[day]),
            split.reference,
            split.own_reference["prediction"].columns["prediction"],
            rows,
            scores,
            total(tallies[: max(k + 1 - delay, 0)]),
        )
        for e in [e for e in new if e.lasts][:ASKED]:
            effect = night.effect(e.series, values.get(e.series, math.nan))
            if effect is not None and effect.material:
                return True, True
    return False, noticed
