"""Drift report: samples of a window and of the champion's training rows, drawn by Evidently, kept as evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tidegate.adapters.evidently import draw
from tidegate.adapters.packages import Loaded
from tidegate.adapters.registry import Registry
from tidegate.config.dataset import ColumnType
from tidegate.config.model import Model
from tidegate.errors import StoreError, UsageError
from tidegate.report.drift import comparison, shown
from tidegate.report.drifthead import Head
from tidegate.steps.labels import class_order, delay_nights
from tidegate.steps.outcomes import labels_of
from tidegate.steps.score import scored_by
from tidegate.steps.stores import Stores
from tidegate.windows import Window

ROWS = 5_000
"""Rows of a side at most: what a chart can show, whatever the window's size."""
NIGHTS = 100
"""Training nights that they come from at most, so that the cost does not grow with history."""
PREDICTION, LABEL = "model: prediction", "model: label"


@dataclass(frozen=True, slots=True)
class DriftReport:
    """A page that was drawn: where it is, what it compares, what exceeds its limit, what was left out and why."""

    model: str
    window: str
    version: int
    path: Path
    uri: str
    compared: tuple[str, ...]
    drifted: tuple[str, ...]
    left_out: Mapping[str, str]
    rows: int
    reference_rows: int


def drift_report(stores: Stores, model: Model, window: Window, now: datetime) -> DriftReport:
    """Draw a window against the training rows of the version that scored it, or else of the champion.

    Features, prediction, and the label where it is known by `now`. Columns with a privacy rule other
    than `keep` are left out. The page goes below the state folder's `reports/`, and to the version's
    MLflow run as `drift_reports/<window>.html`; a later report of the same window replaces it.

    Raises
    ------
    UsageError
        If no model has been promoted, the window has no batch, or nothing in it can be compared.
    StoreError
        If the page cannot be written.
    CheckBroke
        If Evidently cannot draw it.
    """
    scored = scored_by(stores, model, window) or stores.champion(model.name)
    if scored is None:
        raise UsageError(f"report of {model.name}", "a champion", "none", f"tidegate retrain {model.name}")
    version, package = scored
    batch = stores.data.read("batches", model.dataset, [window.id])
    if not batch.num_rows:
        raise UsageError(f"report of {model.name}", f"rows of {window.id}", "none that passed",
                         f"tidegate ingest {model.dataset} --window {window.id}")  # fmt: skip
    rng = np.random.default_rng(seed := int(window.id.replace("-", "")))
    rows = batch.take(_some(rng, batch.num_rows))
    trained, total, nights = _trained(stores, model, package, rng)
    outcomes = package.reference("outcomes")
    reference = _frame(model, trained, outcomes, outcomes)
    inferences = stores.lake.read("inferences", model.name, [window.id])
    current = _frame(model, rows, inferences, _labels(stores, model, window, now))
    columns, private = _columns(stores, model)
    made = comparison(columns, reference, current, model.monitors, partial=(PREDICTION, LABEL))
    left_out = private | made.left_out
    if PREDICTION in made.left_out and not inferences.num_rows:
        left_out[PREDICTION] = "the window was not scored"
    if LABEL in made.left_out and current[LABEL].isna().all():
        left_out[LABEL] = f"none known yet; due {delay_nights(model)} nights after the window"
    if not made.fields:
        raise UsageError(f"report of {model.name}", "a column that can be compared", f"{left_out}", "keep one column")
    held = int(reference[PREDICTION].notna().sum())
    spanned = package.spec["trained"]
    head = Head(
        model.name,
        window.id,
        version,
        model.monitors,
        rows=(rows.num_rows, batch.num_rows),
        reference_rows=(trained.num_rows, total),
        nights=(nights, len(spanned)),
        trained=(spanned[0], spanned[-1]),
        cap=ROWS,
        seed=seed,
        compared=len(made.fields),
        notes=[f"Prediction and label of the reference: the {held:,} of those rows that were scored out of fold."],
        left_out=left_out,
    )
    drawn = draw(made.fields, f"Drift of {model.name}, {window.id}", head.html)
    path = stores.home.state / "reports" / model.name / f"{window.id}.html"
    _write(path, drawn.html)
    uri = _log(stores, model, version, window, drawn.html)
    compared = tuple(f.name for f in made.fields)
    return DriftReport(
        model.name, window.id, version, path, uri, compared, drawn.drifted, left_out, rows.num_rows, trained.num_rows
    )


