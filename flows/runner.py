"""Registers everything at the Prefect server and runs what it asks for: ``python -m flows.runner --home HOME``.

A process worker of the pool `tidegate` with what surrounds it: it waits for the server, registers again when it comes
back, touches ``<state>/up/runner.ready`` when runs can start, tells of failed runs that no automation told of, and ends
every run it started when it is ended.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import flows
from tidegate.adapters.orphans import MARK
from tidegate.config.home import Home, find_home
from tidegate.config.project import load_project
from tidegate.errors import StoreError, TidegateError

PATIENCE = 120.0
"""Seconds that a server may take to come up."""
PAUSE = 2.0
"""Seconds between two tries to reach it."""
LOOK = 15.0
"""Seconds between two looks for failed runs that nobody was told of."""
GRACE = 10.0
"""Seconds that the runs have to end by themselves."""
log = logging.getLogger("prefect.tidegate.runner")


def settings() -> None:
    """What Prefect must know before it is imported; what the environment says already stays."""
    from tidegate.deploy.documents import HEARTBEAT

    # Two seconds between two looks for runs, as against ten: an event's retraining waits for the look.
    for name, value in {
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_LOGGING_LEVEL": "INFO",
        # Runs have a folder of their own for a working directory: what was found from here must be found from there.
        "PYTHONPATH": os.pathsep.join([str(Path(flows.__file__).parents[1]), *_absolute()]),
    }.items():
        os.environ.setdefault(name, value) if name != "PYTHONPATH" else os.environ.update({name: value})


def _absolute() -> list[str]:
    given = [str(Path(p).resolve()) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    return [p for p in dict.fromkeys(given) if p != str(Path(flows.__file__).parents[1])]


def registered(home: Home) -> None:
    """Register, as soon as the server answers; models that are wrong are named, the others deployed.

    Raises
    ------
    StoreError
        If the server does not answer in time.
    """
    import httpx
    from prefect import get_client

    from flows.deploying import register
    from tidegate.steps.deadman import deployed
    from tidegate.steps.deploying import planned

    plan, end = planned(home, at=str(home.root)), time.monotonic() + PATIENCE
    if MARK in os.environ:
        # Who started this delivers by itself; a run every five minutes would find nothing to send.
        idle(plan.deployments, "deliver/deliver")
    for name, fault in plan.wrong.items():
        log.error("model %s is not deployed: %s", name, fault)
    while True:
        try:
            with get_client(sync_client=True) as client:
                ids = register(client, plan)
            break
        except httpx.TransportError as fault:
            if time.monotonic() > end:
                url = os.environ.get("PREFECT_API_URL", "none")
                raise StoreError(f"Prefect server {url}", "an answer", str(fault) or type(fault).__name__,
                                 "start it with tidegate up, or correct PREFECT_API_URL") from None  # fmt: skip
            time.sleep(PAUSE)
    deployed(home, plan.models)
    log.info("%d deployments, %d automations registered", len(ids), len(plan.automations))


def idle(deployments: list[dict[str, Any]], name: str) -> None:
    """Register ``flow/deployment`` without its schedule running; it can be started by hand.

    Examples
    --------
    >>> one = {"name": "deliver", "entrypoint": "flows.deliver.deliver"}
    >>> one["schedules"] = [{"cron": "* * * * *", "active": True}]
    >>> idle([one], "deliver/deliver")
    >>> one["schedules"]
    [{'cron': '* * * * *', 'active': False}]
    """
    from tidegate.deploy.documents import full_name

    for made in deployments:
        # By the full name: a model may be called as a flow is.
        if full_name(made) == name:
            made["schedules"] = [{**s, "active": False} for s in made.get("schedules", ())]


async def watch_ends() -> None:
    """Look for untold failures until cancelled; a server that does not answer is asked again."""
    while True:
        await asyncio.sleep(LOOK)
        try:
            found = await asyncio.to_thread(_look)
        except Exception as fault:  # whatever it is, the next look is in seconds
            log.warning("could not look for failed runs: %s", fault)
        else:
            for run in found:
                log.warning("run %s failed, and no automation told of it: it is told now", run)


def _look() -> list[str]:
    from prefect import get_client

    from flows.untold import tell_of_untold
    from tidegate.clock import now

    with get_client(sync_client=True) as client:
        return tell_of_untold(client, now())


async def work(home: Home, ready: Path) -> None:
    """Run flow runs until a signal; when the server was away for long, start over."""
    import anyio
    from prefect.workers.process import ProcessWorker

    from tidegate.deploy.documents import POOL

    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    limit = load_project(home).platform.schedule.at_once
    while not ending.is_set():
        try:
            async with anyio.create_task_group() as group:
                worker = ProcessWorker(work_pool_name=POOL, create_pool_if_not_found=False, limit=limit)
                group.start_soon(worker.start)
                group.start_soon(watch_ends)
                while not (worker.is_setup or ending.is_set()):
                    await asyncio.sleep(0.1)
                ready.touch()
                await ending.wait()
                end_runs()
                group.cancel_scope.cancel()
        except Exception as fault:
            ready.unlink(missing_ok=True)
            log.error("the worker stopped and starts again: %s", fault)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), PAUSE)
            if not ending.is_set():
                await asyncio.to_thread(registered, home)


def end_runs() -> None:
    """End every process below this one: first asked, then made to."""
    import psutil

    below = psutil.Process().children(recursive=True)
    for process in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(below, GRACE)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m flows.runner", description=__doc__.splitlines()[0])
    parser.add_argument("--home", help="Home folder; by default TIDEGATE_HOME, or the nearest one upward.")
    given = parser.parse_args(arguments)
    settings()
    try:
        root = find_home(given.home)
        home = Home.at(root, load_project(Home.at(root)).platform.state)
        ready = home.state / "up" / "runner.ready"
        ready.parent.mkdir(parents=True, exist_ok=True)
        ready.unlink(missing_ok=True)
        registered(home)
        try:
            asyncio.run(work(home, ready))
        finally:
            ready.unlink(missing_ok=True)
            end_runs()
    except TidegateError as fault:
        print(f"tidegate: {fault}", file=sys.stderr)
        return fault.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
