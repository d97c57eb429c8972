"""The lab's scoreboard as one HTML page that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from tidegate.report.skeleton import allowed, environment, plotly_js, template_text
from tidegate.report.words import first_upper, plain

Board = Mapping[str, Any]
OURS = "tidegate"


def render_scoreboard(board: Board) -> str:
    """The page of `scoreboard.json`; a part that is not there yet is left out, and no value is a dash.

    Parameters
    ----------
    board : mapping
        ``rules`` (see `tidegate.lab.scoreboard`), ``settings``, and, where they were measured, ``right_action`` and
        ``policies``.

    Examples
    --------
    >>> page = render_scoreboard({"settings": {"model": "<b>"}})
    >>> "&lt;b&gt;" in page, "Right action" in page
    (True, False)
    """
    rules: Mapping[str, Any] = board.get("rules") or {}
    settings: Mapping[str, Any] = board.get("settings") or {}
    right, policies = board.get("right_action") or {}, board.get("policies") or {}
    script, plotly = template_text("scoreboard.js"), plotly_js()
    return (
        environment()
        .get_template("scoreboard.html.j2")
        .render(
            model=plain(settings.get("model", "")), lead=_lead(rules), rules=_rule_rows(rules),
            faults=_fault_rows(rules), names=[str(r.get("title", n)) for n, r in rules.items()],
            settings=_settings(settings), right=_right(right), policies=_policies(policies),
            data=_charts(rules, policies), css=Markup(template_text("page.css")),  # noqa: S704 -- our own files
            script=Markup(script), plotly=Markup(plotly), allowed=allowed(plotly, script),  # noqa: S704
        )
    )  # fmt: skip


def fault_name(key: str) -> str:
    """A kind of fault as people read it.

    >>> fault_name("benign_more_rows"), fault_name("unit_change")
    ('More rows (benign)', 'Unit change')
    """
    name = key.removeprefix("benign_").replace("_", " ")
    return first_upper(name) + (" (benign)" if key.startswith("benign_") else "")


def share(value: Any) -> str:
    return "–" if value is None else f"{float(value):.2f}"


def _reach(low: Any, high: Any) -> str:
    return "" if low is None and high is None else f"{share(low)} to {share(high) if high is not None else '∞'}"


def _first(rules: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(iter(rules.values())) if rules else {}


def _lead(rules: Mapping[str, Any]) -> str:
    ours = rules.get(OURS)
    rest = [r for n, r in rules.items() if n != OURS and r.get("power") is not None]
    if not ours or ours.get("power") is None or not rest:
        return "No material fault has been tried yet."
    best = max(rest, key=lambda r: r["power"])
    difference = ours["power"] - best["power"]
    word = (
        "as much as"
        if abs(difference) < 0.005
        else f"{abs(difference):.2f} {'more' if difference > 0 else 'less'} than"
    )
    return (
        f"Of faults that cost money, Tidegate pages for {ours['power']:.0%} (mean over kinds), {word} the best rule of "
        f"the trade, {best['title']} ({best['power']:.0%}), with every threshold swept to the same rate of false "
        f"pages. Unwanted pages, as a share of the cases without material harm: {share(ours.get('unwanted_pages'))} "
        f"against {share(best.get('unwanted_pages'))}."
    )


def _rule_rows(rules: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "name": str(r.get("title", n)), "false": share(r.get("false_pages_30d")),
            "interval": _reach(*(r.get("interval") or (None, None))), "power": share(r.get("power")),
            "large": share(r.get("power_large")), "delay": share(r.get("delay_nights")),
            "unwanted": share(r.get("unwanted_pages")), "benign": share(r.get("unwanted_benign")),
            "published": f"{share((r.get('published') or {}).get('false_pages_30d'))}",
            "other": ", ".join(f"{d} days: {share(b.get('power'))}" for d, b in (r.get("by_delay") or {}).items()),
        }
        for n, r in rules.items()
    ]  # fmt: skip


def _fault_rows(rules: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a fault and size: what was material, and every rule's power (of an immaterial one its unwanted pages)."""
    out = []
    kinds: Mapping[str, Any] = _first(rules).get("by_fault") or {}
    for fault, sizes in kinds.items():
        for size, one in sizes.items():
            cells = []
            for r in rules.values():
                c = r["by_fault"][fault][size]
                told = f"{share(c['power'])} ({_reach(c['low'], c['high'])})" if c["material"] else "–"
                cells.append({"power": told, "unwanted": share(c["unwanted"])})
            out.append({"name": fault_name(fault), "size": size, "n": one["n"], "material": one["material"],
                        "harm": share(one["harm"]), "cells": cells})  # fmt: skip
    return out


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    out = []
    for part, value in settings.items():
        if isinstance(value, Mapping):
            words = [f"{k.replace('_', ' ')} {plain(v)}" for k, v in value.items()]
            out.append((first_upper(str(part).replace("_", " ")), ", ".join(words)))
        else:
            out.append((first_upper(str(part).replace("_", " ")), plain(value)))
    return out


def _right(right: Mapping[str, Any]) -> dict[str, Any] | None:
    """The confusion matrix: rows the right action, columns the chosen one."""
    table: Mapping[str, Mapping[str, Any]] = right.get("confusion") or {}
    if not right:
        return None
    columns = sorted({str(c) for row in table.values() for c in row})
    return {
        "macro": share(right.get("macro")), "low": share(right.get("low")),
        "constant": share(right.get("constant")), "best": plain(right.get("best_constant", "")),
        "n": plain(right.get("n", "")), "columns": [c.replace("_", " ") for c in columns],
        "rows": [(str(a).replace("_", " "), [(c == str(a), plain(row.get(c, 0))) for c in columns])
                 for a, row in table.items()],
    }  # fmt: skip


def _policies(policies: Mapping[str, Any]) -> list[tuple[str, str]]:
    known = {str(k): v for k, v in policies.items() if isinstance(v, Mapping) and v.get("cost") is not None}
    return [(k.replace("_", " "), f"{float(v['cost']):,.0f}") for k, v in known.items()]


def _charts(rules: Mapping[str, Any], policies: Mapping[str, Any]) -> dict[str, Any]:
    kinds = list(_first(rules).get("by_fault") or {})
    harmful = [k for k in kinds if not k.startswith("benign_")]
    names = [html.escape(str(r.get("title", n))) for n, r in rules.items()]

    def dots(keys: Sequence[str], at: str, low: str | None, high: str | None) -> list[dict[str, Any]]:
        found = []
        for r in rules.values():
            cells = [r["by_fault"][k]["large"] for k in keys]
            found.append({
                "x": [c[at] for c in cells],
                "low": [c[low] if low else None for c in cells], "high": [c[high] if high else None for c in cells],
                "text": [f"{fault_name(k)}: {share(c[at])}, {c['material']} of {c['n']} material"
                         for k, c in zip(keys, cells, strict=True)],
            })  # fmt: skip
        return found

    costs = {str(k): float(v["cost"]) for k, v in policies.items()
             if isinstance(v, Mapping) and v.get("cost") is not None}  # fmt: skip
    return {
        "rules": names,
        "power": {"kinds": [fault_name(k) for k in harmful], "traces": dots(harmful, "power", "low", "high")},
        "delay": {"kinds": [fault_name(k) for k in harmful], "traces": dots(harmful, "delay", None, None)},
        "unwanted": {"kinds": [fault_name(k) for k in kinds], "traces": dots(kinds, "unwanted", None, None)},
        "sweep": [r.get("sweep") or [] for r in rules.values()],
        "policies": {"names": [html.escape(k.replace("_", " ")) for k in costs], "cost": list(costs.values())},
    }
