"""`tidegate report`: one window against the champion's reference, as a page."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.output import Json, Model, flow_home
from tidegate.cli.run import day
from tidegate.errors import StoreError


def report(
    ctx: typer.Context,
    model: Model,
    window: Annotated[str, typer.Argument(help="Date, YYYY-MM-DD.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Put the page here, too.")] = None,
    as_json: Json = False,
) -> None:
    """Draw a window against the champion's reference with Evidently."""
    home = flow_home(ctx)
    asked = day(window, "date")
    from flows.drift_report import drift_report as flow
    from flows.parameters import ModelNight

    drawn = flow(ModelNight(home=str(home.root), model=model, window=asked))
    if out is not None:
        drawn = replace(drawn, path=_copied(drawn.path, out))
    if as_json:
        typer.echo(json.dumps(asdict(drawn), default=str))
        return
    typer.echo(f"{model} {drawn.window}: {len(drawn.drifted)} of {len(drawn.compared)} comparisons above their limit")
    for name in drawn.drifted:
        typer.echo(f"  {name}")
    for name, why in drawn.left_out.items():
        typer.echo(f"  not compared: {name} ({why})")
    typer.echo(f"page: {drawn.path}")


def _copied(page: Path, out: Path) -> Path:
    try:
        return Path(shutil.copyfile(page, out))
    except OSError as fault:
        raise StoreError(
            f"-o {out}", "a file that can be written", fault.strerror or str(fault), "name another"
        ) from None


def add_to(app: typer.Typer) -> None:
    app.command()(report)
