"""How the verbs print: a table for people, or JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tidegate.config.home import Home, find_home

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Model = Annotated[str, typer.Argument(help="Name of a file in configs/models.")]
Dataset = Annotated[str, typer.Argument(help="Name of a file in configs/datasets.")]
EXIT = {"pass": 0, "fail": 3, "inconclusive": 4}


def home_of(ctx: typer.Context) -> Home:
    """The home of this call; Prefect's embedded state goes below it."""
    root = find_home(ctx.obj)
    from tidegate.config.project import load_project

    home = Home.at(root)
    home = Home.at(root, load_project(home).platform.state)
    os.environ.setdefault("PREFECT_HOME", str(home.state / "prefect"))
    return home


def show(rows: Sequence[dict[str, Any]], as_json: bool, *, empty: str = "nothing") -> None:
    """Print rows with the same keys."""
    if as_json:
        typer.echo(json.dumps(list(rows), indent=1, default=str))
        return
    if not rows:
        typer.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*rows[0], box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(Text(_cell(v)) for v in row.values()))
    Console().print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "" if value is None else str(value)
