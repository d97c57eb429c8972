"""Everything that is known of one inference; what a model served, day by day."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tidegate.adapters.inferenceids import moment_of
from tidegate.adapters.inferencelog import log_columns
from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.steps.collect import KIND
from tidegate.steps.labels import class_order
from tidegate.steps.stores import Stores


def lookup(stores: Stores, inference_id: str, model: str | None = None) -> dict[str, Any] | None:
    """One inference: what was asked, what was answered by what, and what came true; None for one that is not known.

    An id names its moment, so one window of each table is looked at, and of that only files that may have it.

    Raises
    ------
    UsageError
        If it is no inference id.
    """
    moment = moment_of(inference_id)
    if moment is None:
        raise UsageError("inference id", "a UUIDv7, as an answer has it", repr(inference_id)[:60], "copy the whole id")
    wanted = inference_id.lower()
    models = [stores.project.model(model)] if model else list(stores.project.models().values())
    for one in models:
        window = stores.project.calendar(stores.project.dataset(one.dataset)).of(moment).id
        served = stores.lake.find("served", one.name, [window], "inference_id", wanted)
        if served.num_rows:
            return _told(stores, one, served.slice(0, 1).to_pylist()[0])
        scored = stores.lake.find("inferences", one.name, [window], "inference_id", wanted)
        if scored.num_rows:
            return _told(stores, one, scored.slice(0, 1).to_pylist()[0], batch=True)
    return None


def _told(stores: Stores, model: Model, row: dict[str, Any], batch: bool = False) -> dict[str, Any]:
    inputs = {k.removeprefix("in_"): v for k, v in row.items() if k.startswith("in_")}
    inputs |= {k.removeprefix("pseudonym_"): v for k, v in row.items() if k.startswith("pseudonym_")}
    if batch:
        inputs = _batch_row(stores, model, row)
    beside = ("in_", "pseudonym_", "segment_", "score")
    known = {k: v for k, v in row.items() if not k.startswith(beside) and k != "prediction"}
    scores = {k: v for k, v in row.items() if k.startswith("score")}
    position = row["prediction"]
    classes = class_order(model)
    decided = classes[int(position)] if classes and position is not None else position
    return {
        "model": model.name, **known, "inputs": inputs, **scores, "prediction": decided,
        "segments": {k.removeprefix("segment_"): v for k, v in row.items() if k.startswith("segment_")},
        "labels": _labels(stores, model, row),
    }  # fmt: skip


def _batch_row(stores: Stores, model: Model, row: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a row that was scored in a batch."""
    dataset = stores.project.dataset(model.dataset)
    found = stores.data.find("batches", model.dataset, [row["window"]], "row_id", row["row_id"]).to_pylist()
    return {c: found[0].get(c) for c in log_columns(dataset, model)} if found else {}


def _labels(stores: Stores, model: Model, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Its labels by arrival, corrections included, from those that were posted and from the label's source."""
    classes, out = class_order(model), []
    came = [s.window for s in stores.lake.many("posted_labels", model.name) if s.window >= row["window"]]
    for column in ("inference_id", "row_id"):
        if row[column]:
            for r in stores.lake.find("posted_labels", model.name, came, column, row[column]).to_pylist():
                if column == "inference_id" or not r["inference_id"]:
                    out.append({"label": r["label"], "known_at": r["known_at"], "from": f"posted by {r['caller']}"})
    arrived = [s for s in stores.lake.many("labels", model.name) if s.window >= row["window"]] if row["row_id"] else []
    at = {s.window: s.known_at for s in arrived}
    for r in stores.lake.find("labels", model.name, at, "row_id", row["row_id"]).to_pylist() if at else []:
        out.append({"label": r["label"], "known_at": at[r["window"]], "from": f"labels of {r['window']}"})
    for found in out:
        found["label"] = classes[int(found["label"])] if classes else found["label"]
    return sorted(out, key=lambda r: r["known_at"])


def served_by_day(stores: Stores, model: Model, window: str | None = None) -> list[dict[str, Any]]:
    """What was served, refused and dropped on each day, newest last, and how much of it has a posted label."""
    lake, name = stores.lake, model.name
    rows = {s.window: s.rows for s in lake.many("served", name, [window] if window else None)}
    verdicts = stores.records.verdicts(name, KIND, [window] if window else None)
    refused = {s.window for s in lake.many("refusals", name, [window] if window else None)}
    measured = stores.records.verdicts(name, "served", [window] if window else None)
    out = []
    for day in sorted({*rows, *verdicts, *refused}):
        count = pc.sum(lake.read("refusals", name, [day], columns=["count"])["count"]).as_py() if day in refused else 0
        log, of = verdicts.get(day), measured.get(day)
        versions = lake.read("served", name, [day], columns=["version"])["version"] if day in rows else pa.array([])
        out.append({
            "day": day, "rows": rows.get(day, 0), "versions": sorted(set(versions.to_pylist())), "refused": count,
            "dropped": log.numbers["dropped"] if log else 0, "log": log.outcome if log else "",
            "labelled": of.numbers["labelled"] if of else None,
        })  # fmt: skip
    return out


__all__ = ["lookup", "served_by_day"]
