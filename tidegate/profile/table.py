"""Profiles as tables, a row a column, for the lake."""

from __future__ import annotations

import json

import pyarrow as pa

from tidegate.profile.grid import Grid
from tidegate.profile.profile import ColumnProfile, Profile

SCHEMA = pa.schema([
    ("column", pa.string()), ("grid", pa.string()), ("n", pa.int64()), ("missing", pa.int64()), ("infinite", pa.int64()),
    ("total", pa.float64()), ("squares", pa.float64()), ("low", pa.float64()), ("high", pa.float64()), ("counts", pa.string()),
])


def to_table(profile: Profile) -> pa.Table:
    """A row per column, in the grid's order."""
    digest = profile.grid.digest
    rows = []
    for name, c in sorted(profile.columns.items()):
        counts = [[k, v] for k, v in sorted(c.counts.items(), key=lambda kv: (str(type(kv[0])), kv[0]))]
        rows.append({"column": name, "grid": digest, "n": c.n, "missing": c.missing, "infinite": c.infinite, "total": c.total,
                     "squares": c.squares, "low": c.low, "high": c.high, "counts": json.dumps(counts)})
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def from_table(table: pa.Table, grid: Grid) -> Profile:
    """The profile that `to_table` wrote, on its grid."""
    columns = {}
    for r in table.to_pylist():
        counts = {k: v for k, v in json.loads(r["counts"])}
        columns[r["column"]] = ColumnProfile(grid.axes[r["column"]], r["n"], r["missing"], r["infinite"], r["total"], r["squares"], r["low"], r["high"], counts)
    return Profile(grid, columns)
