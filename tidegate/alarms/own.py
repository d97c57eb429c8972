"""What a model says and what came true, as nightly series: prediction, label and loss, whole and by segment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.alarms.series import Series, loss_series
from tidegate.profile.grid import Axis, Grid
from tidegate.profile.profile import Profile, grid_of, profile_of

FEW = 20
"""Rows of a segment below which a night says nothing about it."""
SEGMENTS = 8
"""Values of each segment that are watched, the largest."""
SHARE = 0.02
"""Share of the reference's rows that a watched value has at least."""

Masks = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Own:
    """Rows of one night or more, ready to be profiled: a column, losses, and who belongs to which segment.

    ``column`` has shape (n,), ``loss`` (n,) or None where labels are not known; ``masks`` gives the rows of each
    subject's suffix: ``""`` for all, ``" [origin=JFK]"`` for a segment's value.
    """

    monitor: str
    column: pa.ChunkedArray
    masks: Masks
    loss: NDArray[np.float64] | None = None

    def subject(self, suffix: str) -> str:
        return self.monitor + suffix


def segment_masks(rows: pa.Table, watched: Mapping[str, list[str]]) -> dict[str, NDArray[np.bool_]]:
    """All rows, and those of each watched value of each segment column (`segment_<name>`)."""
    out = {"": np.ones(rows.num_rows, dtype=bool)}
    for name, values in watched.items():
        column = f"segment_{name}"
        if column in rows.column_names:
            text = pc.fill_null(rows[column].cast(pa.string()), "missing")
            for value in values:
                out[f" [{name}={value}]"] = pc.equal(text, value).to_numpy()
    return out


def watched_segments(rows: pa.Table, names: tuple[str, ...]) -> dict[str, list[str]]:
    """The values of each segment that are large enough in the reference's rows to be watched."""
    out = {}
    for name in names:
        column = f"segment_{name}"
        if column not in rows.column_names or not rows.num_rows:
            continue
        counts = pc.value_counts(pc.fill_null(rows[column].cast(pa.string()), "missing")).to_pylist()
        large = [c for c in counts if c["counts"] >= SHARE * rows.num_rows]
        out[name] = [c["values"] for c in sorted(large, key=lambda c: (-c["counts"], c["values"]))[:SEGMENTS]]
    return out


def own_grid(own: Own) -> Grid:
    """A grid for the column and its segments, fitted to all of its rows."""
    axis: Axis = grid_of(pa.table({"x": own.column})).axes["x"]
    return Grid({own.subject(suffix): axis for suffix in own.masks})


def own_profile(own: Own, grid: Grid) -> Profile:
    """The profile of the column and of its segments; a segment with few rows is empty."""
    columns = {}
    for suffix, mask in own.masks.items():
        name = own.subject(suffix)
        rows = int(mask.sum())
        part = own.column.filter(pa.array(mask)) if rows >= FEW or not suffix else own.column.slice(0, 0)
        one = profile_of(pa.table({name: part}), Grid({name: grid.axes[name]}, grid.max_categories))
        columns[name] = one.columns[name]
    return Profile(grid, {name: columns[name] for name in grid.axes})


def usual_losses(own: Own) -> dict[str, float]:
    """The mean loss of each subject's suffix; without the rows whose loss is NaN."""
    if own.loss is None:
        return {}
    return {suffix: _mean(own.loss[mask]) for suffix, mask in own.masks.items()}


def losses(own: Own, usual: Mapping[str, float], name: str) -> dict[Series, float]:
    """The night's loss series against the usual losses."""
    out: dict[Series, float] = {}
    for suffix, mask in own.masks.items():
        if own.loss is not None and suffix in usual and (mask.sum() >= FEW or not suffix):
            out |= loss_series(name + suffix, _mean(own.loss[mask]), usual[suffix])
    return out


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
