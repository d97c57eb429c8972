"""The tables of a gate's evidence page that stand behind its charts, and its lineage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tidegate.report.gatesections import Table, plain_tables
from tidegate.report.gatewords import figure
from tidegate.report.words import (
    as_day,
    count,
    day_name,
    duration,
    first_upper,
    metric_name,
    number,
    percent,
    plain,
    short_day,
    span_name,
)

PARTS: Final = ((0.05, "5 %"), (0.1, "10 %"), (0.2, "20 %"), (0.3, "30 %"), (0.5, "50 %"))
"""False positive rates at which the table tells the ROC curves."""


def behind(curves: Mapping[str, Any], names: Mapping[str, str]) -> list[Table]:
    """The numbers behind the charts."""
    out = []
    for of in curves.get("classes") or ():
        cls = plain(of["name"])
        roc = {s: of[s]["roc"] for s in names}
        if all(roc.values()):
            rows = [
                (text, *(number(roc[s]["tpr"][round(at * (len(roc[s]["tpr"]) - 1))], 3) for s in names))
                for at, text in PARTS
            ]
            rows.append(("Area", *(number(roc[s]["area"], 4) for s in names)))
            header = ("False positive rate", *(f"True positive rate, {names[s]}" for s in names))
            out.append(Table(f"ROC, {cls}", header, tuple(rows)))
        for side in names:
            bins = of[side]["reliability"]["bins"]
            bins_made = tuple(
                (number(b["score"], 3), number(b["rate"], 3), f"{figure(b['lower'], 3)} to {figure(b['upper'], 3)}",
                 f"{figure(b['null_lower'], 3)} to {figure(b['null_upper'], 3)}", f"{b['rows']:,}")
                for b in bins
            )  # fmt: skip
            if bins_made:
                header = ("Mean score", "Came true", "Interval", "Perfect model", "Rows")
                out.append(Table(f"Reliability of {names[side]}, {cls}", header, bins_made))
    for side, tenths in (curves.get("deciles") or {}).items():
        by_tenth = tuple(
            (f"{d['predicted']:.4g}", f"{d['actual']:.4g}", f"{figure(d['lower'], 3)} to {figure(d['upper'], 3)}",
             f"{d['rows']:,}")
            for d in tenths
        )  # fmt: skip
        out.append(
            Table(f"By tenth of {names[side]}'s prediction", ("Predicted", "Actual", "Interval", "Rows"), by_tenth)
        )
    if curves.get("residuals"):
        found = curves["residuals"]
        errors = tuple((_quantile(q), *(figure(found[s][q], 3) for s in names)) for q in found["ours"])
        out.append(Table("Prediction − actual", ("Quantile", *(first_upper(n) for n in names.values())), errors))
    blocks = curves.get("by_block") or ()
    if blocks:
        metrics = list(blocks[0]["ours"])
        header = ("Block", "Rows", *(f"{first_upper(metric_name(m))}, {names[s]}" for m in metrics for s in names))
        by_block = tuple(
            (_span(b), f"{b['n']:,}", *(figure(b[s][m], 4) for m in metrics for s in names)) for b in blocks
        )
        out.append(Table("By block of nights", header, by_block))
    return out


def levels(curves: Mapping[str, Any], names: Mapping[str, str]) -> Table | None:
    """Each metric of both sides with its interval."""
    levels = curves.get("levels") or {}
    if not levels:
        return None

    def cell(e: Mapping[str, Any]) -> str:
        bounds = "" if e["lower"] is None else f" ({figure(e['lower'], 4)} to {figure(e['upper'], 4)})"
        return f"{figure(e['value'], 4)}{bounds}"

    made = tuple((first_upper(metric_name(m)), *(cell(found[s]) for s in names)) for m, found in levels.items())
    return Table("Both sides, with 95 % block intervals", ("Metric", *(first_upper(n) for n in names.values())), made)


def other(explained: Mapping[str, Any]) -> list[Table]:
    """What was explained beyond what the page has a place for, such as why a part is missing."""
    known = ("permutation", "shap", "additivity", "counterfactuals")
    rest = {k: v for k, v in explained.items() if k not in known}
    return plain_tables("How it was explained", rest) if rest else []


def _quantile(name: str) -> str:
    return "Mean" if name == "mean" else percent(float(name))


def _span(block: Mapping[str, Any]) -> str:
    first, last = as_day(block["first"]), as_day(block["last"])
    if not first or not last:
        return plain(f"{block['first']} – {block['last']}")
    return short_day(first) if first == last else f"{first.day} {first:%b} – {short_day(last)}"


def lineage(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the candidate was made from; digests in full."""
    of = document["lineage"]
    trained, config, user, code = of["trained"], of["config"], of["user"], of["code"]
    seconds = document["seconds"]
    took = {k: float(v) for k, v in seconds.items() if v is not None}
    spent = ", ".join(f"{k.replace('_', ' ')} {number(v, 1)} s" for k, v in took.items())
    said = [
        ("Package", of["package"]),
        ("Trained on", f"{span_name(trained['first'], trained['last'])}, {count(trained['nights'], 'night')}"
         if trained else None),
        ("As known on", day_name(of["as_of"]) if of["as_of"] else None),
        ("Rows trained on", f"{of['rows']:,}" if of["rows"] is not None else None),
        ("Decision threshold", f"{of['threshold']:.6g}" if of["threshold"] is not None else None),
        ("Estimator", user.get("build")),
        ("Features function", user.get("features")),
        ("Digest of the user's code", user.get("digest")),
        ("Parameters", ", ".join(f"{k} = {v}" for k, v in (of["params"] or {}).items()) or None),
        ("Seed", of["seed"]),
        ("Digest of the model file", config.get("model")),
        ("Digest of the dataset file", config.get("dataset")),
        ("Tidegate", code.get("tidegate")),
        ("Code revision", code.get("revision")),
        ("Libraries", ", ".join(of["libraries"]) or None),
        ("Digest of the lock file", of["lock"]),
        ("Time taken", f"{duration(sum(took.values()))}: {spent}" if took else None),
    ]  # fmt: skip
    return [(k, plain(v)) for k, v in said if v is not None]


def nights(lineage: Mapping[str, Any]) -> Table | None:
    """The digests of every night trained on."""
    batches, labels = lineage["batches"], lineage["labels"]
    if not batches:
        return None
    rows = tuple((day_name(n), plain(d)[:16], plain(labels.get(n) or "–")[:16]) for n, d in batches.items())
    return Table("Nights trained on, with the first 16 digits of their digests", ("Night", "Rows", "Labels"), rows)
