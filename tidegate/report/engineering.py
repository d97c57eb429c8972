"""The engineering dashboard: how each model is, drift, data, performance, service, alarms, versions."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.report.board import Cell, Chart, Line, ModelPart, Section, Table, Tone, cells, known, rows_of, tone
from tidegate.report.boardfacts import Facts
from tidegate.report.words import count, metric_name, number, percent

HEADLINE = 110
SUBJECTS = 24
"""Rows of the drift map: those that came nearest to their limits."""


def engineering(facts: Facts) -> ModelPart:
    """One model's part of the page.

    Examples
    --------
    >>> part = engineering(Facts("m", "fine", (), "", False, "USD", True, "roc_auc", None, "", ()))
    >>> part.headline, [s.id for s in part.sections if not s.missing]
    ('Nothing is known to be wrong', [])
    """
    head = _short(facts.words[0]) if facts.words else "Nothing is known to be wrong"
    last = facts.windows[-1] if facts.windows else ""
    measured = [w for w in facts.windows if facts.primary in facts.metrics.get(w, {})]
    newest = facts.metrics[measured[-1]][facts.primary] if measured else None
    p99 = [v["p99"] for v in facts.service.values() if v.get("p99") is not None]
    shown = (
        ("Champion", f"version {facts.champion}" if facts.champion else "none"),
        ("Last window", last or "none"),
        (metric_name(facts.primary), number(newest, 3) if newest is not None else "–"),
        ("Open incidents", str(sum(t.status != "closed" for t in facts.incidents))),
        ("p99 latency", f"{number(p99[-1] * 1e3, 1)} ms" if p99 else "–"),
    )
    sections = (
        _todo(facts),
        _drift(facts),
        _data(facts),
        _performance(facts),
        _service(facts),
        _resources(facts),
        _alarms(facts),
        _rollouts(facts),
        _versions(facts),
    )
    return ModelPart(facts.model, tone(facts.state), head, facts.next, shown, sections)


def _short(words: str) -> str:
    """The first clause of a sentence, for a headline."""
    first = words.split("; ", maxsplit=1)[0]
    return first if len(first) <= HEADLINE else f"{first[: HEADLINE - 1].rsplit(' ', 1)[0]} …"


def _todo(facts: Facts) -> Section:
    return Section(
        "todo",
        "What is wrong, and what is next",
        points=tuple(facts.words),
        says=f"Next: {facts.next}" if facts.next else "",
        missing=""
        if facts.words
        else "Nothing is known to be wrong: no open incident, no missed night, nobody waits for an answer.",
    )


def _drift(facts: Facts) -> Section:
    peak: dict[str, float] = {}
    for found in facts.drift.values():
        for subject, share in found.items():
            peak[subject] = max(peak.get(subject, 0.0), share)
    if not peak:
        why = "No findings yet: drift is judged from the first night after a champion has a reference."
        return Section("drift", "Drift by feature", missing=why)
    days = tuple(w for w in facts.windows if w in facts.drift)
    subjects = tuple(sorted(peak, key=lambda s: -peak[s])[:SUBJECTS])
    z = tuple(tuple(known(facts.drift[w].get(s)) for w in days) for s in subjects)
    over = [s for s in subjects if peak[s] >= 1]
    loud = ", ".join(over[:5]) + (" and others" if len(over) > 5 else "")
    chart = Chart(
        "map",
        days,
        "of its limit",
        subjects=subjects,
        z=z,
        alt=f"How near each of {len(subjects)} subjects came to its limit on {len(days)} nights. "
        f"Above it: {loud or 'none'}.",
    )
    rows = [(s, number(peak[s], 2), _when(facts, s, peak[s])) for s in subjects]
    return Section(
        "drift",
        "Drift by feature",
        chart=chart,
        says="Each night's change against the champion's reference, as a part of its calibrated limit: "
        f"from 1 on it is a signal. {f'Above it: {loud}.' if over else 'Nothing has been above it.'}",
        tables=(
            Table(
                "drift",
                ("Subject", "Most, of its limit", "On"),
                rows_of(rows),
                caption="Subjects that came nearest to their limits",
            ),
        ),
    )


def _when(facts: Facts, subject: str, peak: float) -> str:
    return next(w for w, found in facts.drift.items() if found.get(subject) == peak)


def _data(facts: Facts) -> Section:
    if not facts.batches:
        return Section("data", "Quality and quarantine", missing="No batch was ingested yet. Next: tidegate ingest")
    days = tuple(facts.batches)
    share = tuple(100 * b.quarantined / max(b.rows + b.quarantined, 1) for b in facts.batches.values())
    bad = [(w, b) for w, b in facts.batches.items() if b.outcome != "pass"]
    marks = tuple((w, b.outcome) for w, b in bad)
    chart = Chart(
        "lines",
        days,
        "% of rows quarantined",
        (Line("Quarantined", share, 0),),
        marks=marks,
        alt=f"Share of rows quarantined on {len(days)} windows; {len(bad)} windows did not pass.",
    )
    rows = tuple(
        cells(w, Cell(b.outcome, tone=tone(b.outcome)), b.rows, b.quarantined, b.why) for w, b in reversed(bad)
    )
    tables = (
        (
            Table(
                "data",
                ("Window", "Outcome", "Rows", "Quarantined", "Why"),
                rows,
                tuple(w for w, _ in reversed(bad)),
                "Windows that did not pass",
            ),
        )
        if bad
        else ()
    )
    total = sum(b.quarantined for b in facts.batches.values())
    return Section(
        "data",
        "Quality and quarantine",
        chart=chart,
        tables=tables,
        says=f"{len(days) - len(bad):,} of {len(days):,} windows passed; {total:,} rows are or were in quarantine.",
    )


def _performance(facts: Facts) -> Section:
    name, measured = metric_name(facts.primary), [w for w in facts.windows if facts.metrics.get(w)]
    if not measured and not facts.estimates:
        why = (
            "It is only monitored: without scores there is nothing to measure."
            if facts.monitor_only
            else "No window with enough labels yet: performance is measured once labels have matured."
        )
        return Section("performance", f"Performance ({name})", missing=why)
    days = tuple(w for w in facts.windows if facts.metrics.get(w) or w in facts.estimates)
    lines = [Line("Measured", tuple(known(facts.metrics.get(w, {}).get(facts.primary)) for w in days), 0)]
    if facts.estimates:
        at = [facts.estimates.get(w) for w in days]
        lines.append(
            Line(
                "Estimated without labels",
                tuple(a[0] if a else None for a in at),
                1,
                tuple(a[0] - 1.96 * a[1] if a else None for a in at),
                tuple(a[0] + 1.96 * a[1] if a else None for a in at),
            )
        )
    marks = tuple((day, f"version {to}") for day, _, to, _, _ in facts.switches if to is not None)
    chart = Chart(
        "lines",
        days,
        name,
        tuple(lines),
        marks=marks,
        alt=f"{name} on {len(measured)} windows with labels, and as estimated.",
    )
    names = sorted({m for w in measured for m in facts.metrics[w]})
    newest = measured[-7:]
    rows = [
        [metric_name(m), *(number(facts.metrics[w][m], 3) if m in facts.metrics[w] else None for w in newest)]
        for m in names
    ]
    tables = (
        (Table("metrics", ("Metric", *newest), rows_of(rows), caption="The newest matured windows"),) if rows else ()
    )
    return Section(
        "performance",
        f"Performance ({name})",
        chart=chart,
        tables=tables,
        says="As measured once labels had matured, and as estimated on the night. Vertical lines are new champions.",
    )


def _service(facts: Facts) -> Section:
    days = tuple(w for w in facts.windows if w in facts.service)
    if not days:
        why = (
            "Nothing was logged yet: no gateway or InferenceLogger has answered for this model, or no night came after."
        )
        return Section("service", "Latency, errors, throughput", missing=why)
    of = facts.service
    lines = tuple(
        Line(name, tuple(known(1e3 * of[w][name]) if of[w].get(name) is not None else None for w in days), i)
        for i, name in enumerate(("p50", "p95", "p99"))
    )
    rows = [
        (
            w,
            int(of[w]["answered"]),
            number(of[w]["per_second"], 2),
            percent(of[w]["error_share"]),
            *(number(1e3 * of[w][q], 1) if of[w].get(q) is not None else None for q in ("p50", "p95", "p99")),
        )
        for w in reversed(days)
    ]
    table = Table(
        "service",
        ("Window", "Requests", "a second", "Failed", "p50 ms", "p95 ms", "p99 ms"),
        rows_of(rows),
        tuple(reversed(days)),
        "By window",
    )
    return Section(
        "service",
        "Latency, errors, throughput",
        says="Quantiles of each window's merged histogram; they are never averaged.",
        chart=Chart("lines", days, "ms", lines, alt=f"Latency quantiles on {len(days)} windows."),
        tables=(table,),
    )


def _resources(facts: Facts) -> Section:
    taken = {w: facts.service[w].get("resources") or {} for w in facts.windows if w in facts.service}
    days = tuple(w for w, v in taken.items() if v.get("cpu_s") is not None)
    if not days:
        return Section("resources", "Resources", missing="No record: they are recorded by a gateway for each window.")
    cores = tuple(known(taken[w].get("cores")) for w in days)
    rows = [
        (
            w,
            number(taken[w]["cpu_s"], 0),
            number(taken[w]["cores"] or 0.0, 2),
            number((taken[w]["memory"] or 0) / 1e6, 0),
            number((taken[w].get("gpu_memory") or 0) / 1e6, 0) if taken[w].get("gpu_memory") else None,
        )
        for w in reversed(days)
    ]
    return Section(
        "resources",
        "Resources",
        says="Of the gateway's workers.",
        chart=Chart("lines", days, "cores", (Line("Mean cores", cores, 0),), alt="Mean cores by window."),
        tables=(
            Table(
                "resources",
                ("Window", "CPU s", "Mean cores", "Memory MB", "GPU memory MB"),
                rows_of(rows),
                tuple(reversed(days)),
                "By window",
            ),
        ),
    )


def _alarms(facts: Facts) -> Section:
    if not facts.alarms and not facts.incidents:
        return Section("alarms", "Alarms and incidents", missing="No alarm so far.")
    open_first = sorted(facts.incidents, key=lambda t: (t.status == "closed", -t.number))
    troubles = tuple(
        cells(
            Cell(f"{t.number}"),
            Cell(t.severity, tone=_loud(t.severity, t.status)),
            t.status,
            t.cause,
            t.opened,
            t.last,
            t.words,
            Cell(f"tidegate incident show {t.number}", code=True),
        )
        for t in open_first
    )
    told = sorted(facts.alarms, key=lambda a: a.window, reverse=True)
    rows = tuple(
        cells(
            Cell(a.window, href=facts.links.get(a.window, "")),
            Cell(a.severity, tone=_loud(a.severity, "open")),
            a.subject,
            a.words,
            Cell(_runbook(a.runbook), href=facts.links.get(f"runbook/{_runbook(a.runbook)}", "")),
            Cell(str(a.incident), href=f"#incident-{facts.model}-{a.incident}") if a.incident else None,
            Cell(a.next, code=True),
        )
        for a in told
    )
    tables = (
        Table(
            "incidents",
            ("Incident", "Severity", "Status", "Cause", "Opened", "Last", "What", "Look"),
            troubles,
            tuple(t.last for t in open_first),
            "Incidents",
            tuple(f"incident-{facts.model}-{t.number}" for t in open_first),
        ),
        Table(
            "alarms",
            ("Window", "Severity", "Subject", "What", "Runbook", "Incident", "Next"),
            rows,
            tuple(a.window for a in told),
            "Alarms",
        ),
    )
    pages = sum(a.severity == "page" for a in told)
    open_ones = sum(t.status != "closed" for t in facts.incidents)
    return Section(
        "alarms",
        "Alarms and incidents",
        tables=tables,
        says=f"{len(told):,} alarms so far, {pages:,} of them pages; {open_ones:,} incidents are not closed.",
    )


def _loud(severity: str, status: str) -> Tone:
    return "" if status == "closed" else tone(severity)


def _runbook(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".md")


def _rollouts(facts: Facts) -> Section:
    if not facts.switches:
        return Section("plan", "Serving plan and rollouts", missing="No version was ever promoted.")
    rows = [
        (window, f"{old or 'none'} → {new or 'none'}", by, why)
        for window, old, new, by, why in reversed(facts.switches)
    ]
    table = Table(
        "plan",
        ("Window", "Champion", "By", "Why"),
        rows_of(rows),
        tuple(s[0] for s in reversed(facts.switches)),
        "Switches",
    )
    return Section(
        "plan",
        "Serving plan and rollouts",
        tables=(table,),
        says=f"Version {facts.champion or 'none'} serves since {facts.since or '–'}; "
        f"{count(len(facts.switches), 'switch', 'switches')} so far.",
    )


def _versions(facts: Facts) -> Section:
    if not facts.releases:
        return Section("versions", "Versions and lineage", missing="No version was trained yet.")
    rows: Sequence[tuple[Cell, ...]] = [
        cells(
            r.version,
            r.status,
            f"through {r.trained_through}" if r.trained_through else None,
            r.rows or None,
            r.reason,
            Cell(r.outcome or "–", tone=tone(r.outcome)),
            r.reasons[0] if r.reasons else None,
            Cell("evidence", href=facts.links[f"evidence/{r.version}"])
            if f"evidence/{r.version}" in facts.links
            else Cell(f"tidegate evidence {facts.model} {r.version}", code=True),
            r.digest[:12],
            r.run[:12],
        )
        for r in reversed(facts.releases)
    ]
    table = Table(
        "versions",
        ("Version", "Status", "Learned", "Rows", "Because of", "Gate", "First reason", "Evidence", "Package", "Run"),
        tuple(rows),
        tuple(r.window for r in reversed(facts.releases)),
        "Every trained version",
    )
    return Section(
        "versions",
        "Versions and lineage",
        tables=(table,),
        says="From a version to what it learned from, what was proven of it, its bytes and its run.",
    )


__all__ = ["engineering"]
