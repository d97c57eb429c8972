"""The replay report: one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from tidegate.report.charts import alt_text, chart_data, style_of
from tidegate.report.decided import decision_rows
from tidegate.report.gains import FLOOR, OURS, measures_of, policies_of, policy_name
from tidegate.report.headline import bars, headline, told
from tidegate.report.skeleton import allowed, environment, plotly_js, template_text
from tidegate.report.tables import attempts_of, month_rows, policy_rows, told_of, window_rows
from tidegate.report.words import (
    duration,
    first_upper,
    metric_name,
    number,
    percent,
    plain,
    span_name,
)


def render_replay(summary: Mapping[str, Any]) -> str:
    """The page for a summary as `summarise` returns it.

    It asks nothing of the network: plotly.js, styles and data are inside, and a content
    security policy lets no other script run. Everything from outside is escaped, and no cell
    begins as a spreadsheet formula. Values that are missing, None or NaN are shown as a dash.

    Parameters
    ----------
    summary : mapping
        As `summary.json` holds it. Two keys are optional: ``primary`` names the primary metric
        (else the first one), ``kpi_unit`` is the unit of the KPI, for people.

    Returns
    -------
    str
        HTML, about 4.6 MB, nearly all of it plotly.js. The same summary gives the same bytes.

    Examples
    --------
    >>> page = render_replay({"model": "<b>", "policies": {"never": {"retrains": 0}}, "months": {}})
    >>> "<h1>&lt;b&gt;" in page
    True
    """
    measures, policies = measures_of(summary), policies_of(summary)
    shown = [m for m in measures if not m.says_nothing]
    windows = window_rows(summary)
    data = chart_data(summary, measures)
    script, plotly = template_text("page.js"), plotly_js()
    return (
        environment()
        .get_template("replay.html.j2")
        .render(
            model=plain(summary.get("model", "")),
            span=span_name(summary.get("from", "?"), summary.get("to", "?")),
            head=headline(summary),
            bars=bars(summary),
            facts=_facts(summary),
            policies=[
                {
                    "name": policy_name(p),
                    "style": style_of(p),
                    "attempts": attempts_of(summary, p),
                    "told": told_of(summary, p),
                }
                for p in policies
            ],
            thresholds={"drift", "performance"} & set(policies),
            priced=bool(summary.get("segments")),
            has_floor=FLOOR in policies and len(policies) > 1,
            primary=next((m.key for m in shown if m.key != "kpi"), None),
            choices=[(m.key, first_upper(metric_name(m.key))) for m in shown if m.key != "kpi"],
            kpi=next((m for m in told(measures) if m.key == "kpi"), None),
            kpi_unit=plain(summary.get("kpi_unit") or ""),
            alts={m.key: alt_text(m, policies) for m in shown},
            by_month=[(m.key, first_upper(metric_name(m.key)), month_rows(m, policies)) for m in shown],
            rows=policy_rows(summary, measures),
            decided=[(policy_name(p), decision_rows((summary.get("decisions") or {}).get(p) or ())) for p in policies],
            windows=windows,
            injected=sum(bool(w.injected) for w in windows),
            caught=sum(bool(w.injected) and w.blocked for w in windows),
            natural=sum(not w.injected for w in windows),
            quarantined=number(float(summary.get("quarantined_rows") or 0)),
            data=data,
            ours_promoted=any(policies[a["lane"]] == OURS and a["outcome"] == "promoted" for a in data["attempts"]),
            css=Markup(template_text("page.css")),  # noqa: S704 -- our own file
            script=Markup(script),  # noqa: S704
            plotly=Markup(plotly),  # noqa: S704
            allowed=allowed(plotly, script),
        )
    )


def _facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    coverage = [v for v in (summary.get("coverage") or {}).values() if isinstance(v, int | float)]
    low, high = (percent(min(coverage)), percent(max(coverage))) if coverage else ("–", "–")
    windows = window_rows(summary)
    return [
        ("Nights replayed", number(float(summary.get("windows") or 0))),
        ("Rows compared", number(float(summary.get("rows") or 0))),
        ("Label coverage", low if low == high else f"{low} – {high}"),
        ("Blocked windows", number(sum(w.blocked for w in windows))),
        ("Quarantined rows", number(float(summary.get("quarantined_rows") or 0))),
        ("Time taken", duration(float(summary["wall_s"])) if summary.get("wall_s") is not None else "–"),
    ]
