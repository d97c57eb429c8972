"""A dashboard as one HTML file that needs nothing else; the same file is served and mailed around."""

from __future__ import annotations

import html
from typing import Any

from markupsafe import Markup

from tidegate.report.board import Board, Chart
from tidegate.report.skeleton import allowed, environment, plotly_js, template_text
from tidegate.report.words import day_name


def render_board(board: Board) -> str:
    """The page of a board.

    It asks nothing of the network: plotly.js, styles and data are inside, and a content security policy lets no other
    script run. Everything from data is escaped, and no cell begins as a spreadsheet formula.

    Returns
    -------
    str
        HTML, about 4.7 MB, nearly all of it plotly.js.

    Examples
    --------
    >>> page = render_board(Board("<b>", "engineering", "2026-01-01", ()))
    >>> "&lt;b&gt;" in page, "<b>" in page.split("<script")[0]
    (True, False)
    """
    charts = [
        {"id": f"{i}-{s.id}", **_chart(s.chart)}
        for i, m in enumerate(board.models)
        for s in m.sections
        if s.chart is not None
    ]
    days = sorted({d for m in board.models for s in m.sections if s.chart for d in s.chart.days})
    script, plotly = template_text("board.js"), plotly_js()
    return (
        environment()
        .get_template("board.html.j2")
        .render(
            board=board,
            days=days,
            data={"charts": charts},
            css=Markup(template_text("page.css") + template_text("board.css")),  # noqa: S704 -- our own files
            script=Markup(script),  # noqa: S704
            plotly=Markup(plotly),  # noqa: S704
            allowed=allowed(plotly, script),
            day_name=day_name,
        )
    )


def _chart(chart: Chart) -> dict[str, Any]:
    """What the page's script draws; texts that plotly reads as markup are escaped."""
    return {
        "kind": chart.kind,
        "days": chart.days,
        "unit": html.escape(chart.unit),
        "lines": [
            {"name": html.escape(x.name), "y": x.y, "style": x.style, "low": x.low, "high": x.high} for x in chart.lines
        ],
        "subjects": [html.escape(s) for s in chart.subjects],
        "z": [[None if v is None else round(v, 3) for v in row] for row in chart.z],
        "marks": [(day, html.escape(word)) for day, word in chart.marks],
    }


__all__ = ["render_board"]
