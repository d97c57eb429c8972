"""Profiles as tables, a row a column, for the lake."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.errors import UsageError
from tidegate.lineage.digest import json_digest
from tidegate.profile.arrow import DTYPES, array, texts
from tidegate.profile.column import ColumnProfile
from tidegate.profile.grid import Grid
from tidegate.profile.window import Profile

MOMENTS = ("n", "missing", "infinite", "total", "squares", "low", "high")
SCHEMA = pa.schema(
    [
        ("column", pa.string()),
        ("grid", pa.string()),
        ("type", pa.string()),
        ("n", pa.int64()),
        ("missing", pa.int64()),
        ("infinite", pa.int64()),
        ("total", pa.float64()),
        ("squares", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("totals", pa.list_(pa.float64())),
        ("squared", pa.list_(pa.float64())),
        ("buckets", pa.list_(pa.int32())),
        ("atoms", pa.list_(pa.float64())),
        ("names", pa.list_(pa.string())),
        ("rows", pa.list_(pa.int64())),
    ]
)


def to_table(profile: Profile) -> pa.Table:
    """A row per column, sorted by name; the same profile gives the same table. Without segments."""
    names = sorted(profile.columns)
    columns = [profile.columns[name] for name in names]
    cells: dict[str, Any] = {
        "column": texts(names),
        "grid": texts([profile.grid.digest] * len(names)),
        "type": texts([profile.schema.get(name, "") for name in names]),
        **{f: array(np.array([getattr(c, f) for c in columns], np.int64)) for f in MOMENTS[:3]},
        **{f: array(np.array([getattr(c, f) for c in columns], np.float64)) for f in MOMENTS[3:]},
        "totals": _lists([np.array(c.carries[0]) for c in columns], np.float64),
        "squared": _lists([np.array(c.carries[1]) for c in columns], np.float64),
        "buckets": _lists([c.buckets for c in columns], np.int32),
        "atoms": _lists([c.atoms for c in columns], np.float64),
        "names": _offsets([len(c.names) for c in columns], texts(list(chain(*(c.names for c in columns))))),
        "rows": _lists([c.rows for c in columns], np.int64),
    }
    return pa.table([cells[f.name] for f in SCHEMA], schema=SCHEMA)


def _lists(parts: list[NDArray[Any]], kind: type) -> pa.Array:
    return _offsets([len(p) for p in parts], array(np.concatenate([*parts, np.empty(0)]).astype(kind)))


def _offsets(sizes: list[int], values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(array(np.cumsum([0, *sizes]).astype(np.int32)), values)


def from_table(table: pa.Table, grid: Grid) -> Profile:
    """The profile that `to_table` wrote, on its grid; further columns and the row order do not matter.

    Raises
    ------
    UsageError
        The rows were profiled on another grid, or are not one row for each of its columns.
    """
    missing = set(SCHEMA.names) - set(table.column_names)
    if missing:
        raise UsageError("profile", "a table of this engine", f"none of {sorted(missing)}", "profile the window again")
    found = set(table["grid"].to_pylist()) - {grid.digest}
    if found:
        raise UsageError(
            "profile", f"grid {grid.digest[:12]}", f"grid {sorted(found)[0][:12]}", "read it on its own grid"
        )
    if sorted(table["column"].to_pylist()) != sorted(grid.axes):
        raise UsageError(
            "profile",
            f"one row for each of {len(grid.axes)} columns",
            f"{table.num_rows} rows",
            "read one window at a time",
        )
    scalars = {f: table[f].to_pylist() for f in ("column", "type", *MOMENTS, "totals", "squared")}
    buckets, atoms, rows = (_cut(table[f], kind) for f, kind in
                            (("buckets", np.int64), ("atoms", np.float64), ("rows", np.int64)))  # fmt: skip
    names = table["names"].to_pylist()
    columns = {}
    for i, name in enumerate(scalars["column"]):
        columns[name] = ColumnProfile(
            grid.axes[name],
            **{f: scalars[f][i] for f in MOMENTS},
            buckets=buckets(i),
            atoms=atoms(i),
            names=tuple(names[i]),
            rows=rows(i),
            carries=(tuple(scalars["totals"][i]), tuple(scalars["squared"][i])),
        )
    schema = {n: kind for n, kind in sorted(zip(scalars["column"], scalars["type"], strict=True)) if kind}
    return Profile(grid, {name: columns[name] for name in grid.axes}, schema)


def _cut(column: pa.ChunkedArray, kind: type) -> Callable[[int], NDArray[Any]]:
    """A list column's cells as arrays, read from its buffers."""
    cells = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    ends = np.frombuffer(cells.buffers()[1], np.int32, len(cells) + 1, 4 * cells.offset)
    values = cells.values
    stored = np.dtype(DTYPES[values.type])
    flat = np.frombuffer(values.buffers()[1] or b"", stored, len(values), values.offset * stored.itemsize)
    return lambda i: flat[ends[i] : ends[i + 1]].astype(kind)


def profile_digest(profile: Profile) -> str:
    """SHA-256 over grid, schema, counts and moments of a profile and its segments."""
    body: dict[str, Any] = {"grid": profile.grid.digest, "by": profile.by, "schema": dict(profile.schema)}
    body["columns"] = {name: _column_digest(c) for name, c in profile.columns.items()}
    body["segments"] = {name: segment.digest for name, segment in profile.segments.items()}
    return json_digest(body)


def _column_digest(c: ColumnProfile) -> str:
    moments = [c.n, c.missing, c.infinite, *(x.hex() for x in (c.low, c.high, *c.carries[0], 0.0, *c.carries[1]))]
    h = hashlib.sha256(repr((moments, c.names)).encode())
    for values, kind in ((c.buckets, "<i8"), (np.where(np.isnan(c.atoms), np.nan, c.atoms), "<f8"), (c.rows, "<i8")):
        h.update(np.ascontiguousarray(values, dtype=kind).tobytes())
    return h.hexdigest()
