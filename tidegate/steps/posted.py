"""Posted labels: repeats are stored once, corrections stay in the order of their arrival."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from tidegate.config.model import Model
from tidegate.steps.stores import Stores

REPEATS = 35
"""Newest windows that a label is looked for in; a repeat that comes later is stored again, and changes nothing."""


def without_repeats(stores: Stores, model: Model, arrived: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """What was posted, by window, less what says the same of an inference or row as the newest label before it."""
    if not arrived:
        return {}
    ids = {key for table in arrived.values() for key in _keys(table)}
    newest: dict[tuple[str | None, str | None], float] = {}
    kept = [s.window for s in stores.lake.many("posted_labels", model.name) if s.window <= max(arrived)]
    if kept:
        stored = stores.lake.read(
            "posted_labels", model.name, kept[-REPEATS:], columns=["inference_id", "row_id", "label", "received_at"]
        ).sort_by("received_at")
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


__all__ = ["without_repeats"]
