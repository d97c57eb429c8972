"""What the records of a spool say, by window: inferences, refused requests, posted labels, what workers took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa

from tidegate.adapters.inferenceids import moment_of
from tidegate.adapters.inferencelog import ABOUT, INFERENCES, LABELS, REFUSAL, RESOURCES
from tidegate.adapters.segments import Segment, records
from tidegate.config.model import Model
from tidegate.contract.conform import ARROW
from tidegate.errors import SourceError
from tidegate.steps.labels import encode
from tidegate.windows import Calendar

CHUNK = 20_000
"""Rows that are held as Python's objects at a time."""

WindowOf = Callable[[int], str]
INSTANT = pa.timestamp("us", "UTC")
FIXED = pa.schema(
    [("inference_id", pa.string()), ("caller_id", pa.string()), ("row_id", pa.string()), ("received_at", INSTANT),
     ("latency_us", pa.float64()), ("request_rows", pa.int32()), ("version", pa.int32()), ("package", pa.string()),
     ("code", pa.string()), ("environment", pa.string()), ("route", pa.string()), ("source", pa.string()),
     ("caller", pa.string()), ("trace", pa.string()), ("sample", pa.float64()), ("confidence", pa.float64())]
)  # fmt: skip
REFUSED = pa.schema(
    [("received_at", INSTANT), ("latency_us", pa.float64()), ("status", pa.int32()), ("why", pa.string()),
     ("caller", pa.string()), ("count", pa.int64())]
)  # fmt: skip
TAKEN = pa.schema(
    [("at", INSTANT), ("worker", pa.string()), ("seconds", pa.float64()), ("cpu_s", pa.float64()),
     ("memory", pa.float64()), ("models", pa.int32()), ("gpu", pa.float64()), ("gpu_memory", pa.float64())]
)  # fmt: skip
POSTED = pa.schema(
    [("inference_id", pa.string()), ("row_id", pa.string()), ("label", pa.float64()), ("known_at", INSTANT),
     ("received_at", INSTANT), ("caller", pa.string())]
)  # fmt: skip


