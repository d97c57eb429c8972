"""Service: what requests of a window came to, from the log's tables; what is proven worse than declared is a signal."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.alarms.incidents import rules_of
from tidegate.config.model import Model
from tidegate.performance.latency import Latencies
from tidegate.performance.service import (
    QUANTILES,
    LastMinute,
    Line,
    Service,
    clustered,
    judge_minute,
    judge_service,
)
from tidegate.steps.logged import INSTANT
from tidegate.steps.stores import Stores
from tidegate.verdicts import Alarm, Effect, Signal, Verdict
from tidegate.windows import Window

SERVED, REFUSALS, RESOURCES, KIND = "served", "refusals", "resources", "service"
RECENT = 28
"""Windows that a night's latency is held against."""
BLOCK_S = 600
"""Requests within ten minutes count as hanging together."""
GATEWAY = "gateway"
"""The source whose latencies are ours: a logger's are its own server's."""
SUBJECT = {"errors": "errors", "p50": "latency", "p95": "latency", "p99": "latency"}


def measure_service(stores: Stores, model: Model, window: Window, now: datetime) -> Verdict | None:
    """Measure and judge the window, and those before it whose log has grown since; None if it has none.

    The verdict `service` has the numbers.
    """
    if not logged_ever(stores, model):
        return None
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    restate = stores.project.dataset(model.dataset).restate.days
    windows = [calendar.shift(window, -k) for k in range(restate, -1, -1)]
    ids = [w.id for w in windows]
    logged: dict[str, list[str]] = {}
    for table in (SERVED, REFUSALS):
        for stored in stores.lake.many(table, model.name, ids):
            if stored.rows:
                logged.setdefault(stored.window, []).append(f"{table}/{stored.digest}")
    if not logged:
        return None
    known = stores.records.verdicts(model.name, KIND, ids)
    for one in windows:
        had = known.get(one.id)
        if one.id in logged and (had is None or had.numbers.get("of") != logged[one.id]):
            verdict = _measured(stores, model, one)
            known[one.id] = replace(verdict, numbers={**verdict.numbers, "of": logged[one.id]})
            stores.records.put_verdict(model.name, KIND, one.id, known[one.id], now)
    return known.get(window.id)


def logged_ever(stores: Stores, model: Model) -> bool:
    """Whether a model has a log in the lake at all: most nights of most models end here."""
    return any(stores.lake.path(table, model.name).exists() for table in (SERVED, REFUSALS))


def service_signals(stores: Stores, model: Model, window: Window) -> list[Signal]:
    """What the window's verdict proves: above what was declared it pages; slower than before is told if it lasts."""
    verdict = stores.records.verdict(model.name, KIND, window.id) if logged_ever(stores, model) else None
    if verdict is None or verdict.outcome != "fail":
        return []
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    back = [calendar.shift(window, -k).id for k in range(model.alarms.within - 1, -1, -1)]
    lately = stores.records.verdicts(model.name, KIND, back)
    out = []
    for line in _failed(verdict):
        on = [w for w in back if w in lately and any(_same(line, other) for other in _failed(lately[w]))]
        since = on[0] if on else window.id
        out.append(_signal(window.id, since, line, lasts=len(on) >= model.alarms.persistence))
    return out


def service_alarm(stores: Stores, model: Model, seen: LastMinute, now: datetime) -> list[Alarm]:
    """Open an incident of what the last minute proves, or continue it; returns the alarms that are new.

    To be called every few seconds by one process. Nothing is read or written while nothing is proven; an incident
    that is open says nothing more until it is louder, as on nights.
    """
    lines = judge_minute(seen, max_error_share=model.serving.max_error_share, max_p99=_limit(model))
    if not lines:
        return []
    dataset, platform = stores.project.dataset(model.dataset), stores.project.platform
    window = stores.project.calendar(dataset).of(now).id
    signals = [_signal(window, window, line, lasts=True) for line in lines]
    rules = rules_of(model, dataset, platform)
    return stores.incidents.at_once(
        signals, rules, window, owner=model.owner, freezes=platform.freezes, known_at=now
    )  # fmt: skip


def _limit(model: Model) -> float | None:
    limit = model.serving.max_p99
    return None if limit is None else limit.total_seconds()


def _failed(verdict: Verdict) -> list[Line]:
    return [line for line in verdict.numbers.get("lines", ()) if line["outcome"] == "fail"]


