"""Verbs of those who answer for a model: `approve`, `reject`, `override`, `freeze`, `unfreeze`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.output import Json, Model, flow_home, json_text

if TYPE_CHECKING:
    from tidegate.config.model import Model as Settings
    from tidegate.rollout.plan import ServingPlan
    from tidegate.steps.stores import Stores

Version = Annotated[int, typer.Argument(help="Number of the version, as `tidegate status` shows it.")]
By = Annotated[str, typer.Option(help="Who you are; kept in the ledger.")]
Why = Annotated[str, typer.Option(help="Why; kept in the ledger.")]
Perhaps = Annotated[str, typer.Option("--why", help="Why; kept in the ledger.")]


def approve(
    ctx: typer.Context, model: Model, version: Version, by: By, why: Perhaps = "", as_json: Json = False
) -> None:
    """Approve a challenger that passed the gate, and promote it."""
    from tidegate.clock import now
    from tidegate.steps import approval

    stores, settings = _at(ctx, model)
    _live(approval.approve(stores, settings, version, now(), by=by, reason=why), model, as_json)


def reject(ctx: typer.Context, model: Model, version: Version, by: By, why: Why, as_json: Json = False) -> None:
    """Reject a challenger that passed the gate: it never goes live."""
    from tidegate.clock import now
    from tidegate.steps import approval

    stores, settings = _at(ctx, model)
    said = approval.reject(stores, settings, version, now(), by=by, reason=why)
    done = {"model": model, "version": version, "status": "rejected", "by": said.by, "reason": said.reason}
    _say(done, f"{model}: version {version} is rejected", as_json)


def override(
    ctx: typer.Context,
    model: Model,
    version: Version,
    by: By,
    why: Why,
    until: Annotated[str, typer.Option(help="Last date on which it holds, YYYY-MM-DD.")],
    as_json: Json = False,
) -> None:
    """Promote a version that did not pass the gate, on your word; servability, leakage and digests must hold."""
    from tidegate.clock import now
    from tidegate.steps import approval

    stores, settings = _at(ctx, model)
    plan = approval.override(stores, settings, version, now(), by=by, reason=why, until=until)
    if not as_json:
        typer.echo(approval.loud(stores, settings, now()))
    _live(plan, model, as_json)


def freeze(
    ctx: typer.Context,
    model: Model,
    by: By,
    why: Why,
    until: Annotated[str | None, typer.Option(help="Last frozen date, YYYY-MM-DD; by default until unfreeze.")] = None,
    as_json: Json = False,
) -> None:
    """Stop automatic retraining and promotion of a model."""
    from tidegate.clock import now
    from tidegate.steps import freeze as freezing

    stores, settings = _at(ctx, model)
    made = freezing.freeze(stores, settings, now(), by=by, why=why, until=until)
    _say(asdict(made), f"{model} is {made.words}", as_json)


def unfreeze(ctx: typer.Context, model: Model, by: By, as_json: Json = False) -> None:
    """Let a model be retrained and promoted by itself again."""
    from tidegate.clock import now
    from tidegate.steps import freeze as freezing

    stores, settings = _at(ctx, model)
    freezing.unfreeze(stores, settings, now(), by=by)
    _say({"model": model, "frozen": False}, f"{model} is not frozen any more", as_json)


def _at(ctx: typer.Context, model: str) -> tuple[Stores, Settings]:
    from tidegate.steps.stores import open_stores

    stores = open_stores(flow_home(ctx))
    return stores, stores.project.model(model)


def _live(plan: ServingPlan, model: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(plan), default=str))
        return
    typer.echo(f"{model}: version {plan.champion} is champion, plan revision {plan.revision}")


def _say(done: dict[str, Any], line: str, as_json: bool) -> None:
    typer.echo(json_text(done) if as_json else line)


def add_to(app: typer.Typer) -> None:
    for verb in (approve, reject, override, freeze, unfreeze):
        app.command()(verb)
