"""Verbs that show what was served: `inference`, `served`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tidegate.cli.output import Json, Model, home_of, json_text, show
from tidegate.errors import UsageError


def inference(
    ctx: typer.Context,
    inference_id: Annotated[str, typer.Argument(metavar="ID", help="Id that came with an answer.")],
    model: Annotated[str | None, typer.Option(help="Model that answered; else all are asked.")] = None,
    as_json: Json = False,
) -> None:
    """Everything known of one inference: what was asked, what was answered by what, what came true."""
    from tidegate.steps.lookup import lookup
    from tidegate.steps.stores import open_stores

    found = lookup(open_stores(home_of(ctx)), inference_id, model)
    if found is None:
        do = "wait for the next night if it was just served; what is not in the sample is not logged"
        raise UsageError(f"inference {inference_id}", "one that a night has collected", "none of that id", do)
    if as_json:
        typer.echo(json_text(found))
        return
    inputs, segments, labels = found.pop("inputs"), found.pop("segments"), found.pop("labels")
    show([{"of the inference": k, "is": v} for k, v in found.items() if v not in (None, "")], False)
    show([{"input as logged": k, "is": _said(v)} for k, v in inputs.items()], False, empty="no inputs were kept")
    show([{"segment": k, "is": v} for k, v in segments.items()], False, empty="no segments")
    show([{**r, "known_at": r["known_at"].isoformat(timespec="seconds")} for r in labels], False, empty="no label yet")


def _said(value: Any) -> Any:
    return "missing" if value is None else value


def served(
    ctx: typer.Context,
    model: Model,
    window: Annotated[str | None, typer.Option(help="Only this date.")] = None,
    as_json: Json = False,
) -> None:
    """What a model served by day: rows, versions, refused and dropped requests, labels that have come."""
    from tidegate.steps.lookup import served_by_day
    from tidegate.steps.stores import open_stores

    stores = open_stores(home_of(ctx))
    settings = stores.project.model(model)
    day = window and stores.project.calendar(stores.project.dataset(settings.dataset)).window(window).id
    rows = served_by_day(stores, settings, day)
    if not as_json:
        rows = [{**r, "versions": ", ".join(map(str, r["versions"]))} for r in rows]
    show(rows, as_json, empty="nothing was served, or no night has collected it yet")


def add_to(app: typer.Typer) -> None:
    for verb in (inference, served):
        app.command()(verb)