def _same(a: Line, b: Line) -> bool:
    return bool(a["what"] == b["what"] and a["against"] == b["against"])


def _signal(window: str, since: str, line: Line, *, lasts: bool) -> Signal:
    what, declared = str(line["what"]), line["against"] == "declared"
    share = what == "errors"
    scale, statistic = (100.0, "failed requests, %") if share else (1000.0, f"{what} latency, ms")
    size, low, limit = (math.nan if line[k] is None else float(line[k]) * scale for k in ("value", "low", "limit"))
    words = f"more than declared: {limit:.3g}" if declared else f"more than the nights before: {limit:.3g}"
    effect = Effect(size, statistic, words, declared, low=low)
    return Signal(
        window, "service", SUBJECT[what], statistic, "harm" if declared else "sudden", size, low,
        math.inf if not math.isnan(low) else math.nan, math.nan, since, lasts, True, effect, declared,
        str(line["words"]),
    )  # fmt: skip


# -- one window -------------------------------------------------------------------------------


def _measured(stores: Stores, model: Model, window: Window) -> Verdict:
    rows = stores.lake.read(SERVED, model.name, [window.id])
    refusals = stores.lake.read(REFUSALS, model.name, [window.id])
    seconds = (window.end - window.start).total_seconds()
    tonight, requests = _service(rows, refusals, seconds)
    serving = model.serving
    verdict = judge_service(
        tonight, _before(stores, model, window), max_error_share=serving.max_error_share, max_p99=_limit(model)
    )
    taken = resources_of(stores.lake.read(RESOURCES, model.name, [window.id]))
    described = _described(model, rows, refusals, requests)
    return replace(verdict, numbers={**verdict.numbers, **described, "resources": taken})


