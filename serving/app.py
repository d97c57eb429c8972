"""The gateway's answers. Predictions take a short way past the router; everything else goes through Starlette."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from serving.hosted import Answer, Hosted
from serving.lane import Lane
from serving.payload import Parsed, Refused
from tidegate.adapters.apikeys import digest_of
from tidegate.adapters.inferenceids import new_ids
from tidegate.config.serving import Gateway as Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Keys = Callable[[], dict[str, tuple[str, tuple[str, ...]]]]

INLINE = 32
"""Rows that the fast path scores at once; more, and all that needs pandas, go to a thread."""
TRACE = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
LOCAL = re.compile(rb"https?://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?")
OPEN = ("/ping", "/health", "/livez", "/readyz")
said = logging.getLogger("tidegate.serving")
encode = msgspec.json.Encoder().encode


class Gone(Exception):
    """The caller hung up."""


class Gateway:
    """An ASGI application over the lanes of a worker.

    Parameters
    ----------
    rest : ASGI application
        What answers everything but predictions.
    guarded : bool
        Whether each request needs a key; without, only those that bring one are named in the log.
    """

    def __init__(self, lanes: dict[str, Lane], settings: Settings, keys: Keys, guarded: bool, rest: Any) -> None:
        self.lanes, self.settings, self.keys, self.guarded, self.rest = lanes, settings, keys, guarded, rest
        self.by_path = {f"/models/{name}/invocations": lane for name, lane in lanes.items()}
        if len(lanes) == 1:
            self.by_path["/invocations"] = next(iter(lanes.values()))
        self.busy = 0
        self.patience = settings.timeout.total_seconds()
        self.scorers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="score")
        self.syncers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="sync")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            lane = self.by_path.get(scope["path"])
            if lane is not None and scope["method"] == "POST":
                await self.predict(lane, scope, receive, send)
                return
            try:
                self.allowed(scope["path"], dict(scope["headers"]))
            except Refused as fault:
                await respond(send, fault.status, told(fault), retry=fault.retry)
                return
        await self.rest(scope, receive, send)

    # -- who asks -----------------------------------------------------------------------
    def allowed(self, path: str, headers: dict[bytes, bytes], right: str | None = None) -> str:
        """The name of the key that a request brings, "" without one.

        Raises
        ------
        Refused
            401 without a running key where one is needed, 403 for one whose role does not go so far.
        """
        origin = headers.get(b"origin")
        if origin is not None and not self.guarded and not LOCAL.fullmatch(origin):
            # Without keys any page in a browser on this machine could ask.
            raise Refused(403, "the request: expected one of this machine, found another page's. Next: use a key")
        token = headers.get(b"x-api-key")
        if token is None:
            scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
            token = token if scheme.lower() == b"bearer" else b""
        if not token:
            if self.guarded and path not in OPEN:
                raise Refused(401, "the request: expected an API key, found none. "
                                   "Next: send the header Authorization: Bearer KEY")  # fmt: skip
            return ""
        found = self.keys().get(digest_of(token.decode("latin-1").strip()))
        if found is None:
            if path in OPEN:
                return ""
            raise Refused(401, "the API key: expected a running one, found another. Next: ask for a key")
        needed = right or ("label" if path.endswith("/labels") else "read" if path == "/metrics" else "")
        if needed and needed not in found[1]:
            raise Refused(403, f"the API key of {found[0]}: expected the right to {needed}, found "
                               f"{', '.join(found[1])}. Next: ask for a key with it")  # fmt: skip
        return found[0]

    # -- predictions ----------------------------------------------------------------------
    async def predict(self, lane: Lane, scope: Scope, receive: Receive, send: Send) -> None:
        """Read, check, score, log, answer: in this order, so that what is answered is logged."""
        began, at, caller = time.time_ns(), time.perf_counter_ns(), ""
        headers = dict(scope["headers"])
        try:
            if self.busy >= self.settings.concurrency:
                raise Refused(429, f"the gateway: expected at most {self.settings.concurrency} requests at once, "
                                   "found more. Next: try again in a second", retry=1)  # fmt: skip
            self.busy += 1
            try:
                caller = self.allowed(scope["path"], headers, "predict")
                hosted, given, answer = await self._answered(lane, headers, receive)
                nanos = time.perf_counter_ns() - at
                rows = given.rows
                ids = new_ids(len(rows), began)
                if len(rows) == 1 and given.ids[0] is None and (named := headers.get(b"x-request-id")):
                    given.ids[0] = named[:200].decode("latin-1")
                kept = lane.keep(hosted, answer, rows, ids, given.ids, began, nanos, caller, trace_of(headers))
                if lane.sync and kept:
                    kept = await asyncio.get_running_loop().run_in_executor(self.syncers, lane.log.sync)
                body = encode(
                    {
                        "predictions": answer.predictions,
                        "scores": answer.scores,
                        "inference_ids": ids,
                        "model": lane.model.name,
                        "version": hosted.version,
                        "logged": kept,
                    }
                )
            finally:
                self.busy -= 1
            lane.count("ok", len(rows), time.perf_counter_ns() - at)
            await respond(send, 200, body)
        except Refused as fault:
            lane.count("throttled" if fault.status == 429 else "refused" if fault.status < 500 else "failed")
            lane.log.refused(began, time.perf_counter_ns() - at, fault.status, kind_of(fault), caller)
            await respond(send, fault.status, told(fault), retry=fault.retry)
        except Gone:
            lane.count("refused")
        except Exception as fault:  # the model's own code, or ours: the caller hears of it, and so do we
            said.error("%s: a request failed: %s", lane.model.name, place_of(fault))
            lane.count("failed")
            lane.log.refused(began, time.perf_counter_ns() - at, 500, type(fault).__name__, caller)
            words = f"model {lane.model.name}: expected scores, found a fault of the model. Next: tell its owner"
            await respond(send, 500, told(Refused(500, words)))

    async def _answered(
        self, lane: Lane, headers: dict[bytes, bytes], receive: Receive
    ) -> tuple[Hosted, Parsed, Answer]:
        body = await self.body(headers, receive)
        hosted = lane.hosted
        if hosted is None:
            raise Refused(503, f"{lane.model.name}: expected a champion, found none: {lane.why}", retry=5)
        kind = headers.get(b"content-type", b"application/json").decode("latin-1")
        if kind == "application/json":
            given = lane.payload.read(body, kind)
        else:  # CSV and Parquet may take a while
            given = await asyncio.get_running_loop().run_in_executor(self.scorers, lane.payload.read, body, kind)
        rows = given.rows
        if not rows:
            return hosted, given, Answer([], [], [], [])
        if hosted.prepared.light and len(rows) <= INLINE:
            return hosted, given, hosted.answer(rows)
        return hosted, given, await self._in_a_thread(hosted, rows)

    async def _in_a_thread(self, hosted: Hosted, rows: list[tuple[Any, ...]]) -> Answer:
        job = asyncio.get_running_loop().run_in_executor(self.scorers, hosted.answer, rows)
        done, _ = await asyncio.wait((job,), timeout=self.patience)
        if done:
            return job.result()
        # The thread goes on: its place is free again only when it has ended.
        self.busy += 1
        job.add_done_callback(self._freed)
        raise Refused(503, f"the model: expected scores within {self.patience:g} s, found none yet. "
                           "Next: send fewer rows", retry=5)  # fmt: skip

    def _freed(self, job: asyncio.Future[Answer]) -> None:
        self.busy -= 1
        if not job.cancelled():
            job.exception()

    async def body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The body of a request.

        Raises
        ------
        Refused
            413 if it is too large, 408 if it does not come in time.
        Gone
            If the caller hung up.
        """
        most = self.settings.max_body
        length = headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > most:
            raise _too_large(most)
        try:
            async with asyncio.timeout(self.patience):
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                body: bytes = message.get("body", b"")
                if not message.get("more_body"):
                    if len(body) > most:
                        raise _too_large(most)
                    return body
                parts, size = [body], len(body)
                while message.get("more_body"):
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise _too_large(most)
                return b"".join(parts)
        except TimeoutError:
            raise Refused(408, f"the body: expected it within {self.patience:g} s, found a part of it. "
                               "Next: send it again") from None  # fmt: skip


