"""The business dashboard: what retraining was worth, whether decisions were right, costs, the week, fairness."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import numpy as np

from tidegate.performance.blocks import Estimate, cut, weighted, widened
from tidegate.report.board import Cell, Chart, Line, ModelPart, Section, Table, cells, known, rows_of, tone
from tidegate.report.boardfacts import Facts, Worth
from tidegate.report.words import count, metric_name, number, percent

WEEK = 7
LEVEL = 0.025
"""Of each side: intervals hold 95 %."""
FEWEST = 4
"""Blocks of nights below which nothing is said of a mean's error."""


def business(facts: Facts) -> ModelPart:
    """One model's part of the page.

    Examples
    --------
    >>> part = business(Facts("m", "fine", (), "", False, "USD", True, "roc_auc", None, "", ()))
    >>> part.headline
    'What retraining is worth is not known yet'
    """
    pairs = paired(facts)
    gain = gain_of(facts, tuple(pairs))
    changed = sum(new is not None for _, _, new, _, _ in facts.switches[1:])
    shown = (
        ("Worth of retraining", money(facts, gain[0]) if gain else "–"),
        ("Retrains", str(len(facts.releases))),
        ("New champions", str(changed)),
        ("Windows blocked", str(sum(b.outcome == "fail" for b in facts.batches.values()))),
        ("Labels known", percent(_covered(facts)) if facts.coverage else "–"),
    )
    sections = (
        _money(facts, pairs, gain),
        _week(facts),
        _decisions(facts, pairs),
        _costs(facts),
        _fairness(facts),
        _coverage(facts),
    )
    return ModelPart(facts.model, tone(facts.state), _headline(facts, gain), facts.next, shown, sections)


def paired(facts: Facts) -> dict[str, Worth]:
    """Windows on which both what was served and the first champion are known."""
    return {w: v for w, v in facts.worth.items() if v.never is not None}


def gain_of(facts: Facts, windows: tuple[str, ...]) -> tuple[float, float, float, Estimate] | None:
    """What was gained over never retraining on some windows: total, its 95 % interval, and the mean by row.

    The unit of resampling is a block of nights, as everywhere, and the error is widened for the autocorrelation of
    nights. None below four blocks: their error could not be told.
    """
    blocks = [b for b in cut(windows, facts.block) if b]
    rows = [sum(facts.worth[w].n for w in b) for b in blocks]
    means = [
        sum((facts.worth[w].served - (facts.worth[w].never or 0.0)) * facts.worth[w].n for w in b) / n
        for b, n in zip(blocks, rows, strict=True)
    ]
    if len(blocks) < FEWEST:
        return None
    nightly = [facts.worth[w].served - (facts.worth[w].never or 0.0) for w in windows]
    per_row = widened(weighted(means, rows), nightly, facts.block)
    total = float(sum(facts.worth[w].n for w in windows))
    gained = sum(d * facts.worth[w].n for d, w in zip(nightly, windows, strict=True))
    reach = (per_row.upper(LEVEL) - per_row.value) * total
    return gained, gained - reach, gained + reach, per_row


def money(facts: Facts, value: float) -> str:
    """A sum in the model's unit."""
    places = 0 if abs(value) >= 100 else 2
    return f"{number(value, places, sign=True)} {facts.unit}"


def _headline(facts: Facts, gain: tuple[float, float, float, Estimate] | None) -> str:
    if gain is None:
        return "What retraining is worth is not known yet"
    total, low, high, _ = gain
    if low > 0:
        return f"Retraining has gained {money(facts, total).lstrip('+')} against never retraining"
    if high < 0:
        return f"Retraining has lost {money(facts, -total).lstrip('+')} against never retraining"
    return "Whether retraining has gained anything is not proven"


