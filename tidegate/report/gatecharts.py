"""What the charts of a gate's evidence page draw: whiskers here, curves by the page's own script."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.report.gatewords import figure, places_of
from tidegate.report.words import as_day, first_upper, metric_name, number, percent, short_day

SIDES: Final = (("ours", 0), ("theirs", 1))
"""The sides and their line styles; the champion is dashed."""


@dataclass(frozen=True)
class Whisker:
    """Places in per cent of the width; None where there is nothing to draw.

    ``good`` is the allowed side as (from, width); ``open_low`` and ``open_high`` say that the interval has no end
    there.
    """

    dot: float
    low: float
    high: float
    limit: float | None
    zero: float | None
    good: tuple[float, float] | None
    open_low: bool
    open_high: bool
    alt: str


def whiskers(lines: Sequence[Mapping[str, Any]], wanted: Sequence[str]) -> list[Whisker | None]:
    """A whisker a line; lines of one measure share a scale, so that they can be compared.

    Parameters
    ----------
    lines : sequence of mapping
        With ``name``, ``role``, ``observed``, ``lower``, ``upper``, ``limit``; numbers may be None.
    wanted : sequence of str
        For each line "≥", "≤" or "": on which side of its limit it must lie.

    Examples
    --------
    >>> line = {"name": "roc_auc", "role": "better", "observed": 0.02, "lower": 0.01, "upper": None, "limit": 0.0}
    >>> made = whiskers([line], ["≥"])[0]
    >>> made.limit < made.low < made.dot < made.high, made.high, made.open_high
    (True, 100.0, True)
    """
    scales: dict[tuple[str, str], list[float]] = {}
    for line in lines:
        if line["observed"] is not None:
            # An interval of a tiny group must not press all others flat.
            known = [line[k] for k in ("observed", "lower", "upper", "limit") if line[k] is not None]
            scales.setdefault(_scale(line), []).extend(known)
    return [_whisker(x, w, scales.get(_scale(x), [])) for x, w in zip(lines, wanted, strict=True)]


def _scale(line: Mapping[str, Any]) -> tuple[str, str]:
    return str(line["role"]), str(line["name"]).split(" [", 1)[0]


def _whisker(line: Mapping[str, Any], wanted: str, scale: Sequence[float]) -> Whisker | None:
    observed, limit = line["observed"], line["limit"]
    alone = line["lower"] is None and line["upper"] is None
    # A dot on its own says nothing, nor does a count of 0 that has to be 0.
    if observed is None or (alone and (limit is None or observed == limit)):
        return None
    low, high = min(scale), max(scale)
    # Zero is told only where it lies near.
    if low > 0 and low < 0.6 * high:
        low = 0.0
    room = (high - low or abs(high) or 1.0) * 0.12
    low, high = low - room, high + room

    def at(value: float) -> float:
        return round(min(max(100 * (value - low) / (high - low), 0.0), 100.0), 2)

    edge = None if limit is None else at(limit)
    good = None
    if edge is not None and wanted:
        good = (edge, round(100 - edge, 2)) if wanted == "≥" else (0.0, edge)
    places = places_of(observed, line["lower"], line["upper"], limit)
    said = f"{figure(observed, places)}, from {figure(line['lower'], places)} to {figure(line['upper'], places)}"
    return Whisker(
        dot=at(observed),
        low=at(observed) if alone else 0.0 if line["lower"] is None else at(line["lower"]),
        high=at(observed) if alone else 100.0 if line["upper"] is None else at(line["upper"]),
        limit=edge,
        zero=at(0.0) if low < 0 < high and limit != 0 else None,
        good=good,
        open_low=not alone and line["lower"] is None,
        open_high=not alone and line["upper"] is None,
        alt=f"{said}; limit {figure(limit, places)}",
    )


def chart_data(curves: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Everything the page's script draws; texts that plotly reads as markup are escaped.

    Parameters
    ----------
    names : mapping
        How the sides are called: ``ours`` and ``theirs``.

    Returns
    -------
    dict
        ``views``: a name and its charts for each class drawn, ``fixed``: the charts that all share. A chart has
        ``traces``, the names of its axes, its ranges and an ``alt`` text.

    Examples
    --------
    >>> chart_data({"absent": {"all": "no rows"}}, {"ours": "a", "theirs": "b"})
    {'views': [], 'fixed': {}}
    """
    safe = {k: html.escape(v) for k, v in names.items()}
    views = []
    for of in curves.get("classes") or ():
        drawn = {"roc": _roc(of, safe), "pr": _pr(of, safe), "reliability": _reliability(of, safe)}
        for side, _ in SIDES:
            drawn[f"scores-{side}"] = _histogram(of, side, safe)
        views.append({"name": str(of["name"]), "charts": {k: v for k, v in drawn.items() if v}})
    fixed: dict[str, Any] = {}
    if curves.get("deciles"):
        fixed["deciles"] = _deciles(curves["deciles"], safe)
    for name in _metrics_by_block(curves):
        fixed[f"blocks-{name}"] = _by_block(curves["by_block"], name, safe)
    return {"views": views, "fixed": fixed}


