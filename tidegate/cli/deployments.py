"""Verbs of what runs by itself: `deployments`, `deadman`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.output import Json, home_of, json_text, show
from tidegate.errors import UsageError
from tidegate.text import printable

if TYPE_CHECKING:
    from tidegate.config.home import Home
    from tidegate.steps.deploying import Planned


def deployments(
    ctx: typer.Context,
    write: Annotated[bool, typer.Option("--write", help="Write deployments/prefect.yaml, automations.yaml.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail if the files are not what the models say.")] = False,
    register: Annotated[bool, typer.Option("--register", help="Register all of it at PREFECT_API_URL.")] = False,
    as_json: Json = False,
) -> None:
    """What runs when, made from the model files; a model that is wrong holds no other back."""
    from tidegate.steps.deploying import old, planned
    from tidegate.steps.deploying import write as write_files

    home = home_of(ctx)
    plan = planned(home)
    if as_json:
        wrong = {name: str(fault) for name, fault in plan.wrong.items()}
        body = {"deployments": plan.deployments, "automations": plan.automations, "wrong": wrong}
        typer.echo(json_text(body))
    for name, fault in plan.wrong.items():
        typer.echo(f"tidegate: model {name} is not deployed: {printable(str(fault))}", err=True)
    if check:
        stale = old(home, plan)
        for name in stale:
            typer.echo(f"tidegate: deployments/{name} is not what the models say. Next: tidegate deployments --write",
                       err=True)  # fmt: skip
        raise typer.Exit(3 if stale else UsageError.exit_code if plan.wrong else 0)
    if write:
        for path in write_files(home, plan):
            typer.echo(f"wrote {path.relative_to(home.root)}", err=as_json)
    if register:
        _register(home, as_json)
    if not (write or register or as_json):
        show([_row(d) for d in plan.deployments], False)
    if plan.wrong:
        raise typer.Exit(UsageError.exit_code)


def _row(made: dict[str, Any]) -> dict[str, str]:
    from tidegate.deploy.documents import full_name

    schedule = made.get("schedules", [{}])[0]
    limit = made.get("concurrency_limit", {}).get("collision_strategy", "")
    when = f"{schedule['cron']} {schedule['timezone']}" if schedule else ""
    return {"deployment": full_name(made), "schedule": when, "one at a time": limit.lower()}


def _register(home: Home, as_json: bool) -> None:
    import httpx

    url = os.environ.get("PREFECT_API_URL")
    if not url:
        do = "start it with tidegate up and set PREFECT_API_URL to the address that it prints"
        raise UsageError("PREFECT_API_URL", "the address of a Prefect server", "none", do)
    from prefect import get_client

    from flows.deploying import register
    from tidegate.errors import StoreError
    from tidegate.steps.deadman import deployed
    from tidegate.steps.deploying import planned

    plan: Planned = planned(home, at=str(home.root))
    try:
        with get_client(sync_client=True) as client:
            ids = register(client, plan)
    except httpx.TransportError as fault:
        found = str(fault) or type(fault).__name__
        raise StoreError(f"Prefect server {url}", "an answer", found, "start it, or correct PREFECT_API_URL") from None
    deployed(home, plan.models)
    typer.echo(f"{len(ids)} deployments and {len(plan.automations)} automations at {url}", err=as_json)


def deadman(ctx: typer.Context, as_json: Json = False) -> None:
    """Page if nights are not being run; for a cron line beside Tidegate. Exit code 3 if any model is overdue."""
    from tidegate.clock import now
    from tidegate.steps.deadman import overdue
    from tidegate.steps.stores import open_stores

    found = overdue(open_stores(home_of(ctx)), now())
    if as_json:
        typer.echo(json_text([asdict(o) for o in found]))
    elif not found:
        typer.echo("every night that is due is done, or in time")
    for o in () if as_json else found:
        typer.echo(f"{o.model}: {o.nights} nights not done, the oldest {o.window}, overdue since "
                   f"{o.until:%Y-%m-%d %H:%M} UTC. Next: tidegate status")  # fmt: skip
    raise typer.Exit(3 if found else 0)


def add_to(app: typer.Typer) -> None:
    for verb in (deployments, deadman):
        app.command()(verb)
