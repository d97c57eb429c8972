"""Labels: what came true, stored by the window in which it became known."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from tidegate.adapters.source import read_window
from tidegate.config.dataset import Column
from tidegate.config.model import Model
from tidegate.config.values import Class
from tidegate.contract.admit import conform, row_ids
from tidegate.errors import SourceError, Unreadable
from tidegate.steps.posted import EVENTS, Post, posts
from tidegate.steps.stores import Stores
from tidegate.windows import Window

LABELS = pa.schema([("row_id", pa.string()), ("event_window", pa.string()), ("label", pa.float64())])
NEVER = datetime.min.replace(tzinfo=UTC)


def delay_nights(model: Model) -> int:
    """Whole windows from an event to its labels."""
    return math.ceil(model.label.delay / timedelta(days=1))


def collect_labels(stores: Stores, model: Model, window: Window, now: datetime) -> int:
    """Store the labels that arrived in a window, and files that came late; returns how many.

    With a fixed delay they are those of the window that many nights before. A window whose file was
    not there on its night is asked for again for as long as the dataset allows a restatement: its
    labels are stored under the night they were due, and control says when they became known.
    Otherwise the source gives those that arrived in this window, and a column says when.
    """
    posted = _posted(stores, model, window, now)
    count = _collect(stores, model, window, now, posted)
    late = {w.id: w for w in [*_unlabelled(stores, model, window), *_told_anew(stores, model, window, posted)]}
    for due in late.values():
        # What is wrong with an older file was said on its night, and must not hold up this one.
        with suppress(SourceError):
            count += _collect(stores, model, due, now, posted)
    return count


def _posted(stores: Stores, model: Model, window: Window, now: datetime) -> dict[str, list[Post]]:
    """What was posted of rows of batches, by the window that it belongs to: that in which it was due or known."""
    dataset = stores.project.dataset(model.dataset)
    calendar, delay = stores.project.calendar(dataset), delay_nights(model)
    back = EVENTS if model.label.arrived_at else delay + dataset.restate.days
    out: dict[str, list[Post]] = defaultdict(list)
    for post in posts(stores, model, [calendar.shift(window, -k) for k in range(back, -1, -1)], now):
        due = (
            calendar.of(post.known_at) if model.label.arrived_at else calendar.shift(calendar.window(post.event), delay)
        )
        out[due.id].append(post)
    return out


def _told_anew(stores: Stores, model: Model, window: Window, posted: dict[str, list[Post]]) -> list[Window]:
    """Earlier windows of which labels were posted since theirs were stored, as far back as a restatement goes."""
    if not posted:
        return []
    dataset = stores.project.dataset(model.dataset)
    calendar = stores.project.calendar(dataset)
    first = calendar.shift(window, -dataset.restate.days).id
    since = {s.window: s.known_at for s in stores.lake.many("labels", model.name, posted)}
    return [
        calendar.window(due)
        for due, found in sorted(posted.items())
        if first <= due < window.id and not max(p.received_at for p in found) <= since.get(due, NEVER)
    ]


def _unlabelled(stores: Stores, model: Model, window: Window) -> list[Window]:
    """The windows before this one that labels were due in and none came, of events that have a batch."""
    if model.label.arrived_at:
        return []
    dataset = stores.project.dataset(model.dataset)
    calendar, delay = stores.project.calendar(dataset), delay_nights(model)
    due = {
        calendar.shift(window, -k).id: calendar.shift(window, -k - delay).id for k in range(dataset.restate.days, 0, -1)
    }
    there = {s.window for s in stores.lake.many("labels", model.name, due) if s.rows}
    batches = {s.window for s in stores.data.many("batches", dataset.name, due.values())}
    return [calendar.window(night) for night, event in due.items() if night not in there and event in batches]


def _collect(stores: Stores, model: Model, window: Window, now: datetime, posted: Mapping[str, list[Post]]) -> int:
    found, told = _from_source(stores, model, window), posted.get(window.id, [])
    if found is None and not told:
        return 0
    table = _with_posts(model, window, found if found is not None else LABELS.empty_table(), told)
    stores.lake.put("labels", model.name, window.id, table, now)
    return int(table.num_rows)


def _with_posts(model: Model, window: Window, found: pa.Table, told: list[Post]) -> pa.Table:
    """A window's labels with those that were posted: of two for a row, the one that was known later."""
    if not told:
        return found
    rows = {r["row_id"]: r for r in found.to_pylist()}
    source = set(rows)
    # The source's labels became known in this window.
    for post in sorted(told, key=lambda p: (p.known_at, p.received_at)):
        if post.row_id not in source or post.known_at >= window.start:
            rows[post.row_id] = {"row_id": post.row_id, "event_window": post.event, "label": post.label}
    return pa.Table.from_pylist(list(rows.values()), schema=LABELS).sort_by("row_id")