def _metrics_by_block(curves: Mapping[str, Any]) -> list[str]:
    blocks = curves.get("by_block") or ()
    names = list(blocks[0]["ours"]) if blocks else []
    return [m for m in names if any(b[s][m] is not None for b in blocks for s, _ in SIDES)]


def _roc(of: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any] | None:
    diagonal: dict[str, Any] = {"kind": "reference", "x": [0, 1], "y": [0, 1]}
    traces: list[dict[str, Any]] = [diagonal]
    said = []
    for side, style in SIDES:
        found = of[side]["roc"]
        if not found:
            continue
        said.append(f"{names[side]} area {number(found['area'], 3)}")
        text = [
            f"<b>{names[side]}</b><br>finds {percent(t)} of the positives<br>at {percent(f)} false alarms"
            for f, t in zip(found["fpr"], found["tpr"], strict=True)
        ]
        traces.append({"kind": "line", "style": style, "x": found["fpr"], "y": found["tpr"], "text": text})
    if not said:
        return None
    alt = f"ROC curves: {', '.join(said)}. Numbers are in the table below."
    return {"traces": traces, "x": "False positive rate", "y": "True positive rate", "unit": True, "alt": alt}


def _pr(of: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any] | None:
    traces: list[dict[str, Any]] = []
    said = []
    for side, style in SIDES:
        found = of[side]["precision_recall"]
        if not found:
            continue
        said.append(f"{names[side]} average precision {number(found['area'], 3)}")
        text = [
            f"<b>{names[side]}</b><br>{percent(p)} of its warnings are right<br>when it finds {percent(r)}"
            for r, p in zip(found["recall"], found["precision"], strict=True)
        ]
        traces.append({"kind": "line", "style": style, "x": found["recall"], "y": found["precision"], "text": text})
    if not said:
        return None
    alt = f"Precision-recall curves: {', '.join(said)}. Numbers are in the table below."
    return {"traces": traces, "x": "Recall", "y": "Precision", "unit": True, "alt": alt}


def _reliability(of: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any] | None:
    traces: list[dict[str, Any]] = [{"kind": "reference", "x": [0, 1], "y": [0, 1]}]
    said = []
    for side, style in SIDES:
        bins = of[side]["reliability"]["bins"]
        if not bins:
            continue
        x = [b["score"] for b in bins]
        if side == "ours":
            band: dict[str, Any] = {"low": [b["null_lower"] for b in bins], "high": [b["null_upper"] for b in bins]}
            traces.insert(0, {"kind": "band", "x": x} | band)
        said.append(f"{names[side]} ECE {figure(of[side]['reliability']['ece'], 3)}")
        traces.append({
            "kind": "points", "style": style, "x": x, "y": [b["rate"] for b in bins],
            "low": [b["lower"] for b in bins], "high": [b["upper"] for b in bins],
            "text": [_bin(names[side], b) for b in bins],
        })  # fmt: skip
    if not said:
        return None
    alt = f"Reliability by score: {', '.join(said)}. Numbers are in the table below."
    return {"traces": traces, "x": "Mean score", "y": "Rate that came true", "unit": True, "alt": alt}


