"""`tidegate mitigate`: a fairer candidate from a version, with a threshold for each protected group."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from tidegate.cli.output import Json, Model, flow_home, json_text, show
from tidegate.cli.run import Night, day
from tidegate.text import printable


def mitigate(
    ctx: typer.Context,
    model: Model,
    version: Annotated[int, typer.Argument(help="Version whose groups are not treated alike.")],
    column: Annotated[str | None, typer.Option(help="Protected column to go by; by default the worst.")] = None,
    window: Night = None,
    as_json: Json = False,
) -> None:
    """Register a copy of a version that decides each protected group by a threshold of its own."""
    home = flow_home(ctx)
    from tidegate.clock import now
    from tidegate.steps.mitigate import mitigate as step
    from tidegate.steps.stores import open_stores

    stores = open_stores(home)
    settings = stores.project.model(model)
    calendar = stores.project.calendar(stores.project.dataset(settings.dataset))
    asked = day(window)
    night = calendar.window(asked.isoformat()) if asked else calendar.shift(calendar.of(now()), -1)
    done = step(stores, settings, version, night, now(), column=column)
    if as_json:
        typer.echo(json_text(asdict(done)))
        return
    offer = done.offer
    there = "is there already" if done.known else "is a candidate: the gate looks at it on the next night"
    typer.echo(f"{model}: version {done.version}, version {version} with thresholds by {offer['column']}, {there}")
    show([{"group": g, "threshold": t} for g, t in offer["by"].items()], False)
    show([{"criterion": g["name"], "limit": g["limit"], "before": g["before"], "after": g["after"],
           "verdict": g["outcome_after"]} for g in offer["gaps"]], False)  # fmt: skip
    typer.echo(printable(_price(offer["price"])))
    typer.echo(f"Caution: {offer['caution']}.")


def _price(price: dict[str, Any]) -> str:
    """What it costs, in words."""
    if price["a_row"] is None:
        return "price: not defined on these rows"
    what = "costs" if price["a_row"] > 0 else "gains"
    bounds = "" if price["lower"] is None else f" (95 %: {price['lower']:.4f} to {price['upper']:.4f} lost)"
    return (
        f"price: {what} {abs(price['a_row']):.4f} {price['unit']}{bounds}; {price['changed']:.1%} of decisions change, "
        f"accuracy {price['accuracy_before']:.4f} to {price['accuracy_after']:.4f}"
    )


def add_to(app: typer.Typer) -> None:
    app.command()(mitigate)
