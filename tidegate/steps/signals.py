"""Signals: what is past its limit, with its size, its bounds and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.special import ndtri

from tidegate.alarms.cause import GAP
from tidegate.alarms.evidence import Excess
from tidegate.alarms.series import SMALL, Series
from tidegate.config.model import Monitors
from tidegate.drift.bounds import bounds
from tidegate.drift.compare import Drift
from tidegate.profile.column import ColumnProfile
from tidegate.profile.profile import Profile
from tidegate.verdicts import Effect, Signal, Verdict

Pairs = Mapping[tuple[str, str], tuple[Profile, Profile]]
"""Yardstick and night, by monitor and yardstick."""

STATISTICS = {"shape": "psi", "centre": "mean shift in σ", "loss": "rise of the loss", "rows": "rows"}
YARDSTICKS = {
    "champion": "the champion's reference",
    "recent": "the windows before",
    "weekday": "the same weekdays before",
}


@dataclass(frozen=True, slots=True)
class Size:
    """How much a series moved, in words' units: PSI for a shape, shares, standard deviations; with its bounds."""

    value: float
    low: float
    high: float
    matters: bool


def size_of(series: Series, value: float, pairs: Pairs, limits: Monitors, design_effect: float = 1.0) -> Size:
    """The size of one series, and whether it is surely above the margin below which nothing matters.

    Row counts and losses have no margin: what they cost is told by their effect.
    """
    if series.statistic == "rows":
        ratio = math.exp(value)
        return Size(ratio, math.nan, math.nan, True)
    columns = columns_of(series, pairs)
    if series.statistic == "loss" or columns is None:
        return Size(value, math.nan, math.nan, True)
    reference, current = columns
    if series.statistic == "centre":
        rows = max(current.present / design_effect, 1.0)
        reach = float(-ndtri((1 - limits.confidence) / 2)) * math.sqrt(1 / rows + 1 / max(reference.present, 1))
        return Size(value, value - reach, value + reach, abs(value) - reach > limits.centre_margin)
    name = {"shape": "psi", "missing": "missing", "unseen": "unseen"}[series.statistic]
    found = bounds(reference, current, confidence=limits.confidence, design_effect=design_effect)[name]
    margin = {"psi": limits.psi_margin, "missing": limits.missing_margin, "unseen": limits.unseen_margin}[name]
    size = math.exp(value) - SMALL if name == "psi" else value
    return Size(size, found.low, found.high, not found.low <= margin)


def columns_of(series: Series, pairs: Pairs) -> tuple[ColumnProfile, ColumnProfile] | None:
    """Yardstick and night of a series' column; None for one that is not a column's."""
    pair = pairs.get((series.monitor, series.against))
    if pair is None or series.subject not in pair[0].columns:
        return None
    return pair[0].columns[series.subject], pair[1].columns[series.subject]


def signal_of(window: str, excess: Excess, size: Size, effect: Effect | None, *, certified: bool) -> Signal:
    """The signal of a series past its limit."""
    series = excess.series
    how = {
        "sudden": f"{excess.score:.1f} standard scores from {YARDSTICKS[series.against]}, limit {excess.limit:g}",
        "gradual": f"adds up to {excess.score:.0f} against {YARDSTICKS[series.against]}, limit {excess.limit:g}",
    }[excess.kind]
    return Signal(
        window, series.monitor, series.subject, STATISTICS.get(series.statistic, series.statistic), excess.kind,
        size.value, size.low, size.high, excess.score, excess.since, excess.lasts, True, effect, certified, how,
    )  # fmt: skip


def fault_signal(window: str, quality: Verdict) -> Signal:
    """The signal of a blocked window."""
    nan = math.nan
    reason = "; ".join(quality.reasons[:3])
    words = "the window is blocked: not scored, not learned from"
    effect = Effect(1.0, "of the window's rows", words, True, "fault")
    return Signal(
        window, "quality", "batch", "checks", "fault", nan, nan, nan, nan, window, True, True, effect, True, reason
    )


def harm_signal(window: str, since: str, decay: Verdict) -> Signal:
    """The signal of decay that labels prove."""
    n = decay.numbers
    change, best, margin = float(n["change"]), float(n["upper"]), float(n["margin"])
    worst = 2 * change - best
    low, high = sorted((best if change < 0 else -best, worst if change < 0 else -worst))
    words, size = f"{decay.reasons[0]}, on matured labels", abs(change)
    effect = Effect(size, str(n["metric"]), words, size >= margin, "concept", -best, 2 * size + best)
    return Signal(
        window, "performance", str(n["metric"]), f"change of {n['metric']}", "harm", change, low, high, math.nan, since,
        True, True, effect, True, f"over {n['blocks']} blocks of nights",
    )  # fmt: skip


def gap_signal(window: str, gap: Verdict, confidence: float, effect: Effect | None, *, proven: bool) -> Signal:
    """The signal of outcomes that stay worse than estimated; harm only where decay is `proven` too.

    Its limit is set for false calls in a year of the model, not for the budget of those who are woken.
    """
    n = gap.numbers
    reach = float(-ndtri((1 - confidence) / 2)) * float(n["se"])
    return Signal(
        window, "performance", GAP, f"realised − estimated {n['metric']}", "harm" if proven else "gradual",
        float(n["gap"]), float(n["gap"]) - reach, float(n["gap"]) + reach, float(n["charts"][n["metric"]]["worse"]),
        str(n["since"]), True, True, effect, False, gap.reasons[0],
    )  # fmt: skip


def drift_words(d: Drift) -> str:
    """A column's distances, for the reason of its findings."""
    near = "" if math.isnan(d.ks) else f", KS {d.ks:.3f}, W1 {d.w1_sigma:.2f}σ"
    return f"PSI {d.psi:.3f}, KL {d.kl:.3f}, JS {d.js:.3f}{near}, missing {d.missing:+.1%}"