def _money(facts: Facts, pairs: dict[str, Worth], gain: tuple[float, float, float, Estimate] | None) -> Section:
    title = "Money against never retraining" if facts.priced else "Worth against never retraining"
    if not pairs:
        why = facts.never_why or "No night after the first promotion has matured yet."
        return Section("money", title, missing=f"Not known: {why}")
    days = tuple(pairs)
    gained = np.cumsum([(v.served - (v.never or 0.0)) * v.n for v in pairs.values()])
    served = tuple(known(v.served) for v in pairs.values())
    never = tuple(known(v.never) for v in pairs.values())
    marks = tuple((w, f"version {new}") for w, _, new, _, _ in facts.switches if new is not None and w in pairs)
    chart = Chart(
        "lines",
        days,
        f"{facts.unit}, added up",
        (Line("Gained so far", tuple(map(float, gained)), 0),),
        marks=marks,
        alt=f"Gain over never retraining, added up over {len(days)} nights, ends at {money(facts, gained[-1])}.",
    )
    per_row = Chart(
        "lines", days, f"{facts.unit} a row", (Line("As served", served, 0), Line("Never retrained", never, 1))
    )
    months: dict[str, list[Worth]] = {}
    for w, v in pairs.items():
        months.setdefault(w[:7], []).append(v)
    rows = [
        (
            month,
            sum(v.n for v in of),
            _mean(of, "served"),
            _mean(of, "never"),
            Cell(money(facts, sum((v.served - (v.never or 0.0)) * v.n for v in of))),
        )
        for month, of in sorted(months.items(), reverse=True)
    ]
    table = Table(
        "money",
        ("Month", "Rows", f"As served, {facts.unit} a row", "Never retrained", "Gained"),
        rows_of(rows),
        tuple(f"{m}-28" for m in sorted(months, reverse=True)),
        "By month",
    )
    said = (
        f"Interval (95 %, blocks of {facts.block} nights): {money(facts, gain[1])} to {money(facts, gain[2])}. "
        if gain
        else "Too few nights for an interval. "
    )
    how = (
        f"Version {_first(facts)}, the first champion, "
        "answers every matured row again, with its own threshold; what it would have been worth is taken from what was "
        "served."
    )
    return Section("money", title, chart=chart if len(days) > 1 else per_row, tables=(table,), says=said + how)


def _first(facts: Facts) -> int:
    return next((new for _, _, new, _, _ in facts.switches if new is not None), 1)


def _mean(of: list[Worth], name: str) -> str:
    total = sum(v.n for v in of)
    return number(sum(getattr(v, name) * v.n for v in of) / total, 3) if total else "–"


def _week(facts: Facts) -> Section:
    """What changed in the newest seven windows, in words."""
    if not facts.windows:
        return Section("week", "What changed this week", missing="No night has run yet.")
    last = date.fromisoformat(facts.windows[-1])
    since = (last - timedelta(days=WEEK - 1)).isoformat()
    points = []
    for window, old, new, by, why in facts.switches:
        if window >= since and new is not None:
            was = f" instead of version {old}" if old else ""
            points.append(f"{window}: version {new} became champion{was}, by {by}" + (f": {why}" if why else "") + ".")
    trained = [r for r in facts.releases if r.window >= since]
    points += [
        f"{r.window}: version {r.version} was trained ({r.reason or 'no reason given'}); the gate says "
        f"{r.outcome or 'nothing yet'}."
        for r in trained
    ]
    opened = [t for t in facts.incidents if t.opened >= since]
    points += [f"{t.opened}: incident {t.number} ({t.severity}) began: {t.words}" for t in opened]
    blocked = [w for w, b in facts.batches.items() if w >= since and b.outcome == "fail"]
    if blocked:
        points.append(f"{count(len(blocked), 'batch', 'batches')} did not pass the checks: {', '.join(blocked)}.")
    pair = [w for w in facts.windows[-4 * WEEK :] if facts.primary in facts.metrics.get(w, {})]
    newest, before = pair[-WEEK:], pair[-2 * WEEK : -WEEK]
    if newest and before:
        a, b = (float(np.mean([facts.metrics[w][facts.primary] for w in of])) for of in (newest, before))
        points.append(
            f"{metric_name(facts.primary)} was {number(a, 3)} on the newest {len(newest)} matured nights, "
            f"{number(b, 3)} on the {len(before)} before them."
        )
    if not points:
        points = ["Nothing: no new champion, no training, no incident, no blocked batch."]
    return Section("week", "What changed this week", says=f"{since} to {last.isoformat()}.", points=tuple(points))


