"""The verb `evidence`: what a candidate was judged on."""

from __future__ import annotations

from typing import Annotated

import typer

from tidegate.cli.output import EXIT, Json, Model, home_of, json_text, show


def evidence(
    ctx: typer.Context,
    model: Model,
    version: Annotated[int | None, typer.Option(help="Version; by default the newest that was looked at.")] = None,
    look: Annotated[int | None, typer.Option(help="Which look at it; by default the last.")] = None,
    as_json: Json = False,
) -> None:
    """What the gate found on a version: verdict, checks, where the page is."""
    from tidegate.steps.evidence import evidence_of
    from tidegate.steps.stores import open_stores

    stores = open_stores(home_of(ctx))
    found = evidence_of(stores, stores.project.model(model), version, look)
    verdict = found.document["verdict"]
    if as_json:
        typer.echo(json_text(found.document))
        raise typer.Exit(EXIT[verdict["outcome"]])
    typer.echo(f"{model} version {found.version}, look {found.look}: {verdict['outcome']}")
    rows = [
        {
            "check": c["name"],
            "outcome": c["outcome"] if c["asked"] else "not asked",
            "reason": "\n".join(c["reasons"]),
        }
        for c in found.document["checks"]
    ]
    show(rows, False)
    for what, file in (("page", found.page), ("model card", found.card)):
        if file:
            typer.echo(f"{what}: {file}")
    raise typer.Exit(EXIT[verdict["outcome"]])


def add_to(app: typer.Typer) -> None:
    app.command()(evidence)
