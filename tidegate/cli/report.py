"""`tidegate report`: one window against the champion's reference, as a page."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.output import Json, Model, flow_home
from tidegate.cli.run import day


def report(
    ctx: typer.Context,
    model: Model,
    window: Annotated[str, typer.Argument(help="Date, YYYY-MM-DD.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File of the page; by default below the state's reports folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw a window against the champion's reference with Evidently."""
    home = flow_home(ctx)
    asked = day(window, "date")
    from flows.drift_report import drift_report as flow
    from flows.parameters import ModelNight

    drawn = flow(ModelNight(home=str(home.root), model=model, window=asked), out and out.absolute())
    if as_json:
        typer.echo(json.dumps(asdict(drawn), default=str))
        return
    typer.echo(f"{model} {drawn.window}: {len(drawn.drifted)} of {len(drawn.compared)} comparisons above their limit")
    for name in drawn.drifted:
        typer.echo(f"  {name}")
    for name, why in drawn.left_out.items():
        typer.echo(f"  not compared: {name} ({why})")
    typer.echo(f"page: {drawn.path}")


def add_to(app: typer.Typer) -> None:
    app.command()(report)
