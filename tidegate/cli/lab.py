"""`tidegate lab`: faults on purpose, what each rule says of them, and the scoreboard."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.cli.detectors import dates_of
from tidegate.cli.labparts import actions, chain
from tidegate.cli.output import Json, Model, flow_home, json_text, show
from tidegate.cli.run import day
from tidegate.config.home import Home
from tidegate.config.values import NAME, NAME_WORDS
from tidegate.errors import UsageError

QUICK, FULL = 8, 200
ORDERS = {"quick": 4, "full": 20}
DELAYS = (2, 60)
BUDGET = 1.0


@dataclass(frozen=True)
class Asked:
    """What a part of the lab is told."""

    home: Home
    model: str
    id: str
    folder: Path
    first: date
    last: date
    full: bool
    seeds: int | None
    seed: int
    say: Callable[[int, int, str], None]


def lab(
    ctx: typer.Context,
    model: Model,
    quick: Annotated[bool, typer.Option("--quick/--full", help="Minutes, or some hours.")] = True,
    seeds: Annotated[
        int | None,
        typer.Option(help="Paired seeds; else 8, 2 and 1 of profile, chain and actions, or 200, 60 and 4.", min=1),
    ] = None,
    level: Annotated[str, typer.Option(help="Which part: profile, chain, actions, or all.")] = "all",
    name: Annotated[
        str | None, typer.Option("--id", help="The same id goes on where it was; else quick or full.")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="First date, YYYY-MM-DD; else the first stored.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last date; else the last stored.")] = None,
    seed: Annotated[int, typer.Option(help="Of the orders, onsets and faults.", min=0)] = 1,
    as_json: Json = False,
) -> None:
    """Put known faults into nights in which nothing drifts, and see which rule wakes somebody, and how soon."""
    from tidegate.steps.stores import open_stores

    wanted = list(PARTS) if level == "all" else [level]
    if not set(wanted) <= set(PARTS):
        raise UsageError("--level", f"one of {', '.join((*PARTS, 'all'))}", repr(level), "correct it")
    chosen = name or ("quick" if quick else "full")
    if not NAME.fullmatch(chosen):
        raise UsageError("--id", NAME_WORDS, repr(chosen), "choose another")
    home = flow_home(ctx)
    stores = open_stores(home)
    start, end = dates_of(stores, stores.project.model(model).dataset, day(first, "--from"), day(last, "--to"))
    folder = home.state / "lab"
    with Bar(as_json) as say:
        for part in wanted:
            new = PARTS[part](Asked(home, model, chosen, folder / chosen, start, end, not quick, seeds, seed, say))
            _keep(folder, new)
    board = json.loads((folder / "scoreboard.json").read_text())
    if as_json:
        typer.echo(json_text(board))
        return
    _told(board)
    typer.echo(f"\n{folder / 'scoreboard.html'}")


def profile(asked: Asked) -> dict[str, Any]:
    """The rules at profile level."""
    from tidegate.clock import now
    from tidegate.lab.scoreboard import scoreboard
    from tidegate.steps.labprofile import Plot, run_profile

    seeds = asked.seeds or (FULL if asked.full else QUICK)
    orders = ORDERS["full" if asked.full else "quick"]
    plot = Plot(asked.model, asked.first.isoformat(), asked.last.isoformat(), orders, asked.seed, BUDGET, DELAYS)
    lines = run_profile(asked.home, plot, asked.folder, seeds, now(), progress=asked.say)
    asked.say(1, 1, "adding up")
    board = scoreboard(lines, BUDGET, DELAYS)
    cpu = sum(line.get("cpu_s", 0.0) for line in lines)
    cells = sum(line["kind"] == "cell" for line in lines)
    told = {"id": asked.id, "seeds": seeds, "orders": orders, "from": plot.first, "to": plot.last, "seed": plot.seed,
            "budget": BUDGET, "delays": list(DELAYS), "cells": cells,
            "cpu_s_per_cell": round(cpu / max(cells, 1), 3)}  # fmt: skip
    return {"rules": board["rules"], "settings": {"model": asked.model, "profile": told}}


PARTS: dict[str, Callable[[Asked], dict[str, Any]]] = {"profile": profile, "chain": chain, "actions": actions}
"""The parts of the lab; each gives its part of the scoreboard."""


class Bar:
    """A progress bar on stderr; `say(done, of, words)` moves it."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, console=Console(stderr=True), disable=quiet)
        self.task = self.progress.add_task("lab", total=None)

    def __enter__(self) -> Callable[[int, int, str], None]:
        self.progress.start()
        return self._say

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def _say(self, done: int, of: int, words: str) -> None:
        self.progress.update(self.task, completed=done, total=of or None, description=words or "lab")


def _keep(folder: Path, new: dict[str, Any]) -> None:
    """The scoreboard with what a part found, and its page."""
    from tidegate.lab.scoreboard import merge
    from tidegate.report.scoreboard import render_scoreboard

    path = folder / "scoreboard.json"
    board = merge(json.loads(path.read_text()) if path.is_file() else {}, new)
    for file, text in ((path, json_text(board)), (path.with_suffix(".html"), render_scoreboard(board))):
        staged = file.with_suffix(file.suffix + ".new")
        staged.write_text(text, encoding="utf-8")
        staged.replace(file)


def _told(board: dict[str, Any]) -> None:
    rules = board.get("rules") or {}
    show([
        {"rule": r["title"], "false pages in 30 nights": r["false_pages_30d"], "power": r["power"],
         "delay, nights": r["delay_nights"], "unwanted": r["unwanted_pages"]}
        for r in rules.values()
    ], False)  # fmt: skip


def add_to(app: typer.Typer) -> None:
    app.command()(lab)
