"""`tidegate replay`: runs the flow, shows the nights as they pass, writes summary and report."""

from __future__ import annotations

import json
import shutil
import threading
import time
from datetime import date
from pathlib import Path

import typer

from tidegate.cli.livetable import Watch
from tidegate.config.home import Home
from tidegate.config.project import load_project
from tidegate.errors import UsageError
from tidegate.steps.replaying import POLICIES, inject, prepare_home
from tidegate.steps.summary import summarise

PERIOD = 0.5


def run_replay(
    home: Home, model: str, start: date, end: date, policy: str, history: date | None, faults: str | None, replay_id: str,
    *, fresh: bool, out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Replay, watch, summarise."""
    began = time.monotonic()
    project = load_project(home)
    calendar = project.calendar(project.dataset(project.model(model).dataset))
    policies = list(POLICIES) if policy == "all" else [policy]
    base = home.replay(replay_id, policies[0]).state.parent
    if base.exists() and fresh:
        shutil.rmtree(base)
    elif any((base / p / "progress.jsonl").exists() for p in policies):
        raise UsageError(
            f"replay {replay_id!r}",
            "a new id",
            "an earlier replay of that name",
            "choose another --id, or delete the earlier one with --fresh",
        )
    homes = {p: prepare_home(home, model, replay_id, p, faults, start, end) for p in policies}
    first = history or calendar.shift(calendar.window(start), -59).date
    watch = Watch(
        homes, model, project.model(model), (start - first).days, (end - start).days + 1, began, quiet=as_json
    )
    over = threading.Event()
    watcher = threading.Thread(target=watch.run, args=(over, PERIOD), daemon=True)
    watcher.start()
    try:
        from flows.parameters import ReplayRequest
        from flows.replay import replay

        replay(ReplayRequest.model_validate({
            "home": str(home.root), "model": model, "start": start, "end": end, "history": history, "policy": policy, "faults": faults, "replay_id": replay_id,
        }))  # fmt: skip
    finally:
        over.set()
        watcher.join()
    injected = inject(homes[policies[0]], project.model(model).dataset, faults, start, end)
    summary = summarise(
        homes, model, calendar.window(start), calendar.window(end), wall_s=time.monotonic() - began, injected=injected
    )
    folder = out or base
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(summary, indent=1))
    from tidegate.report.replay import render_replay

    (folder / "report.html").write_text(render_replay(summary))
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        watch.finish(summary, folder)
