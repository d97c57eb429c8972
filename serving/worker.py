"""One worker process: what it is told by its environment, and what it starts and stops."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from serving.app import Gateway
from serving.follower import Follower
from serving.gauges import Gauges
from serving.lane import lanes_of
from serving.meter import Meter
from serving.routes import Routes
from serving.watch import Watch
from tidegate.config.home import Home
from tidegate.config.project import load_project
from tidegate.logs import Lines

TOLD = "TIDEGATE_GATEWAY"
"""The environment variable in which the parent tells its workers what to serve."""


def application() -> Any:
    """The ASGI application of this process; uvicorn calls it in each worker."""
    told = json.loads(os.environ[TOLD])
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    home = Home(Path(told["root"]), Path(told["state"]), Path(told["shared"]))
    logging.getLogger("tidegate").addHandler(Lines(home.state, server="gateway"))
    return build(home, tuple(told["models"]), guarded=told["guarded"], live=Path(told["live"]), parent=told["parent"])


def build(home: Home, names: tuple[str, ...], *, guarded: bool, live: Path, parent: int | None = None) -> Any:
    """The application for these models of a home; `parent` is a process whose end ends this one."""
    import threadpoolctl

    # Two workers' threads would wait for each other: a request takes one core.
    threadpoolctl.threadpool_limits(1)
    project = load_project(home)
    settings = project.platform.serving
    worker = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    gauges = Gauges(live / f"{worker}.live", names)
    lanes = lanes_of(project, names, gauges, worker, home.state)
    watch, meter = Watch(home, lanes, gauges, live), Meter(lanes, worker)

    def each_look() -> None:
        if parent is not None and os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)  # nobody is left who would end this process
        watch.look()
        meter.look()

    follower = Follower(home, project.platform.namespace, lanes, worker, settings.poll.total_seconds(), each_look)
    follower.look()
    routes = Routes(lambda: gateway, lanes, follower, gauges)
    gateway = Gateway(lanes, settings, lambda: follower.keys, guarded, routes.app())

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        follower.start()
        try:
            yield
        finally:
            await asyncio.to_thread(follower.stop)
            await asyncio.to_thread(meter.look, now=True)
            for lane in lanes.values():
                await asyncio.to_thread(lane.log.close)

    return Lifespan(gateway, lifespan)


class Lifespan:
    """An ASGI application that starts and stops what a worker needs."""

    def __init__(self, gateway: Gateway, around: Any) -> None:
        self.gateway, self.around = gateway, around

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self.gateway(scope, receive, send)
            return
        await receive()
        async with self.around():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


__all__ = ["TOLD", "application", "build"]
