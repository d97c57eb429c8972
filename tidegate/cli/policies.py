"""`tidegate policies`: what each policy of a replay cost, and how far the best was from what hindsight allows."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from tidegate.cli.output import Json, Model, home_of, json_text
from tidegate.config.values import NAME, NAME_WORDS
from tidegate.errors import UsageError


def policies(
    ctx: typer.Context,
    model: Model,
    replay_id: Annotated[str, typer.Option("--id", help="Name of the replay's folder under var/replay.")] = "replay",
    parts: Annotated[
        int | None, typer.Option("--segments", help="Stretches that the nights are cut into; by default 4.", min=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """The policies of a finished replay in money, with the hindsight oracle; the scoreboard takes the figures."""
    if not NAME.fullmatch(replay_id):
        raise UsageError("--id", NAME_WORDS, repr(replay_id), "correct the name")
    home = home_of(ctx)
    from tidegate.steps.policies import compare_policies, put_on_scoreboard

    found = compare_policies(home, model, replay_id, parts=parts)
    (home.replay(replay_id, "never").state.parent / "policies.json").write_text(json_text(found))
    path = put_on_scoreboard(home, found)
    if as_json:
        typer.echo(json_text(json.loads(json.dumps(found))))
        return
    _tables(found)
    typer.echo(str(path))


def _tables(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    names, unit = sorted(found["policies"], key=lambda p: found["policies"][p]["cost"]), found["unit"]
    console = Console()
    console = console if console.is_terminal else Console(width=400)
    table = Table(
        "policy", "retrains", "promotions", f"{unit}/row", "total cost", "gain over never", "(95 %)",
        "share of monthly's", "to the oracle", box=None, header_style="bold", pad_edge=False,
    )  # fmt: skip
    for name in names:
        f = found["policies"][name]
        table.add_row(
            name, str(f["retrains"]), str(f["promotions"]), _number(f["kpi_per_row"], ".4f"), _number(f["cost"]),
            _number(f["gain"]), _range(f["low"], f["high"]), _number(f["share_of_monthly"], ".0%"),
            _number(f["distance"]),
        )  # fmt: skip
    oracle = found["oracle"]
    for name, f in (("oracle, switching nightly", oracle), ("oracle, at policies' pace", oracle["paced"])):
        table.add_row(name, str(f["switches"]), "", _number(f["kpi_per_row"], ".4f"), _number(f["cost"]),
                      _number(f["gain"]))  # fmt: skip
    console.print(
        f"{found['model']}, {found['from']} to {found['to']}: {found['rows']:,} rows that every policy scored, "
        f"costs in {unit}; {oracle['pool']} versions for the oracle"
    )
    console.print(table)
    parts = Table("stretch", *(f"{n} (rank)" for n in names), box=None, header_style="bold", pad_edge=False)
    for s in found["segments"]:
        cells = (f"{_number(s['policies'][n]['cost'])} ({s['policies'][n]['rank']})" for n in names)
        parts.add_row(f"{s['from']} to {s['to']}", *cells)
    console.print("\nTotal cost by stretch, those of the second half of the list begun half a stretch later")
    console.print(parts)
    for policy in found["unfinished"]:
        console.print(f"{policy}: has not come to its end, and is left out")


def _number(value: float | None, form: str = ",.0f") -> str:
    return "–" if value is None else f"{value:{form}}"


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:,.0f} to {high:,.0f}"


def add_to(app: typer.Typer) -> None:
    app.command()(policies)
