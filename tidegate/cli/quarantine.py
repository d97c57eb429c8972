"""`tidegate quarantine`: rows that were refused, and a person's release of them."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tidegate.cli.output import Dataset, Json, home_of, show
from tidegate.errors import UsageError

group = typer.Typer(no_args_is_help=True, help="Look at refused rows and release them.")


@group.command("list")
def list_rows(
    ctx: typer.Context,
    dataset: Dataset,
    window: Annotated[str | None, typer.Option(help="Only this date.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows shown at most.")] = 50,
    as_json: Json = False,
) -> None:
    """Blocked windows and quarantined rows, with their reasons."""
    from tidegate.steps.stores import open_stores

    stores = open_stores(home_of(ctx))
    calendar = stores.project.calendar(stores.project.dataset(dataset))
    nights = [calendar.window(window).id] if window else None
    blocked = {w: v for w, v in stores.data_records.verdicts(dataset, "quality", nights).items() if v.outcome == "fail"}
    rows = stores.data.read("quarantine", dataset, nights).to_pylist()
    if not as_json:
        for night, verdict in blocked.items():
            typer.echo(f"{night} blocked: {'; '.join(verdict.reasons)}")
    show(
        [{"window": r["window"], "row_id": r["row_id"], "reasons": r["reasons"]} for r in rows[:limit]],
        as_json,
        empty="no rows in quarantine",
    )
    if not as_json and len(rows) > limit:
        typer.echo(f"and {len(rows) - limit} rows more")


@group.command()
def release(
    ctx: typer.Context,
    dataset: Dataset,
    window: Annotated[str, typer.Argument(help="Date, YYYY-MM-DD.")],
    by: Annotated[str, typer.Option(help="Who releases.")],
    why: Annotated[str, typer.Option(help="Why; kept in the ledger.")],
    row: Annotated[list[str] | None, typer.Option(help="Row ids; all of the window by default.")] = None,
    batch: Annotated[bool, typer.Option(help="Let the batch through although it was blocked.")] = False,
    as_json: Json = False,
) -> None:
    """Let refused rows, or a blocked batch, through; ingest runs again at once."""
    from tidegate.steps.release import release as step
    from tidegate.steps.stores import open_stores

    if not by.strip() or not why.strip():
        raise UsageError("release", "--by and --why", "an empty text", "say who releases and why")
    stores = open_stores(home_of(ctx))
    verdict, rows = step(stores, dataset, window, rows=row, batch=batch, by=by, why=why)
    if as_json:
        typer.echo(json.dumps({"released": rows, **verdict.as_dict()}, default=str))
    else:
        typer.echo(
            f"{dataset} {window}: {rows} rows released, window now {verdict.outcome}"
            + "".join(f"\n  {r}" for r in verdict.reasons)
        )
    raise typer.Exit(0 if verdict.passed else 3)


def add_to(app: typer.Typer) -> None:
    app.add_typer(group, name="quarantine")