def _from_source(stores: Stores, model: Model, window: Window) -> pa.Table | None:
    """The labels that the source has for a window, None while it has no file of it."""
    dataset = stores.project.dataset(model.dataset)
    calendar = stores.project.calendar(dataset)
    event = window if model.label.arrived_at else calendar.shift(window, -delay_nights(model))
    try:
        frame = read_window(model.label.source, event, stores.home, f"labels/{model.name}")
    except Unreadable:
        # No labels yet: the window stays immature, and a later run finds them.
        return None
    arrived = model.label.arrived_at
    wanted = (*dataset.key, dataset.event_time, model.label.column, *((arrived,) if arrived else ()))
    missing = [c for c in wanted if c not in frame.columns]
    if missing:
        raise SourceError(
            f"label source of {model.name}",
            f"columns {missing}",
            f"{list(frame.columns)[:12]}",
            "return the key, the event time and the label",
        )
    frame = frame[frame[model.label.column].notna()].reset_index(drop=True)
    if arrived:
        frame = _arrived(frame, arrived, window)
    keys = {}
    for name in dict.fromkeys((*dataset.key, dataset.event_time)):
        keys[name], wrong = conform(frame[name], dataset.columns[name])
        usable = ~(wrong | keys[name].isna().to_numpy())
        frame, keys = (
            frame[usable].reset_index(drop=True),
            {k: v[usable].reset_index(drop=True) for k, v in keys.items()},
        )
    when = pd.to_datetime(keys[dataset.event_time], utc=True)
    return pa.table(
        {
            "row_id": pa.array(row_ids([keys[k] for k in dataset.key]), pa.string()),
            "event_window": pa.array([calendar.of(t.to_pydatetime()).id for t in when], pa.string()),
            "label": pa.array(encode(model, frame[model.label.column]), pa.float64()),
        }
    ).sort_by("row_id")


def _arrived(frame: pd.DataFrame, column: str, window: Window) -> pd.DataFrame:
    """The rows that arrived in the window: a source may give all that it has, later ones included."""
    when, wrong = conform(frame[column], Column(type="timestamp"))
    if wrong.any():
        found = repr(frame[column][wrong].iloc[0])
        raise SourceError(f"label source, column {column}", "instants with a time zone", found, "mend the label source")
    return frame[((when >= window.start) & (when < window.end)).to_numpy()].reset_index(drop=True)


def class_order(model: Model) -> list[Class]:
    """The classes by position in scores and tallies: as declared; a binary model's positive one last."""
    classes = list(model.label.classes or ())
    return sorted(classes, key=lambda c: c == model.label.positive) if model.kind == "binary" else classes


def encode(model: Model, labels: pd.Series) -> np.ndarray:
    """Labels as class positions (1 is positive for binary), or the target's values.

    Raises
    ------
    SourceError
        If a label is not among the classes, or a target is not a finite number.
    """
    if model.kind == "regression":
        values = pd.to_numeric(labels, errors="coerce").to_numpy(dtype=float)
        if not np.isfinite(values).all():
            raise SourceError(
                f"label {model.label.column}",
                "finite numbers",
                repr(labels[~np.isfinite(values)].iloc[0]),
                "mend the label source",
            )
        return values
    classes = class_order(model)
    at = {str(c): float(i) for i, c in enumerate(classes)}
    texts = labels.map(
        lambda v: str(int(v)) if isinstance(v, (float, np.floating)) and float(v).is_integer() else str(v)
    )
    unknown = texts[~texts.isin(at)]
    if len(unknown):
        raise SourceError(
            f"label {model.label.column}",
            f"one of {classes}",
            repr(unknown.iloc[0]),
            "mend the label source or declare the class in label.classes",
        )
    return texts.map(at).to_numpy(dtype=float)
