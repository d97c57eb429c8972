"""Bulk tables: Delta Lake in a folder, with control's row as the authority.

A table `(name, owner)` is one Delta table partitioned by window. Writing a window
replaces its partition; the row in control (digest, files with their SHA-256) is written
after the commit and is what readers go by, so a kill in between leaves the old window in
place and a rerun converges. Files are checked against their SHA-256 on reading.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import func, insert, select

from tidegate.adapters.control import Control
from tidegate.adapters.leases import Lease, check_token
from tidegate.adapters.schema import windows
from tidegate.errors import IntegrityError, StoreError
from tidegate.lineage.digest import table_digest


@dataclass(frozen=True, slots=True)
class Stored:
    """What control says of one window of one table."""

    table: str
    owner: str
    window: str
    digest: str
    rows: int
    files: dict[str, str]
    known_at: datetime


class Lake:
    """The tables of one state folder."""

    def __init__(self, folder: Path, control: Control, namespace: str, clock: Callable[[], float] = time.time) -> None:
        self.folder, self.control, self.namespace, self.clock = folder, control, namespace, clock
        self._open: dict[Path, Any] = {}

    def path(self, table: str, owner: str) -> Path:
        return self.folder / "lake" / table / owner

    def put(self, table: str, owner: str, window: str, data: pa.Table, known_at: datetime, lease: Lease | None = None) -> Stored:
        """Replace one window; an unchanged digest writes nothing.

        Raises
        ------
        StoreError
            If the lake cannot be written.
        StaleToken
            If `lease` was lost; nothing becomes visible then.
        """
        digest = table_digest(data)
        before = self.stored(table, owner, window)
        if before and before.digest == digest:
            return before
        files = self._commit(self.path(table, owner), window, data)
        with self.control.write() as c:
            if lease:
                check_token(c, lease, self.clock())
            c.execute(insert(windows).values(namespace=self.namespace, owner=owner, table=table, window=window, digest=digest,
                                             rows=data.num_rows, files=files, known_at=known_at))
        return Stored(table, owner, window, digest, data.num_rows, files, known_at)

    def _commit(self, path: Path, window: str, data: pa.Table) -> dict[str, str]:
        from deltalake import DeltaTable, WriterProperties, write_deltalake

        rows = data.append_column("window", pa.array([window] * data.num_rows, pa.string()))
        try:
            if not data.num_rows:
                return {}
            known = self._open.get(path) or (DeltaTable(str(path)) if DeltaTable.is_deltatable(str(path)) else None)
            if known is None:
                path.mkdir(parents=True, exist_ok=True)
                write_deltalake(str(path), rows, partition_by="window", mode="append")
                known = DeltaTable(str(path))
            else:
                known.update_incremental()
                write_deltalake(known, rows, mode="overwrite", predicate=f"window = '{window}'", schema_mode="merge",
                                writer_properties=WriterProperties(compression="ZSTD"))
            self._open[path] = known
            uris = known.file_uris(file_pruning_predicate=f"window = '{window}'")
            return {os.path.relpath(uri, path): _sha(Path(uri)) for uri in sorted(uris)}
        except OSError as fault:
            raise StoreError(f"lake table {path}", "a folder that can be written", str(fault).splitlines()[0], "check its permissions and free space") from None

    def stored(self, table: str, owner: str, window: str, as_of: datetime | None = None) -> Stored | None:
        """What control says of one window, now or as known at `as_of`."""
        found = self.many(table, owner, [window], as_of)
        return found[0] if found else None

    def many(self, table: str, owner: str, wanted: Iterable[str] | None = None, as_of: datetime | None = None) -> list[Stored]:
        """The newest record of each wanted window (all when None), by window."""
        w = windows.c
        at = (w.namespace == self.namespace) & (w.owner == owner) & (w.table == table)
        if wanted is not None:
            at &= w.window.in_(list(wanted))
        if as_of is not None:
            at &= w.known_at <= as_of
        newest = select(func.max(w.id)).where(at).group_by(w.window)
        with self.control.read() as c:
            rows = c.execute(select(windows).where(w.id.in_(newest)).order_by(w.window)).all()
        return [Stored(table, owner, r.window, r.digest, r.rows, dict(r.files), r.known_at) for r in rows]

    def read(self, table: str, owner: str, wanted: Iterable[str] | None = None, columns: list[str] | None = None,
             as_of: datetime | None = None) -> pa.Table:
        """The rows of the wanted windows with their `window` column, in window order.

        An unknown window gives no rows. Raises `IntegrityError` when a file differs from
        what was recorded.
        """
        path = self.path(table, owner)
        parts = []
        for record in self.many(table, owner, wanted, as_of):
            for name, sha in record.files.items():
                part = _read_checked(path / name, sha, columns)
                parts.append(part.append_column("window", pa.array([record.window] * part.num_rows, pa.string())))
        return pa.concat_tables(parts, promote_options="permissive") if parts else pa.table({"window": pa.array([], pa.string())})


def _sha(path: Path) -> str:
    from tidegate.lineage.digest import file_digest

    return file_digest(path)


def _read_checked(path: Path, sha: str, columns: list[str] | None) -> pa.Table:
    import hashlib

    try:
        data = path.read_bytes()
    except OSError as fault:
        raise IntegrityError(f"lake file {path.name}", "the file that control recorded", fault.strerror or str(fault), "run the window again") from None
    found = hashlib.sha256(data).hexdigest()
    if found != sha:
        raise IntegrityError(f"lake file {path}", f"SHA-256 {sha[:12]}…", f"{found[:12]}…", "run the window again: its bytes were changed on disk")
    return pq.ParquetFile(pa.BufferReader(data)).read(columns=columns)


__all__ = ["Lake", "Stored"]
