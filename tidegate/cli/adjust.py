"""`tidegate recalibrate`: new probabilities, or another threshold, from the estimator that is in service."""

from __future__ import annotations

from typing import Annotated

import typer

from tidegate.cli.output import EXIT, Json, Model, flow_home, json_text
from tidegate.cli.run import Night, day
from tidegate.text import printable


def recalibrate(
    ctx: typer.Context,
    model: Model,
    threshold_only: Annotated[
        bool, typer.Option("--threshold-only", help="Move the decision threshold; the scores stay bit for bit.")
    ] = False,
    window: Night = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")] = "requested",
    as_json: Json = False,
) -> None:
    """Fit the champion's scores or its threshold to the newest labels, and put that through the gate."""
    home = flow_home(ctx)
    from flows.parameters import RecalibrateRequest
    from flows.recalibrate import recalibrate as flow
    from tidegate.steps.stores import open_stores

    asked = RecalibrateRequest(
        home=str(home.root), model=model, window=day(window), threshold_only=threshold_only, reason=reason
    )
    done = flow(asked)
    known = open_stores(home).records.versions(model) if done.version is not None else []
    record = next((v for v in known if v["version"] == done.version), None)
    adjusts = dict(record["body"].get("adjusts") or {}) if record else {}
    if as_json:
        typer.echo(json_text({"version": done.version, "promoted": done.promoted, "adjusts": adjusts or None,
                              **done.gate.as_dict()}))  # fmt: skip
        raise typer.Exit(EXIT[done.gate.outcome])
    if adjusts:
        typer.echo(_words(model, done.version, adjusts))
    after = "promoted" if done.promoted else "not promoted"
    typer.echo(f"gate of {model}: {done.gate.outcome}, {after}")
    for text in done.gate.reasons:
        typer.echo(f"  {printable(text)}")
    raise typer.Exit(EXIT[done.gate.outcome])


def _words(model: str, version: int | None, adjusts: dict[str, object]) -> str:
    """What the version is."""
    nights, found = adjusts["nights"], adjusts["map"]
    assert isinstance(nights, list)
    made = f"threshold {adjusts['threshold']:.4g}"
    if isinstance(found, dict):
        offsets = found["offset"] if isinstance(found["offset"], list) else [found["offset"]]
        made = f"slope {found['slope']:.4g}, offset {', '.join(f'{o:.4g}' for o in offsets)}, {made}"
    span = f"{len(nights)} matured nights, {nights[0]} to {nights[-1]}"
    return f"{model}: version {version} is version {adjusts['version']} with {made}; fitted on {span}"


def add_to(app: typer.Typer) -> None:
    app.command()(recalibrate)
