"""Disturbances of a model's inputs, in the columns' own types: what a contract lets happen, and its ends.

Each takes a table and gives one of the same schema and rows; what a column cannot suffer leaves it as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.config.dataset import Column

UNSEEN = "\u2047 unseen"
"""A category that nobody has trained on."""
BEYOND = 3.0
"""Where the contract has no end, a number goes this many observed ranges beyond what was observed."""
Columns = Mapping[str, Column]


def noisy(
    rows: pa.Table, columns: Columns, features: Sequence[str], noise: float, rng: np.random.Generator
) -> pa.Table:
    """Every number with normal noise of `noise` standard deviations of its column, within the contract's ends.

    Integers are rounded, empty cells stay empty.

    Examples
    --------
    >>> rows = pa.table({"age": pa.array([20, 40, None])})
    >>> noisy(rows, {"age": Column(type="integer")}, ["age"], 0.5, np.random.default_rng(0))["age"].to_pylist()
    [21, 39, None]
    """
    for name in _numbers(rows, columns, features):
        x = _floats(rows, name)
        spread = float(np.std(x[np.isfinite(x)])) if np.isfinite(x).any() else 0.0
        rule = columns[name]
        low, high = -np.inf if rule.min is None else rule.min, np.inf if rule.max is None else rule.max
        rows = _put(rows, name, np.clip(x + rng.normal(0, noise * spread, len(x)), low, high))
    return rows


def nullable(rows: pa.Table, columns: Columns, features: Sequence[str]) -> list[str]:
    """The features whose cells may be empty."""
    return [f for f in features if f in columns and f in rows.column_names and columns[f].nullable]


def thinned(
    rows: pa.Table, columns: Columns, features: Sequence[str], share: float, rng: np.random.Generator
) -> pa.Table:
    """A share of the cells of each nullable column emptied, but no more than its ``max_missing``."""
    for name in nullable(rows, columns, features):
        gone = rng.random(rows.num_rows) < min(share, columns[name].max_missing)
        rows = _masked(rows, name, gone)
    return rows


def emptied(rows: pa.Table, name: str) -> pa.Table:
    """One column without any value."""
    return _masked(rows, name, np.ones(rows.num_rows, dtype=bool))


def strange(rows: pa.Table, name: str) -> pa.Table:
    """One category with a value that was never seen, in every row."""
    at = rows.column_names.index(name)
    made = pa.array([UNSEEN] * rows.num_rows, pa.string()).cast(rows.schema.field(at).type)
    return rows.set_column(at, rows.schema.field(at), made)


def extreme(rows: pa.Table, columns: Columns, name: str, side: int, hit: NDArray[np.bool_]) -> pa.Table:
    """One number at its end (`side` −1 or 1) in the rows that `hit` picks: the contract's, else far beyond the rows."""
    x, rule = _floats(rows, name), columns[name]
    end = rule.min if side < 0 else rule.max
    if end is None:
        seen = x[np.isfinite(x)]
        low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 1.0)
        reach = BEYOND * max(high - low, 1.0)
        end = low - reach if side < 0 else high + reach
    return _put(rows, name, np.where(hit, end, x))


def kinds(rows: pa.Table, columns: Columns, features: Sequence[str]) -> tuple[list[str], list[str]]:
    """The features that are numbers, and those that are categories."""
    words = [f for f in features if f in columns and f in rows.column_names and columns[f].type in ("category", "text")]
    return _numbers(rows, columns, features), words


def _numbers(rows: pa.Table, columns: Columns, features: Sequence[str]) -> list[str]:
    return [f for f in features if f in columns and f in rows.column_names and columns[f].type in ("integer", "number")]


def _floats(rows: pa.Table, name: str) -> NDArray[np.float64]:
    return np.asarray(rows[name].to_numpy(zero_copy_only=False), dtype=np.float64)


def _put(rows: pa.Table, name: str, x: NDArray[np.float64]) -> pa.Table:
    at = rows.column_names.index(name)
    field = rows.schema.field(at)
    if pa.types.is_integer(field.type):
        cells = pa.array([round(v) if math.isfinite(v) else None for v in x.tolist()], field.type)
    else:
        cells = pa.array(x, mask=~np.isfinite(x)).cast(field.type)
    return rows.set_column(at, field, cells)


def _masked(rows: pa.Table, name: str, gone: NDArray[np.bool_]) -> pa.Table:
    at = rows.column_names.index(name)
    field = rows.schema.field(at)
    column = rows[name].combine_chunks()
    kept = pa.compute.if_else(pa.array(gone), pa.scalar(None, field.type), column)
    # A column that may not be null by its schema is still emptied: that is the disturbance.
    return rows.set_column(at, field.with_nullable(True), kept)
