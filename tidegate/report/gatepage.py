"""The evidence page of a gate: one HTML page that needs nothing else, made from `gate.json` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from markupsafe import Markup

from tidegate.report.gatecharts import chart_data
from tidegate.report.gatesections import (
    counterfactual_words,
    importance_bars,
    plain_tables,
    row_tests,
    sections,
)
from tidegate.report.gatetables import behind, levels, lineage, nights, other
from tidegate.report.gatewords import OUTCOMES, chance, figure, head
from tidegate.report.skeleton import allowed, environment, plotly_js, template_text
from tidegate.report.words import (
    count,
    day_name,
    first_upper,
    metric_name,
    plain,
)

FIGURES: Final = {
    "roc": ("ROC", "averaged over blocks; its area is the ROC AUC that is judged"),
    "pr": ("Precision and recall", "averaged over blocks"),
    "reliability": ("Reliability", "95 % block intervals; grey: where a perfect model's rates lie"),
}


def gate_page(document: Mapping[str, Any]) -> str:
    """The page for a document as `tidegate.gate.evidence.document` makes it.

    It asks nothing of the network: plotly.js, styles and data are inside, and a content security policy lets no
    other script run. Everything that came from data or configuration is escaped, and no cell begins as a
    spreadsheet formula. The numbers of every chart are in a table too, so the page reads without scripts.

    Returns
    -------
    str
        HTML, about 4.7 MB, nearly all of it plotly.js. The same document gives the same bytes.
    """
    model, rows = document["model"], document["rows"]
    shown = document["shown"]
    curves = shown.get("curves") or {"absent": {"all": "no curves were made"}}
    against = document["against"]
    names = {
        "ours": f"version {document['version']}",
        "theirs": "baseline" if against is None else f"version {against}",
    }
    data = chart_data(curves, names)
    explained = shown.get("explanations") or {}
    script, plotly = template_text("gate.js"), plotly_js()
    fairness = next((c for c in document["checks"] if c["name"] == "fairness"), None)
    offer = (fairness["extra"].get("offer") if fairness else None) or shown.get("offer")
    return (
        environment()
        .get_template("gate.html.j2")
        .render(
            model=plain(model["name"]),
            version=document["version"],
            day=day_name(document["window"]),
            head=head(document),
            outcomes=OUTCOMES,
            names=names,
            look=f"look {document['look']} of {document['looks']}",
            facts=_facts(document),
            budget=_budget(document["error"]),
            sections=sections(document, names),
            offer=_offer(offer),
            views=[v["name"] for v in data["views"]],
            figures=_figures(data, names),
            absent={
                plain(k): plain(v)
                for k, v in (curves.get("absent") or {}).items()
                if k not in ("segments", "protected")
            },
            behind=behind(curves, names),
            levels=levels(curves, names),
            permutation=importance_bars(explained.get("permutation") or (), "mean"),
            shap=importance_bars(explained.get("shap") or (), "mean_abs"),
            additivity=f"{explained['additivity']:.1e}" if explained.get("additivity") is not None else "",
            counterfactuals=[counterfactual_words(c) for c in explained.get("counterfactuals") or ()],
            other_explanations=other(explained),
            row_tests=row_tests(document),
            lineage=lineage(document),
            nights=nights(document["lineage"]),
            settings=plain_tables("Settings of the gate", model["gate"]),
            block=count(rows["block_nights"], "night"),
            format=plain(document["format"]),
            made=plain(document["at"]),
            data=data,
            css=Markup(template_text("page.css") + template_text("gate.css")),  # noqa: S704 -- our own files
            script=Markup(script),  # noqa: S704
            plotly=Markup(plotly),  # noqa: S704
            allowed=allowed(plotly, script),
        )
    )


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    rows, error = document["rows"], document["error"]
    effect = rows["design_effect"]
    return [
        ("Rows judged", f"{rows['n']:,}", ""),
        ("Count as independent", figure(rows["n_eff"], 0), f"design effect {figure(effect, 1)}" if effect else ""),
        ("Blocks", f"{rows['blocks']:,}", f"of {count(rows['block_nights'], 'night')}"),
        ("Error of this look", chance(error["this_look"]), "chance to pass one no better"),
        ("Left of this year", chance(error["left"]), f"of {chance(error['year'])}"),
    ]


def _budget(error: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The year's error as parts of a bar, in per cent."""
    year = error["year"]
    if not year or error["spent"] is None or error["this_look"] is None:
        return None
    parts = [("spent before", error["spent"]), ("this look", error["this_look"])]
    parts.append(("left", max(0.0, year - error["spent"] - error["this_look"])))
    out, left = [], 0.0
    for name, share in parts:
        width = round(min(100 * share / year, 100 - left), 2)
        out.append({"name": name, "text": chance(share), "left": round(left, 2), "width": width})
        left += width
    return out


def _figures(data: Mapping[str, Any], names: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Id, name, note and alternative text of each chart."""
    first = data["views"][0]["charts"] if data["views"] else {}
    scores = {
        f"scores-{s}": (f"Scores of {n}", "filled: rows of the class; line: all others") for s, n in names.items()
    }
    out = [(key, *(FIGURES | scores)[key], plain(chart["alt"])) for key, chart in first.items()]
    for key, chart in data["fixed"].items():
        name = key.removeprefix("blocks-")
        if name == key:
            out.append((key, "Predicted and actual", "by tenth of the prediction, 95 % block intervals", chart["alt"]))
        else:
            what = first_upper(metric_name(name))
            out.append((key, f"{what} by block of nights", "how much nights differ", chart["alt"]))
    return out


def _offer(offer: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The offered mitigation: a sentence, tables, a caution; or why none is offered."""
    if not offer:
        return None
    said = {"why": plain(offer.get("why") or ""), "caution": plain(offer.get("caution") or ""), "tables": []}
    if not offer.get("offered", True):
        return said | {"offered": False}
    words = [f"Thresholds by {plain(offer['column'])}" if offer.get("column") else "Thresholds by group"]
    words.append("would be a candidate of its own, and must pass this gate like any other.")
    if (after := offer.get("verdict")) in OUTCOMES:
        words.append(f"With them the check would read: {OUTCOMES[after]}.")
    price = offer.get("price")
    if isinstance(price, Mapping) and price.get("a_row") is not None:
        bounds = [price.get(k) for k in ("lower", "upper")]
        between = f" ({figure(bounds[0], 4)} to {figure(bounds[1], 4)})" if None not in bounds else ""
        words.append(f"Price: {figure(price['a_row'], 4)} {plain(price.get('unit', ''))}{between}; positive is a cost.")
    left = {k: v for k, v in offer.items() if k in ("by", "gaps", "groups", "price", "reasons")}
    titles = {"by": "Threshold by group", "gaps": "Gaps before and after", "groups": "What it does to each group"}
    tables = [t for k, v in left.items() for t in plain_tables(titles.get(k, k), v)]
    return said | {"offered": True, "words": " ".join(words), "tables": tables}
