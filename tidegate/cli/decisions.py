"""`tidegate decisions`: what was decided, what it was worth, and what lost."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import typer

from tidegate.cli.output import Json, Model, home_of, json_text
from tidegate.text import printable


def decisions(
    ctx: typer.Context,
    model: Model,
    start: Annotated[str | None, typer.Option("--from", help="First date, YYYY-MM-DD.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last date.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Nights on which nothing was weighed, too.")] = False,
    as_json: Json = False,
) -> None:
    """What was decided night by night: every option with its gain, cost and chance, and why it lost."""
    from tidegate.steps.decisions import decisions as decided
    from tidegate.steps.stores import open_stores

    stores = open_stores(home_of(ctx))
    settings = stores.project.model(model)
    first, last = (_day(d, name) for d, name in ((start, "--from"), (end, "--to")))
    found = decided(stores, settings, first or "", last or "9999", every=every)
    if as_json:
        typer.echo(json_text(found))
        return
    if not found:
        typer.echo(f"nothing was weighed yet. Next: tidegate nightly {model}, or --all")
        return
    for night in found:
        for line in lines(night):
            typer.echo(printable(line))


def lines(night: dict[str, Any]) -> list[str]:
    """One night for people: the choice, then each option as it was weighed."""
    done = {True: "", False: " (recommended)"}[night["acts"] or night["action"] in ("nothing", "fix_data")]
    out = [f"{night['window']}  {night['action']}{done}: {night['reason']}"]
    weighed = {o["action"] for o in night["options"]}
    for option in night["options"]:
        if option["action"] != "nothing":
            mark = "*" if option["action"] == night["action"] else " "
            out.append(f"  {mark} {option['action']:<15}{_worth(option)}")
    return out + [f"    {name:<15}{why}" for name, why in night["losing"].items() if name not in weighed]


def _worth(o: dict[str, Any]) -> str:
    if o["net"] is None:
        return f"not estimable: {o['why']}"
    chance = "" if o["chance"] == 1 else f" × {o['chance']:.0%} chance"
    return (
        f"{o['gain']:+.4f} ± {o['se']:.4f} {o['unit']} a row{chance} × {o['rows']:,.0f} rows − {o['cost']:,.6g}"
        f" = {o['net']:+,.0f} (surely {o['low']:+,.0f}); {o['why']}"
    )


def _day(text: str | None, name: str) -> str | None:
    from tidegate.errors import UsageError

    try:
        return date.fromisoformat(text).isoformat() if text else None
    except ValueError:
        raise UsageError(name, "a date as YYYY-MM-DD", repr(text)) from None


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(decisions)
