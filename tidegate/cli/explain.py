"""The verb that says why: `explain`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.output import Json, Model, home_of, json_text, show
from tidegate.errors import UsageError
from tidegate.text import printable

if TYPE_CHECKING:
    from tidegate.steps.explain import Explained

APART = 3
"""Columns named in which a reference row differs most."""


def explain(
    ctx: typer.Context,
    model: Model,
    row: Annotated[str, typer.Option(help="Id of a row in the lake, a row as JSON, or @FILE with one.")],
    version: Annotated[int | None, typer.Option(help="By default the champion.")] = None,
    window: Annotated[str | None, typer.Option(help="Window of the row, YYYY-MM-DD: found sooner.")] = None,
    as_json: Json = False,
) -> None:
    """Why a version answers a row as it does, what would change its mind, and what came of rows like it."""
    text = _text(row)
    home = home_of(ctx)
    from tidegate.steps import explain as steps
    from tidegate.steps.stores import open_stores

    stores = open_stores(home)
    settings = stores.project.model(model)
    number, package = steps.version_of(stores, settings, version)
    asked = steps.row_of(stores, settings, package, text, window)
    found = steps.explain(stores, settings, number, package, asked)
    if as_json:
        typer.echo(json_text(asdict(found)))
        return
    _tell(found)


def _text(row: str) -> str:
    """What was typed, or what the named file holds."""
    if not row.startswith("@"):
        return row.strip()
    try:
        return Path(row[1:]).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as fault:
        found = (fault.strerror if isinstance(fault, OSError) else None) or str(fault)
        raise UsageError(f"--row {row}", "a file with a row as JSON", found, "correct the path") from None


def _tell(found: Explained) -> None:
    from tidegate.explain.evidence import ADDITIVE

    which = f"row {found.row_id} of {found.window}" if found.row_id else "the row given"
    typer.echo(printable(f"{found.model} version {found.version}, {which}"))
    typer.echo(printable(_answer(found)))
    typer.echo(f"\nFrom the average of {found.background} reference rows, {found.base:.4f}, to this row's score:")
    columns = [
        {"column": c["column"], "value": _cell(c["value"]), "contribution": f"{c['contribution']:+.4f}",
         "±": f"{c['spread']:.4f}", "cumulative": f"{c['cumulative']:.4f}"}
        for c in found.contributions
    ]  # fmt: skip
    show(columns, False)
    if not found.error <= ADDITIVE:
        why = "the model does not answer a row alone as it does among others"
        typer.echo(f"These do not add up to the score (off by {found.error:.2g}): {why}.")
    _tell_flips(found)
    typer.echo(f"\nNearest of {found.reference:,} reference rows, which the version had not seen when it scored them:")
    show([_near(n) for n in found.neighbours], False, empty="none")


def _answer(found: Explained) -> str:
    if not isinstance(found.answer, float) or found.threshold is not None:
        limit = "" if found.threshold is None else f", threshold {found.threshold:.4f}"
        return f"answers {found.answer} (score {found.score:.4f}{limit})"
    return f"answers {found.score:.4f}"


def _tell_flips(found: Explained) -> None:
    if not found.counterfactuals:
        return
    typer.echo("\nWhat would have changed the answer, each tried on the model:")
    for c in found.counterfactuals:
        if not c["flipped"]:
            typer.echo("nothing that was found: no feasible change of up to three columns flipped it within the tries")
            continue
        changes = " and ".join(f"{d['column']} had been {_cell(d['to'])} instead of {_cell(d['from'])}"
                               for d in c["changes"])  # fmt: skip
        typer.echo(printable(f"- would have been {c['other']} (score {c['after']:.4f}) if {changes}"))


def _near(row: dict[str, Any]) -> dict[str, Any]:
    apart = [f"{c} {_cell(row['row'][c])}" if c in row["row"] else f"{c} (private)" for c in list(row["apart"])[:APART]]
    scores = row["score"] if isinstance(row["score"], list) else [row["score"]]
    return {
        "distance": row["distance"], "window": row["window"], "row": row["row_id"], "came true": _cell(row["label"]),
        "score": " ".join(f"{s:.4f}" for s in scores), "differs most in": ", ".join(apart),
    }  # fmt: skip


def _cell(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def add_to(app: typer.Typer) -> None:
    app.command()(explain)
