"""Reads a window from a dataset's source: files, SQL, or the user's own function."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd

from tidegate.adapters.injected import injected_frame
from tidegate.adapters.usersource import call_user, load_function
from tidegate.config.dataset import Source
from tidegate.config.home import Home
from tidegate.errors import ConfigError, SourceError, Unreadable
from tidegate.windows import Window

__all__ = ["call_user", "files_of", "load_function", "read_file", "read_window"]

MISSING = ("", "NA")
"""Cells of a CSV file that stand for no value."""


def files_of(source: Source, window: Window, home: Home) -> list[Path]:
    """The files of a window; a replay's injected copy stands in for the original."""
    if not source.files:
        return []
    try:
        name = source.files.format(date=window.id)
    except (KeyError, IndexError, ValueError):
        raise ConfigError("source.files", "a path with {date} and no other braces", repr(source.files)) from None
    injected = home.shared / "injected" / name
    return [injected if injected.is_file() else home.root / name, *(home.root / b for b in source.beside)]


def read_window(source: Source, window: Window, home: Home, of: str = "") -> pd.DataFrame:
    """The source's rows of a window, untyped as they came.

    A lab's home may have frames of its own in place of the source that is known there as `of`.

    Raises
    ------
    Unreadable
        If a file is absent or cannot be read.
    SourceError
        If the query fails, or the user's code raises or
        returns anything but a DataFrame.
    """
    stand_in = injected_frame(home, of, window)
    if stand_in is not None:
        return stand_in
    files = files_of(source, window, home)
    for path in files:
        if not path.is_file():
            raise Unreadable(
                f"source file {path.name} of window {window.id}", "a file", "no such file",
                f"put it into {path.parent} and run the window again",
            )  # fmt: skip
    if source.python:
        frame = call_user(source.python, home.root, window, files)
        if not isinstance(frame, pd.DataFrame):
            raise SourceError(
                f"user code {source.python}", "a pandas DataFrame", type(frame).__name__, "return a DataFrame"
            )
        return frame
    if source.sql:
        return _query(source, window, home)
    return read_file(files[0])


def read_file(path: Path) -> pd.DataFrame:
    """A CSV (as text, for the contract to parse) or Parquet file.

    A CSV file is UTF-8, has a name for each column and a cell for each name in every row,
    and ends with a line break: without it the last row may have been cut, and a cut number
    is still a number. Empty cells and ``NA`` are missing values. A file of no bytes gives a
    frame without rows and columns. The page checksums of a Parquet file are checked if it
    has any.

    Raises
    ------
    Unreadable
        If the file is absent, torn, or not what its name says.
    ConfigError
        If its name ends otherwise than in ``.csv`` or ``.parquet``.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"source file {path.name}", "a name ending in .csv or .parquet", repr(path.suffix))
    try:
        return _parquet(path) if path.suffix == ".parquet" else _csv(path.read_bytes())
    except Exception as fault:
        # Arrow has exceptions of many kinds for bytes that are not Parquet.
        kind = path.suffix[1:].upper() if path.suffix == ".csv" else "Parquet"
        raise Unreadable(
            f"source file {path}", f"a whole {kind} file", _line(fault), "replace the file and run the window again"
        ) from None


def _csv(data: bytes) -> pd.DataFrame:
    text = data.decode("utf-8-sig")
    if not text.strip():
        return pd.DataFrame()
    if not text.endswith(("\n", "\r")):
        raise ValueError("no line break at the end: it seems to be cut off")
    if "\0" in text:
        raise ValueError("a NUL character: it is no text file")
    # pandas fills a short row with nulls, and takes a long one's first cell for its index.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = next(row for row in reader if row)
    rows = []
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            raise ValueError(f"{len(row)} cells in line {reader.line_num} under {len(header)} column names")
        rows.append([None if cell in MISSING else cell for cell in row])
    return pd.DataFrame(rows, columns=pd.Index(header, dtype="object"), dtype="object")


def _parquet(path: Path) -> pd.DataFrame:
    import pyarrow.parquet as pq

    # No partition columns from folder names, no index from pandas' metadata, and integers
    # with nulls stay integers: as floats they would lose digits above 2**53.
    table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
    return table.to_pandas(ignore_metadata=True, integer_object_nulls=True)  # type: ignore[no-any-return]


def _query(source: Source, window: Window, home: Home) -> pd.DataFrame:
    from sqlalchemy import NullPool, create_engine, make_url, text
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(str(source.url))
    except ArgumentError:
        # The address may hold a password: it is not shown.
        raise ConfigError("source.url", "a SQLAlchemy address such as sqlite:///data.db", "something else") from None
    limits: dict[str, Any] = {"start": window.start, "end": window.end}
    if url.get_backend_name() == "sqlite":
        # SQLite has no type for time: it gets the text that its own datetime() gives.
        limits = {name: limit.strftime("%Y-%m-%d %H:%M:%S") for name, limit in limits.items()}
        if url.database and url.database != ":memory:" and not url.database.startswith("file:"):
            path = home.root / url.database
            if not path.is_file():
                do = "correct url in the dataset file"
                raise SourceError(f"source database {path}", "a file", "no such file", do)
            url = url.set(database=str(path))
    try:
        query = text(str(source.sql))
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            result = connection.execute(query, limits)
            # As objects: pandas would make floats of integers with nulls, and of decimals.
            return pd.DataFrame(result.fetchall(), columns=pd.Index(result.keys(), dtype="object"), dtype="object")
    except Exception as fault:
        raise SourceError("source query", "rows", _line(fault), "correct sql or url in the dataset file") from None


def _line(fault: BaseException) -> str:
    lines = str(fault).splitlines()
    return f"{type(fault).__name__}: {lines[0] if lines else 'no message'}"[:300]
