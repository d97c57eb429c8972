"""Verbs that show what is known: `findings`, `digests`, `lineage`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tidegate.cli.output import Json, Model, home_of, show
from tidegate.errors import IntegrityError


def findings(
    ctx: typer.Context,
    model: Model,
    window: Annotated[str, typer.Argument(help="Date, YYYY-MM-DD.")],
    subject: Annotated[str | None, typer.Option(help="Only this column.")] = None,
    as_json: Json = False,
) -> None:
    """What the monitors found on one window."""
    from tidegate.steps.stores import open_stores

    stores = open_stores(home_of(ctx))
    settings = stores.project.model(model)
    night = stores.project.calendar(stores.project.dataset(settings.dataset)).window(window)
    table = stores.lake.read("findings", model, [night.id])
    wanted = ("monitor", "subject", "statistic", "against", "value", "z", "limit", "total", "total_limit", "outcome",
              "detectors", "reason")  # fmt: skip
    show(
        [{k: r.get(k) for k in wanted} for r in table.to_pylist() if subject in (None, r["subject"])],
        as_json,
        empty=f"no findings on {night.id}",
    )


def digests(
    ctx: typer.Context,
    model: Model,
    window: Annotated[str, typer.Argument(help="Date, YYYY-MM-DD.")],
    as_json: Json = False,
) -> None:
    """What control says of one window's tables: rows and digest; a rerun changes none."""
    from tidegate.steps.stores import open_stores

    stores = open_stores(home_of(ctx))
    dataset = stores.project.model(model).dataset
    night = stores.project.calendar(stores.project.dataset(dataset)).window(window)
    found = [stores.data.stored(t, dataset, night.id) for t in ("batches", "quarantine", "profiles")]
    found += [stores.lake.stored(t, model, night.id) for t in ("inferences", "labels", "metrics", "findings")]
    rows = [
        {"table": s.table, "owner": s.owner, "rows": s.rows, "digest": s.digest if as_json else s.digest[:16],
         "known_at": s.known_at.isoformat(timespec="seconds")}
        for s in found if s
    ]  # fmt: skip
    show(rows, as_json, empty=f"nothing stored of {night.id}")


def lineage(ctx: typer.Context, model: Model, as_json: Json = False) -> None:
    """The ledger of a model: who was champion when, why, on what evidence."""
    from tidegate.adapters import ledger
    from tidegate.lineage.chain import broken_at
    from tidegate.steps.stores import open_stores

    stores = open_stores(home_of(ctx))
    stores.project.model(model)
    broken = broken_at(ledger.entries(stores.control, stores.namespace))
    if broken is not None:
        raise IntegrityError(
            "ledger",
            "an unbroken chain",
            f"entry {broken} does not fit",
            "restore control.db from a backup and find out who changed it",
        )
    rows = [
        {"seq": e["seq"], "window": e["window"], "kind": e["kind"], "digest": e["digest"][:12], "what": _what(e)}
        for e in ledger.entries(stores.control, stores.namespace, model)
    ]
    show(rows, as_json, empty=f"no entries yet. Next: tidegate retrain {model}")


def _what(entry: dict[str, object]) -> str:
    body = entry["body"]
    assert isinstance(body, dict)
    if entry["kind"] == "plan":
        change = f"champion {body['from']['champion']} -> {body['to']['champion']}"
        return (
            f"{change} by {body.get('by')}: {body.get('reason') or body.get('approval') or body.get('override') or ''}"
        )
    if entry["kind"] == "intent":
        return f"promote version {body['promote']} by {body['by']}"
    if entry["kind"] in ("approval", "override", "freeze"):
        return _told(body)
    if entry["kind"] == "detectors":
        return f"limits {body['from'] or 'none'} -> {body['to']} by {body['by']}: {body['reason']}"
    return f"{body.get('numbers', {}).get('action', '')}: {'; '.join(body.get('reasons', []))}"


def _told(body: dict[str, Any]) -> str:
    """What somebody asked, answered or stopped."""
    until = f" until {body['until']}" if body["until"] else ""
    if body["what"] == "request":
        return f"version {body['version']} waits for an answer{until}"
    about = f" version {body['version']}" if "version" in body else ""
    gated = ", ".join(body.get("body", {}).get("skipped", []))
    reason = f": {body['reason']}" if body["reason"] else ""
    return f"{body['what']}{about} by {body['by']}{until}{reason}" + (f" (skipped: {gated})" if gated else "")


def add_to(app: typer.Typer) -> None:
    for verb in (findings, digests, lineage):
        app.command()(verb)
