"""SQLite databases copied while they are in use, and MLflow's moved to another folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tidegate.errors import StoreError

PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "model_versions": ("source", "storage_location"),
    "logged_models": ("artifact_location",),
}
"""Where MLflow keeps addresses of artifacts, by table."""


def snapshot(source: Path, target: Path) -> None:
    """A consistent copy of a database, whoever writes to it meanwhile.

    Raises
    ------
    StoreError
        If it is no database, or the copy cannot be written.
    """
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as there,
            closing(sqlite3.connect(target)) as new,
        ):
            there.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
            found = new.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as fault:
        raise StoreError(f"database {source}", "one that can be copied", str(fault), "check it and the space") from None
    if found != "ok":
        raise StoreError(f"database {source}", "a sound one", str(found)[:200], "restore an older backup")


def moved(database: Path, old: Path, new: Path) -> int:
    """Let MLflow's addresses below `old` point below `new`; how many were changed."""
    changed = 0
    with closing(sqlite3.connect(database)) as c:
        there = {name for (name,) in c.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table, columns in PLACES.items():
            has = {row[1] for row in c.execute(f"PRAGMA table_info({table})")} if table in there else set()
            for column in (c for c in columns if c in has):
                for before, after in ((old.as_uri(), new.as_uri()), (str(old), str(new))):
                    done = c.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608  # names are ours
                        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (after, len(before) + 1, before, len(before) + 1, f"{before}/"),
                    )
                    changed += done.rowcount
        c.commit()
    return changed


__all__ = ["moved", "snapshot"]
