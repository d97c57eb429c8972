"""The model card of a version, from the evidence of its gate alone.

Its parts are those of Mitchell et al., Model Cards for Model Reporting, 2019: details, intended use, factors,
metrics, evaluation and training data, quantitative analyses, ethical considerations, caveats. What nobody declared is
said to be undeclared, never made up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tidegate.report.gatesections import Table, counterfactual_words, group_table, plain_tables, stable_words
from tidegate.report.gatetables import levels, lineage
from tidegate.report.gatewords import OUTCOMES, chance, figure, head, line_name, outcome_of, own_reason, reason_words
from tidegate.report.words import count, day_name, first_upper, listed, metric_name, number, plain, span_name

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~])")
SHORT: Final = 500


def model_card(document: Mapping[str, Any], *, approval: Mapping[str, Any] | None = None) -> str:
    """The card, as Markdown.

    Parameters
    ----------
    document : mapping
        As `tidegate.gate.evidence.document` makes it.
    approval : mapping, optional
        What control holds of its approval: ``state``, and if known ``by``, ``at``, ``reason``, ``until``. Without it
        the card says what the gate alone implies.

    Returns
    -------
    str
        Markdown without raw HTML: everything that came from data or configuration is escaped.
    """
    model, said = document["model"], head(document)
    parts = [
        f"# {_md(model['name'])}, version {document['version']}",
        f"**{_md(said.verdict)}** {_md(said.lead)}",
        _part("Details", _pairs(_details(document, approval))),
        _part("Intended use", _use(document)),
        _part("Factors", _factors(document)),
        _part("Metrics", _metrics(document)),
        _part("Data", _data(document)),
        _part("Analyses", _analyses(document)),
        _part("Fairness and ethical considerations", _ethics(document)),
        _part("Limits and caveats", _limits(document)),
        _part("What it goes by", _explained(document)),
        _part("Lineage", _pairs(lineage(document))),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def short_card(document: Mapping[str, Any]) -> str:
    """The verdict and what it rests on in at most 500 characters: the description of a registered version."""
    said = head(document)
    checks = ", ".join(f"{c['name']} {OUTCOMES[outcome_of(c)]}" for c in document["checks"])
    text = _md(f"{said.verdict} {said.lead} Checks: {checks}.")
    return text if len(text) <= SHORT else text[: SHORT - 1].rstrip("\\") + "…"


def _details(document: Mapping[str, Any], approval: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    model, of = document["model"], document["lineage"]
    rows = [
        ("Owner", plain(model["owner"])),
        ("Namespace", plain(model["namespace"])),
        ("Kind", plain(model["kind"])),
        ("Estimator", plain(of["user"].get("build") or "not recorded")),
        ("Trained at", plain(of["trained_at"] or "not recorded")),
        ("Gate", f"{first_upper(OUTCOMES[head(document).outcome])}, look {document['look']} of {document['looks']}, "
                 f"{day_name(document['window'])}"),
    ]  # fmt: skip
    if approval:
        known = [f"{k} {plain(approval[k])}" for k in ("by", "at", "until", "reason") if approval.get(k)]
        rows.append(("Approval", ", ".join([plain(approval["state"]), *known])))
    elif document["verdict"]["outcome"] == "pass":
        needed = model["promotion"] != "automatic"
        rows.append(("Approval", "needed, none recorded with this evidence" if needed else "automatic"))
    else:
        rows.append(("Approval", "none: it did not pass the gate"))
    return rows


def _use(document: Mapping[str, Any]) -> str:
    model = document["model"]
    label = model["label"]
    what = {
        "binary": f"the chance that `{_code(label['column'])}` is `{_code(label['positive'])}`",
        "multiclass": f"which of {len(label['classes'] or ())} classes `{_code(label['column'])}` will be",
        "regression": f"the number `{_code(label['column'])}`",
    }[model["kind"]]
    days = label["delay"] / 86400
    late = f" Its truth is known {number(days, 0 if days == int(days) else 1)} days after the window." if days else ""
    return (
        f"Predicts {what} for rows of the dataset `{_code(model['dataset'])}`, from the features below as they are "
        f"known at the event.{late} Uses other than on such rows were not examined."
    )


def _factors(document: Mapping[str, Any]) -> str:
    model, kinds = document["model"], document["lineage"]["features"] or {}
    features = [f"{_md(f)} ({_md(kinds[f])})" if f in kinds else _md(f) for f in model["features"]]
    named = {
        "Segments examined": model["segments"],
        "Protected groups": model["protected"],
        "Features that a counterfactual must not change": model["gate"]["immutable"],
    }
    lines = [f"- {what}: {', '.join(map(_md, columns)) or 'none declared'}" for what, columns in named.items()]
    return "\n".join([f"- Features: {', '.join(features)}", *lines])


def _metrics(document: Mapping[str, Any]) -> str:
    model = document["model"]
    held = [
        f"{metric_name(x['name'])} (limit {figure(x['limit'], 4)})"
        for c in document["checks"]
        for x in c["lines"]
        if x["role"] == "guardrail"
    ]
    said = f"Judged by {metric_name(model['metric']['primary'])}; guardrails: {listed(held) if held else 'none'}. "
    kpi = [f"{k.replace('_', ' ')} {v:g}" for k, v in model["kpi"].items() if k != "unit" and v]
    said += f"KPI in {plain(model['kpi']['unit'])} a row: {', '.join(kpi)}." if kpi else "No KPI is declared."
    table = levels(document["shown"].get("curves") or {}, _names(document))
    return _join(_md(said), _table(table) if table else "No metric was computed: there were no rows to judge on.")


def _data(document: Mapping[str, Any]) -> str:
    rows, trained = document["rows"], document["lineage"]["trained"]
    lines = []
    if trained:
        span = f"{span_name(trained['first'], trained['last'])}, {count(trained['nights'], 'night')}"
        made = document["lineage"]["rows"]
        lines.append(f"- Training: {_md(span)}" + (f", {made:,} rows" if made is not None else ""))
    if rows["n"]:
        alone = "" if rows["n_eff"] is None else f", which count as about {number(rows['n_eff'])} independent ones"
        nights = f"{_md(span_name(rows['first'], rows['last']))}, " if rows["first"] else ""
        lines.append(f"- Evaluation: {nights}{rows['n']:,} rows{alone}")
    else:
        lines.append("- Evaluation: no labelled rows")
    return "\n".join(lines)


def _analyses(document: Mapping[str, Any]) -> str:
    header = ("Check", "Verdict", "Why")
    rows = tuple(
        (first_upper(plain(c["name"])), OUTCOMES[outcome_of(c)], "; ".join(map(reason_words, c["reasons"][:3])) or "–")
        for c in document["checks"]
    )
    out = [_table(Table("", header, rows))] if rows else ["No check was made."]
    for column, found in _by_column((document["shown"].get("curves") or {}).get("segments") or ()):
        table = group_table(column, found, _names(document))
        out.append(_join(f"**{_md(table.caption)}**", _table(table)))
    return _join(*out)


def _ethics(document: Mapping[str, Any]) -> str:
    if not document["model"]["protected"]:
        return "No protected groups are declared, so how alike groups are treated was not examined."
    out = []
    for check in document["checks"]:
        if check["name"] == "fairness":
            out.append(
                _md(f"Fairness {OUTCOMES[outcome_of(check)]}: {'; '.join(map(reason_words, check['reasons']))}.")
            )
            offer = check["extra"].get("offer") or document["shown"].get("offer")
            if offer and offer.get("offered", True):
                out.append(
                    "A mitigation is offered as a candidate of its own; deciding by a protected column may be unlawful."
                )
                out += [_join(f"**{_md(t.caption)}**", _table(t)) for t in plain_tables("Offer", offer)]
    for column, found in _by_column((document["shown"].get("curves") or {}).get("protected") or ()):
        table = group_table(column, found, _names(document))
        out.append(_join(f"**{_md(table.caption)}**", _table(table)))
    return _join(*out) or "Fairness was not examined."


def _limits(document: Mapping[str, Any]) -> str:
    """What was not proven, in the gate's own words."""
    lines = []
    for check in document["checks"]:
        name = _md(first_upper(check["name"]))
        if not check["asked"]:
            lines += [f"- {name}: {_md(r)}" for r in check["reasons"]]
        for x in check["lines"]:
            if x["outcome"] != "pass" and x["role"] not in ("shown", "priced"):
                what, where = line_name(x["name"])
                lines.append(f"- {name}: {_md(f'{what} ({where})' if where else what)}: {_md(own_reason(x))}")
    year = document["error"]["year"]
    if year is not None:
        lines.append(f"- In {_md(chance(year))} of years, a model that is no better than the champion may pass.")
    return "\n".join([*lines, "- How it does on nights to come is watched, not known."])


