"""Posted labels: repeats are stored once, corrections by arrival; which rows of batches they are of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from tidegate.adapters.inferenceids import moment_of
from tidegate.adapters.lake import Lake
from tidegate.config.model import Model
from tidegate.steps.stores import Stores
from tidegate.windows import Calendar, Window

REPEATS = 35
"""Newest windows that a label is looked for in; a repeat that comes later is stored again, and changes nothing."""
EVENTS = 180
"""Newest nights that a posted label may be of, where labels arrive one by one."""
COLUMNS = ["inference_id", "row_id", "label", "known_at", "received_at"]


@dataclass(frozen=True, slots=True)
class Post:
    """A label of a row of a batch, as somebody posted it."""

    row_id: str
    event: str
    label: float
    known_at: datetime
    received_at: datetime


def without_repeats(stores: Stores, model: Model, arrived: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """What was posted, by window, less what says the same of an inference or row as the newest label before it."""
    if not arrived:
        return {}
    ids = {key for table in arrived.values() for key in _keys(table)}
    newest: dict[tuple[str | None, str | None], float] = {}
    kept = [s.window for s in stores.lake.many("posted_labels", model.name) if s.window <= max(arrived)]
    if kept:
        stored = stores.lake.read("posted_labels", model.name, kept[-REPEATS:], columns=COLUMNS).sort_by("received_at")
        for key, label in zip(_keys(stored), stored["label"].to_pylist(), strict=True):
            if key in ids:
                newest[key] = label
    out = {}
    for window, table in sorted(arrived.items()):
        order, keep = table.sort_by("received_at"), []
        for key, label in zip(_keys(order), order["label"].to_pylist(), strict=True):
            keep.append(newest.get(key) != label)
            newest[key] = label
        out[window] = order.filter(pa.array(keep, pa.bool_()))
    return out


def _keys(table: pa.Table) -> list[tuple[str | None, str | None]]:
    return list(zip(table["inference_id"].to_pylist(), table["row_id"].to_pylist(), strict=True))


def posts(stores: Stores, model: Model, events: list[Window], now: datetime) -> list[Post]:
    """The labels posted until `now` of rows in these batches, by time of arrival; corrections included.

    A label by inference id is of the row that was logged, or scored in a batch, under that id. Labels of what was
    never in a batch are left out: see `steps.served`.
    """
    kept = [s.window for s in stores.lake.many("posted_labels", model.name) if events and s.window >= events[0].id]
    if not kept:
        return []
    table = stores.lake.read("posted_labels", model.name, kept, columns=COLUMNS)
    table = table.filter(pc.and_(pc.less_equal(table["received_at"], now), pc.less_equal(table["known_at"], now)))
    rows = table.sort_by("received_at").to_pylist()
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    known = rows_of(stores, model, calendar, [r["inference_id"] for r in rows if not r["row_id"]])
    of = [r["row_id"] or known.get(r["inference_id"]) for r in rows]
    there = _events(stores.data, model.dataset, events, {i for i in of if i})
    return [
        Post(row, there[row], r["label"], r["known_at"], r["received_at"])
        for row, r in zip(of, rows, strict=True)
        if row in there
    ]


def rows_of(stores: Stores, model: Model, calendar: Calendar, ids: Iterable[str]) -> dict[str, str]:
    """The row id of each inference that has one, whether it was served or scored in a batch."""
    by_window: dict[str, set[str]] = defaultdict(set)
    for name in ids:
        if (moment := moment_of(name)) is not None:
            by_window[calendar.of(moment).id].add(name)
    out: dict[str, str] = {}
    for table in ("served", "inferences"):
        stored = [s.window for s in stores.lake.many(table, model.name, by_window)] if by_window else []
        for window in stored:
            found = stores.lake.read(table, model.name, [window], columns=["inference_id", "row_id"])
            found = found.filter(pc.is_in(found["inference_id"], pa.array(sorted(by_window[window]))))
            pairs = zip(found["inference_id"].to_pylist(), found["row_id"].to_pylist(), strict=True)
            out |= {name: row for name, row in pairs if row}
    return out


def _events(data: Lake, dataset: str, events: list[Window], rows: set[str]) -> dict[str, str]:
    """The window of each row that is in one of the batches."""
    if not rows:
        return {}
    found = data.read("batches", dataset, [w.id for w in events], columns=["row_id"])
    if not found.num_rows:
        return {}
    found = found.filter(pc.is_in(found["row_id"], pa.array(sorted(rows))))
    return dict(zip(found["row_id"].to_pylist(), found["window"].to_pylist(), strict=True))


__all__ = ["EVENTS", "Post", "posts", "rows_of", "without_repeats"]
