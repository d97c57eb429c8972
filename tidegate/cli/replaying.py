"""`tidegate replay`: runs the flow, shows the nights as they pass, writes summary and report."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import typer

from flows.parameters import HISTORY, ReplayRequest
from tidegate.cli.livetable import Watch
from tidegate.config.home import Home
from tidegate.config.project import load_project
from tidegate.errors import StoreError, UsageError
from tidegate.steps.policies import compare_policies, put_on_scoreboard
from tidegate.steps.replaying import inject, policies_of, prepare_home
from tidegate.steps.summary import summarise

PERIOD = 0.5


def run_replay(home: Home, request: ReplayRequest, *, fresh: bool, out: Path | None, as_json: bool) -> None:
    """Replay, watch, summarise; writes summary.json and report.html into `out`."""
    began = time.monotonic()
    project = load_project(home)
    model = project.model(request.model)
    calendar = project.calendar(project.dataset(model.dataset))
    start, end = calendar.window(request.start), calendar.window(request.end)
    first = request.history or calendar.shift(start, -HISTORY).date
    if not first < start.date <= end.date:
        expected = "--history before --from, and --from not after --to"
        raise UsageError("nights", expected, f"{first}, {start}, {end}", "correct the dates")
    policies = policies_of(request.policy)
    base = home.replay(request.replay_id, policies[0]).state.parent
    if fresh:
        shutil.rmtree(base, ignore_errors=True)
    elif any((base / p / "progress.jsonl").exists() for p in policies):
        do = "choose another --id, or add --fresh to delete the earlier one"
        raise UsageError(f"replay {request.replay_id!r}", "a new id", "an earlier replay of that name", do)
    folder = out or base
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise StoreError(f"--out {folder}", "a folder that can be written", str(fault), "choose another") from None
    homes = {p: prepare_home(home, request.model, request.replay_id, p) for p in policies}
    injected = inject(homes[policies[0]], model.dataset, request.faults, start.date, end.date)
    watch = Watch(homes, model, (start.date - first).days, (end.date - start.date).days + 1, began, quiet=as_json)
    over = threading.Event()
    watcher = threading.Thread(target=watch.run, args=(over, PERIOD), daemon=True)
    watcher.start()
    try:
        from flows.replay import replay

        replay(request)
    finally:
        over.set()
        watcher.join()
    summary = summarise(homes, request.model, start, end, wall_s=time.monotonic() - began, injected=injected)
    if request.policy == "every":
        found = compare_policies(home, request.model, request.replay_id)
        summary["oracle"] = found["oracle"]
        for policy, figures in summary["policies"].items():
            figures |= {key: found["policies"][policy][key] for key in ("distance", "part_of_oracle")}
        put_on_scoreboard(home, found)
    (folder / "summary.json").write_text(json.dumps(summary, indent=1))
    from tidegate.report.replay import render_replay

    (folder / "report.html").write_text(render_replay(summary), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        watch.finish(summary, folder)
