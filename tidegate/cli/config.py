"""`tidegate config explain`: every setting of a model and where it came from."""

from __future__ import annotations

import json

import typer

from tidegate.cli.output import Json, Model, home_of, show

group = typer.Typer(no_args_is_help=True, help="Look at the configuration.")


@group.command()
def explain(
    ctx: typer.Context,
    name: Model,
    dataset: bool = typer.Option(False, "--dataset", help="NAME is a dataset."),
    as_json: Json = False,
) -> None:
    """Every effective setting, and whether a file, a default or Tidegate itself set it."""
    from tidegate.config import explain as explaining
    from tidegate.config.project import load_project

    project = load_project(home_of(ctx))
    found = explaining.explain_dataset(project, name) if dataset else explaining.explain(project, name)
    show(
        [{"key": e.key, "value": e.value if as_json else json.dumps(e.value), "origin": e.origin} for e in found],
        as_json,
    )


def add_to(app: typer.Typer) -> None:
    app.add_typer(group, name="config")
