"""Housekeeping of the lake: parts of a window become one file, records lose their files, stray files go.

Control's rows say which files there are; nothing that a row names is ever deleted.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
from sqlalchemy import insert, select, update

from tidegate.adapters import lakeparts
from tidegate.adapters.lakeparts import active
from tidegate.adapters.parquet import conform, read_file, write_file
from tidegate.adapters.schema import windows
from tidegate.privacy.retention import RETIRED, Row

if TYPE_CHECKING:
    from tidegate.adapters.lake import Lake, Stored

STRAY = 86_400.0
"""Seconds after which a file that no record names is nobody's: no commit takes that long."""


def rows_of(lake: Lake) -> list[Row]:
    """Every record of every window."""
    w = windows.c
    query = select(windows).where(w.namespace == lake.namespace).order_by(w.id)
    with lake.control.read() as c:
        found = c.execute(query).all()
    return [Row(r.id, r.table, r.owner, r.window, r.digest, r.rows, dict(r.files), r.known_at) for r in found]


def one_file(lake: Lake, table: str, owner: str, window: str) -> bool:
    """Make the parts of a window one file; its digest and its record stay. Whether anything was done.

    Names of parts are forgotten: a part that may come again must not be merged. A kill at any point leaves the window
    as it was; so does another writer who was quicker.
    """
    before, path = lake.stored(table, owner, window), lake.path(table, owner)
    if before is None or len(before.files) < 2:
        return False
    files = lake._commit(path, None, lambda: _merged(lake, path, window, before))
    with lake.control.write() as c:
        at = lake._of(table, owner) & (windows.c.window == window)
        newest = c.execute(select(windows).where(at).order_by(windows.c.id.desc()).limit(1)).one()
        # Whoever adds to a window that the Delta log and control tell apart puts the log right.
        if newest.digest != before.digest or dict(newest.files) != before.files:
            return False
        c.execute(update(windows).where(windows.c.id == newest.id).values(files=files))
    return True


def _merged(lake: Lake, path: Path, window: str, before: Stored) -> dict[str, str] | None:
    from deltalake.transaction import AddAction

    read = [read_file(path / name, sha, window, None) for name, sha in sorted(before.files.items())]
    names = list(dict.fromkeys(n for _, has in read for n in has))
    whole = pa.concat_tables([t for t, _ in read], promote_options="permissive").select(names)
    known = lake.opened(path)
    if known is None:
        return None
    fields = conform(whole, pa.schema(known.schema().to_arrow()), f"lake table {path}")
    name = f"window={window}/{uuid4().hex}.parquet"
    files = {name: write_file(path / name, fields, names)}
    known = lake._open[path] = lakeparts.widened(path, known, fields.schema)
    stats = f'{{"numRecords":{whole.num_rows}}}'
    add = AddAction(name, (path / name).stat().st_size, {"window": window}, time.time_ns() // 1_000_000, True, stats)
    known.create_write_transaction([add], "overwrite", known.schema(), ["window"], [("window", "=", window)])
    known.update_incremental()
    return files if active(known, window) == set(files) else None


def forget(lake: Lake, gone: list[Row]) -> None:
    """Take the files from former records: what was known then is gone, that something was known is not."""
    with lake.control.write(durable=True) as c:
        for row in gone:
            c.execute(update(windows).where(windows.c.id == row.id).values(files={}))


def retire(lake: Lake, row: Row, now: datetime) -> bool:
    """Give up the rows of a window: its records stay, with their digests. Whether it still was as `row` has it."""
    path, w = lake.path(row.table, row.owner), windows.c
    with lake.control.write(durable=True) as c:
        at = lake._of(row.table, row.owner) & (w.window == row.window)
        if c.scalar(select(w.id).where(at).order_by(w.id.desc()).limit(1)) != row.id:
            return False
        c.execute(update(windows).where(at).values(files={}))
        c.execute(insert(windows).values(
            namespace=lake.namespace, owner=row.owner, table=row.table, window=row.window, digest=RETIRED, rows=0,
            files={}, known_at=now,
        ))  # fmt: skip
    lake._commit(path, None, lambda: _emptied(lake, path, row.window))
    return True


def _emptied(lake: Lake, path: Path, window: str) -> dict[str, str] | None:
    known = lake.opened(path)
    if known is None or not active(known, window):
        return {}
    known.create_write_transaction([], "overwrite", known.schema(), ["window"], [("window", "=", window)])
    known.update_incremental()
    return {}


def sweep(lake: Lake, rows: list[Row], wall: float) -> tuple[int, int]:
    """Delete files that no record names and that are older than a day; how many, and their bytes."""
    named: dict[Path, set[str]] = {}
    for row in rows:
        named.setdefault(lake.path(row.table, row.owner), set()).update(row.files)
    count = size = 0
    for path, names in named.items():
        for file in path.glob("window=*/*.parquet"):
            found = file.stat()
            if f"{file.parent.name}/{file.name}" not in names and wall - found.st_mtime > STRAY:
                file.unlink()
                count, size = count + 1, size + found.st_size
        for draft in path.glob("window=*/.*.draft"):
            if wall - draft.stat().st_mtime > STRAY:
                draft.unlink()
        for folder in path.glob("window=*"):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    return count, size


def shorten(lake: Lake, table: str, owner: str, retired: Collection[str]) -> None:
    """A checkpoint of the Delta log without the retired windows, and away with entries past the log's retention."""
    path = lake.path(table, owner)
    known = lake.opened(path)
    if known is None:
        return
    # A kill between control and the log leaves a window in it whose files are gone.
    there = {uri.split("/window=")[-1].split("/")[0] for uri in known.file_uris()}
    for window in sorted(there & set(retired)):
        lake._commit(path, None, partial(_emptied, lake, path, window))
    known.create_checkpoint()
    known.cleanup_metadata()


__all__ = ["forget", "one_file", "retire", "rows_of", "shorten", "sweep"]
