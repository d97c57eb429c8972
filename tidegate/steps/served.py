"""What was served: how good it was once labels are there, whether or not its rows ever came in a batch."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.lineage.digest import plain
from tidegate.performance.metrics import metrics
from tidegate.steps.measure import judge_coverage, matured
from tidegate.steps.outcomes import tally_table
from tidegate.steps.posted import COLUMNS
from tidegate.steps.stores import Stores
from tidegate.verdicts import Verdict
from tidegate.windows import Window

KIND = "served"
"""Kind of the verdict that has the metrics of a window's answers, by version."""


def measure_served(stores: Stores, model: Model, window: Window, now: datetime) -> Verdict | None:
    """Store the metrics of what was served on the night that matured in `window`; None where nothing was.

    Labels are those posted by inference id or row id, or those of the label's source by row id; the newest counts.
    The verdict is inconclusive while too few rows have one, and its ``numbers`` have ``rows``, ``labelled`` and, by
    version, the metrics.
    """
    event = matured(stores, model, window)
    if stores.lake.stored("served", model.name, event.id) is None:
        return None
    rows = stores.lake.read("served", model.name, [event.id])
    labels = _labels(stores, model, rows, event, window, now)
    joined = rows.append_column("label", pa.array(labels, pa.float64()))
    joined = joined.filter(pc.is_valid(joined["label"]))
    by_version = {}
    for version in sorted(set(joined["version"].to_pylist())):
        part = joined.filter(pc.equal(joined["version"], version))
        by_version[str(version)] = {"n": part.num_rows, **metrics(model.kind, tally_table(model, part, _cuts(part)))}
    coverage = judge_coverage(model, joined.num_rows, rows.num_rows)
    numbers = plain({"rows": rows.num_rows, "labelled": joined.num_rows, "versions": by_version})
    found = Verdict("pass" if coverage.passed else "inconclusive", coverage.reasons, numbers)
    stores.records.put_verdict(model.name, KIND, event.id, found, now)
    return found


def _cuts(rows: pa.Table) -> NDArray[np.float64]:
    """A threshold for each row that gives the decision it was answered with: thresholds change, answers do not.

    Where the decision was not logged, .5.
    """
    if "score" not in rows.column_names:
        return np.full(rows.num_rows, 0.5)
    scores, decided = rows["score"].to_numpy(), rows["prediction"].cast(pa.float64()).to_numpy()
    return np.where(np.isnan(decided), 0.5, np.where(decided >= 1, scores, np.inf))


def _labels(
    stores: Stores, model: Model, rows: pa.Table, event: Window, window: Window, now: datetime
) -> list[float | None]:
    """The newest label of each served row, None without one."""
    found: dict[str, float] = {}
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    ids, keys = rows["inference_id"].to_pylist(), rows["row_id"].to_pylist()
    known = [
        s.window
        for s in stores.lake.many("labels", model.name, [w.id for w in calendar.range(event.date, window.date)])
    ]
    for r in _those(stores.lake.read("labels", model.name, known), "row_id", keys):
        found[r["row_id"]] = r["label"]
    came = [s.window for s in stores.lake.many("posted_labels", model.name) if s.window >= event.id]
    posted = stores.lake.read("posted_labels", model.name, came, columns=COLUMNS) if came else None
    if posted is not None:
        posted = posted.filter(pc.less_equal(posted["received_at"], now)).sort_by("received_at")
        for column, wanted in (("row_id", keys), ("inference_id", ids)):
            for r in _those(posted, column, wanted):
                found[r[column]] = r["label"]
    return [found.get(i, found.get(key)) for i, key in zip(ids, keys, strict=True)]


def _those(table: pa.Table, column: str, wanted: list[Any]) -> list[dict[str, Any]]:
    if not table.num_rows:
        return []
    hit = pc.is_in(table[column], pa.array([w for w in wanted if w], pa.string()))
    return list(table.filter(hit).to_pylist())


__all__ = ["KIND", "measure_served"]
