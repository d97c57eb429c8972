"""Serves the pages of a home: dashboards, runbooks, drift reports, evidence, and the flows' metrics.

It only reads: `tidegate pages` and each night write the files. Loopback only; a proxy that knows people brings them
to others.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from serving.run import is_loopback
from tidegate.clock import now
from tidegate.config.home import Home
from tidegate.config.project import Project
from tidegate.errors import TidegateError, UsageError
from tidegate.steps.flowmetrics import exposition
from tidegate.steps.health import health
from tidegate.steps.pages import FOLDER, write_pages
from tidegate.steps.stores import open_stores

STALE = 900.0
"""Seconds after which a page is written anew when somebody asks for it."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Writer:
    """Writes the pages in a thread of its own, one at a time, when they are absent or old."""

    def __init__(self, home: Home) -> None:
        self.home, self.fault = home, ""
        self._turn = threading.Lock()

    def wake(self) -> None:
        """Write them beside, unless that is being done."""
        if self._old() and self._turn.acquire(blocking=False):
            threading.Thread(target=self._write, daemon=True).start()

    def _old(self) -> bool:
        try:
            return time.time() - (self.home.state / FOLDER / "business.html").stat().st_mtime > STALE
        except OSError:
            return True

    def _write(self) -> None:
        try:
            write_pages(open_stores(self.home), now())
            self.fault = ""
        except TidegateError as fault:
            self.fault = " ".join(str(fault).split())
        except Exception as fault:  # the server goes on with the pages that are there
            self.fault = type(fault).__name__
        finally:
            self._turn.release()


class Guarded:
    """Sets the headers of every answer, and refuses a host that is not this machine: no page elsewhere can read us."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        host = Request(scope).url.hostname or ""
        if not is_loopback(host):
            await PlainTextResponse("only this machine is served", 421)(scope, receive, send)
            return

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                known = {name.lower() for name, _ in message["headers"]}
                message["headers"] += [
                    (name.lower().encode(), value.encode())
                    for name, value in HEADERS.items() if name.lower().encode() not in known
                ]  # fmt: skip
            await send(message)

        await self.app(scope, receive, with_headers)


def application(home: Home) -> Any:
    """The ASGI application of a home."""
    writer = Writer(home)
    for folder in (FOLDER, "reports"):
        (home.state / folder).mkdir(parents=True, exist_ok=True)

    def ping(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def start(_: Request) -> Response:
        writer.wake()
        ready = (home.state / FOLDER / "engineering.html").exists()
        if ready:
            return RedirectResponse("/pages/engineering.html")
        said = writer.fault or "The pages are being written for the first time: try again in a few seconds."
        return PlainTextResponse(said, 503, {"Retry-After": "5", "Refresh": "5"})

    def short(request: Request) -> Response:
        writer.wake()
        return RedirectResponse(f"/pages/{request.url.path.strip('/')}.html")

    def metrics(_: Request) -> Response:
        try:
            return PlainTextResponse(exposition(open_stores(home), now()), media_type="text/plain; version=0.0.4")
        except TidegateError as fault:
            return PlainTextResponse(f"# {' '.join(str(fault).split())}\n", 503)

    def status(_: Request) -> Response:
        try:
            found = [h.as_dict() for h in health(open_stores(home), now())]
        except TidegateError as fault:
            return JSONResponse({"fault": " ".join(str(fault).split())}, 503)
        return Response(json.dumps(found, default=str), media_type="application/json")

    routes = [
        Route("/", start), Route("/ping", ping), Route("/metrics", metrics), Route("/status", status),
        Route("/engineering", short), Route("/business", short),
        Mount("/pages", StaticFiles(directory=home.state / FOLDER)),
        Mount("/reports", StaticFiles(directory=home.state / "reports")),
    ]  # fmt: skip
    return Guarded(Starlette(routes=routes))


def main(words: Sequence[str] | None = None) -> None:
    """Serve until a signal ends it."""
    import uvicorn

    asked = argparse.ArgumentParser(prog="python -m serving.pages", description="Serve the pages of a home.")
    asked.add_argument("--home", type=Path, required=True)
    asked.add_argument("--host", default="127.0.0.1")
    asked.add_argument("--port", type=int, default=8081)
    given = asked.parse_args(words)
    if not is_loopback(given.host):
        raise UsageError("--host", "a loopback address", given.host, "put a proxy that knows people before it")
    root = given.home.resolve()
    home = Home.at(root, Project(Home.at(root)).platform.state)
    uvicorn.run(application(home), host=given.host, port=given.port, log_level="warning", server_header=False)


if __name__ == "__main__":
    main()
