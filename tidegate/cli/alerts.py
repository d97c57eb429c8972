"""Verbs on what was told to whom: `alerts test`, `alerts list`, `alerts retry`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.alarms import clean, stores_of
from tidegate.cli.output import Json, show

if TYPE_CHECKING:
    from tidegate.adapters.outbox import Delivery

group = typer.Typer(no_args_is_help=True, help="Whom alarms were told to, and what could not be told.")
Only = Annotated[str | None, typer.Option("--channel", help="Only this channel.")]
Failed = Annotated[bool, typer.Option("--failed", help="Only what was not delivered.")]


@group.command("test")
def test(ctx: typer.Context, channel: Annotated[str, typer.Argument(help="Name of a channel.")]) -> None:
    """Send a test message through a channel."""
    from tidegate.steps.alerts import try_channel

    try_channel(stores_of(ctx), channel)
    typer.echo(f"{channel} took a test message")


@group.command("list")
def listed(
    ctx: typer.Context,
    channel: Only = None,
    failed: Failed = False,
    incident: Annotated[int | None, typer.Option(help="Only this incident.", min=1)] = None,
    newest: Annotated[int, typer.Option(help="So many, the newest.", min=1)] = 50,
    as_json: Json = False,
) -> None:
    """What was delivered, waits or failed: alarm, channel, attempts, last error."""
    from tidegate.steps.alerts import outbox_of

    outbox = outbox_of(stores_of(ctx))
    found = outbox.listed(("failed", "unrouted", "waiting"), incident) if failed else outbox.listed((), incident)
    rows = [d for d in found if channel in (None, d.channel) and (not failed or d.state != "waiting" or d.error)]
    show([_row(d, as_json) for d in rows[-newest:]], as_json, empty="nothing was sent")


@group.command("retry")
def retry(ctx: typer.Context, channel: Only = None, as_json: Json = False) -> None:
    """Try again what was given up, at once."""
    from tidegate.clock import now
    from tidegate.steps.alerts import deliver, outbox_of

    stores, at = stores_of(ctx), now()
    count = outbox_of(stores).retry(at, channel)
    done = deliver(stores, at)
    if as_json:
        show([{"tried": count, **asdict(done)}], True)
    else:
        typer.echo(f"{count} tried again: {done.sent} messages sent, {done.again + done.given_up} not")
        for fault in done.faults:
            typer.echo(clean(fault))
    if done.faults:
        raise typer.Exit(1)


def _row(d: Delivery, as_json: bool) -> dict[str, Any]:
    if as_json:
        return asdict(d)
    when = d.delivered_at or d.due
    return {
        "alarm": d.alarm, "incident": d.incident or "", "model": d.model, "severity": d.severity, "channel": d.channel,
        "state": f"{d.state}, reminder {d.round}" if d.round else d.state, "attempts": d.attempts,
        "at": when.isoformat(timespec="seconds"), "error": clean(d.error),
    }  # fmt: skip


def add_to(app: typer.Typer) -> None:
    app.add_typer(group, name="alerts")
