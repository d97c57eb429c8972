"""Servable: a version from the registry, in a fresh process, against what this process scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from tidegate.adapters.freshload import fresh
from tidegate.adapters.packages import Loaded
from tidegate.adapters.registry import Registry
from tidegate.config.model import Model
from tidegate.gate.line import Check
from tidegate.gate.servability import servability
from tidegate.steps.digests import window_digests
from tidegate.steps.stores import Stores
from tidegate.windows import Window

ROWS = 10_000


def servable(stores: Stores, model: Model, version: int, package: Loaded, window: Window) -> Check:
    """The check of a registered version on the evening of `window`; `package` is this process's copy of it.

    Raises
    ------
    RegistryError
        If the registry cannot give the version: an outage is no verdict on the model.
    """
    rows = recent_rows(stores, model, window)
    registry = Registry(stores.home.state)

    def fetch(target: Path) -> Path:
        return registry.fetch(model.name, version, target)

    report = fresh(
        fetch,
        package.digest,
        columns=contract_of(stores, model),
        settings=model.gate.servability,
        recent=rows if rows.num_rows else None,
        expected=package.scores(rows) if rows.num_rows else None,
    )
    return servability(report, model.gate.servability, window_digests(stores, model, package.spec))


def recent_rows(stores: Stores, model: Model, window: Window, count: int = ROWS) -> pa.Table:
    """The newest `count` rows that were stored by `window`, the model's columns and the row's name."""
    nights = sorted(s.window for s in stores.data.many("batches", model.dataset) if s.window <= window.id and s.rows)
    wanted, have = [], 0
    sizes = {s.window: s.rows for s in stores.data.many("batches", model.dataset, nights)}
    while nights and have < count:
        wanted.append(nights.pop())
        have += sizes[wanted[-1]]
    rows = stores.data.read("batches", model.dataset, wanted[::-1], columns=["row_id", *model.features])
    return rows.slice(max(0, rows.num_rows - count))


def contract_of(stores: Stores, model: Model) -> dict[str, dict[str, Any]]:
    """What the contract lets through, of each of the model's columns."""
    columns = stores.project.dataset(model.dataset).columns
    keys = {"nullable", "min", "max", "values", "pattern"}
    return {name: columns[name].model_dump(mode="json", include=keys) for name in model.features}