def _some(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.sort(rng.permutation(count)[:ROWS])


def _trained(stores: Stores, model: Model, package: Loaded, rng: np.random.Generator) -> tuple[pa.Table, int, int]:
    """Rows of the training's nights, as they were known then; how many there were, and nights read."""
    then = datetime.fromisoformat(package.spec["trained_at"])
    stored = [s for s in stores.data.many("batches", model.dataset, package.spec["trained"], then) if s.rows]
    picked = [stored[i] for i in np.sort(rng.permutation(len(stored))[:NIGHTS])]
    sizes = np.array([s.rows for s in picked])
    share = rng.multivariate_hypergeometric(sizes, min(ROWS, int(sizes.sum())))
    parts = []
    # Night by night: what is in memory is one of them, and the sample.
    for night, count in zip(picked, share, strict=True):
        if count:
            rows = stores.data.read("batches", model.dataset, [night.window], as_of=then)
            parts.append(rows.take(np.sort(rng.permutation(rows.num_rows)[:count])))
    return pa.concat_tables(parts, promote_options="permissive"), sum(s.rows for s in stored), len(picked)


def _frame(model: Model, rows: pa.Table, scored: pa.Table, labelled: pa.Table) -> pd.DataFrame:
    """Rows with prediction and label, missing where there is none."""
    frame: pd.DataFrame = rows.to_pandas()
    own = "score" if "score" in scored.column_names else "prediction"
    for name, table, column in ((PREDICTION, scored, own), (LABEL, labelled, "label")):
        known: dict[str, float] = {}
        if table.num_rows:
            known = dict(zip(table["row_id"].to_pylist(), table[column].to_pylist(), strict=True))
        values = frame["row_id"].map(known.get)
        if _named(model, name):
            classes = class_order(model)
            values = values.map(lambda v: classes[int(v)], na_action="ignore").astype(object)  # noqa: B023
        frame[name] = values
    return frame


def _named(model: Model, name: str) -> bool:
    """Whether the prediction, or the label, is a class and not a number."""
    return model.kind == "multiclass" or (model.kind == "binary" and name == LABEL)


def _columns(stores: Stores, model: Model) -> tuple[list[tuple[str, ColumnType]], dict[str, str]]:
    """What a report may show, by type; and what it may not, with why."""
    contract = stores.project.dataset(model.dataset).columns
    rules = {name: contract[name].privacy for name in model.features}
    columns = [(name, contract[name].type) for name, rule in rules.items() if rule == "keep"]
    private = {shown(name): f"privacy: {rule}" for name, rule in rules.items() if rule != "keep"}
    label = contract.get(model.label.column)
    for name in (PREDICTION, LABEL):
        if name == LABEL and label is not None and label.privacy != "keep":
            private[LABEL] = f"privacy: {label.privacy}"
        else:
            columns.append((name, "category" if _named(model, name) else "number"))
    return columns, private


def _labels(stores: Stores, model: Model, window: Window, now: datetime) -> pa.Table:
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    return labels_of(stores, model, [window.id], calendar.shift(calendar.of(now), -1))


def _write(path: Path, page: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(f".{path.name}.part")
        staged.write_text(page, encoding="utf-8")
        staged.replace(path)
    except OSError as fault:
        do = "mend the permissions, or free some space"
        raise StoreError(f"report {path}", "a file that can be written", fault.strerror or str(fault), do) from None


def _log(stores: Stores, model: Model, version: int, window: Window, page: str) -> str:
    """The page among the evidence of the version's run; its address."""
    run = next(v for v in stores.records.versions(model.name) if v["version"] == version)["body"]["run_id"]
    registry, name = Registry(stores.home.state), f"drift_reports/{window.id}.html"
    registry.log_evidence(run, name, page)
    return f"{registry.client.get_run(run).info.artifact_uri}/{name}"
