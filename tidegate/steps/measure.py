"""Measure: performance of the window whose labels have just matured, whole and by segment."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from tidegate.adapters.packages import Loaded, cached_by_package
from tidegate.config.model import Model
from tidegate.performance.blocks import blocks_of, cut, design_effect
from tidegate.performance.calibration import calibration
from tidegate.performance.metrics import METRICS, metrics, per_class
from tidegate.performance.tally import Tally
from tidegate.steps.labels import class_order, delay_nights
from tidegate.steps.outcomes import Threshold, join, labels_of, tally_by, tally_table
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import cuts_of
from tidegate.verdicts import Verdict
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


NEVER = datetime.min.replace(tzinfo=UTC)


def matured(stores: Stores, model: Model, window: Window) -> Window:
    """The newest window whose labels are due by the evening of `window`."""
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    return calendar.shift(window, -delay_nights(model))


def measure(stores: Stores, model: Model, window: Window, now: datetime) -> Tally | None:
    """Store the metrics of the window that matured in `window`; None if it was not scored.

    Windows that matured before are measured again for as long as the dataset allows a restatement:
    where labels arrive one by one all of them, with a fixed delay those whose file came late. What was
    known before stays in control.
    """
    for event in _restated(stores, model, window):
        _measure(stores, model, event, window, now)
    return _measure(stores, model, matured(stores, model, window), window, now)


def _restated(stores: Stores, model: Model, window: Window) -> list[Window]:
    """Windows that matured before, oldest first, whose labels may say more than their metrics do."""
    dataset = stores.project.dataset(model.dataset)
    calendar, event = stores.project.calendar(dataset), matured(stores, model, window)
    events = [calendar.shift(event, -night) for night in range(dataset.restate.days, 0, -1)]
    if model.label.arrived_at:
        return events
    due = {e.id: calendar.shift(e, delay_nights(model)).id for e in events}
    labels = {s.window: s.known_at for s in stores.lake.many("labels", model.name, due.values()) if s.rows}
    metrics = {s.window: s.known_at for s in stores.lake.many("metrics", model.name, due)}
    return [e for e in events if due[e.id] in labels and not labels[due[e.id]] <= metrics.get(e.id, NEVER)]


def _measure(stores: Stores, model: Model, event: Window, window: Window, now: datetime) -> Tally | None:
    rows = stores.lake.read("inferences", model.name, [event.id])
    if not rows.num_rows:
        return None
    version = int(rows["version"][0].as_py())
    package = stores.package(model.name, version, rows["package"][0].as_py())
    joined = join(rows, labels_of(stores, model, [event.id], window))
    threshold = cuts_of(package.spec, joined)
    whole = tally_table(model, joined, threshold)
    effect = float(package.spec.get("design_effect") or math.nan)
    row, coverage = _writer("all", "", effect, version), whole.n / rows.num_rows
    out = _rows(model, whole, rows.num_rows, row)
    out.append(row("tally", math.nan, whole.n, coverage) | {"tally": json.dumps(whole.as_dict())})
    if model.kind == "binary" and whole.n:
        c = calibration(whole)
        out += [row(k, getattr(c, k), whole.n, coverage) for k in ("predicted", "observed", "ece", "ece_null")]
    for position, values in per_class(whole).items():
        of = _writer("class", str(class_order(model)[position]), effect, version)
        out += [of(k, v, round(values["n"]), coverage) for k, v in values.items() if k != "n"]
    for segment in dict.fromkeys((*model.segments, *model.protected)):
        sizes = Counter(pc.fill_null(rows[f"segment_{segment}"], "missing").to_pylist())
        for value, tally in tally_by(model, joined, f"segment_{segment}", threshold).items():
            out += _rows(model, tally, sizes[value], _writer(segment, value, effect, version))
    stores.lake.put("metrics", model.name, event.id, pa.Table.from_pylist(out, schema=SCHEMA), now)
    stores.records.put_verdict(model.name, "coverage", event.id, judge_coverage(model, whole.n, rows.num_rows), now)
    return whole


def judge_coverage(model: Model, labelled: int, rows: int) -> Verdict:
    """Whether enough rows of a mature night have a label for it to count: the few may not be like the rest."""
    if rows and labelled >= model.label.min_coverage * rows:
        return Verdict("pass")
    return Verdict("fail", (f"{labelled} of {rows} rows have a label, less than {model.label.min_coverage:.0%}",))


Row = dict[str, object]


def _writer(segment: str, of: str, effect: float, version: int) -> Callable[[str, float, int, float], Row]:
    """Makes rows of one segment: metric, value, n, coverage."""

    def row(metric: str, value: float, n: int, coverage: float) -> Row:
        n_eff = n / effect if effect and not math.isnan(effect) else math.nan
        values = (segment, of, metric, value, n, n_eff, coverage, version, None)
        return dict(zip(SCHEMA.names, values, strict=True))

    return row


def _rows(model: Model, tally: Tally, rows: int, row: Callable[[str, float, int, float], Row]) -> list[Row]:
    coverage = tally.n / rows if rows else math.nan
    return [row(name, value, tally.n, coverage) for name, value in metrics(model.kind, tally).items()]


def nightly_tallies(stores: Stores, model: Model, events: list[str], version: int | None = None) -> dict[str, Tally]:
    """The stored tallies of matured windows, of one version if asked."""
    table = stores.lake.read("metrics", model.name, events, columns=["metric", "version", "tally"])
    return {
        r["window"]: Tally.from_dict(json.loads(r["tally"]))
        for r in table.to_pylist()
        if r["metric"] == "tally" and (version is None or r["version"] == version)
    }


def reference_blocks(model: Model, outcomes: pa.Table, threshold: Threshold) -> list[Tally]:
    """The held-out outcomes of a training as one tally a block of nights."""
    by_night = tally_by(model, outcomes, "event_window", threshold)
    return blocks_of(by_night, cut(sorted(by_night), model.gate.block_nights))


@cached_by_package
def package_blocks(package: Loaded, model: str) -> list[Tally]:
    """`reference_blocks` of a package; `model` is the model's settings as JSON."""
    known = Model.model_validate_json(model)
    outcomes = package.reference("outcomes")
    return reference_blocks(known, outcomes, cuts_of(package.spec, outcomes))


def effect_of(model: Model, blocks: list[Tally], row_variance: float) -> float:
    """The design effect of the mean loss on the reference (log loss, or squared error)."""
    name = "mae" if model.kind == "regression" else "log_loss"
    return design_effect(METRICS[model.kind][name], blocks, row_variance)
