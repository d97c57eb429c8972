"""Edge rows: what a contract lets through and a night seldom brings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_
from numpy.typing import NDArray

ONCE = 8
"""Rows in which a column is changed."""
LARGEST = {"number": 1.7976931348623157e308, "integer": 2**63 - 1}
MOMENTS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


@dataclass(frozen=True)
class Edge:
    """Rows to score; where `like` is given, each must score as that row of the original does."""

    name: str
    kind: str
    rows: pa.Table
    like: NDArray[np.int64] | None = None


def edges_of(rows: pa.Table, types: Mapping[str, str], columns: Mapping[str, Mapping[str, Any]]) -> Iterator[Edge]:
    """The edges of a model's input.

    Parameters
    ----------
    rows : pyarrow.Table
        Ordinary rows, with the model's columns; without rows there is but the empty batch.
    types : mapping of str to str
        The logical type of each of the model's columns.
    columns : mapping of str to mapping
        The contract of a column: ``nullable``, ``min``, ``max``, ``values``, ``pattern``; what it leaves out is
        as in `tidegate.config.dataset.Column`.

    Examples
    --------
    >>> rows = pa.table({"x": [1.0, 2.0], "by": ["a", "b"]})
    >>> kinds = {"x": "number", "by": "category"}
    >>> [e.name for e in edges_of(rows, kinds, {"x": {"min": 0, "max": 9}, "by": {"nullable": False}})][3:]
    ['x null', 'all null', 'by unseen', 'x least', 'x largest', 'all least', 'all largest']
    >>> [e.name for e in edges_of(rows.slice(0, 0), kinds, {})]
    ['empty batch']
    """
    yield Edge("empty batch", "empty", rows.slice(0, 0), np.arange(0))
    if not rows.num_rows:
        return
    few = rows.slice(0, ONCE)
    yield Edge("one row", "order", rows.slice(0, 1), np.arange(1))
    back = np.arange(rows.num_rows)[::-1].copy()
    yield Edge("reversed", "order", rows.take(back), back)
    nullable = [n for n in types if columns.get(n, {}).get("nullable", True)]
    nulls = {n: pa.nulls(few.num_rows, few[n].type) for n in nullable}
    for name, empty in nulls.items():
        yield Edge(f"{name} null", "nulls", _with(few, {name: empty}))
    if nulls:
        yield Edge("all null", "nulls", _with(few, nulls))
    for name, kind in types.items():
        if kind in ("category", "text"):
            for value in _words(rows[name], columns.get(name, {})):
                yield Edge(f"{name} {value!r}"[:80] if columns.get(name, {}).get("values") else f"{name} unseen",
                           "unseen", _with(few, {name: _full(few, name, value)}))  # fmt: skip
    yield from _extremes(few, types, columns)


def _extremes(few: pa.Table, types: Mapping[str, str], columns: Mapping[str, Mapping[str, Any]]) -> Iterator[Edge]:
    """The least and the largest that the contract allows; the machine's own where it says nothing."""
    both: tuple[dict[str, pa.Array], dict[str, pa.Array]] = ({}, {})
    for name, kind in types.items():
        bounds = [columns.get(name, {}).get(k) for k in ("min", "max")]
        if kind == "timestamp":
            values: list[Any] = list(MOMENTS)
        elif kind in LARGEST:
            values = [bounds[i] if bounds[i] is not None else (-1, 1)[i] * LARGEST[kind] for i in (0, 1)]
        else:
            continue
        open_ended = kind != "timestamp" and None in bounds
        for side, words in enumerate(("least", "largest")):
            made = _full(few, name, values[side])
            # Values far outside any bound are told of the column that has none, not of all together.
            if not open_ended:
                both[side][name] = made
            declared = kind == "timestamp" or bounds[side] is not None
            yield Edge(f"{name} {words}", "extremes" if declared else "unbounded", _with(few, {name: made}))
    for side, words in enumerate(("least", "largest")):
        if both[side]:
            yield Edge(f"all {words}", "extremes", _with(few, both[side]))


def _full(few: pa.Table, name: str, value: Any) -> pa.Array:
    kind = few[name].type
    kind = kind.value_type if is_.is_dictionary(kind) else kind
    if is_.is_integer(kind) and not isinstance(value, str):
        value = max(min(int(value), 2 ** (kind.bit_width - 1) - 1), -(2 ** (kind.bit_width - 1)))
    if is_.is_floating(kind) and kind.bit_width == 32:
        value = float(np.clip(value, np.finfo(np.float32).min, np.finfo(np.float32).max))
    made = pa.array([value] * few.num_rows)
    return made.cast(kind, safe=False)


def _with(rows: pa.Table, changed: Mapping[str, pa.Array]) -> pa.Table:
    for name, values in changed.items():
        rows = rows.set_column(rows.column_names.index(name), name, values)
    return rows


def _words(column: pa.ChunkedArray, contract: Mapping[str, Any]) -> list[str]:
    """Every declared value; where none are declared, one that fits the pattern and was not seen."""
    if contract.get("values"):
        return list(contract["values"])
    seen = set(pc.unique(column.cast(pa.string())).to_pylist())
    pattern = contract.get("pattern")
    if not pattern:
        return [next(w for w in (f"unseen {i}" for i in range(len(seen) + 1)) if w not in seen)]
    for word in sorted(w for w in seen if w):
        for step in range(1, 26):
            new = "".join(_next(c, step) for c in word)
            if new not in seen and re.fullmatch(pattern, new):
                return [new]
    return []


def _next(letter: str, step: int) -> str:
    for first, count in (("a", 26), ("A", 26), ("0", 10)):
        if 0 <= ord(letter) - ord(first) < count:
            return chr(ord(first) + (ord(letter) - ord(first) + step) % count)
    return letter