def resources_of(readings: pa.Table) -> dict[str, float | None]:
    """What the workers took in a window: CPU seconds, mean cores, most memory at once; None where nobody said.

    A worker that several models share is counted whole for each of them; ``models`` is how many, at most.
    """
    if not readings.num_rows:
        return dict.fromkeys(("cpu_s", "cores", "memory", "models", "gpu", "gpu_memory"))
    frame = readings.to_pandas()
    # Memory of workers that ran at the same time adds up: a moment is as long as the longest reading.
    span = max(float(frame["seconds"].max()), 1.0)
    moment = (frame["at"].astype("int64") / 1e6 // span).astype("int64")
    together = frame.groupby([moment, "worker"])["memory"].max().groupby(level=0).sum()
    seconds, cards = frame.groupby("worker")["seconds"].sum(), frame[["gpu", "gpu_memory"]].dropna()
    return {
        "cpu_s": float(frame["cpu_s"].sum()),
        "cores": float(frame["cpu_s"].sum() / max(seconds.max(), 1e-9)),
        "memory": float(together.max()),
        "models": float(frame["models"].max()),
        "gpu": float(cards["gpu"].mean()) if len(cards) else None,
        "gpu_memory": float(cards["gpu_memory"].max()) if len(cards) else None,
    }


def _before(stores: Stores, model: Model, window: Window) -> dict[str, Service]:
    """Recent windows that were not slow themselves: else a second slow night would be usual."""
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    ids = [calendar.shift(window, -k).id for k in range(RECENT, 0, -1)]
    found = stores.records.verdicts(model.name, KIND, ids)
    slow = {w for w, v in found.items() if any(line["what"] != "errors" for line in _failed(v))}
    return {w: Service.from_dict(v.numbers["service"]) for w, v in found.items() if w not in slow}


def _service(rows: pa.Table, refusals: pa.Table, seconds: float) -> tuple[Service, pa.Table]:
    """The window's numbers, and its answered requests by the gateway with what they took."""
    requests = _requests(rows)
    took = requests["latency_us"].to_numpy().astype(np.float64) / 1e6
    at = _epoch(requests["received_at"])
    weight = requests["weight"].to_numpy()
    counts = {"failed": 0.0, "throttled": 0.0, "refused": 0.0}
    ended, weights = [at], [weight]
    if refusals.num_rows:
        status, count = (refusals[c].to_numpy().astype(np.float64) for c in ("status", "count"))
        which = {"failed": status >= 500, "throttled": status == 429, "refused": (status < 500) & (status != 429)}
        counts = {name: float(count[mask].sum()) for name, mask in which.items()}
        ended.append(_epoch(refusals["received_at"]))
        weights.append(count)
    moments, each = np.concatenate(ended), np.concatenate(weights)
    minute = np.unique(np.floor(moments / 60), return_inverse=True)[1]
    latencies = Latencies.of(took)
    block = np.floor(at / BLOCK_S).astype(np.int64)
    effects = {n: clustered(took > latencies.quantile(q).value, block) for n, q in QUANTILES.items()}
    service = Service(
        answered=float(weight.sum()), rows=float(_weight(rows).sum()), seconds=seconds, latencies=latencies,
        busiest=float(np.bincount(minute, weights=each).max()) if len(each) else 0.0, design_effect=effects, **counts,
    )  # fmt: skip
    return service, requests


def _requests(rows: pa.Table) -> pa.Table:
    """Requests that the gateway answered: of several rows, those with one moment, latency, caller and trace are one.

    Each stands for as many as the sample left out: rows are drawn one by one, and one is enough to see a request.
    """
    keys = ["received_at", "latency_us", "caller", "trace", "version", "request_rows", "sample"]
    if not rows.num_rows:
        kinds = {"received_at": INSTANT, "latency_us": pa.float64(), "version": pa.int32(), "weight": pa.float64()}
        return pa.table({k: pa.array([], t) for k, t in kinds.items()})
    ours = rows.filter(pc.equal(rows["source"], GATEWAY)).select(keys)
    alone = pc.equal(ours["request_rows"], 1)
    made = pa.concat_tables([ours.filter(alone), ours.filter(pc.invert(alone)).group_by(keys).aggregate([])])
    unseen = (1 - made["sample"].to_numpy()) ** made["request_rows"].to_numpy()
    return made.append_column("weight", pa.array(1 / (1 - unseen)))


def _weight(rows: pa.Table) -> NDArray[np.float64]:
    """How many rows each logged row stands for."""
    return np.reciprocal(rows["sample"].to_numpy() if rows.num_rows else np.zeros(0))


def _epoch(column: pa.ChunkedArray) -> NDArray[np.float64]:
    seconds: NDArray[np.float64] = column.cast(INSTANT).cast(pa.int64()).to_numpy() / 1e6
    return seconds


def _described(model: Model, rows: pa.Table, refusals: pa.Table, requests: pa.Table) -> dict[str, Any]:
    """What else the window's log says, for people: by version, source and caller; answers; why requests failed."""
    out: dict[str, Any] = {"by": {}, "by_version": {}, "refusals": {}}
    for name in ("version", "source", "caller"):
        if rows.num_rows:
            out["by"][name] = {str(v["values"]): v["counts"] for v in pc.value_counts(rows[name]).to_pylist()}
    version = requests["version"].to_numpy()
    for one in np.unique(version).tolist():
        took = Latencies.of(requests["latency_us"].to_numpy()[version == one] / 1e6)
        out["by_version"][str(one)] = {name: took.quantile(q).value for name, q in QUANTILES.items()}
    for row in refusals.select(["status", "why", "count"]).to_pylist() if refusals.num_rows else ():
        key = f"{row['status']} {row['why']}"[:120]
        if key in out["refusals"] or len(out["refusals"]) < 20:
            out["refusals"][key] = out["refusals"].get(key, 0) + row["count"]
    out["prediction"] = _predictions(model, rows)
    out["confidence"] = _deciles(rows["confidence"]) if "confidence" in rows.column_names and rows.num_rows else []
    return out


def _predictions(model: Model, rows: pa.Table) -> Any:
    """Share of each class, by its name; of a regression the deciles."""
    if not rows.num_rows:
        return {}
    if model.kind == "regression":
        return _deciles(rows["prediction"])
    from tidegate.steps.labels import class_order

    order = list(class_order(model))
    counts = np.bincount(rows["prediction"].drop_null().to_numpy().astype(np.int64), minlength=len(order))
    return {str(name): float(c / max(counts.sum(), 1)) for name, c in zip(order, counts.tolist(), strict=False)}


def _deciles(column: pa.ChunkedArray) -> list[float]:
    values = column.drop_null().to_numpy().astype(np.float64)
    return np.quantile(values, np.arange(11) / 10).tolist() if len(values) else []


__all__ = [
    "KIND",
    "REFUSALS",
    "SERVED",
    "LastMinute",
    "logged_ever",
    "measure_service",
    "service_alarm",
    "service_signals",
]
