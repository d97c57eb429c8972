"""What the charts of a replay report draw; the page's own script draws it."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from tidegate.report.gains import FLOOR, OURS, YARDSTICK, Measure, policies_of, policy_name
from tidegate.report.tables import WHY, outcome_of, window_rows
from tidegate.report.words import (
    as_day,
    count,
    decimals,
    first_upper,
    metric_name,
    month_name,
    number,
    plain,
    short_day,
)

_STYLES: Final = {OURS: 0, YARDSTICK: 1, FLOOR: 2, "drift": 3, "performance": 4}


def chart_data(summary: Mapping[str, Any], measures: Sequence[Measure]) -> dict[str, Any]:
    """Everything the page's script needs, without NaN; texts that plotly reads as markup are escaped.

    Days that cannot be read are left out of the charts; the tables have them.
    """
    policies = policies_of(summary)
    start, end = replayed(summary, measures)
    # Room for marks on the first and last day.
    room = timedelta(days=1 + (end - start).days // 60)
    drawn = [m for m in measures if not m.says_nothing]
    return {
        "range": [(start - room).isoformat(), (end + room).isoformat()],
        "days": [start.isoformat(), end.isoformat()],
        "months": [middle(m, start, end) for m in (measures[0].months if measures else ())],
        "policies": [{"id": p, "name": html.escape(policy_name(p)), "style": style_of(p)} for p in policies],
        "floor": policies.index(FLOOR) if FLOOR in policies and len(policies) > 1 else None,
        "measures": {m.key: _measure(m, policies, str(summary.get("kpi_unit") or "")) for m in drawn},
        "attempts": [a for i, p in enumerate(policies) for a in _attempts(summary, p, i, start)],
        "windows": _windows(summary),
    }


def style_of(policy: str) -> int:
    """Which line style a policy has, on every page the same."""
    return _STYLES.get(policy, 3)


def replayed(summary: Mapping[str, Any], measures: Sequence[Measure]) -> tuple[date, date]:
    """First and last day of the replay, or of its months if it does not say."""
    months = [d for m in measures for name in m.months if (d := as_day(f"{name}-01"))]
    start = as_day(summary.get("from")) or min(months, default=date(1970, 1, 1))
    end = as_day(summary.get("to")) or _month_end(max(months, default=start))
    return start, max(start, end)


def middle(month: str, start: date, end: date) -> str | None:
    """The middle of the part of a month that was replayed; None if it is no month.

    >>> middle("2013-03", date(2013, 3, 1), date(2013, 12, 31)), middle("x", date(2013, 3, 1), date(2013, 3, 2))
    ('2013-03-16', None)
    """
    first = as_day(f"{month}-01")
    if first is None:
        return None
    low, high = max(first, start), min(_month_end(first), end)
    return (low + (max(high, low) - low) / 2).isoformat()


def alt_text(measure: Measure, policies: Sequence[str]) -> str:
    """A chart of a measure in a sentence, for those who do not see it."""
    places = decimals(measure.mean(p) for p in policies)
    means = [f"{policy_name(p)} {number(measure.mean(p), places)}" for p in policies]
    months = [month_name(m) for m in measure.months]
    over = f"{months[0]} to {months[-1]}" if len(months) > 1 else "".join(months)
    what = f"Line chart of {metric_name(measure.key)} by month, {over}."
    return f"{what} Means: {', '.join(means)}. The numbers are in the table below."


def _month_end(first: date) -> date:
    return (first.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def _measure(measure: Measure, policies: Sequence[str], unit: str) -> dict[str, Any]:
    values = [measure.values[p] for p in policies]
    places = measure.places
    out: dict[str, Any] = {
        "name": first_upper(metric_name(measure.key)),
        "unit": f"{plain(unit) or 'value'} a row" if measure.key == "kpi" else "",
        "alt": alt_text(measure, policies),
        "better": "higher is better" if measure.sign > 0 else "lower is better",
        "value": [list(map(_finite, by_month)) for by_month in values],
        "value_text": _hovers(measure, policies, values, places),
    }
    if FLOOR in policies:
        gains = [measure.gains(p, FLOOR) for p in policies]
        places = decimals([0.0, *(g for by_month in gains for g in by_month)])
        out["gain"] = [list(map(_finite, by_month)) for by_month in gains]
        out["gain_text"] = _hovers(measure, policies, gains, places, gain=True)
    return out


def _hovers(
    measure: Measure, policies: Sequence[str], values: Sequence[Sequence[float]], places: int, *, gain: bool = False
) -> list[list[str]]:
    what = html.escape(metric_name(measure.key)) + (" gain" if gain else "")
    return [
        [
            f"<b>{html.escape(policy_name(policy))}</b>, {html.escape(month_name(month))}"
            f"<br>{what} {number(value, places, sign=gain)}<br>{count(rows, 'row')}"
            for month, rows, value in zip(measure.months, measure.rows, by_month, strict=True)
        ]
        for policy, by_month in zip(policies, values, strict=True)
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _attempts(summary: Mapping[str, Any], policy: str, lane: int, start: date) -> list[dict[str, Any]]:
    out = []
    for event in (summary.get("events") or {}).get(policy) or ():
        began = as_day(event.get("window"))
        if began is None or began < start:
            continue
        outcome, result = outcome_of(event)
        looks = [d for look in event.get("looks") or () if (d := as_day(look.get("window")))]
        ended = as_day(event.get("promoted")) or (looks[-1] if looks else began)
        reason = str(event.get("reason") or "")
        why = WHY.get(reason, reason.replace("_", " "))
        out.append(
            {
                "lane": lane,
                "from": began.isoformat(),
                "looks": [d.isoformat() for d in looks],
                "to": max(ended, began).isoformat(),
                "outcome": outcome,
                "text": f"<b>Retrain {short_day(began)}</b>: {html.escape(why.lower())}<br>{html.escape(result)}",
            }
        )
    return out


def _windows(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    out = []
    for row in window_rows(summary):
        day = as_day(row.id)
        if day is None:
            continue
        kind = "missed" if not row.blocked else "injected" if row.injected else "blocked"
        words = {"missed": "Injected, not blocked", "injected": "Injected and blocked", "blocked": "Blocked"}[kind]
        why = row.injected or (row.reasons[0] if row.reasons else "")
        text = f"<b>{words} {short_day(day)}</b><br>{html.escape(_short(why))}"
        out.append({"at": day.isoformat(), "kind": kind, "text": text})
    return out


def _short(text: str, most: int = 70) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