def _too_large(most: int) -> Refused:
    return Refused(413, f"the body: expected at most {most} bytes, found more. Next: send the rows in parts")


def place_of(fault: BaseException) -> str:
    """The kind of a fault and where it arose; its text may have a caller's value in it."""
    last = traceback.extract_tb(fault.__traceback__)[-1:]
    return type(fault).__name__ + "".join(f" in {Path(f.filename).name}, line {f.lineno}" for f in last)


def kind_of(fault: Refused) -> str:
    """What was wrong, without anything of the request in it: fit for a log."""
    return fault.message.partition(":")[0][:40] if fault.status != 400 else "the body or a row"


def trace_of(headers: dict[bytes, bytes]) -> str:
    """The W3C trace id of a request, or ""."""
    found = headers.get(b"traceparent")
    match = TRACE.fullmatch(found) if found else None
    return match[1].decode() if match else ""


def told(fault: Refused) -> bytes:
    """A refusal in the form that MLflow gives its own."""
    codes = {400: "BAD_REQUEST", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 413: "BAD_REQUEST",
             415: "BAD_REQUEST", 408: "BAD_REQUEST", 429: "REQUEST_LIMIT_EXCEEDED", 500: "INTERNAL_ERROR",
             503: "TEMPORARILY_UNAVAILABLE"}  # fmt: skip
    return encode({"error_code": codes.get(fault.status, "BAD_REQUEST"), "message": fault.message})


async def respond(send: Send, status: int, body: bytes, *, retry: int = 0) -> None:
    """One JSON answer."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if retry:
        headers.append((b"retry-after", b"%d" % retry))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status in (408, 413, 429):
        headers.append((b"connection", b"close"))  # what is left of the body is not waited for
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


__all__ = ["Gateway", "Gone", "respond", "told"]