def _decisions(facts: Facts, pairs: dict[str, Worth]) -> Section:
    if not facts.decisions and not facts.switches:
        return Section("decisions", "Quality of decisions", missing="Nothing was decided yet.")
    made = Counter(str(d["action"]) for d in facts.decisions)
    rows = []
    days = []
    switches = [s for s in facts.switches if s[2] is not None]
    for i, (window, _, new, by, why) in enumerate(switches):
        until = switches[i + 1][0] if i + 1 < len(switches) else "9999"
        after = tuple(w for w in pairs if window < w <= until and pairs[w].version == new)
        if i == 0:
            verdict, words = Cell("the yardstick"), "–"
        elif (found := gain_of(facts, after)) is None:
            verdict, words = Cell("too early"), count(len(after), "matured night")
        else:
            words = f"{money(facts, found[0])} ({money(facts, found[1])} to {money(facts, found[2])})"
            verdict = (
                Cell("right", tone="fine")
                if found[1] > 0
                else Cell("wrong", tone="act")
                if found[2] < 0
                else Cell("not proven", tone="look")
            )
        rows.append(cells(window, f"version {new}", by, why, verdict, Cell(words)))
        days.append(window)
    judged = Counter(r[4].text for r in rows)
    table = Table(
        "decisions",
        ("Window", "Champion", "By", "Why", "In hindsight", "Gained over never retraining"),
        tuple(reversed(rows)),
        tuple(reversed(days)),
        "New champions, judged on the nights that they served",
    )
    told = ", ".join(f"{n} × {a.replace('_', ' ')}" for a, n in made.most_common())
    rejected = sum(r.outcome == "fail" for r in facts.releases)
    return Section(
        "decisions",
        "Quality of decisions",
        tables=(table,) if rows else (),
        says=f"Nights on which something was weighed or decided: {told or 'none'}. Of "
        f"{count(len(facts.releases), 'trained version')}, {rejected} did not pass the gate. "
        f"New champions in hindsight: {judged['right']} right, {judged['wrong']} wrong, "
        f"{judged['not proven']} not proven.",
    )


def _costs(facts: Facts) -> Section:
    if not facts.releases:
        return Section("costs", "Cost of retrains", missing="No version was trained yet.")
    of = {"retrain": len([r for r in facts.releases if r.reason not in ("recalibrate", "move_threshold")])}
    of |= {a: sum(r.reason == a for r in facts.releases) for a in ("recalibrate", "move_threshold")}
    rows = [
        (a.replace("_", " "), n, number(facts.costs.get(a, 0.0), 2), number(n * facts.costs.get(a, 0.0), 2))
        for a, n in of.items()
        if n
    ]
    total = sum(n * facts.costs.get(a, 0.0) for a, n in of.items())
    return Section(
        "costs",
        "Cost of retrains",
        says=f"{number(total, 2)} {facts.unit} so far, as decision.costs says.",
        tables=(Table("costs", ("What", "Times", f"Each, {facts.unit}", "Together"), rows_of(rows)),),
    )


def _fairness(facts: Facts) -> Section:
    if not facts.groups:
        return Section(
            "fairness",
            "Fairness",
            missing="No column is declared as protected (model key protected), or no window of its groups has matured.",
        )
    rows = [
        (g.column, g.value, number(g.level, 3), f"{number(g.low, 3)} to {number(g.high, 3)}", g.n) for g in facts.groups
    ]
    worst: list[str] = []
    for column in dict.fromkeys(g.column for g in facts.groups):
        mine = [g for g in facts.groups if g.column == column]
        low, high = min(mine, key=lambda g: g.level), max(mine, key=lambda g: g.level)
        apart = low.high < high.low
        worst.append(
            f"By {column}, {metric_name(low.metric)} is lowest for {low.value} ({number(low.level, 3)}), highest for "
            f"{high.value} ({number(high.level, 3)}); their intervals {'do not overlap' if apart else 'overlap'}."
        )
    return Section(
        "fairness",
        "Fairness",
        points=tuple(worst),
        says="The primary metric by group on the newest matured nights, with 95 % intervals by blocks of nights.",
        tables=(
            Table("fairness", ("Column", "Group", metric_name(facts.groups[0].metric), "95 %", "Rows"), rows_of(rows)),
        ),
    )


def _covered(facts: Facts) -> float:
    shares = [share for _, share in facts.coverage.values()]
    return sum(shares) / len(shares) if shares else 0.0


def _coverage(facts: Facts) -> Section:
    if not facts.batches:
        return Section("coverage", "Data coverage", missing="No night has run yet.")
    first, last = min(facts.batches), max(facts.batches)
    span = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
    blocked = sum(b.outcome != "pass" for b in facts.batches.values())
    rows = [
        ("Windows from first to last", span),
        ("with a batch", len(facts.batches)),
        ("of these blocked", blocked),
        ("without a batch", span - len(facts.batches)),
        ("with matured labels", len(facts.coverage)),
        ("of these with enough of them", sum(o == "pass" for o, _ in facts.coverage.values())),
    ]
    return Section(
        "coverage",
        "Data coverage",
        says=f"{first} to {last}.",
        tables=(Table("coverage", ("What", "Windows"), rows_of(rows)),),
    )


__all__ = ["business", "gain_of", "money", "paired"]
