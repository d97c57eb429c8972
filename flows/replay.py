"""The `replay` flow: history night by night through the real steps, under a policy."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from prefect import flow, get_client

from flows.bodies import ingested, night, retrain
from flows.parameters import HISTORY, ReplayRequest
from tasks.night import watch_window
from tidegate.clock import evening_of
from tidegate.config.home import Home
from tidegate.errors import TidegateError, UsageError
from tidegate.steps.replaying import Progress, inject, policies_of, prepare_home
from tidegate.steps.stores import open_stores

PERIOD = 0.2
"""Seconds between two looks at which policies are still running."""


@flow(name="replay")
def replay(request: ReplayRequest) -> None:
    """Replay every night from `start` to `end`; results are in var/replay/<id>/<policy>."""
    if request.policy in ("all", "every"):
        _side_by_side(request)
    else:
        _one(request)


def _one(request: ReplayRequest) -> None:
    home = prepare_home(request.resolved(), request.model, request.replay_id, request.policy)
    _same_request(home, request)
    inject(home, open_stores(home).project.model(request.model).dataset, request.faults, request.start, request.end)
    stores = open_stores(home)
    model = stores.project.model(request.model)
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    progress = Progress(home, request.model)
    start = calendar.window(request.start)
    history = request.history or calendar.shift(start, -HISTORY).date
    for window in calendar.range(history, calendar.shift(start, -1).date):
        evening = evening_of(window)
        ingested(home, model.dataset, window.id, evening)
        watch_window(home, request.model, window.id, evening)
        progress.history(window)
    last = calendar.shift(start, -1)
    _first_champion(home, request.model, last.id)
    for window in calendar.range(request.start, request.end):
        progress.night(window, night(home, request.model, window.id, evening_of(window)))
    progress.done()


def _same_request(home: Home, request: ReplayRequest) -> None:
    """A replay's folder holds one replay: another one would start from its champions and faults."""
    path, body = home.shared / "request.json", request.model_dump_json(exclude={"policy", "home"}, indent=1)
    if path.is_file() and path.read_text() != body:
        do = "choose another replay_id, or delete the folder"
        raise UsageError(f"replay {request.replay_id!r}", "the request that its folder was made for", "another one", do)
    path.write_text(body)


def _first_champion(home: Home, model: str, window: str) -> None:
    stores = open_stores(home)
    if stores.champion(model) is not None:
        return
    calendar = stores.project.calendar(stores.project.dataset(stores.project.model(model).dataset))
    first = retrain(home, model, window, evening_of(calendar.window(window)), "first_model")
    if not first.promoted:
        reasons = "; ".join(first.gate.reasons)
        raise UsageError(
            f"first model of {model}", "to pass the gate", reasons, "use a longer --history or a better estimator"
        )


def _side_by_side(request: ReplayRequest) -> None:
    """One process a policy, all three or two at a time, on this run's Prefect server; each in its own home."""
    home = request.resolved()
    with get_client(sync_client=True) as client:
        env = {**os.environ, "PREFECT_API_URL": str(client.api_url), "TIDEGATE_HOME": str(home.root)}
    # Several processes share the cores: threads that wait for each other would only burn them.
    env["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // 2))
    waiting, at_once = policies_of(request.policy), 2 if request.policy == "every" else 3
    children: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
    try:
        while waiting:
            if sum(child.poll() is None for child, _ in children.values()) >= at_once:
                time.sleep(PERIOD)
                continue
            policy = waiting.pop(0)
            body = request.model_copy(update={"policy": policy}).model_dump_json()
            log = home.replay(request.replay_id, policy).state.with_suffix(".log")
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("w") as output:
                command = [sys.executable, "-m", "flows.replay", body]
                children[policy] = subprocess.Popen(command, env=env, stderr=output), log
        failed = {p: log.read_text() for p, (child, log) in children.items() if child.wait()}
    finally:
        for child, _ in children.values():
            if child.poll() is None:
                child.terminate()
                child.wait()
    if failed:
        policy, text = next(iter(failed.items()))
        raise TidegateError(
            f"replay under policy {policy}: {text.strip().splitlines()[-1] if text.strip() else 'ended early'}"
        )


if __name__ == "__main__":
    try:
        asked = ReplayRequest.model_validate_json(sys.argv[1])
        # The policy that trains most goes first, so that it is not left to run alone on one core at the end.
        os.nice({"monthly": 0, "tidegate": 4}.get(asked.policy, 8))
        replay(asked)
    except TidegateError as fault:
        raise SystemExit(str(fault)) from None
