"""Bulk tables: Delta Lake in a folder, with control's row as the authority.

A table `(name, owner)` is one Delta table partitioned by window. Writing a window
replaces its partition; the row in control (digest, files with their SHA-256) is written
after the commit and is what readers go by, so a kill in between leaves the old window in
place and a rerun converges. Files are checked against their SHA-256 on reading.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
from sqlalchemy import ColumnElement, func, insert, select, update

from tidegate.adapters import lakeparts
from tidegate.adapters.control import Control
from tidegate.adapters.lakeparts import active, day, name_in_lake
from tidegate.adapters.leases import Lease, check_token
from tidegate.adapters.parquet import conform, read_file, storable, write_file
from tidegate.adapters.schema import windows
from tidegate.errors import IntegrityError, StoreError, UsageError
from tidegate.lineage.digest import file_digest, table_digest

if TYPE_CHECKING:
    from deltalake import DeltaTable

ATTEMPTS = 8  # at a Delta commit, while other processes commit to the same table


@dataclass(frozen=True, slots=True)
class Stored:
    """What control says of one window of one table.

    `digest` is of the content (see `table_digest`) in the types Delta has; `files` maps
    names relative to the table's folder to the SHA-256 of their bytes.
    """

    table: str
    owner: str
    window: str
    digest: str
    rows: int
    files: dict[str, str]
    known_at: datetime


class Lake:
    """The tables of one namespace in one state folder."""

    def __init__(self, folder: Path, control: Control, namespace: str, clock: Callable[[], float] = time.time) -> None:
        self.folder, self.control, self.namespace, self.clock = folder, control, name_in_lake(namespace), clock
        self._open: dict[Path, DeltaTable] = {}
        self._turn = threading.Lock()  # a DeltaTable serves one thread at a time

    def path(self, table: str, owner: str) -> Path:
        """The folder of a table; raises `UsageError` for names that are not `[a-z0-9_-]{1,64}`."""
        return self.folder / "lake" / self.namespace / name_in_lake(table) / name_in_lake(owner)

    def put(
        self,
        table: str,
        owner: str,
        window: str,
        data: pa.Table,
        known_at: datetime,
        lease: Lease | None = None,
    ) -> Stored:
        """Replace one window; unchanged content writes nothing.

        Content that is unchanged, but whose file is damaged or missing, is written anew
        under the record it had.

        Parameters
        ----------
        window : str
            A date, YYYY-MM-DD.
        data : pyarrow.Table
            The rows, none included; without a `window` column. A column added since the
            last window is null in the older ones; one with only nulls has no type yet.
        known_at : datetime
            When this became known; with a time zone.

        Raises
        ------
        StoreError
            If the lake cannot be written, or a column changed its type.
        StaleToken
            If `lease` was lost; nothing becomes visible then.
        UsageError
            For a bad name or window, or data that Delta cannot hold.
        """
        path = self.path(table, owner)
        day(window)
        if known_at.tzinfo is None:
            raise UsageError("known_at", "a timezone-aware datetime", repr(known_at), "add tzinfo=UTC")
        data = storable(data, f"table {table} of {owner}")
        digest = table_digest(data)
        before = self.stored(table, owner, window)
        unchanged = before if before and before.digest == digest else None
        if unchanged and self._intact(path, unchanged):
            return unchanged
        files = self._commit(path, lease, lambda: self._replace(path, window, data))
        if not unchanged:
            whole = self.record(table, owner, window, digest, data.num_rows, files, known_at, lease)
            return whole or unchanged  # type: ignore[return-value]  # None comes of what has grown only
        with self.control.write() as c:
            if lease:
                check_token(c, lease, self.clock())
            w = windows.c
            at = self._of(table, owner) & (w.window == window) & (w.digest == digest)
            c.execute(update(windows).where(at).values(files=files))
        return replace(unchanged, files=files)

    def add(
        self, table: str, owner: str, window: str, parts: Mapping[str, pa.Table], known_at: datetime,
        lease: Lease | None = None,
    ) -> Stored | None:  # fmt: skip
        """Add parts to a window, each once: one whose name the window has already is left out.

        A kill at any point leaves the old window in place, and the same call again completes it. Parts without rows
        are left out; None where the window stays without any. Raises as `put` does.
        """
        return lakeparts.add(self, table, owner, window, parts, known_at, lease)

    def find(self, table: str, owner: str, wanted: Iterable[str] | None, column: str, value: Any) -> pa.Table:
        """The rows with a value in a column, their `window` last; reads only files whose statistics allow for it."""
        return lakeparts.find(self, table, owner, wanted, column, value)

    def record(
        self, table: str, owner: str, window: str, digest: str, rows: int, files: dict[str, str], known_at: datetime,
        lease: Lease | None, *, after: Stored | None = None, grown: bool = False,
    ) -> Stored | None:  # fmt: skip
        """Say in control what a window holds now; None if it has `grown` and was no longer as `after` was."""
        with self.control.write() as c:
            if lease:
                check_token(c, lease, self.clock())
            if grown:
                at = self._of(table, owner) & (windows.c.window == window)
                newest = c.scalar(select(windows.c.digest).where(at).order_by(windows.c.id.desc()).limit(1))
                if newest != (after.digest if after else None):
                    return None
            values = {"owner": owner, "table": table, "window": window, "digest": digest, "rows": rows}
            c.execute(insert(windows).values(namespace=self.namespace, files=files, known_at=known_at, **values))
        return Stored(table, owner, window, digest, rows, files, known_at)

    def _of(self, table: str, owner: str) -> ColumnElement[bool]:
        w = windows.c
        return (w.namespace == self.namespace) & (w.owner == name_in_lake(owner)) & (w.table == name_in_lake(table))

    def stored(self, table: str, owner: str, window: str, as_of: datetime | None = None) -> Stored | None:
        """What control says of one window, now or as known at `as_of`."""
        found = self.many(table, owner, [window], as_of)
        return found[0] if found else None

    def many(
        self, table: str, owner: str, wanted: Iterable[str] | None = None, as_of: datetime | None = None
    ) -> list[Stored]:
        """The newest record of each wanted window (all when None), by window."""
        w = windows.c
        at = self._of(table, owner)
        if wanted is not None:
            at &= w.window.in_([day(window) for window in wanted])
        if as_of is not None:
            at &= w.known_at <= as_of
        newest = select(func.max(w.id)).where(at).group_by(w.window)
        with self.control.read() as c:
            rows = c.execute(select(windows).where(w.id.in_(newest)).order_by(w.window)).all()
        return [Stored(table, owner, r.window, r.digest, r.rows, dict(r.files), r.known_at) for r in rows]

    def read(
        self,
        table: str,
        owner: str,
        wanted: Iterable[str] | None = None,
        columns: list[str] | None = None,
        as_of: datetime | None = None,
    ) -> pa.Table:
        """The rows of the wanted windows in window order, their `window` column last.

        An unknown window gives no rows. With `columns`, exactly those in that order; one
        that only some of the windows have is null in the others.

        Raises
        ------
        IntegrityError
            If a file differs from what was recorded, or is missing; or if what was known at `as_of` was given up.
        UsageError
            If none of the windows has one of `columns`.
        """
        path = self.path(table, owner)
        records = self.many(table, owner, wanted, as_of)
        if as_of is not None and (gone := next((r for r in records if r.rows and not r.files), None)):
            raise IntegrityError(
                f"table {table} of {owner}, window {gone.window} as known at {as_of.isoformat()}", "its rows",
                "given up by retention", "restore a backup of that time, or leave --as-of out",
            )  # fmt: skip
        files = [(path / name, sha, r.window) for r in records for name, sha in sorted(r.files.items())]
        if columns is not None:
            columns = [c for c in dict.fromkeys(columns) if c != "window"]
        with ThreadPoolExecutor(max_workers=max(1, min(4, len(files)))) as pool:
            found = list(pool.map(lambda f: read_file(f[0], f[1], f[2], columns), files))
        known = {name for _, names in found for name in names}
        if found and columns is not None and (lacking := [c for c in columns if c not in known]):
            raise UsageError(f"table {table} of {owner}", f"columns among {sorted(known)}", str(lacking))
        if not found:
            return pa.table({**{c: pa.nulls(0) for c in columns or ()}, "window": pa.array([], pa.string())})
        whole = pa.concat_tables([part for part, _ in found], promote_options="permissive")
        order = [c for c in whole.column_names if c != "window"] if columns is None else columns
        return whole.select([*order, "window"])

    def _intact(self, path: Path, record: Stored) -> bool:
        """Whether the files of a record are as they were, and are those the Delta log has."""
        from deltalake.exceptions import DeltaError

        try:
            whole = all(file_digest(path / name) == sha for name, sha in record.files.items())
            with self._turn:
                known = self.opened(path)
                return whole and (known is None or active(known, record.window) == set(record.files))
        except (OSError, DeltaError):
            return False

    def opened(self, path: Path) -> DeltaTable | None:
        """The Delta table at its newest version, or None."""
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        if path in self._open and (path / "_delta_log").is_dir():
            self._open[path].update_incremental()
        else:
            try:
                self._open[path] = DeltaTable(str(path))
            except TableNotFoundError:
                return None
        return self._open[path]

    def _commit(
        self, path: Path, lease: Lease | None, attempt_at: Callable[[], dict[str, str] | None]
    ) -> dict[str, str]:
        """Change a window in the Delta table, in turns with others; returns its files with their SHA-256."""
        from deltalake.exceptions import DeltaError

        fault: Exception | None = None
        for attempt in range(ATTEMPTS):
            if lease:
                with self.control.read() as c:
                    check_token(c, lease, self.clock())
            try:
                with self._turn:
                    files = attempt_at()
                if files is not None:
                    return files
            except DeltaError as conflict:  # another process committed first, or the log is broken
                fault = conflict
                self._open.pop(path, None)
            except (OSError, pa.ArrowException) as broken:
                fault = broken
                break
            time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311
        found = getattr(fault, "strerror", None) or (str(fault).splitlines()[0] if fault else "other writers all along")
        raise StoreError(
            f"lake table {path}", "a folder that can be written", found, "check its permissions, free space, _delta_log"
        )

    def _replace(self, path: Path, window: str, data: pa.Table) -> dict[str, str] | None:
        """One attempt at a commit; None if another writer's file is in the window too."""
        from deltalake.transaction import AddAction

        known = self.opened(path)
        fields = conform(data, pa.schema(known.schema().to_arrow()) if known else None, f"lake table {path}")
        partition = f"window={window}"
        files, added = {}, []
        if fields.num_columns:
            name = f"{partition}/{uuid4().hex}.parquet"
            files[name] = write_file(path / name, fields, data.column_names)
            stats = f'{{"numRecords":{data.num_rows}}}'
            size, now = (path / name).stat().st_size, time.time_ns() // 1_000_000
            added.append(AddAction(name, size, {"window": window}, now, True, stats))
        if known is None and not added:
            return {}
        known = self._open[path] = lakeparts.widened(path, known, fields.schema)
        if not added and not active(known, window):
            return {}
        known.create_write_transaction(added, "overwrite", known.schema(), ["window"], [("window", "=", window)])
        known.update_incremental()
        return files if active(known, window) == set(files) else None


__all__ = ["Lake", "Stored"]
