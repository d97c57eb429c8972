"""Servability: what a fresh process made of a package, judged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.config.gating import Servability
from tidegate.gate.line import Check, Line, verdict_of
from tidegate.verdicts import Outcome

EXACT = 1e-9
"""Largest difference of a score from the training process's, in the score's unit, above 1 as a part of it."""
EDGES = {
    "empty": "an empty batch",
    "order": "rows alone and in reverse",
    "nulls": "missing values",
    "unseen": "categories",
    "extremes": "the contract's bounds",
    "unbounded": "the largest numbers, of columns without bounds",
}


def servability(report: Mapping[str, Any], settings: Servability, more: Sequence[Line] = ()) -> Check:
    """The check of a fresh process's report (`tidegate.adapters.freshload.fresh`).

    Parameters
    ----------
    report : mapping
        Plain values; what is missing, or is no number, fails, since then the process did not do what was asked.
        An empty report fails.
    more : sequence of Line
        What belongs to the check and was measured elsewhere: the digests of the training's windows.

    Returns
    -------
    Check
        Roles ``servability`` and ``digests``; ``extra`` has seconds, milliseconds, mebibytes and versions.

    Examples
    --------
    >>> check = servability({"crashed": "ended by SIGSEGV"}, Servability())
    >>> check.verdict.outcome, check.lines[-1].reason
    ('fail', 'fresh process: ended by SIGSEGV')
    """
    lines = [_digest(report)] if report.get("digest") else []
    stopped = report.get("refused") or report.get("crashed")
    if stopped or "probe" not in report:
        reason = f"fresh process: {stopped or 'it answered nothing'}"
        lines.append(Line("loads", "servability", "fail", 1.0, 0.0, reason))
    else:
        seconds = _number(report.get("load_seconds"))
        lines.append(Line("loads", "servability", "pass", 0.0, 0.0, f"loads in a fresh process in {seconds:.1f} s"))
        lines += [_same("probe", "rows of the training", report.get("probe"))]
        lines += [_same("replay", "recent rows", report.get("recent"))]
        lines += _edges(report.get("edges"))
        lines += _resources(report, settings)
    if not stopped or report.get("found"):
        lines.append(_libraries(report.get("found")))
    lines += more
    keys = ("load_seconds", "batch_seconds", "p50_ms", "p95_ms", "p99_ms", "memory_mib", "found")
    extra = {k: report[k] for k in keys if k in report}
    n = max((line.n for line in lines if line.name in ("probe", "replay")), default=0)
    return Check("servability", verdict_of(lines), tuple(lines), n=n, extra=extra)


def _digest(report: Mapping[str, Any]) -> Line:
    wanted, found = str(report.get("expected_digest")), str(report["digest"])
    if wanted == found:
        return Line("package", "digests", "pass", 0.0, 0.0, f"package: its digest is {found[:12]}, as recorded")
    reason = f"package: digest {wanted[:12]} recorded, {found[:12]} in the registry: its files were changed"
    return Line("package", "digests", "fail", 1.0, 0.0, reason)


def _same(name: str, what: str, told: Any) -> Line:
    if told is None and name == "replay":
        return Line(name, "servability", "inconclusive", math.nan, EXACT, "replay: there are no recent rows to score")
    told = told if isinstance(told, Mapping) else {}
    n, apart = _whole(told.get("rows")), _number(told.get("difference"))
    if not n or not apart <= EXACT:
        found = told.get("fault") or (f"scores differ by up to {apart:.3g}" if n else "no rows were scored")
        return Line(name, "servability", "fail", apart, EXACT, f"{name}: {found}, on {n} {what}", n=n)
    reason = f"{name}: {n} {what} score as in the training process, {apart:.1g} apart at most"
    return Line(name, "servability", "pass", apart, EXACT, reason, n=n)


def _edges(told: Any) -> list[Line]:
    """A line a kind of edge; a kind that no column has is not told, the empty batch always is."""
    edges = [e for e in told if isinstance(e, Mapping)] if isinstance(told, list) else []
    lines = []
    for kind, words in EDGES.items():
        mine = [e for e in edges if e.get("kind") == kind]
        wrong = [(e.get("name"), _wrong(e)) for e in mine if _wrong(e)]
        name = f"edge rows: {words}"
        if wrong:
            reason = f"{name}: {wrong[0][0]}: {wrong[0][1]}"
            reason += f"; and {len(wrong) - 1} more of {len(mine)}" if len(wrong) > 1 else ""
            reason += "; declare min and max in the dataset" if kind == "unbounded" else ""
            lines.append(Line(name, "servability", "fail", len(wrong), 0.0, reason, n=len(mine)))
        elif mine:
            reason = f"{name}: {len(mine)} of {len(mine)} kinds of rows are scored"
            lines.append(Line(name, "servability", "pass", 0.0, 0.0, reason, n=len(mine)))
        elif kind in ("empty", "order"):
            lines.append(Line(name, "servability", "fail", 1.0, 0.0, f"{name}: not answered"))
    return lines


def _wrong(edge: Mapping[str, Any]) -> str | None:
    if edge.get("fault"):
        return str(edge["fault"])
    if "difference" in edge and not _number(edge["difference"]) <= EXACT:
        return f"scores differ by {_number(edge['difference']):.3g} from those of the same rows in company"
    return None


def _resources(report: Mapping[str, Any], settings: Servability) -> list[Line]:
    if report.get("speed_fault"):
        return [Line("speed", "servability", "fail", math.nan, math.nan, f"speed: {report['speed_fault']}")]
    singles = _whole(report.get("singles"))
    lines = [_same("alone", "rows scored one by one", {"rows": singles, "difference": report.get("alone")})]
    for name, key, limit, unit, n, what in (
        ("latency", "p95_ms", settings.max_latency, "ms", singles, "for one row, 95 of 100 times"),
        ("batch", "batch_seconds", settings.max_batch, "s", 10_000, "for 10,000 rows"),
        ("memory", "memory_mib", float(settings.max_memory), "MiB", 0, "added by loading and scoring"),
    ):
        value = _number(report.get(key))
        outcome: Outcome = "pass" if value <= limit else "fail"
        told = f"{value:.3g} {unit}" if not math.isnan(value) else "not measured"
        reason = f"{name}: {told} {what}, limit {limit:g} {unit}"
        lines.append(Line(name, "servability", outcome, value, limit, reason, n=n))
    return lines


def _libraries(found: Any) -> Line:
    known = {str(k): v for k, v in found.items()} if isinstance(found, Mapping) else {}
    others = [f"{k} {v[0]} recorded, {v[1] or 'none'} found" for k, v in sorted(known.items()) if v[0] != v[1]]
    if not known:
        return Line("libraries", "servability", "fail", math.nan, 0.0, "libraries: no versions are recorded", n=0)
    if others:
        reason = f"libraries: {'; '.join(others)}: install what the package was made with, or train it anew"
        return Line("libraries", "servability", "fail", len(others), 0.0, reason, n=len(known))
    return Line("libraries", "servability", "pass", 0.0, 0.0, f"libraries: {len(known)} of {len(known)} as recorded",
                n=len(known))  # fmt: skip


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
