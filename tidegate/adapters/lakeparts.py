"""Windows of the lake that grow by parts, each added exactly once; and looking up a row without reading a window."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tidegate.adapters.leases import Lease
from tidegate.adapters.parquet import conform, read_file, storable, write_file
from tidegate.errors import IntegrityError, StoreError, UsageError
from tidegate.lineage.digest import table_digest

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from tidegate.adapters.lake import Lake, Stored

# Each commit replays the log since the last checkpoint: at 300 windows a commit costs
# 16 ms of CPU with 10, 93 ms with Delta's 100; at 3,600 windows 21 and 35 ms.
SETTINGS = {"delta.checkpointInterval": "10"}
TURNS = 8  # at an addition, while others change the window


def add(
    lake: Lake, table: str, owner: str, window: str, parts: Mapping[str, pa.Table], known_at: datetime,
    lease: Lease | None,
) -> Stored | None:  # fmt: skip
    """See `Lake.add`."""
    day(window)
    if known_at.tzinfo is None:
        raise UsageError("known_at", "a timezone-aware datetime", repr(known_at), "add tzinfo=UTC")
    for name in parts:
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,100}", name):
            raise UsageError("part of a window", "1 to 100 of a-z, A-Z, 0-9, _ and -", repr(name), "rename it")
    thing = f"table {table} of {owner}"
    whole = {name: storable(data, thing) for name, data in sorted(parts.items()) if data.num_rows}
    for _ in range(TURNS):
        before = lake.stored(table, owner, window)
        there = {part_of(name) for name in before.files} if before else set()
        new = {name: data for name, data in whole.items() if name not in there}
        if not new:
            return before
        path = lake.path(table, owner)
        files = lake._commit(path, lease, partial(_append, lake, path, window, before, new))
        digest = hashlib.sha256((before.digest if before else "").encode())
        for name, data in new.items():
            digest.update(f"\n{name} {table_digest(data)}".encode())
        rows = (before.rows if before else 0) + sum(data.num_rows for data in new.values())
        done = lake.record(
            table, owner, window, digest.hexdigest(), rows, files, known_at, lease, after=before, grown=True
        )
        if done is not None:
            return done
    raise StoreError(thing, f"a turn at window {window}", "other writers all along", "run it again")


def part_of(file: str) -> str:
    """The part that a file of a window holds."""
    return file.rpartition("/")[2].split(".")[0]


def _append(
    lake: Lake, path: Path, window: str, before: Stored | None, new: Mapping[str, pa.Table]
) -> dict[str, str] | None:
    from deltalake.transaction import AddAction

    known = lake.opened(path)
    schema = pa.schema(known.schema().to_arrow()) if known else None
    fields = {}
    for name, data in new.items():
        fields[name] = conform(data, schema, f"lake table {path}")
        schema = pa.unify_schemas([s for s in (schema, fields[name].schema) if s is not None])
    files: dict[str, str] = {}
    for name, data in fields.items():
        file = f"window={window}/{name}.{uuid4().hex[:8]}.parquet"
        files[file] = write_file(path / file, data, new[name].column_names)
    wide = pa.unify_schemas([data.schema for data in fields.values()])
    known = lake._open[path] = widened(path, known, wide)
    old = dict(before.files) if before else {}
    mode = "append"
    if active(known, window) != set(old):
        # A kill left files behind that no record has. A commit cannot remove and add the same file: the ones that
        # stay get a second name, the rest vanishes.
        mode, old = "overwrite", {_again(path, name): sha for name, sha in old.items()}
    counts = {file: data.num_rows for file, data in zip(files, fields.values(), strict=True)}
    adds = []
    for file in (*(old if mode == "overwrite" else ()), *files):
        rows = counts[file] if file in counts else pq.read_metadata(path / file).num_rows
        found, stats = (path / file).stat(), f'{{"numRecords":{rows}}}'
        adds.append(AddAction(file, found.st_size, {"window": window}, found.st_mtime_ns // 1_000_000, True, stats))
    keep = [("window", "=", window)] if mode == "overwrite" else None
    known.create_write_transaction(adds, mode, known.schema(), ["window"], keep)
    known.update_incremental()
    files = {**old, **files}
    return files if set(files) <= active(known, window) else None


def _again(path: Path, file: str) -> str:
    second = f"{file.rpartition('/')[0]}/{part_of(file)}.{uuid4().hex[:8]}.parquet"
    os.link(path / file, path / second)
    return second


def find(lake: Lake, table: str, owner: str, windows: Iterable[str] | None, column: str, value: Any) -> pa.Table:
    """See `Lake.find`."""
    path, found = lake.path(table, owner), []
    for record in lake.many(table, owner, windows):
        for name, sha in sorted(record.files.items()):
            if _may_have(path / name, column, value):
                whole, _ = read_file(path / name, sha, record.window, None)
                hit = whole.filter(pc.equal(whole[column], pa.scalar(value, whole[column].type)))
                found += [hit] if hit.num_rows else []
    return pa.concat_tables(found, promote_options="permissive") if found else pa.table({"window": pa.array([], "str")})


def _may_have(path: Path, column: str, value: Any) -> bool:
    """Whether a file may have a row with that value, by the statistics in its footer."""
    try:
        meta = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as fault:
        found = (str(fault).splitlines() or [type(fault).__name__])[0]
        raise IntegrityError(f"lake file {path}", "the file that was recorded", found, "run the window again") from None
    at = {meta.schema.column(i).path: i for i in range(meta.num_columns)}.get(column)
    if at is None:
        return False
    for group in range(meta.num_row_groups):
        stats = meta.row_group(group).column(at).statistics
        if stats is None or not stats.has_min_max:
            if stats is None or stats.null_count != meta.row_group(group).num_rows:
                return True
        elif stats.min <= value <= stats.max:
            return True
    return False


def widened(path: Path, known: DeltaTable | None, schema: pa.Schema) -> DeltaTable:
    """The Delta table with at least these columns; made where there is none."""
    from deltalake import DeltaTable, Schema

    if known is None:
        path.mkdir(parents=True, exist_ok=True)
        whole = Schema.from_arrow(schema.append(pa.field("window", pa.string())))
        return DeltaTable.create(str(path), whole, partition_by=["window"], configuration=SETTINGS)
    has = {f.name for f in known.schema().fields}
    if new := [f for f in Schema.from_arrow(schema).fields if f.name not in has]:
        known.alter.add_columns(new)
        known.update_incremental()
    return known


def active(known: DeltaTable, window: str) -> set[str]:
    """The files of a window in the Delta log."""
    uris = known.file_uris(file_pruning_predicate=f"window = '{window}'")
    return {f"window={window}/{uri.rpartition('/')[2]}" for uri in uris}


def name_in_lake(name: str) -> str:
    """The name, if it is one; else raises `UsageError`."""
    if not re.fullmatch(r"[a-z0-9_-]{1,64}", name):
        raise UsageError("name in the lake", "1 to 64 of a-z, 0-9, _ and -", repr(name), "rename it")
    return name


def day(window: str) -> str:
    """The window, if it is a date; else raises `UsageError`."""
    try:
        if date.fromisoformat(window).isoformat() == window:
            return window
    except (ValueError, TypeError):
        pass
    raise UsageError("window", "a date as YYYY-MM-DD", repr(window))


__all__ = ["active", "add", "day", "find", "name_in_lake", "part_of", "widened"]
