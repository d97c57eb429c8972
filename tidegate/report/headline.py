"""The head of a replay report: did looking after the model pay, and by how much, in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.report.gains import (
    EQUAL,
    FLOOR,
    OURS,
    YARDSTICK,
    Gain,
    Measure,
    gain_of,
    measures_of,
    policies_of,
    policy_name,
    retrains_of,
)
from tidegate.report.words import count, decimals, first_upper, listed, metric_name, number, percent, plain


@dataclass(frozen=True)
class Headline:
    """A verdict of a few words, the sentence behind it, and a line for each measure."""

    verdict: str
    sentence: str
    details: tuple[str, ...]


@dataclass(frozen=True)
class Bar:
    """Tidegate as a part of monthly: places in per cent of the track; ``zero`` is never's mark, ``whole`` monthly's."""

    label: str
    text: str
    left: float
    width: float
    zero: float
    whole: float


def headline(summary: Mapping[str, Any]) -> Headline:
    r"""What the summary says about looking after the model, for better or for worse.

    The KPI and the primary metric speak, unless all their values are zero or undefined.

    >>> months = lambda auc: {"2013-03": {"n": 100, "roc_auc": auc}}
    >>> made = lambda n: {"retrains": n, "promotions": n}
    >>> head = headline({
    ...     "policies": {"tidegate": made(3), "never": made(0), "monthly": made(10)},
    ...     "months": {"tidegate": months(0.70), "never": months(0.65), "monthly": months(0.71)}})
    >>> head.verdict
    'Looking after the model paid.'
    >>> print(head.sentence.replace("\N{NO-BREAK SPACE}", " ").replace(", with", ",\nwith"))
    Compared with never retraining, Tidegate brought 83 % of monthly's gain in ROC AUC,
    with 3 retrains where monthly made 10.
    """
    policies, measures = policies_of(summary), told(measures_of(summary))
    if not any(m.usable for m in measures):
        reason = "No labelled row was scored by every policy" if policies else "No policy was replayed"
        return Headline("Nothing can be said.", f"{reason}, so there is nothing to compare.", ())
    gains = [g for m in measures if (g := gain_of(m)) is not None and math.isfinite(g.value)]
    if not gains:
        return _without_comparison(summary, measures, policies)
    unit = str(summary.get("kpi_unit") or "")
    details = tuple(_detail(m, g, unit) for m in measures for g in gains if g.key == m.key)
    return Headline(_verdict(gains), _sentence(summary, gains, unit), details)


def told(measures: Sequence[Measure]) -> list[Measure]:
    """The measures the head speaks of: the KPI, then the primary metric."""
    head = [m for m in measures[:2] if m.key == "kpi" or m is measures[0]]
    return sorted((m for m in head if not m.says_nothing), key=lambda m: m.key != "kpi")


def bars(summary: Mapping[str, Any]) -> list[Bar]:
    """Tidegate's gains and retrains as parts of monthly's, where monthly has some."""
    shares = [
        (f"Gain in {metric_name(g.key)}", g.share)
        for m in told(measures_of(summary))
        if (g := gain_of(m)) and math.isfinite(g.share)
    ]
    if not shares:
        return []
    ours, theirs = retrains_of(summary, OURS), retrains_of(summary, YARDSTICK)
    texts = [percent(s) for _, s in shares]
    if theirs:
        shares.append(("Retrains", ours / theirs))
        texts.append(f"{ours} of {theirs}")
    # A share far off is drawn to the edge; its text has the number.
    clipped = [min(max(s, -1.0), 2.0) for _, s in shares]
    low, high = min(0.0, *clipped), max(1.0, *clipped)

    def at(x: float) -> float:
        return round(100 * (x - low) / (high - low), 2)

    return [
        Bar(label, text, at(min(x, 0.0)), round(at(max(x, 0.0)) - at(min(x, 0.0)), 2), at(0.0), at(1.0))
        for (label, _), text, x in zip(shares, texts, clipped, strict=True)
    ]


def _verdict(gains: Sequence[Gain]) -> str:
    better, worse, same = ([metric_name(g.key) for g in gains if g.direction == d] for d in (1, -1, 0))
    if not worse and not same:
        return "Looking after the model paid."
    if not better and not same:
        return "Looking after the model did not pay."
    if not better and not worse:
        return "Looking after the model made no difference."
    parts = [
        *([f"paid in {listed(better)}"] if better else []),
        *([f"did not pay in {listed(worse)}"] if worse else []),
        *([f"made no difference in {listed(same)}"] if same else []),
    ]
    return f"Looking after the model {', but '.join(parts)}."


def _sentence(summary: Mapping[str, Any], gains: Sequence[Gain], unit: str) -> str:
    shared = [g for g in gains if g.direction > 0 and math.isfinite(g.share)]
    parts = []
    if shared:
        whose = [" of monthly's gain", *[""] * (len(shared) - 1)]
        shares = [f"{percent(g.share)}{of} in {metric_name(g.key)}" for g, of in zip(shared, whose, strict=True)]
        parts.append(f"Tidegate brought {listed(shares)}")
    rest = [g for g in gains if g not in shared]
    whose = ["its" if shared else "Tidegate's", *["its"] * (len(rest) - 1)]
    if rest:
        parts.append(listed(_compared(g, of, unit) for g, of in zip(rest, whose, strict=False)))
    return f"Compared with never retraining, {'; '.join(parts)}, {_retrains(summary)}."


def _compared(gain: Gain, whose: str, unit: str) -> str:
    own = f"{whose} {metric_name(gain.key)} was {_by(gain.value, _per_row(gain.key, unit))}"
    return own if math.isnan(gain.yardstick) else f"{own} (monthly's {_by(gain.yardstick)})"


def _by(value: float, unit: str = "") -> str:
    if abs(value) <= EQUAL:
        return "the same"
    return f"{number(abs(value), decimals([0.0, value]))}{unit} {'better' if value > 0 else 'worse'}"


def _per_row(key: str, unit: str) -> str:
    return "".join(f" {word}" for word in (plain(unit), "a row") if word) if key == "kpi" else ""


def _retrains(summary: Mapping[str, Any]) -> str:
    made = f"with {count(retrains_of(summary, OURS), 'retrain')}"
    if YARDSTICK not in policies_of(summary):
        return f"{made} (monthly was not replayed)"
    return f"{made} where monthly made {retrains_of(summary, YARDSTICK)}"


def _detail(measure: Measure, gain: Gain, unit: str) -> str:
    name, by = first_upper(metric_name(gain.key)), _by(gain.value, _per_row(gain.key, unit))
    months = len(measure.usable)
    over = f"on average over {months} months" if months > 1 else "in the one month compared"
    text = f"{name}: {by} {'than' if gain.direction else 'as'} never {over}"
    if gain.key == "kpi" and gain.direction:
        rows = sum(measure.rows[i] for i in measure.usable)
        total = f"{number(gain.total, sign=True)} {plain(unit)}".strip()
        text += f", {total} over the {count(rows, 'row')} compared"
    return f"{text}. Ahead of never in {count(gain.ahead, 'month')}, behind in {gain.behind}, equal in {gain.equal}."


def _without_comparison(summary: Mapping[str, Any], measures: Sequence[Measure], policies: Sequence[str]) -> Headline:
    lines = []
    for policy in policies:
        values = [(metric_name(m.key), m.mean(policy)) for m in measures if m.usable]
        means = listed(f"mean {name} {number(value, decimals([value]))}" for name, value in values)
        lines.append(f"{policy_name(policy)}: {means}, with {count(retrains_of(summary, policy), 'retrain')}.")
    if len(policies) == 1:
        why = f"Only {policy_name(policies[0])} was replayed, so there is nothing to compare it with."
    else:
        missing = [p for p in (OURS, FLOOR) if p not in policies]
        why = f"A gain over never retraining needs both policies; {listed(map(policy_name, missing))} was not replayed."
    return Headline("Whether looking after the model paid is open.", why, tuple(lines))