def _explained(document: Mapping[str, Any]) -> str:
    found = document["shown"].get("explanations") or {}
    permuted = [r for r in found.get("permutation") or () if r.get("mean") is not None]
    rows = tuple(
        (plain(r["name"]), figure(r["mean"], 4), f"{figure(r.get('low'), 4)} to {figure(r.get('high'), 4)}",
         stable_words(r))
        for r in sorted(permuted, key=lambda r: -r["mean"])[:15]
    )  # fmt: skip
    header = ("Feature", "Rise of the loss when shuffled", "Interval", "Stable")
    sentences = "\n".join(f"- {_md(counterfactual_words(c))}" for c in found.get("counterfactuals") or ())
    return _join(_table(Table("", header, rows)) if rows else "", sentences) or "No explanations were recorded."


def _names(document: Mapping[str, Any]) -> dict[str, str]:
    against = document["against"]
    theirs = "baseline" if against is None else f"version {against}"
    return {"ours": f"version {document['version']}", "theirs": theirs}


def _by_column(rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, Sequence[Mapping[str, Any]]]]:
    out: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        out.setdefault(str(row["column"]), []).append(row)
    return list(out.items())


def _md(text: object) -> str:
    """Text in which Markdown and HTML mean nothing.

    Examples
    --------
    >>> _md("a|b <i>"), _md("two\\nlines")
    ('a\\\\|b \\\\<i\\\\>', 'two lines')
    """
    return _MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def _code(text: object) -> str:
    return " ".join(str(text).replace("`", "'").split())


def _part(title: str, body: str) -> str:
    return f"## {title}\n\n{body}"


def _pairs(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {_md(value)}" for name, value in rows)


def _table(table: Table) -> str:
    lines = [table.header, tuple("---" for _ in table.header), *table.rows]
    cells = [[c if c == "---" else _md(c) for c in line] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _join(*parts: str) -> str:
    return "\n\n".join(p for p in parts if p)
