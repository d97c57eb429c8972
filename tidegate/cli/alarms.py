"""Verbs that show what is wrong: `alarms`, `incidents`, `incident show`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.output import Json, Model, home_of, show
from tidegate.cli.run import day

if TYPE_CHECKING:
    from tidegate.adapters.incidents import Incidents
    from tidegate.alarms.incidents import Incident
    from tidegate.steps.stores import Stores
    from tidegate.verdicts import Alarm, Severity

Number = Annotated[int, typer.Argument(help="Number of an incident.", min=1)]
group = typer.Typer(no_args_is_help=True, help="Incidents: look at them, take them on, say what it was.")

SHOWN = 20
"""Subjects of an incident that are printed."""


def alarms(
    ctx: typer.Context,
    model: Model,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over and the digest, too.")] = False,
    since: Annotated[str | None, typer.Option(help="Only from this date on, YYYY-MM-DD.")] = None,
    as_json: Json = False,
) -> None:
    """What is wrong with a model, the loudest and costliest first: how much, since when, why, what to do."""
    stores = stores_of(ctx)
    settings = stores.project.model(model)
    first = day(since, "--since")
    live = {i.number: i for i in incidents_of(stores).listed()}
    told = stores.records.alarms(model)
    found = told if everything else _newest([a for a in told if a.incident in live])
    found = [a for a in found if first is None or a.window >= first.isoformat()]
    cost = _costs(stores, model)
    found.sort(key=lambda a: (-_loudness(a.severity), -cost(a), a.window))
    # What another model saw of the same data concerns this one, too.
    known = {a.incident for a in told}
    others = [i for i in live.values() if (i.scope, i.name) == ("dataset", settings.dataset) and i.number not in known]
    if as_json:
        show([asdict(a) for a in found], as_json)
        return
    for alarm in found:
        _card(alarm, live.get(alarm.incident or 0))
    for i in others:
        typer.echo(f"{i.severity.upper()}  incident {i.number}, {i.status}  {i.about}, told to {clean(i.group)}")
        typer.echo(f"  {clean(i.text)}\n  next      tidegate incident show {i.number}\n")
    if not found and not others:
        typer.echo(f"nothing is wrong with {model}" + ("" if everything else f"; tidegate alarms {model} --all: all"))


def incidents(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="The closed ones, too.")] = False,
    as_json: Json = False,
) -> None:
    """Every incident of the home that is not closed, the loudest first."""
    found = incidents_of(stores_of(ctx)).listed(closed=everything)
    found.sort(key=lambda i: (i.status == "closed", -_loudness(i.severity), i.number))
    show([asdict(i) if as_json else _row(i) for i in found], as_json, empty="no incidents")


@group.command("show")
def show_incident(ctx: typer.Context, number: Number, as_json: Json = False) -> None:
    """One incident: what it is, what changed around it, what happened to it."""
    from tidegate.steps.timeline import timeline_of

    stores = stores_of(ctx)
    stored = incidents_of(stores)
    incident = stored.get(number)
    events = [
        {"at": h.at.isoformat(timespec="seconds"), "window": h.event.window, "what": h.event.what, "by": h.event.by,
         "note": h.event.note}
        for h in stored.history(number)
    ]  # fmt: skip
    changed = [e for e in timeline_of(stores, incident) if e.matter != "incident"]
    effect = _effect_of(stores, number)
    if as_json:
        show([asdict(incident) | {"effect": effect, "events": events, "changed": [asdict(e) for e in changed]}], True)
        return
    more = f" and {len(incident.members) - SHOWN} more" if len(incident.members) > SHOWN else ""
    lines = _row(incident) | {"until": incident.until, "closed by": incident.closed_by}
    lines |= {
        "revision": incident.revision,
        "subjects": ", ".join(incident.members[:SHOWN]) + more,
        "text": incident.text,
        "effect": effect,
    }
    for key, value in lines.items():
        if value:
            typer.echo(f"{key:10} {clean(value)}")
    typer.echo("")
    for e in changed:
        typer.echo(f"{e.window}  {e.matter:8}{clean(e.words)}" + (f"  ({clean(e.reference)})" if e.reference else ""))
    typer.echo("" if changed else "nothing is known to have changed around it\n")
    show([{k: clean(v) for k, v in e.items()} for e in events], as_json)


def _costs(stores: Stores, model: str) -> Callable[[Alarm], float]:
    """What an alarm's subjects were found to cost a night on its window; 0 where that is not known."""
    known = {
        (window, h["subject"]): h["per_night"] or 0.0
        for window, verdict in stores.records.verdicts(model, "harm").items()
        for h in reversed(verdict.numbers["harms"])
        if h["counts"]
    }
    return lambda a: max((known.get((a.window, m), 0.0) for m in a.members), default=0.0)


def _effect_of(stores: Stores, number: int) -> str:
    """What was last told of an incident's effect, to whichever model's people."""
    told = [a for m in stores.project.models() for a in stores.records.alarms(m) if a.incident == number]
    return next((a.effect for a in sorted(told, key=lambda a: a.window, reverse=True) if a.effect), "")


def _loudness(severity: Severity) -> int:
    from tidegate.alarms.severity import LOUDNESS

    return LOUDNESS[severity]


def _newest(found: Sequence[Alarm]) -> list[Alarm]:
    """The loudest and then newest of each incident's alarms."""
    out: dict[int | None, Alarm] = {}
    for alarm in sorted(found, key=lambda a: (_loudness(a.severity), a.window)):
        out[alarm.incident] = alarm
    return list(out.values())


def _card(alarm: Alarm, incident: Incident | None) -> None:
    number = f"incident {alarm.incident}, {incident.status if incident else 'closed'}" if alarm.incident else ""
    head = (alarm.severity.upper(), number, alarm.about, alarm.window, f"for {alarm.group}" if alarm.group else "")
    typer.echo("  ".join(part for part in head if part))
    lines = {"": alarm.text, "effect": alarm.effect, "no page": alarm.why_not_page, "runbook": alarm.runbook,
             "next": alarm.next_command}  # fmt: skip
    for key, value in lines.items():
        if value:
            typer.echo(f"  {key + '  ':10}{clean(value)}" if key else f"  {clean(value)}")
    typer.echo("")


def _row(i: Incident) -> dict[str, Any]:
    return {
        "incident": i.number, "severity": i.severity, "status": i.status, "about": i.about, "cause": i.cause,
        "since": i.since, "last": i.last, "subjects": len(i.members), "group": clean(i.group),
    }  # fmt: skip


def stores_of(ctx: typer.Context) -> Stores:
    """The stores of this call's home."""
    from tidegate.steps.stores import open_stores

    return open_stores(home_of(ctx))


def incidents_of(stores: Stores) -> Incidents:
    """The incidents of a home."""
    from tidegate.adapters.incidents import Incidents

    return Incidents(stores.control, stores.namespace)


def clean(text: object) -> str:
    """A text that may have come from data, with nothing in it that steers a terminal."""
    from tidegate.text import printable

    return printable(str(text))


def add_to(app: typer.Typer) -> None:
    for verb in (alarms, incidents):
        app.command()(verb)
    app.add_typer(group, name="incident")
