"""Outcomes: scored rows joined with the labels known so far, and their nightly tallies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.performance.tally import EMPTY, Tally, tally_of
from tidegate.steps.labels import delay_nights
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores
from tidegate.windows import Window

Threshold = float | NDArray[np.float64]


def labels_of(stores: Stores, model: Model, events: Sequence[str], known: Window) -> pa.Table:
    """The newest label of each row of the event windows that had arrived by the evening of `known`.

    Columns `row_id`, `event_window`, `label`; sorted by row.
    """
    if not events:
        return pa.table(
            {
                "row_id": pa.array([], pa.string()),
                "event_window": pa.array([], pa.string()),
                "label": pa.array([], pa.float64()),
            }
        )
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    delay = delay_nights(model)
    last = known.id if model.label.arrived_at else min(known.id, calendar.shift(calendar.window(max(events)), delay).id)
    first = calendar.shift(calendar.window(min(events)), 0 if model.label.arrived_at else delay)
    arrivals = [w.id for w in calendar.range(first.date, last)]
    table = stores.lake.read("labels", model.name, arrivals)
    if not table.num_rows:
        return labels_of(stores, model, [], known)
    table = table.filter(pc.is_in(table["event_window"], pa.array(list(events))))
    order = table.sort_by([("row_id", "ascending"), ("window", "ascending")])
    ids = order["row_id"].to_numpy(zero_copy_only=False)
    newest = np.append(ids[1:] != ids[:-1], True) if len(ids) else np.zeros(0, dtype=bool)
    return order.filter(pa.array(newest)).select(["row_id", "event_window", "label"])


def join(rows: pa.Table, labels: pa.Table) -> pa.Table:
    """Rows that have a label, with it; in the rows' order."""
    at = {row: i for i, row in enumerate(labels["row_id"].to_pylist())}
    where = np.array([at.get(r, -1) for r in rows["row_id"].to_pylist()], dtype=np.int64)
    kept = rows.filter(pa.array(where >= 0))
    return kept.append_column("label", labels["label"].take(pa.array(where[where >= 0])))


def tally_table(model: Model, joined: pa.Table, threshold: Threshold) -> Tally:
    """The tally of joined outcomes; `threshold` one, or each row's."""
    if not joined.num_rows:
        return EMPTY
    return tally_of(model, scores_of(joined), joined["label"].to_numpy(), threshold)


def tally_by(model: Model, joined: pa.Table, column: str, threshold: Threshold) -> dict[str, Tally]:
    """A tally for each value of a column; nulls go to 'missing'. `threshold` one, or each row's."""
    if not joined.num_rows:
        return {}
    coded = pc.fill_null(joined[column].cast(pa.string()), "missing").combine_chunks().dictionary_encode()
    codes, scores, labels = coded.indices.to_numpy(), scores_of(joined), joined["label"].to_numpy()
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    by_value = {coded.dictionary[int(codes[part[0]])].as_py(): part for part in parts}
    cut = np.broadcast_to(np.asarray(threshold, dtype=np.float64), len(labels))
    return {v: tally_of(model, scores[part], labels[part], cut[part]) for v, part in sorted(by_value.items())}
