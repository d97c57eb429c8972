"""`tidegate status`: how every model is, or one of them, and what to do next."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.output import Json, home_of, json_text, show
from tidegate.text import printable

if TYPE_CHECKING:
    from datetime import datetime

    from tidegate.steps.health import Health
    from tidegate.steps.stores import Stores

LINES = 8
"""Models that are told whole before the rest is a table."""
NIGHTS = 7


def status(
    ctx: typer.Context,
    model: Annotated[str | None, typer.Argument(help="A model; left out, all of them.")] = None,
    as_json: Json = False,
    prometheus: Annotated[bool, typer.Option("--prometheus", help="As Prometheus reads it.")] = False,
) -> None:
    """How the models are, and what to do next. Exits with 3 if something must be done now."""
    from tidegate.clock import now
    from tidegate.steps.health import health, health_of
    from tidegate.steps.stores import open_stores

    stores, at = open_stores(home_of(ctx)), now()
    if prometheus:
        from tidegate.steps.flowmetrics import exposition

        typer.echo(exposition(stores, at), nl=False)
        return
    if model is None:
        found = health(stores, at)
        if as_json:
            typer.echo(json_text([h.as_dict() for h in found]))
        else:
            _all(found)
    else:
        stores.project.model(model)
        found = (health_of(stores, model, at),)
        _one(stores, found[0], at, as_json)
    if any(h.state == "act" for h in found):
        raise typer.Exit(3)


def _all(found: tuple[Health, ...]) -> None:
    if not found:
        typer.echo("no models yet. Next: write configs/models/NAME.yaml, see docs/config.md")
        return
    rows = [
        {"model": h.model, "state": h.state, "champion": h.champion or "none", "since": h.since, "last night": h.last,
         "due": h.due or "", "data": h.data, "performance": _performance(h), "service": _service(h),
         "incidents": ", ".join(f"{n} {s}" for s, n in h.incidents.items())}
        for h in found
    ]  # fmt: skip
    show(rows, False)
    for one in [h for h in found if h.next][:LINES]:
        typer.echo(printable(f"{one.model}: {one.words[0]}. Next: {one.next}"))


def _one(stores: Stores, found: Health, at: datetime, as_json: bool) -> None:
    from tidegate.steps.approval import loud
    from tidegate.steps.decisions import recommended
    from tidegate.steps.freeze import frozen

    settings = stores.project.model(found.model)
    override, stopped = loud(stores, settings, at), frozen(stores, settings, at)
    nights = _nights(stores, found.model)
    if as_json:
        plan = stores.plans.get(found.model)
        more = {"plan": asdict(plan), "candidate": dict(found.candidate) or None,
                "nights": nights, "override": override or None, "frozen": stopped or None,
                "recommended": recommended(stores, settings) or None}  # fmt: skip
        typer.echo(json_text(found.as_dict() | more))
        return
    waiting = f"version {found.candidate['version']} is {found.candidate['status']}" if found.candidate else ""
    since = f"; switched last on {found.since}" if found.since else ""
    lines = [
        f"{found.model}: {found.state}; champion {found.champion or 'none'}, plan revision {found.plan_revision}, "
        f"{waiting or 'no candidate'}{since}",
        *([override] if override else []),
        f"nights       {found.last or 'none'} is the last one done; {_due(found)}",
        f"data         {found.data or 'no batch yet'}",
        f"performance  {_performance(found) or 'no window with enough labels yet'}",
        f"service      {_service(found) or 'nothing logged yet'}; {_workers(found)}",
        *(f"{'to do' if i == 0 else '':<12} {w}" for i, w in enumerate(found.words)),
        f"next         {found.next or 'nothing to do'}",
    ]
    for line in lines:
        typer.echo(printable(line))
    show(nights, False, empty=f"no nights yet. Next: tidegate nightly {found.model}")


def _nights(stores: Stores, model: str) -> list[dict[str, Any]]:
    dataset = stores.project.model(model).dataset
    quality = stores.data_records.verdicts(dataset, "quality")
    decisions = stores.records.verdicts(model, "decision")
    return [
        {"window": n, "data": quality[n].outcome,
         "decision": decisions[n].numbers["action"] if n in decisions else "",
         "reason": decisions[n].reasons[0] if n in decisions else ""}
        for n in sorted(quality)[-NIGHTS:]
    ]  # fmt: skip


def _performance(h: Health) -> str:
    p = h.performance
    return f"{p['metric']} {p['value']:.3f} on {p['window']} ({p['rows']:,} rows)" if p else ""


def _service(h: Health) -> str:
    s = h.service
    if not s:
        return ""
    share = s["error_share"]
    errors = f"{share:.2%} failed" if share is not None and math.isfinite(share) else "nothing asked"
    return f"p99 {s['p99'] * 1e3:.1f} ms, {errors} on {s['window']}"


def _due(h: Health) -> str:
    return f"{h.due} due, the oldest {h.oldest_due}" if h.due else "none due"


def _workers(h: Health) -> str:
    if not h.workers:
        return "no gateway runs"
    return f"{h.workers} gateway workers" + (f", {h.behind} not at the plan" if h.behind else "")


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(status)