@dataclass
class Read:
    """What a group of segments holds, by table and window, and what was wrong with it."""

    tables: dict[str, dict[str, pa.Table]]
    found: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def read_segments(model: Model, calendar: Calendar, segments: Iterable[Segment]) -> Read:
    """The tables `served`, `refusals`, `posted_labels` and `resources` of some segments.

    ``found`` is the rows that each segment gave, to hold against what its writer stored in it; ``wrong`` says which
    posted labels are none of the model's.
    """
    window = _windows(calendar)
    served: dict[str, list[pa.Table]] = defaultdict(list)
    refusals: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    posted: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    taken: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    out = Read({})
    for segment in segments:
        abouts: dict[int, tuple[Any, ...]] = {}
        waiting: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        held = 0
        out.found[segment.id] = 0
        for rows, payload, _ in records(segment.path):
            kind, *body = msgspec.msgpack.decode(payload)
            if kind == ABOUT:
                abouts[body[0]] = tuple(body[1:])
            elif kind == INFERENCES:
                waiting[body[0]].append(tuple(body[1:]))
                held, out.found[segment.id] = held + rows, out.found[segment.id] + rows
                if held >= CHUNK:
                    _add(served, _chunks(model, abouts, waiting, window))
                    waiting, held = defaultdict(list), 0
            elif kind == REFUSAL:
                at, latency, *rest = body
                refusals[window(at // 1_000_000)].append((_at(at), latency / 1000 if latency >= 0 else None, *rest))
            elif kind == RESOURCES:
                taken[window(body[0] // 1_000_000)].append((_at(body[0]), *body[1:]))
            elif kind == LABELS:
                _posted(model, body, posted, window, out.wrong)
        _add(served, _chunks(model, abouts, waiting, window))
    out.tables["served"] = {
        w: pa.concat_tables(t, promote_options="permissive").sort_by("inference_id") for w, t in served.items()
    }
    rest = (("refusals", REFUSED, refusals), ("posted_labels", POSTED, posted), ("resources", TAKEN, taken))
    for name, schema, found in rest:
        out.tables[name] = {
            w: pa.table([pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), schema, strict=True)], schema)
            for w, rows in found.items()
        }
    return out


def _add(served: dict[str, list[pa.Table]], found: Iterable[tuple[str, pa.Table]]) -> None:
    for window, table in found:
        served[window].append(table)


def _windows(calendar: Calendar) -> WindowOf:
    """From milliseconds to the window they are in; looks into the calendar only when the window changes."""
    first, end, name = 0, 0, ""

    def window(ms: int) -> str:
        nonlocal first, end, name
        if not first <= ms < end:
            found = calendar.of(datetime.fromtimestamp(ms / 1000, UTC))
            first, end, name = int(found.start.timestamp() * 1000), int(found.end.timestamp() * 1000), found.id
        return name

    return window


def _at(ns: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)


def _chunks(
    model: Model, abouts: dict[int, tuple[Any, ...]], waiting: dict[int, list[tuple[Any, ...]]], window: WindowOf
) -> Iterator[tuple[str, pa.Table]]:
    for number, requests in waiting.items():
        whole = _table(model, abouts[number], requests)
        days = [window(int(i[:8] + i[9:13], 16)) for i in whole["inference_id"].to_pylist()]
        for day in dict.fromkeys(days):
            yield day, whole.filter(pa.array([d == day for d in days]))


def _table(model: Model, about: tuple[Any, ...], requests: list[tuple[Any, ...]]) -> pa.Table:
    """Requests that share what is said once of them; a row each of their rows."""
    *same, sample, columns, kinds = about
    version, package, code, environment, route, source, caller = same
    sizes = [len(r[4]) for r in requests]
    n = sum(sizes)
    flat = [[v for r in requests for v in r[k]] for k in range(4, 11)]
    ids, caller_ids, row_ids, rows, scores, predictions, confidence = flat

    def each(values: Iterable[Any]) -> list[Any]:
        return [v for v, size in zip(values, sizes, strict=True) for _ in range(size)]

    values: dict[str, Any] = {
        "inference_id": ids, "caller_id": caller_ids, "row_id": row_ids,
        "received_at": each(_at(r[0]) for r in requests),
        "latency_us": each(r[1] / 1000 if r[1] >= 0 else None for r in requests),
        "request_rows": each(r[3] for r in requests), "version": [version] * n, "package": [package] * n,
        "code": [code] * n, "environment": [environment] * n, "route": [route] * n, "source": [source] * n,
        "caller": [caller] * n, "trace": each(r[2] for r in requests), "sample": [sample] * n,
        "confidence": confidence,
    }  # fmt: skip
    out = {f.name: pa.array(values[f.name], f.type) for f in FIXED}
    if n and isinstance(scores[0], list | tuple):
        out |= {f"score_{k}": pa.array([s[k] for s in scores], pa.float64()) for k in range(len(scores[0]))}
    else:
        out["score"] = pa.array(scores, pa.float64())
    out["prediction"] = pa.array(predictions, pa.float64() if model.kind == "regression" else pa.int32())
    for k, (name, kind) in enumerate(zip(columns, kinds, strict=True)):
        logged = [row[k] for row in rows]
        if kind == "pseudonym":
            out[f"pseudonym_{name}"] = pa.array(logged, pa.string())
        else:
            # A coarse number of an integer column may have a fraction.
            fraction = kind == "integer" and any(isinstance(v, float) for v in logged)
            out[f"in_{name}"] = pa.array(logged, pa.float64() if fraction else ARROW[kind])
    for name in dict.fromkeys((*model.segments, *model.protected)):
        inside = out.get(f"in_{name}", out.get(f"pseudonym_{name}", pa.nulls(n, pa.string())))
        out[f"segment_{name}"] = inside.cast(pa.string())
    return pa.table(out)


def _posted(
    model: Model, body: list[Any], posted: dict[str, list[tuple[Any, ...]]], window: WindowOf, wrong: list[str]
) -> None:
    received, caller, labels = body
    for inference_id, row_id, label, known_ns in labels:
        try:
            if label is None:
                raise SourceError("label", "a value", "none")
            (value,) = encode(model, pd.Series([label], dtype="object"))
        except (SourceError, ValueError, TypeError) as fault:
            wrong.append(f"label of {inference_id or row_id}: {fault}")
            continue
        if inference_id is not None and moment_of(inference_id) is None and row_id is None:
            wrong.append(f"label of {inference_id}: no inference id")
            continue
        known = received if known_ns is None else known_ns
        posted[window(received // 1_000_000)].append(
            (inference_id, row_id, float(value), _at(known), _at(received), caller)
        )


__all__ = ["FIXED", "POSTED", "REFUSED", "TAKEN", "Read", "read_segments"]
