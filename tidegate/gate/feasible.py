"""What a feature may be changed to: the contract's rules and what has been observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.config.dataset import Column

MOST_VALUES = 2000
"""A category with more values than this keeps its commonest."""


@dataclass(frozen=True)
class Range:
    """Numbers in [low, high], in the column's unit; ``scale`` is its standard deviation.

    ``seen`` are the values of an integer column that have been observed, in order: only these are tried, since a
    column of integers is often a code (a time as hhmm) with gaps.
    """

    low: float
    high: float
    scale: float
    seen: tuple[int, ...] = ()

    def between(self, a: float, b: float, count: int) -> list[Any]:
        """At most `count` values from `a` to `b`, both among them if they are allowed; without the duplicates."""
        low, high = max(min(a, b), self.low), min(max(a, b), self.high)
        if low > high or count < 1:
            return []
        if not self.seen:
            return list(dict.fromkeys(np.linspace(low, high, count).tolist()))
        inside = [v for v in self.seen if low <= v <= high]
        if not inside:
            return []
        at = np.unique(np.linspace(0, len(inside) - 1, min(count, len(inside))).round().astype(int))
        return [inside[i] for i in at.tolist()]


@dataclass(frozen=True)
class Choices:
    """Values of a category, of text with declared values, or of a boolean."""

    values: tuple[Any, ...]


Feasible = Range | Choices


def feasible_of(
    rows: pa.Table, columns: Mapping[str, Column], features: Sequence[str], *, tail: float = 0.01
) -> dict[str, Feasible]:
    """What each feature may be changed to, by its contract and by observed rows.

    Numbers keep within ``min`` and ``max`` of the contract and the observed quantiles at `tail` and 1 − `tail`;
    categories keep to observed values that the contract allows. Timestamps and free text are never changed, nor is
    a column that has one value or none: they are left out.

    Examples
    --------
    >>> from tidegate.config.dataset import Column
    >>> rows = pa.table({"age": pa.array([20, 30, 40, None]), "sex": ["f", "m", "f", None]})
    >>> feasible_of(rows, {"age": Column(type="integer", max=35), "sex": Column(type="category")}, ["age", "sex"])
    {'age': Range(low=20.0, high=35.0, scale=8.16496580927726, seen=(20, 30)), 'sex': Choices(values=('f', 'm'))}
    """
    out: dict[str, Feasible] = {}
    for name in features:
        if name not in columns or name not in rows.column_names:
            continue
        rule, column = columns[name], rows[name].drop_null()
        made: Feasible | None = None
        if rule.type in ("integer", "number"):
            made = _range(column.to_numpy().astype(np.float64), rule, tail)
        elif rule.type in ("category", "boolean") or (rule.type == "text" and rule.values):
            made = _choices(column, rule)
        if made is not None:
            out[name] = made
    return out


def _range(x: NDArray[np.float64], rule: Column, tail: float) -> Range | None:
    x = x[np.isfinite(x)]
    scale = float(x.std()) if len(x) else 0.0
    if not scale > 0:
        return None
    # Observed values, not points between them: the quantile of integers stays an integer.
    ends = np.quantile(x, [tail, 1 - tail], method="nearest")
    low = max(float(ends[0]), -np.inf if rule.min is None else rule.min)
    high = min(float(ends[1]), np.inf if rule.max is None else rule.max)
    if not low < high:
        return None
    seen: tuple[int, ...] = ()
    if rule.type == "integer":
        seen = tuple(np.unique(x[(x >= low) & (x <= high)]).astype(np.int64).tolist())
    return Range(float(low), float(high), scale, seen)


def _choices(column: pa.ChunkedArray, rule: Column) -> Choices | None:
    counts = column.value_counts().to_pylist()
    kept = [c for c in counts if rule.values is None or str(c["values"]) in rule.values]
    kept.sort(key=lambda c: (-c["counts"], str(c["values"])))
    values = tuple(c["values"] for c in kept[:MOST_VALUES])
    return Choices(values) if len(values) > 1 else None
