"""The control database: opens, migrates and hands out short transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import OperationalError

from tidegate.errors import StoreError

HEAD = "0001"


class Control:
    """Short transactions on the control database.

    Every write takes SQLite's write lock at its start, so a read inside a write
    transaction sees what the write will build on.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine: Engine = create_engine(url, connect_args={"timeout": 60} if url.startswith("sqlite") else {})
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _on_connect)
        self._migrate()

    def _migrate(self) -> None:
        try:
            with self.engine.connect() as c:
                if inspect(c).has_table("alembic_version") and c.scalar(text("select version_num from alembic_version")) == HEAD:
                    return
            from alembic import command
            from alembic.config import Config

            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            with self.write() as c:
                config.attributes["connection"] = c
                command.upgrade(config, "head")
        except OperationalError as fault:
            raise StoreError(f"control database {self.url}", "a database that can be written", str(fault.orig), "check the folder's permissions and free space") from None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start; commits on leaving."""
        with self.engine.connect() as c:
            if self.engine.dialect.name == "sqlite":
                c.exec_driver_sql("BEGIN IMMEDIATE")
            with _ends(c):
                yield c

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent snapshot for reading."""
        with self.engine.connect() as c:
            if self.engine.dialect.name == "sqlite":
                c.exec_driver_sql("BEGIN")
            with _ends(c):
                yield c


@contextmanager
def _ends(c: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        c.rollback()
        raise
    c.commit()


def _on_connect(connection: object, _: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@lru_cache(maxsize=16)
def open_control(folder: Path) -> Control:
    """The control database of a state folder, opened once per process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise StoreError(f"state folder {folder}", "a folder that can be written", fault.strerror or str(fault), "choose another --home or mend the permissions") from None
    return Control(f"sqlite:///{folder / 'control.db'}")


__all__ = ["Control", "open_control"]
