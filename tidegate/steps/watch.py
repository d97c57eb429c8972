"""Watch: a window against the champion's reference → findings → alarms."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from tidegate.adapters.packages import Loaded, cached_by_package
from tidegate.alarms.persist import alarms_from
from tidegate.config.model import Model
from tidegate.drift.compare import Drift, compare
from tidegate.drift.findings import findings_of
from tidegate.profile.grid import Axis, Grid
from tidegate.profile.profile import Profile, grid_of, profile_of
from tidegate.profile.table import from_table
from tidegate.steps.ingest import grid
from tidegate.steps.measure import matured
from tidegate.steps.outcomes import labels_of
from tidegate.steps.score import scored_by
from tidegate.steps.stores import Stores
from tidegate.verdicts import Alarm, Finding
from tidegate.windows import Window

FINDINGS = pa.schema(
    [
        ("monitor", pa.string()),
        ("subject", pa.string()),
        ("statistic", pa.string()),
        ("value", pa.float64()),
        ("limit", pa.float64()),
        ("outcome", pa.string()),
        ("n", pa.int64()),
        ("n_eff", pa.float64()),
        ("reason", pa.string()),
    ]
)


def watch(stores: Stores, model: Model, window: Window, now: datetime) -> list[Alarm]:
    """Store the window's findings against the champion that scored it; raise what persists."""
    champion = scored_by(stores, model, window) or stores.champion(model.name)
    if champion is None:
        return []
    _, package = champion
    found: list[Finding] = []
    for kind, drifts in _drifts(stores, model, package, window, now).items():
        found += findings_of(window.id, kind, drifts, model.monitors)
    table = pa.Table.from_pylist([{k: getattr(f, k) for k in FINDINGS.names} for f in found], schema=FINDINGS)
    stores.lake.put("findings", model.name, window.id, table, now)
    past = recent_findings(stores, model, window)
    raised = alarms_from(past, stores.records.alarms(model.name), window.id, model)
    stores.records.put_alarms(model.name, model.owner, raised, now)
    return raised


def _drifts(stores: Stores, model: Model, package: Loaded, window: Window, now: datetime) -> dict[str, list[Drift]]:
    dataset = stores.project.dataset(model.dataset)
    confidence = model.monitors.confidence
    out: dict[str, list[Drift]] = {}
    stored = stores.data.read("profiles", dataset.name, [window.id])
    if stored.num_rows:
        on = grid(stores, dataset, stored, now)
        current = from_table(stored, on)
        reference = from_table(package.reference("profile"), on)
        out["feature"] = [d for d in compare(reference, current, confidence=confidence) if d.column in model.features]
    rows = stores.lake.read("inferences", model.name, [window.id])
    if rows.num_rows:
        out["prediction"] = [_own_drift(model, package, "prediction", _prediction(rows), confidence)]
    event = matured(stores, model, window)
    labels = labels_of(stores, model, [event.id], window)
    if labels.num_rows:
        out["label"] = [_own_drift(model, package, "label", labels["label"], confidence)]
    return out


def _prediction(table: pa.Table) -> pa.ChunkedArray:
    return table["score"] if "score" in table.column_names else table["prediction"]


def _own(name: str, column: pa.ChunkedArray, numeric: bool) -> pa.Table:
    return pa.table({name: column if numeric else column.cast(pa.int64()).cast(pa.string())})


@cached_by_package
def _own_reference(package: Loaded, name: str, numeric: bool) -> Profile:
    outcomes = package.reference("outcomes")
    table = _own(name, _prediction(outcomes) if name == "prediction" else outcomes["label"], numeric)
    return profile_of(table, grid_of(table) if numeric else Grid({name: Axis("category")}))


def _own_drift(model: Model, package: Loaded, name: str, current: pa.ChunkedArray, confidence: float) -> Drift:
    """Drift of the model's own column, on a grid fitted to its reference."""
    numeric = model.kind == "regression" or (name == "prediction" and model.kind == "binary")
    reference = _own_reference(package, name, numeric)
    return compare(reference, profile_of(_own(name, current, numeric), reference.grid), confidence=confidence)[0]


def recent_findings(stores: Stores, model: Model, window: Window) -> list[Finding]:
    """Findings of the last `monitors.within` windows, this one included."""
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    nights = [calendar.shift(window, -k).id for k in range(model.monitors.within)]
    table = stores.lake.read("findings", model.name, nights)
    return [Finding(**r) for r in table.to_pylist()] if table.num_rows else []
