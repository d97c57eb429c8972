"""The rows of a replay report's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.report.gains import FLOOR, Measure, policies_of, retrains_of
from tidegate.report.words import (
    NOTHING,
    day_name,
    decimals,
    first_upper,
    gate_reason,
    metric_name,
    month_name,
    number,
    percent,
    plain,
)

WHY: Final = {
    "first_model": "First model",
    "decay": "Performance decayed",
    "more_data": "More data",
    "pays": "It pays",
    "gap": "Estimates and truth apart",
    "harm": "Drift that costs money",
    "calendar": "First of the month",
    "drift": "PSI past its threshold",
    "performance": "A week past its threshold",
}
OUTCOMES: Final = {"pass": "passed", "fail": "failed", "inconclusive": "not enough evidence"}


@dataclass(frozen=True)
class Cell:
    """A number, what it is more (or less) than never's, and whether it is the best of its row."""

    text: str
    change: str = ""
    best: bool = False


@dataclass(frozen=True)
class PolicyRow:
    """One figure for every policy."""

    name: str
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class WindowRow:
    """A blocked window, or an injected fault that was not blocked."""

    id: str
    window: str
    injected: str
    blocked: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """One look at a candidate."""

    day: str
    outcome: str
    words: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Attempt:
    """One retrain attempt, or the first model."""

    window: str
    version: str
    why: str
    first: bool
    looks: tuple[Look, ...]
    outcome: str
    result: str


def policy_rows(summary: Mapping[str, Any], measures: Sequence[Measure]) -> list[PolicyRow]:
    """Means over months of every metric, then what each policy did.

    Bold is the best mean; with equal means nothing is.
    """
    policies = policies_of(summary)
    rows = [_metric_row(m, policies) for m in measures if m.usable]
    made: Mapping[str, Any] = summary.get("policies") or {}
    rows += _money_rows(summary, policies, made)
    rows.append(_counts("Retrains started", "the first model not counted", (retrains_of(summary, p) for p in policies)))
    rows.append(_counts("Promotions", "", (made[p].get("promotions") for p in policies)))
    for key, name, note in (
        ("pages", "Pages", "somebody was woken"),
        ("tickets", "Tickets", "to be looked at by day"),
        ("alarms", "Alarms", "with those in the digest"),
    ):
        if known := summary.get(key):
            rows.append(_counts(name, note, (known.get(p) for p in policies)))
    coverage = summary.get("coverage") or {}
    shares = (Cell(percent(coverage[p]) if isinstance(coverage.get(p), int | float) else NOTHING) for p in policies)
    rows.append(PolicyRow("Label coverage", "scored rows whose label came", tuple(shares)))
    return rows


def _metric_row(measure: Measure, policies: Sequence[str]) -> PolicyRow:
    means = {p: measure.mean(p) for p in policies}
    places = decimals(means.values())
    texts = {p: number(v, places) for p, v in means.items()}
    ranked = sorted(means, key=lambda p: -measure.sign * means[p])
    best = texts[ranked[0]] if len(set(texts.values())) > 1 else None
    floor = means.get(FLOOR)
    cells = tuple(
        Cell(
            texts[p],
            number(means[p] - floor, places, sign=True) if floor is not None and p != FLOOR else "",
            texts[p] == best,
        )
        for p in policies
    )
    left_out = len(measure.months) - len(measure.usable)
    note = "higher is better" if measure.sign > 0 else "lower is better"
    if measure.says_nothing:
        note = "no values declared"
    elif left_out:
        note += f"; {left_out} of {len(measure.months)} months not defined and left out"
    return PolicyRow(first_upper(metric_name(measure.key)), note, cells)


def _money_rows(summary: Mapping[str, Any], policies: Sequence[str], made: Mapping[str, Any]) -> list[PolicyRow]:
    """What each policy cost in all, its gain over never with the interval, and its ranks on stretches."""
    if not any("cost" in made[p] for p in policies):
        return []
    unit = plain(summary.get("cost_unit") or summary.get("kpi_unit") or "")
    rows = [
        PolicyRow("Total cost", f"{unit}, actions included; lower is better",
                  tuple(Cell(_amount(made[p].get("cost"))) for p in policies)),
    ]  # fmt: skip
    if FLOOR in policies:
        rows.append(PolicyRow("Gain in total cost", f"{unit}; small: 95 % interval", tuple(
            Cell(NOTHING) if p == FLOOR else Cell(_amount(made[p].get("gain")), _interval(made[p])) for p in policies
        )))  # fmt: skip
    if len(policies) > 1 and (stretches := summary.get("segments") or ()):
        ranks = (", ".join(str(s["policies"][p]["rank"]) for s in stretches) for p in policies)
        rows.append(PolicyRow("Rank by cost", "on stretches of the span", tuple(map(Cell, ranks))))
    return rows


