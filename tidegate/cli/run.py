"""Verbs that run a flow: `ingest`, `score`, `nightly`, `retrain`, `replay`."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.cli.output import EXIT, Dataset, Json, Model, flow_home
from tidegate.config.project import load_project
from tidegate.config.values import NAME, NAME_WORDS
from tidegate.errors import UsageError

POLICIES = ("tidegate", "never", "monthly", "drift", "performance")
POLICY = "tidegate, never, monthly; drift, performance (fixed thresholds); all (the first three) or every (all five)."

Night = Annotated[
    str | None, typer.Option("--window", help="Date, YYYY-MM-DD; by default the last night that is over.")
]


def day(text: str | None, what: str = "--window") -> date | None:
    """A date that the user typed."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError(what, "a date as YYYY-MM-DD", repr(text), "correct the date") from None


def _finish(verdict: Any, what: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(verdict.as_dict(), default=str))
    else:
        typer.echo(f"{what}: {verdict.outcome}" + "".join(f"\n  {r}" for r in verdict.reasons))
    raise typer.Exit(EXIT[verdict.outcome])


def ingest(
    ctx: typer.Context,
    dataset: Dataset,
    window: Night = None,
    again: Annotated[bool, typer.Option(help="Judge it again even if it passed.")] = False,
    as_json: Json = False,
) -> None:
    """Read a window, judge it, quarantine or block, land it, profile it."""
    home = flow_home(ctx)
    from flows.ingest import ingest as flow
    from flows.parameters import DatasetNight

    _finish(
        flow(DatasetNight(home=str(home.root), dataset=dataset, window=day(window), again=again)),
        f"{dataset} {window or 'last night'}",
        as_json,
    )


def score(ctx: typer.Context, model: Model, window: Night = None, as_json: Json = False) -> None:
    """Score a window that has been ingested with the champion."""
    home = flow_home(ctx)
    from flows.parameters import ModelNight
    from flows.score import score as flow

    rows = flow(ModelNight(home=str(home.root), model=model, window=day(window)))
    if as_json:
        typer.echo(json.dumps({"rows": rows}))
    else:
        nothing = "no champion yet" if rows is None else "the window has no batch"
        verb = "retrain" if rows is None else "nightly"
        typer.echo(f"{model}: {rows} rows scored" if rows else f"{model}: {nothing}. Next: tidegate {verb} {model}")
    raise typer.Exit(0 if rows else 4)


def nightly(ctx: typer.Context, model: Model, window: Night = None, as_json: Json = False) -> None:
    """Everything that happens to a model on one window."""
    home = flow_home(ctx)
    from dataclasses import asdict

    from flows.nightly import nightly as flow
    from flows.parameters import Nights, window_of

    night = window_of(home, load_project(home).model(model).dataset, day(window))
    [done] = flow(Nights(home=str(home.root), model=model, window=night.date))
    if as_json:
        typer.echo(json.dumps(asdict(done), default=str))
        raise typer.Exit(EXIT[done.quality.outcome])
    scored = "no" if done.scored is None else done.scored
    typer.echo(f"{model} {done.window}: data {done.quality.outcome}, {scored} rows scored, {len(done.alarms)} alarms")
    for reason in done.quality.reasons:
        typer.echo(f"  {reason}")
    typer.echo(f"decision: {done.decision.action} ({done.decision.reason})")
    if done.gate:
        typer.echo(
            f"gate: {done.gate.outcome}, {'promoted' if done.promoted else 'not promoted'}"
            + "".join(f"\n  {r}" for r in done.gate.reasons)
        )
    raise typer.Exit(EXIT[done.quality.outcome])


def retrain(
    ctx: typer.Context,
    model: Model,
    window: Night = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")] = "requested",
    as_json: Json = False,
) -> None:
    """Train a candidate, put it through the gate, register it."""
    home = flow_home(ctx)
    from flows.parameters import RetrainRequest
    from flows.retrain import retrain as flow

    _finish(
        flow(RetrainRequest(home=str(home.root), model=model, window=day(window), reason=reason)),
        f"gate of {model}",
        as_json,
    )


def replay(
    ctx: typer.Context,
    model: Model,
    start: Annotated[str, typer.Option("--from", help="First night, YYYY-MM-DD.")],
    end: Annotated[str, typer.Option("--to", help="Last night, YYYY-MM-DD.")],
    policy: Annotated[str, typer.Option(help=POLICY)] = "tidegate",
    history: Annotated[
        str | None,
        typer.Option(help="First night of the first champion's training; by default 59 nights before --from."),
    ] = None,
    faults: Annotated[str | None, typer.Option(help="YAML file of faults to inject, relative to the home.")] = None,
    replay_id: Annotated[str, typer.Option("--id", help="Name of the replay's folder under var/replay.")] = "replay",
    fresh: Annotated[bool, typer.Option(help="Delete an earlier replay of this id first.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for summary.json and report.html; by default the replay's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take history through the real steps, night by night."""
    from flows.parameters import ReplayRequest
    from tidegate.cli.replaying import run_replay

    if policy not in (*POLICIES, "all", "every"):
        raise UsageError("--policy", f"{', '.join(POLICIES)}, all or every", repr(policy), "correct it")
    if not NAME.fullmatch(replay_id):
        raise UsageError("--id", NAME_WORDS, repr(replay_id), "correct the name")
    home = flow_home(ctx)
    load_project(home).model(model)
    first, last = day(start, "--from"), day(end, "--to")
    request = ReplayRequest.model_validate({
        "home": str(home.root), "model": model, "start": first, "end": last, "history": day(history, "--history"),
        "policy": policy, "faults": faults, "replay_id": replay_id,
    })  # fmt: skip
    run_replay(home, request, fresh=fresh, out=out, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    for verb in (ingest, score, nightly, retrain, replay):
        app.command()(verb)
