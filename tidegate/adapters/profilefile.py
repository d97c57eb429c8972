"""A profile in one file: a Parquet table with a row a column, the grid in its metadata."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tidegate.errors import IntegrityError, SourceError, StoreError, UsageError
from tidegate.profile.arrow import texts
from tidegate.profile.grid import ENGINE, Grid
from tidegate.profile.table import from_table, to_table
from tidegate.profile.window import Profile

SUFFIX = ".profile"
KEY = b"tidegate"
SEGMENT = "segment"


def write_profile(profile: Profile, path: Path) -> None:
    """Write or replace the file at once: there is never half a profile.

    Raises
    ------
    StoreError
        The folder is missing, full or cannot be written.
    """
    tables = [_with_segment(profile, None), *(_with_segment(p, value) for value, p in profile.segments.items())]
    about = {"engine": ENGINE, "grid": profile.grid.as_dict(), "by": profile.by, "digest": profile.digest,
             "order": list(profile.grid.axes)}  # fmt: skip
    table = pa.concat_tables(tables).replace_schema_metadata({KEY: json.dumps(about)})
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as sink:
            pq.write_table(table, sink, compression="zstd")
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(part, path)
    except OSError as fault:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise StoreError(
            str(path), "a file that can be written", fault.strerror or str(fault), "name a folder that exists"
        ) from None


def read_profile(path: Path) -> Profile:
    """The profile that `write_profile` wrote.

    Raises
    ------
    SourceError
        There is no such file, or it is not a profile.
    UsageError
        Another version of the engine wrote it.
    IntegrityError
        Its content is not what was written.
    """
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
        about = json.loads((table.schema.metadata or {}).get(KEY, b"null"))
    except (OSError, pa.ArrowException, ValueError) as fault:
        raise SourceError(str(path), "a profile", str(fault), "make one with tidegate profile FILES -o") from None
    if not isinstance(about, dict) or SEGMENT not in table.column_names:
        raise SourceError(str(path), "a profile", "a file of another kind", "make one with tidegate profile FILES -o")
    if about.get("engine") != ENGINE:
        raise UsageError(str(path), ENGINE, str(about.get("engine")), "profile the data again with this version")
    try:
        return _checked(table, about, path)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, pa.ArrowException) as fault:
        found = f"damaged content ({type(fault).__name__}: {fault})"
        raise SourceError(str(path), "a profile", found, "make one with tidegate profile FILES -o") from None


def _checked(table: pa.Table, about: Mapping[str, Any], path: Path) -> Profile:
    """The profile of a table and what its metadata say; whatever these lack is a fault of Python's own."""
    grid = Grid.from_dict(about["grid"])
    grid = Grid({name: grid.axes[name] for name in about["order"]}, grid.max_categories)
    segments = table[SEGMENT].to_pylist()
    size = len(grid.axes)
    starts = [(segments[i], i) for i in range(0, len(segments), size or 1)]
    parts = {value: from_table(table.slice(i, size), grid) for value, i in starts}
    whole = parts.pop("", None) or Profile(grid, {})
    named = {value.removeprefix("="): part for value, part in parts.items()}
    profile = Profile(grid, whole.columns, whole.schema, about["by"], named)
    if profile.digest != about["digest"]:
        raise IntegrityError(str(path), f"digest {about['digest'][:12]}", profile.digest[:12], "profile the data again")
    return profile


def is_profile(path: str | Path) -> bool:
    return str(path).endswith(SUFFIX)


def _with_segment(profile: Profile, value: str | None) -> pa.Table:
    rows = to_table(profile)
    # The whole is "", so that a segment may have any name, the empty one too.
    return rows.append_column(SEGMENT, texts(["" if value is None else f"={value}"] * rows.num_rows))