def _amount(value: object) -> str:
    return number(float(value), 0) if isinstance(value, int | float) else NOTHING


def _interval(figures: Mapping[str, Any]) -> str:
    low, high = figures.get("low"), figures.get("high")
    return f"{_amount(low)} to {_amount(high)}" if low is not None and high is not None else ""


def _counts(name: str, note: str, values: Iterable[object]) -> PolicyRow:
    return PolicyRow(name, note, tuple(Cell(f"{v:,}" if isinstance(v, int) else NOTHING) for v in values))


def month_rows(measure: Measure, policies: Sequence[str]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Month, rows compared, and a value for each policy."""
    places = measure.places
    return [
        (month_name(m), f"{measure.rows[i]:,}", tuple(number(measure.values[p][i], places) for p in policies))
        for i, m in enumerate(measure.months)
    ]


def window_rows(summary: Mapping[str, Any]) -> list[WindowRow]:
    """Every blocked window with its reasons, and every injected fault, in order of time.

    >>> rows = window_rows({"blocked": [{"window": "2013-12-31", "reasons": ["no weather"]}],
    ...                     "injected": [{"window": "2013-05-02", "fault": "scale", "what": "temp × 100"}]})
    >>> [(r.window, r.injected, r.blocked) for r in rows]
    [('Thu 2 May 2013', 'temp × 100', False), ('Tue 31 Dec 2013', '', True)]
    """
    injected: dict[str, str] = {}
    for f in summary.get("injected") or ():
        what = plain(f.get("what") or f.get("fault") or "fault")
        window = str(f["window"])
        injected[window] = f"{injected[window]}; {what}" if window in injected else what
    blocked = {str(b["window"]): tuple(b.get("reasons") or ()) for b in summary.get("blocked") or ()}
    return [
        WindowRow(w, day_name(w), injected.get(w, ""), w in blocked, tuple(plain(r) for r in blocked.get(w, ())))
        for w in sorted({*injected, *blocked})
    ]


@dataclass(frozen=True)
class Told:
    """One page or ticket."""

    window: str
    severity: str
    what: str
    effect: str


def told_of(summary: Mapping[str, Any], policy: str) -> list[Told]:
    """Every page and ticket of a policy, in order of time."""
    found = (summary.get("told") or {}).get(policy) or ()
    return [
        Told(
            day_name(a["window"]),
            plain(a["severity"]),
            plain(a["text"]),
            plain(a.get("effect") or a.get("why_not_page") or NOTHING),
        )
        for a in sorted(found, key=lambda a: str(a["window"]))
    ]


def attempts_of(summary: Mapping[str, Any], policy: str) -> list[Attempt]:
    """Every model that a policy trained, with its looks and what became of it."""
    events = (summary.get("events") or {}).get(policy) or ()
    return [_attempt(e) for e in sorted(events, key=lambda e: str(e["window"]))]


def _attempt(event: Mapping[str, Any]) -> Attempt:
    looks = tuple(
        Look(
            day_name(look.get("window")),
            look["outcome"] if look.get("outcome") in OUTCOMES else "inconclusive",
            OUTCOMES.get(str(look.get("outcome")), plain(look.get("outcome"))),
            tuple(plain(gate_reason(str(r))) for r in look.get("reasons") or ()),
        )
        for look in event.get("looks") or ()
    )
    reason = str(event.get("reason") or "")
    why = WHY.get(reason, plain(first_upper(reason.replace("_", " "))) or NOTHING)
    outcome, result = outcome_of(event)
    first = reason == "first_model"
    return Attempt(day_name(event["window"]), plain(event.get("version", NOTHING)), why, first, looks, outcome, result)


def outcome_of(event: Mapping[str, Any]) -> tuple[str, str]:
    """What became of a candidate: `promoted`, `rejected` or `waiting`, and the same in words.

    >>> outcome_of({"status": "retired", "promoted": "2013-05-02", "looks": []})
    ('promoted', 'Promoted Thu 2 May 2013, later replaced')
    >>> outcome_of({"status": "rejected", "looks": [{"outcome": "inconclusive"}]})
    ('rejected', 'Not promoted: closed after 1 look without proof')
    """
    status, looks = event.get("status"), event.get("looks") or []
    if event.get("promoted"):
        fate = {
            "retired": ", later replaced",
            "rolled_back": ", later rolled back",
            "champion": ", in service at the end",
        }.get(str(status), "")
        return "promoted", f"Promoted {day_name(event['promoted'])}{fate}"
    if status == "rejected":
        if looks and looks[-1].get("outcome") == "inconclusive":
            n = len(looks)
            return "rejected", f"Not promoted: closed after {n} {'look' if n == 1 else 'looks'} without proof"
        return "rejected", "Not promoted: failed the gate"
    if status == "challenger":
        return "waiting", "Not promoted: passed the gate, waits for approval"
    return "waiting", "Not promoted: still waiting for evidence at the end"
