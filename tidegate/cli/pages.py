"""`tidegate pages`: write the two dashboards now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tidegate.cli.output import Json, flow_home, json_text


def pages(
    ctx: typer.Context,
    show: Annotated[bool, typer.Option("--open", help="Open the engineering page in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Write the engineering and the business dashboard, each one file that needs nothing else."""
    from tidegate.clock import now
    from tidegate.steps.pages import write_pages
    from tidegate.steps.stores import open_stores

    made = write_pages(open_stores(flow_home(ctx)), now())
    if as_json:
        typer.echo(json_text({k: str(v) for k, v in asdict(made).items()}))
    else:
        typer.echo(f"engineering  {made.engineering}\nbusiness     {made.business}")
    if show:
        typer.launch(str(made.engineering))


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(pages)
