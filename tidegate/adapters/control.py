"""The control database: opens, migrates and hands out short transactions."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import StatementError, TimeoutError

from tidegate.errors import StoreError, TidegateError

HEAD = "0006"
PATIENCE = 60.0  # seconds to wait for another process's write before giving up

_engines: WeakSet[Engine] = WeakSet()


class Control:
    """Short transactions on the control database (SQLite in WAL mode).

    Every write takes the write lock at its start, so a read inside a write
    transaction sees what the write will build on.

    Parameters
    ----------
    url : str
        SQLAlchemy's address of the database, ``sqlite:///FILE``.

    Raises
    ------
    StoreError
        If the file cannot be opened or written, is no database, or has a schema of
        another Tidegate. Every transaction raises it when the database fails.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine: Engine = create_engine(url, connect_args={"timeout": PATIENCE})
        event.listen(self.engine, "connect", _on_connect)
        _engines.add(self.engine)
        self._migrate()

    def _migrate(self) -> None:
        with self.read() as c:
            if _revision(c) == HEAD:
                return
        with self.write() as c:
            found = _revision(c)  # another process may have been first: upgrading does nothing then
            from alembic import command
            from alembic.config import Config
            from alembic.util import CommandError

            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
            config.attributes["connection"] = c
            try:
                command.upgrade(config, "head")
            except CommandError:
                raise StoreError(
                    self._thing, f"schema {HEAD} or an older one", repr(found), "use the Tidegate that wrote it"
                ) from None

    @property
    def _thing(self) -> str:
        return f"control database {self.engine.url.database}"

    @contextmanager
    def write(self, durable: bool = False) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start; commits on leaving.

        A kill loses nothing that was committed. After a power cut the last commits may
        be gone, unless `durable`, which waits for the disk (3 ms): for what cannot be
        computed again.
        """
        with self._transaction("BEGIN IMMEDIATE", "FULL" if durable else "NORMAL") as c:
            yield c

    def shrink(self) -> None:
        """Give back the room of the journal, and of the file where a quarter of it and 10 MB are unused."""
        try:
            with self.engine.connect() as c:
                pages, unused, size = (
                    int(c.exec_driver_sql(f"PRAGMA {what}").scalar() or 0)
                    for what in ("page_count", "freelist_count", "page_size")
                )
                if unused * size > 10_000_000 and unused * 4 > pages:
                    c.exec_driver_sql("VACUUM")
                c.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        except (StatementError, sqlite3.Error):
            return  # somebody is at it, or the disk is full: the next time, then

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent snapshot for reading."""
        with self._transaction("BEGIN", "NORMAL") as c:
            yield c

    @contextmanager
    def _transaction(self, begin: str, sync: str) -> Iterator[Connection]:
        try:
            with self.engine.connect() as c:
                # The driver begins no transaction of its own, so the pragma is outside of one.
                c.exec_driver_sql(f"PRAGMA synchronous={sync}")
                c.exec_driver_sql(begin)
                try:
                    yield c
                except BaseException:
                    c.rollback()
                    raise
                c.commit()
        except (StatementError, TimeoutError, sqlite3.Error) as fault:
            cause = getattr(fault, "orig", None) or fault
            if isinstance(cause, TidegateError):  # raised while a value was bound, see schema.Instant
                raise cause from None
            raise StoreError(
                self._thing,
                "a database that answers and can be written",
                str(cause).splitlines()[0],
                "check the folder's permissions and free space",
            ) from None


def _revision(c: Connection) -> str | None:
    if not inspect(c).has_table("alembic_version"):
        return None
    found: str | None = c.scalar(text("select version_num from alembic_version"))
    return found


def _on_connect(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # BEGIN is ours to say
    cursor = connection.cursor()
    # Only the switch to WAL needs a lock, and SQLite does not wait for that one by itself.
    until = time.monotonic() + PATIENCE
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as fault:
            if "locked" not in str(fault) or time.monotonic() > until:
                raise
            time.sleep(0.01)
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _after_fork() -> None:
    # SQLite's connections do not survive a fork: the child opens its own.
    for engine in _engines:
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_after_fork)

_opened: OrderedDict[Path, tuple[Control, int]] = OrderedDict()
_opening = threading.Lock()


def open_control(folder: Path) -> Control:
    """The control database of a state folder, opened once per process.

    A folder that was deleted and made anew since is opened anew.

    Raises
    ------
    StoreError
        If the folder cannot be made or its database not be opened.
    """
    file = folder.absolute() / "control.db"
    with _opening:
        known = _opened.pop(file, None)
        if known and not (file.exists() and file.stat().st_ino == known[1]):
            known[0].engine.dispose()
            known = None
        if known is None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as fault:
                raise StoreError(
                    f"state folder {folder}",
                    "a folder that can be written",
                    fault.strerror or str(fault),
                    "choose another --home or mend the permissions",
                ) from None
            control = Control(f"sqlite:///{file}")
            known = control, file.stat().st_ino
        _opened[file] = known
        while len(_opened) > 16:
            _opened.popitem(last=False)[1][0].engine.dispose()
        return known[0]


__all__ = ["Control", "open_control"]
