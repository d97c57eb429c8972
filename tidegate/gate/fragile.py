"""How many decisions hang on a small step in one number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.gate.feasible import Feasible, Range
from tidegate.gate.flips import Score, decided


def fragile(
    score: Score, rows: pa.Table, feasible: Mapping[str, Feasible], *, step: float, threshold: float
) -> NDArray[np.bool_]:
    """Which decisions a step in one number flips, shape (n,).

    Parameters
    ----------
    step : float
        In standard deviations of the column, up and down, within its feasible range. An integer column is rounded;
        one whose step is below a half does not move. Empty cells stay empty.
    """
    base = np.asarray(score(rows), dtype=np.float64)
    out = np.zeros(rows.num_rows, dtype=bool)
    for scores in _stepped(score, rows, feasible, step):
        out |= decided(scores, threshold) != decided(base, threshold)
    return out


def largest_move(score: Score, rows: pa.Table, feasible: Mapping[str, Feasible], *, step: float) -> NDArray[np.float64]:
    """Of a regression, the largest change of each prediction under a step in one number, shape (n,); as `fragile`."""
    base = np.asarray(score(rows), dtype=np.float64)
    out = np.zeros(rows.num_rows)
    for scores in _stepped(score, rows, feasible, step):
        out = np.maximum(out, np.abs(scores - base))
    return out


def _stepped(
    score: Score, rows: pa.Table, feasible: Mapping[str, Feasible], step: float
) -> Iterable[NDArray[np.float64]]:
    """Scores of the rows with each number moved up and down, in one call."""
    tables = []
    for i, name in enumerate(rows.column_names):
        rule = feasible.get(name)
        if not isinstance(rule, Range) or not rows.num_rows:
            continue
        field, x = rows.schema.field(i), rows[name].to_numpy(zero_copy_only=False).astype(np.float64)
        for sign in (-1, 1):
            # A row beyond the range already does not jump back into it.
            moved = np.where(
                (x < rule.low) | (x > rule.high), x, np.clip(x + sign * step * rule.scale, rule.low, rule.high)
            )
            if rule.seen:
                moved = np.rint(moved)
            cells = [None if not math.isfinite(v) else int(v) if rule.seen else v for v in moved.tolist()]
            tables.append(rows.set_column(i, field, pa.array(cells, field.type)))
    if not tables:
        return []
    return np.split(np.asarray(score(pa.concat_tables(tables)), dtype=np.float64), len(tables))
