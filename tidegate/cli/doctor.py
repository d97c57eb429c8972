"""`tidegate doctor`: what is wrong here, and how to mend each."""

from __future__ import annotations

from dataclasses import asdict

import typer

from tidegate.cli.output import Json, home_of, json_text
from tidegate.config.home import Home, find_home
from tidegate.errors import ConfigError
from tidegate.text import printable


def doctor(ctx: typer.Context, as_json: Json = False) -> None:
    """Check machine, home and state; each line that is not ok says how to mend it. Exits with 3 if one fails."""
    from tidegate.clock import now
    from tidegate.steps.doctor import examine

    found = examine(_home(ctx), now())
    if as_json:
        typer.echo(json_text([asdict(c) for c in found]))
    else:
        for one in found:
            typer.echo(printable(f"{one.found:<5} {one.name:<16} {one.words}"))
            if one.mend:
                typer.echo(printable(f"{'':<22} mend: {one.mend}"))
    if any(c.found == "fail" for c in found):
        raise typer.Exit(3)


def _home(ctx: typer.Context) -> Home:
    """The home, also if its configuration is what is wrong."""
    try:
        return home_of(ctx)
    except ConfigError:
        return Home.at(find_home(ctx.obj))


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(doctor)