def _bin(name: str, b: Mapping[str, Any]) -> str:
    return f"<b>{name}</b><br>score {number(b['score'], 3)}<br>came true {number(b['rate'], 3)}<br>{b['rows']:,} rows"


def _histogram(of: Mapping[str, Any], side: str, names: Mapping[str, str]) -> dict[str, Any] | None:
    counts = of[side]["histogram"]
    bars = len(counts["negative"])
    middles = [(i + 0.5) / bars for i in range(bars)]
    cls, traces = html.escape(str(of["name"])), []
    for kind, style, label in (("positive", 0, f"is {cls}"), ("negative", 2, f"is not {cls}")):
        rows = sum(counts[kind])
        if rows:
            text = [f"<b>{label}</b><br>{n:,} rows, {percent(n / rows)} of them" for n in counts[kind]]
            heights = [n / rows for n in counts[kind]]
            traces.append(
                {"kind": "steps", "style": style, "x": middles, "y": heights, "text": text, "width": 1 / bars}
            )
    if not traces:
        return None
    alt = f"Scores of {names[side]}, rows by whether they are {of['name']}."
    return {"traces": traces, "x": "Score", "y": "Share of the rows of each kind", "alt": alt, "xrange": [0, 1]}


def _deciles(of: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    every = [d["predicted"] for side, _ in SIDES for d in of[side]]
    ends = [min(every, default=0.0), max(every, default=1.0)]
    traces: list[dict[str, Any]] = [{"kind": "reference", "x": ends, "y": ends}]
    for side, style in SIDES:
        traces.append({
            "kind": "points", "style": style, "x": [d["predicted"] for d in of[side]],
            "y": [d["actual"] for d in of[side]], "low": [d["lower"] for d in of[side]],
            "high": [d["upper"] for d in of[side]],
            "text": [f"<b>{names[side]}</b><br>predicted {d['predicted']:.4g}<br>actual {d['actual']:.4g}"
                     for d in of[side]],
        })  # fmt: skip
    alt = "Mean actual by tenth of the prediction. Numbers are in the table below."
    return {"traces": traces, "x": "Mean prediction", "y": "Mean actual", "alt": alt}


def _by_block(blocks: Sequence[Mapping[str, Any]], name: str, names: Mapping[str, str]) -> dict[str, Any]:
    traces = []
    for side, style in SIDES:
        values = [b[side][name] for b in blocks]
        text = [
            f"<b>{names[side]}</b>, {_block(b)}<br>{html.escape(metric_name(name))} {figure(b[side][name], 3)}"
            f"<br>{b['n']:,} rows"
            for b in blocks
        ]
        traces.append({"kind": "line", "style": style, "marks": True, "x": [b["first"] for b in blocks], "y": values,
                       "text": text})  # fmt: skip
    ahead = sum(_ahead(b, name) for b in blocks)
    what = first_upper(metric_name(name))
    alt = f"{what} by block of nights; {names['ours']} is ahead in {ahead} of {len(blocks)}."
    return {"traces": traces, "x": "", "y": what, "alt": alt, "dates": True}


def _ahead(block: Mapping[str, Any], name: str) -> bool:
    ours, theirs = block["ours"][name], block["theirs"][name]
    if ours is None or theirs is None:
        return False
    return bool(ours < theirs if name in ("log_loss", "brier", "mae", "rmse") else ours > theirs)


def _block(block: Mapping[str, Any]) -> str:
    first, last = as_day(block["first"]), as_day(block["last"])
    return f"{short_day(first)} – {short_day(last)}" if first and last else html.escape(str(block["first"]))
