"""What people do with one incident: `incident list|ack|note|resolve|postmortem`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tidegate.cli.alarms import Number, group, incidents, incidents_of, stores_of
from tidegate.cli.oncall import By, change, say
from tidegate.cli.output import Json, json_text
from tidegate.errors import StoreError, UsageError
from tidegate.text import plain_line

Seen = Annotated[
    int | None, typer.Option("--revision", help="Refuse if it has changed since you saw this revision.", min=1)
]


@group.command("ack")
def ack(
    ctx: typer.Context,
    number: Number,
    by: By,
    note: Annotated[str, typer.Option(help="What you know so far.")] = "",
    revision: Seen = None,
    as_json: Json = False,
) -> None:
    """Take it on: reminders end, and nothing more is told unless it gets worse."""
    change(ctx, number, "acknowledged", by, as_json, note=note, seen=revision)


@group.command("note")
def note(
    ctx: typer.Context,
    number: Number,
    text: Annotated[str, typer.Argument(help="What you found, or did.")],
    by: By,
    as_json: Json = False,
) -> None:
    """Add what you found to its timeline; nothing else changes."""
    from tidegate.clock import now

    stored = incidents_of(stores_of(ctx))
    stored.note(number, plain_line(text, "TEXT", 1000), by=plain_line(by, "--by", 120), at=now())
    say([asdict(stored.get(number))], as_json, f"noted on incident {number}")


@group.command("resolve")
def resolve(
    ctx: typer.Context,
    number: Number,
    by: By,
    reason: Annotated[str, typer.Option(help="What it was, and what mended it.")],
    revision: Seen = None,
    as_json: Json = False,
) -> None:
    """Close it as mended: if it comes back it is news."""
    change(ctx, number, "closed", by, as_json, note=plain_line(reason, "--reason", 1000), seen=revision)


@group.command("postmortem")
def postmortem(
    ctx: typer.Context,
    number: Number,
    out: Annotated[Path | None, typer.Option(help="File to write; a file that is there is kept.")] = None,
    as_json: Json = False,
) -> None:
    """A draft in Markdown, with the evidence that is known and blanks for what is not."""
    from tidegate.clock import now
    from tidegate.steps.postmortem import draft

    text = draft(stores_of(ctx), number, now())
    if out is None:
        typer.echo(json_text({"incident": number, "markdown": text}) if as_json else text, nl=as_json)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"--out {out}", "a new file", "one that may have been edited", "name another") from None
    except OSError as fault:
        do = "name a file in a folder that can be written"
        raise StoreError(f"--out {out}", "a file that can be written", fault.strerror or "none", do) from None
    say([{"incident": number, "file": str(out)}], as_json, f"wrote {out}")


def add_to(_app: typer.Typer) -> None:
    group.command("list")(incidents)
