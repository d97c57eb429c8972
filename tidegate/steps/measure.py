"""Measure: performance of the window whose labels have just matured, whole and by segment."""

from __future__ import annotations

import json
import math
from datetime import datetime

import pyarrow as pa

from tidegate.config.model import Model
from tidegate.performance.blocks import blocks_of, cut, design_effect
from tidegate.performance.calibration import calibration
from tidegate.performance.metrics import METRICS, metrics
from tidegate.performance.tally import Tally
from tidegate.steps.labels import delay_nights
from tidegate.steps.outcomes import join, labels_of, tally_by, tally_table
from tidegate.steps.stores import Stores
from tidegate.windows import Window

SCHEMA = pa.schema(
    [
        ("segment", pa.string()),
        ("value_of", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("n", pa.int64()),
        ("n_eff", pa.float64()),
        ("coverage", pa.float64()),
        ("version", pa.int32()),
        ("tally", pa.string()),
    ]
)


def matured(stores: Stores, model: Model, window: Window) -> Window:
    """The newest window whose labels are due by the evening of `window`."""
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    return calendar.shift(window, -delay_nights(model))


def measure(stores: Stores, model: Model, window: Window, now: datetime) -> Tally | None:
    """Store the metrics of the window that matured in `window`; None if it was not scored."""
    event = matured(stores, model, window)
    rows = stores.lake.read("inferences", model.name, [event.id])
    if not rows.num_rows:
        return None
    version = int(rows["version"][0].as_py())
    package = stores.package(model.name, version, rows["package"][0].as_py())
    threshold = float(package.spec["threshold"])
    joined = join(rows, labels_of(stores, model, [event.id], window))
    whole = tally_table(model, joined, threshold)
    effect = float(package.spec.get("design_effect") or math.nan)
    out = _rows("all", "", model, whole, rows.num_rows, effect, version, keep=True)
    if model.kind == "binary" and whole.n:
        c = calibration(whole)
        for name in ("predicted", "observed", "ece", "ece_null"):
            out.append(_row("all", "", name, getattr(c, name), whole.n, effect, whole.n / rows.num_rows, version))
    for segment in dict.fromkeys((*model.segments, *model.protected)):
        sizes = dict(zip(*[x.tolist() for x in _counts(rows, f"segment_{segment}")], strict=True))
        for value, tally in tally_by(model, joined, f"segment_{segment}", threshold).items():
            out += _rows(segment, value, model, tally, sizes.get(value, tally.n), effect, version, keep=False)
    stores.lake.put("metrics", model.name, event.id, pa.Table.from_pylist(out, schema=SCHEMA), now)
    return whole


def _counts(rows: pa.Table, column: str) -> tuple[pa.Array, pa.Array]:
    import pyarrow.compute as pc

    struct = pc.value_counts(pc.fill_null(rows[column], "missing"))
    return struct.field(0).to_numpy(zero_copy_only=False), struct.field(1).to_numpy()


def _row(
    segment: str,
    of: str,
    metric: str,
    value: float,
    n: int,
    effect: float,
    coverage: float,
    version: int,
    tally: str | None = None,
) -> dict[str, object]:
    n_eff = n / effect if effect and not math.isnan(effect) else math.nan
    return {
        "segment": segment,
        "value_of": of,
        "metric": metric,
        "value": value,
        "n": n,
        "n_eff": n_eff,
        "coverage": coverage,
        "version": version,
        "tally": tally,
    }


def _rows(
    segment: str, of: str, model: Model, tally: Tally, rows: int, effect: float, version: int, *, keep: bool
) -> list[dict[str, object]]:
    coverage = tally.n / rows if rows else math.nan
    out = [
        _row(segment, of, name, value, tally.n, effect, coverage, version)
        for name, value in metrics(model.kind, tally).items()
    ]
    if keep:
        out.append(
            _row(segment, of, "tally", math.nan, tally.n, effect, coverage, version, json.dumps(tally.as_dict()))
        )
    return out


def nightly_tallies(stores: Stores, model: Model, events: list[str], version: int | None = None) -> dict[str, Tally]:
    """The stored tallies of matured windows, of one version if asked."""
    table = stores.lake.read("metrics", model.name, events, columns=["metric", "version", "tally"])
    return {
        r["window"]: Tally.from_dict(json.loads(r["tally"]))
        for r in table.to_pylist()
        if r["metric"] == "tally" and (version is None or r["version"] == version)
    }


def reference_blocks(model: Model, outcomes: pa.Table, threshold: float) -> list[Tally]:
    """The held-out outcomes of a training as one tally a block of nights."""
    by_night = tally_by(model, outcomes, "event_window", threshold)
    return blocks_of(by_night, cut(sorted(by_night), model.gate.block_nights))


def effect_of(model: Model, blocks: list[Tally], row_variance: float) -> float:
    """The design effect of the mean loss on the reference (log loss, or squared error)."""
    name = "mae" if model.kind == "regression" else "log_loss"
    return design_effect(METRICS[model.kind][name], blocks, row_variance)
