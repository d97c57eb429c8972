"""How the verbs print: a table for people, or JSON."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tidegate.config.home import Home, find_home
from tidegate.errors import StoreError
from tidegate.text import printable

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


def flow_home(ctx: typer.Context) -> Home:
    """The home of a verb that runs a flow: its state can be written, or nothing starts.

    Raises
    ------
    StoreError
        If the state folder cannot be made or written.
    """
    home = home_of(ctx)
    try:
        # Prefect makes its own folder, but none above it.
        home.state.mkdir(parents=True, exist_ok=True)
        if not os.access(home.state, os.W_OK):
            raise PermissionError(errno.EACCES, "no permission to write, or a read-only file system")
    except OSError as fault:
        raise StoreError(
            f"state folder {home.state}", "a folder that can be written", fault.strerror or str(fault),
            "mend the permissions, or name another `state` in configs/tidegate.yaml",
        ) from None  # fmt: skip
    return home


def show(rows: Sequence[dict[str, Any]], as_json: bool, *, empty: str = "nothing") -> None:
    """Print rows with the same keys."""
    if as_json:
        typer.echo(json_text(list(rows)))
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
    # Nothing is cut where no screen sets a width.
    console = Console()
    (console if console.is_terminal else Console(width=400)).print(table)


def json_text(value: Any) -> str:
    """As JSON that every parser reads: what is not a finite number is null."""
    return json.dumps(_finite(value), indent=1, default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    # A cell may have several lines of ours; whatever comes from data has one.
    return "" if value is None else "\n".join(map(printable, str(value).split("\n")))
