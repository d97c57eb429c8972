"""Profiles as tables, a row a column, for the lake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.errors import UsageError
from tidegate.profile.column import ColumnProfile
from tidegate.profile.grid import Grid
from tidegate.profile.profile import Profile

MOMENTS = ("n", "missing", "infinite", "total", "squares", "low", "high")
SCHEMA = pa.schema(
    [
        ("column", pa.string()),
        ("grid", pa.string()),
        ("n", pa.int64()),
        ("missing", pa.int64()),
        ("infinite", pa.int64()),
        ("total", pa.float64()),
        ("squares", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("buckets", pa.list_(pa.int64())),
        ("atoms", pa.list_(pa.float64())),
        ("names", pa.list_(pa.string())),
        ("rows", pa.list_(pa.int64())),
    ]
)


def to_table(profile: Profile) -> pa.Table:
    """A row per column, sorted by name; the same profile gives the same table."""
    digest = profile.grid.digest
    rows = [
        {
            "column": name,
            "grid": digest,
            **{f: getattr(c, f) for f in MOMENTS},
            "buckets": c.buckets,
            "atoms": c.atoms,
            "names": c.names,
            "rows": c.rows,
        }
        for name, c in sorted(profile.columns.items())
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def from_table(table: pa.Table, grid: Grid) -> Profile:
    """The profile that `to_table` wrote, on its grid; further columns and the row order do not matter.

    Raises
    ------
    UsageError
        The rows were profiled on another grid, or are not one row for each of its columns.
    """
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
    scalars = table.select(["column", *MOMENTS]).to_pylist()
    columns = {}
    for i, row in enumerate(scalars):
        name = row.pop("column")
        columns[name] = ColumnProfile(
            grid.axes[name],
            **row,
            buckets=_ints(table["buckets"][i]),
            atoms=np.array(table["atoms"][i].values.to_numpy(zero_copy_only=False), dtype=np.float64),
            names=tuple(table["names"][i].as_py()),
            rows=_ints(table["rows"][i]),
        )
    return Profile(grid, {name: columns[name] for name in grid.axes})


def _ints(cell: Any) -> NDArray[np.int64]:
    return np.array(cell.values.to_numpy(), dtype=np.int64)
