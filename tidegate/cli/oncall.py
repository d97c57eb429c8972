"""Verbs of those who are on call: `ack`, `snooze`, `close`, `mute`, `unmute`, `mutes`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tidegate.cli.alarms import Number, incidents_of, stores_of
from tidegate.cli.output import Json, Model, show
from tidegate.cli.run import day
from tidegate.errors import StoreError, UsageError
from tidegate.text import plain_line

if TYPE_CHECKING:
    from tidegate.adapters.mutes import Mutes
    from tidegate.steps.stores import Stores

By = Annotated[str, typer.Option(help="Who you are; kept with what you do.")]
Change = Literal["acknowledged", "snoozed", "closed"]
Subject = Annotated[str, typer.Argument(help="A column, a metric, prediction, label or rows; its segments go with it.")]


def ack(
    ctx: typer.Context,
    number: Number,
    by: By,
    note: Annotated[str, typer.Option(help="What you know so far.")] = "",
    as_json: Json = False,
) -> None:
    """Take an incident on: nothing more is told unless it gets worse."""
    change(ctx, number, "acknowledged", by, as_json, note=note)


def snooze(
    ctx: typer.Context,
    number: Number,
    until: Annotated[str, typer.Option(help="Last night that is silent, YYYY-MM-DD.")],
    by: By,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Hear of an incident again after a date, or when it gets worse."""
    change(ctx, number, "snoozed", by, as_json, note=note, until=_date(until))


def close(
    ctx: typer.Context,
    number: Number,
    by: By,
    note: Annotated[str, typer.Option(help="What it was, and what was done.")] = "",
    as_json: Json = False,
) -> None:
    """Close an incident as mended: if it comes back it is news."""
    change(ctx, number, "closed", by, as_json, note=note)


def mute(
    ctx: typer.Context,
    model: Model,
    subject: Subject,
    until: Annotated[str, typer.Option(help="Last night that is muted, YYYY-MM-DD.")],
    by: By,
    reason: Annotated[str, typer.Option(help="Why; said in the digest instead.")],
    as_json: Json = False,
) -> None:
    """Send a subject's alarms to the digest until a date."""
    from tidegate.alarms.severity import Mute
    from tidegate.clock import now

    stores = stores_of(ctx)
    wish = Mute(model, _known_subject(stores, model, subject), _to_come(stores, model, _date(until), now().date()),
                plain_line(by, "--by", 120), plain_line(reason, "--reason", 1000))  # fmt: skip
    _mutes(stores).add(wish, owner=stores.project.model(model).owner, at=now())
    say([asdict(wish)], as_json, f"{subject} of {model} is muted until {wish.until}")


def unmute(ctx: typer.Context, model: Model, subject: Subject, by: By, as_json: Json = False) -> None:
    """Tell of a subject again."""
    from tidegate.clock import now

    stores = stores_of(ctx)
    stores.project.model(model)
    _mutes(stores).end(model, subject, by=plain_line(by, "--by", 120), at=now())
    say([{"model": model, "subject": subject, "muted": False}], as_json, f"{subject} of {model} is told of again")


def mutes(ctx: typer.Context, model: Model, as_json: Json = False) -> None:
    """The subjects of a model that are muted, by whom and why."""
    stores = stores_of(ctx)
    stores.project.model(model)
    show([asdict(m) for m in _mutes(stores).of(model)], as_json, empty="nothing is muted")


def change(
    ctx: typer.Context,
    number: int,
    what: Change,
    by: str,
    as_json: bool,
    note: str,
    until: str = "",
    seen: int | None = None,
) -> None:
    """Change an incident as it is now, or, where that was said, as somebody saw it."""
    from tidegate.clock import now

    who, said = plain_line(by, "--by", 120), plain_line(note, "--note", 1000, empty=True)
    stored = incidents_of(stores_of(ctx))
    found = stored.get(number)
    if seen is not None and seen != found.revision:
        do = f"look at tidegate incident show {number} and decide again"
        raise StoreError(f"incident {number}", f"revision {seen}", f"{found.revision}, {found.status}", do)
    after = stored.change(found, what, by=who, at=now(), note=said, until=until)
    say([asdict(after)], as_json, f"incident {number} is {after.status}" + (f" until {until}" if until else ""))


def say(rows: list[dict[str, Any]], as_json: bool, line: str) -> None:
    if as_json:
        show(rows, as_json)
    else:
        typer.echo(line)


def _mutes(stores: Stores) -> Mutes:
    from tidegate.adapters.mutes import Mutes

    return Mutes(stores.control, stores.namespace)


def _known_subject(stores: Stores, model: str, subject: str) -> str:
    """A subject that alarms could have: a mute of a misspelt one would silence nothing."""
    from tidegate.config.base import did_you_mean
    from tidegate.config.base import show as shown
    from tidegate.config.model import METRICS

    settings = stores.project.model(model)
    seen = {m for i in incidents_of(stores).listed(closed=True) for m in i.members}
    known = {*settings.features, *METRICS[settings.kind], "prediction", "label", "rows", *seen}
    subject = plain_line(subject, "SUBJECT", 160)
    if subject.split(" [", 1)[0] not in known and subject not in known:
        do = did_you_mean(subject, known, f"name one of {', '.join(settings.features[:5])} …")
        raise UsageError(f"subject of {model}", "a feature, a metric, prediction, label or rows", shown(subject), do)
    return subject


def _to_come(stores: Stores, model: str, until: str, today: date) -> str:
    """A mute that ends before the newest night would silence nothing; a home without nights goes by today."""
    nights = stores.data.many("batches", stores.project.model(model).dataset)
    first = nights[-1].window if nights else today.isoformat()
    if until < first:
        raise UsageError("--until", f"a date from {first} on", until, "name the last night that is to be silent")
    return until


def _date(text: str) -> str:
    found = day(text, "--until")
    if found is None:
        raise UsageError("--until", "a date as YYYY-MM-DD", "nothing", "name a date")
    return found.isoformat()


def add_to(app: typer.Typer) -> None:
    for verb in (ack, snooze, close, mute, unmute, mutes):
        app.command()(verb)
