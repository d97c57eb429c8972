"""Everything a gateway answers but predictions: labels, health, plans, metrics, the OpenAPI document."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from serving.app import Gateway, Gone, place_of, told
from serving.exposition import exposition
from serving.follower import Follower
from serving.gauges import Gauges
from serving.lane import Lane
from serving.openapi import document
from serving.payload import Refused
from tidegate.steps.labels import class_order

JSON = "application/json"
FIRST, SKEW = 946_684_800.0, 300.0
"""Seconds of the year 2000, and what a caller's clock may be ahead."""
LARGEST = 1e300
said = logging.getLogger("tidegate.serving")


class LabelGiven(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What came true of one inference, or of one row."""

    label: bool | int | float | str
    inference_id: Annotated[str, Meta(pattern=r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")] | None = None
    row_id: Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")] | None = None
    known_at: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET


class LabelsGiven(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The body of `POST /labels`."""

    labels: Annotated[list[LabelGiven], Meta(min_length=1)]


class Routes:
    """The endpoints over the lanes of one worker."""

    def __init__(
        self, gateway: Callable[[], Gateway], lanes: dict[str, Lane], follower: Follower, gauges: Gauges
    ) -> None:
        self.gateway, self.lanes, self.follower, self.gauges = gateway, lanes, follower, gauges
        self._decode = msgspec.json.Decoder(LabelsGiven).decode
        self._document = msgspec.json.encode(
            document({n: lane.payload for n, lane in lanes.items()}, LabelsGiven, self._most())
        )

    def app(self) -> Starlette:
        """The Starlette application."""

        path = "/models/{name:str}"
        routes = [
            Route("/ping", self.ready, methods=["GET"]),
            Route("/health", self.ready, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/livez", self.alive, methods=["GET"]),
            Route("/version", self.version, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
            Route("/models", self.models, methods=["GET"]),
            Route("/labels", self.labels, methods=["POST"]),
            Route("/invocations", self.which, methods=["POST"]),
            Route(path, self.model, methods=["GET"]),
            Route(f"{path}/ping", self.ready, methods=["GET"]),
            Route(f"{path}/labels", self.labels, methods=["POST"]),
            Route(f"{path}/invocations", self.which, methods=["POST"]),
        ]
        return Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_allowed})

    def _most(self) -> int:
        return next(iter(self.lanes.values())).payload.max_rows

    # -- health ---------------------------------------------------------------------------
    async def alive(self, _: Request) -> Response:
        """The process answers."""
        return Response(b"\n", media_type=JSON)

    async def ready(self, request: Request) -> Response:
        """Every model, or the one asked for, has a version that answers."""
        lanes = self._asked(request)
        why = [lane.why for lane in lanes if lane.hosted is None]
        return _problem(503, "; ".join(why), {"retry-after": "5"}) if why else Response(b"\n", media_type=JSON)

    async def version(self, _: Request) -> Response:
        """MLflow's version, whose protocol this is."""
        return PlainTextResponse(importlib.metadata.version("mlflow"))

    # -- what is served -------------------------------------------------------------------
    async def models(self, _: Request) -> Response:
        """Every model with what this worker serves of it."""
        return _json({"models": [self._state(lane) for lane in self.lanes.values()]})

    async def model(self, request: Request) -> Response:
        """One model, with the columns that a row has."""
        (lane,) = self._asked(request)
        return _json(self._state(lane) | {"features": list(lane.model.features), "columns": list(lane.payload.columns)})

    def _state(self, lane: Lane) -> dict[str, Any]:
        hosted = lane.hosted
        found: dict[str, Any] = {"model": lane.model.name, "revision": lane.revision, "fault": lane.fault or None}
        if hosted is None:
            return found | {"version": None, "why": lane.why}
        fast = hosted.prepared.fast
        return found | {"version": hosted.version, "package": hosted.package.digest, "fast_path": fast,
                        "why": "" if fast else hosted.prepared.why}  # fmt: skip

    async def metrics(self, _: Request) -> Response:
        """Prometheus's text, summed over all workers."""
        body, kind = await asyncio.to_thread(exposition, self.gauges, self.lanes, self.follower)
        return Response(body, media_type=kind)

    async def openapi(self, _: Request) -> Response:
        """The OpenAPI document."""
        return Response(self._document, media_type=JSON)

    async def which(self, request: Request) -> Response:
        """Only reached where no lane has the path."""
        self._asked(request)
        names = ", ".join(f"/models/{n}/invocations" for n in self.lanes)
        return _problem(404, f"this gateway: expected the name of a model, as it serves several. Next: POST {names}")

    # -- labels -----------------------------------------------------------------------------
    async def labels(self, request: Request) -> Response:
        """Take in what came true; sent twice it counts once, and a correction is kept with its arrival."""
        gateway, began, at = self.gateway(), time.time_ns(), time.perf_counter_ns()
        headers = dict(request.scope["headers"])
        try:
            lane = self._one(request)
            caller = gateway.allowed(request.url.path, headers, "label")
            if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
                raise Refused(415, "the labels: expected application/json. Next: set the Content-Type header")
            if gateway.busy >= gateway.settings.concurrency:
                raise Refused(429, "the gateway: expected fewer requests at once. Next: try again", retry=1)
            gateway.busy += 1
            try:
                given = await self._labels(lane, await gateway.body(headers, request.receive), began)
            finally:
                gateway.busy -= 1
            known = [(g.inference_id, g.row_id, g.label, _nanos(g.known_at, began)) for g in given.labels]
            stored = lane.log.labels(known, began, caller)
            if stored:
                stored = await asyncio.get_running_loop().run_in_executor(gateway.syncers, lane.log.sync)
        except Refused as fault:
            self._note(request, began, at, fault.status)
            return Response(told(fault), fault.status, {"retry-after": str(fault.retry)} if fault.retry else None, JSON)
        except Gone:
            return _problem(400, "the body: expected all of it, found the caller gone")
        except Exception as fault:  # ours: the caller sends them again
            said.error("labels failed: %s", place_of(fault))
            self._note(request, began, at, 500)
            return _problem(500, "the labels: expected to be taken, found a fault of the gateway. Next: tell its owner")
        if not stored:
            return _problem(503, "the log: expected room for labels, found none. Next: send them again later",
                            {"retry-after": "60"})  # fmt: skip
        return _json({"accepted": len(known)})

    async def _labels(self, lane: Lane, body: bytes, began: int) -> LabelsGiven:
        try:
            given = self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            raise Refused(400, f"the labels: {str(fault).replace('`', '')}. "
                               'Next: send {"labels": [{"inference_id": ID, "label": VALUE}]}') from None  # fmt: skip
        if len(given.labels) > lane.payload.max_rows:
            raise Refused(413, f"the labels: expected at most {lane.payload.max_rows}, found more. Next: send parts")
        allowed = {(type(c), c) for c in class_order(lane.model)}
        for i, one in enumerate(given.labels):
            if (one.inference_id is None) == (one.row_id is None):
                raise Refused(400, f"label {i}: expected either inference_id or row_id. Next: give one of them")
            if lane.model.kind == "regression":
                value = one.label
                fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
            else:
                fits = (type(one.label), one.label) in allowed
            if not isinstance(one.known_at, UnsetType) and not FIRST < one.known_at.timestamp() < began / 1e9 + SKEW:
                raise Refused(400, f"label {i}: known_at: expected a moment from 2000 to now. Next: correct it")
            if not fits:
                words = "a finite number" if lane.model.kind == "regression" else (
                    f"one of {', '.join(str(c) for c in class_order(lane.model))}")  # fmt: skip
                raise Refused(400, f"label {i}: expected {words}, found another value. Next: correct it")
        return given

    def _note(self, request: Request, began: int, at: int, status: int) -> None:
        name = request.path_params.get("name")
        lane = self.lanes.get(name) if name else next(iter(self.lanes.values()), None)
        if lane is not None:
            lane.log.refused(began, time.perf_counter_ns() - at, status, "labels", "")

    def _one(self, request: Request) -> Lane:
        lanes = self._asked(request)
        if len(lanes) > 1:
            names = ", ".join(f"/models/{n}/labels" for n in self.lanes)
            raise Refused(404, f"this gateway: expected the name of a model, as it serves several. Next: POST {names}")
        return lanes[0]

    def _asked(self, request: Request) -> list[Lane]:
        name = request.path_params.get("name")
        if name is None:
            return list(self.lanes.values())
        if name not in self.lanes:
            raise HTTPException(404)
        return [self.lanes[name]]


def _nanos(at: datetime | UnsetType, otherwise: int) -> int:
    return otherwise if isinstance(at, UnsetType) else int(at.timestamp() * 1e6) * 1000


def _json(body: Any) -> Response:
    return Response(msgspec.json.encode(body), media_type=JSON)


def _problem(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return Response(told(Refused(status, message)), status, headers, JSON)


async def _not_found(request: Request, _: Exception) -> Response:
    return _problem(404, "this path: expected one of the gateway's, found another. Next: look at /openapi.json")


async def _not_allowed(request: Request, fault: Exception) -> Response:
    headers = getattr(fault, "headers", None) or {}
    return _problem(
        405, f"this path: expected {headers.get('Allow', 'another method')}, found {request.method}", headers
    )


__all__ = ["LabelGiven", "LabelsGiven", "Routes"]
