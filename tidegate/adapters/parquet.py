"""The files of the lake: what may be stored, how it is written, how it is checked.

Files are written by pyarrow, not by deltalake: with page checksums, hashed as they are
written (so that the digest is of what was meant, not of what the disk gave back), synced
and renamed into place.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as is_

from tidegate.errors import IntegrityError, StoreError, UsageError
from tidegate.lineage.digest import table_digest

NAMES = b"tidegate.columns"  # footer key: all column names, those with only nulls included


def storable(data: pa.Table, thing: str) -> pa.Table:
    """The table in types that Delta has; refuses whatever would lose information.

    Dictionaries become their values, unsigned integers the next signed ones, moments
    microseconds in UTC (or without a zone); metadata is dropped.

    Raises
    ------
    UsageError
        For a type Delta lacks, a value that would change, a name used twice or ``window``.
    """
    names = data.column_names
    if len({*names, "window"}) <= len(names):
        raise UsageError(thing, "unlike column names, none of them 'window'", str(names), "rename the columns")
    columns = []
    for name, column in zip(names, data.columns, strict=True):
        kind = _kind(column.type)
        if kind is None:
            raise UsageError(f"column {name} of {thing}", "a type that Delta has", str(column.type), "cast it")
        try:
            columns.append(column if kind == column.type else column.cast(kind))
        except pa.ArrowException as fault:
            raise UsageError(f"column {name} of {thing}", f"values that fit {kind}", _line(fault), "cast it") from None
    if data.num_rows and all(is_.is_null(c.type) for c in columns):
        raise UsageError(thing, "a column that has a type", "nulls only", "cast one of its columns")
    return pa.table(columns, schema=pa.schema([(n, c.type) for n, c in zip(names, columns, strict=True)]))


# What Delta holds as it is, and what it holds as something else.
_SAME = (is_.is_null, is_.is_boolean, is_.is_signed_integer, is_.is_float32, is_.is_float64, is_.is_decimal128)
_OTHER = (
    ((is_.is_string, is_.is_large_string, is_.is_string_view), pa.string()),
    ((is_.is_binary, is_.is_large_binary, is_.is_fixed_size_binary, is_.is_binary_view), pa.binary()),
    ((is_.is_date,), pa.date32()),
    ((is_.is_float16,), pa.float32()),
    ((is_.is_uint8,), pa.int16()),
    ((is_.is_uint16,), pa.int32()),
    ((is_.is_uint32, is_.is_uint64), pa.int64()),
)


def _kind(kind: pa.DataType) -> pa.DataType | None:
    """The Delta type that holds a type's values, or None."""
    if is_.is_dictionary(kind):
        return _kind(kind.value_type)
    if is_.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if any(test(kind) for test in _SAME):
        return kind
    return next((other for tests, other in _OTHER if any(test(kind) for test in tests)), None) or _nested(kind)


def _nested(kind: pa.DataType) -> pa.DataType | None:
    if is_.is_struct(kind):
        fields = [(f.name, _inner(f.type)) for f in kind]
        return pa.struct(fields) if fields and all(k for _, k in fields) else None
    if is_.is_map(kind):
        key, item = _inner(kind.key_type), _inner(kind.item_type)
        return pa.map_(key, item) if key and item else None
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind):
        inner = _inner(kind.value_type)
        return pa.list_(inner) if inner else None
    return None


def _inner(kind: pa.DataType) -> pa.DataType | None:
    # Only empty lists were seen: Delta wants to know of what.
    return pa.string() if is_.is_null(kind) else _kind(kind)


def conform(data: pa.Table, known: pa.Schema | None, thing: str) -> pa.Table:
    """The columns to write, in the types the stored table already gives them.

    Columns with only nulls take the known type, or are left out until one is known.

    Raises
    ------
    StoreError
        If a column has another type than before and its values would change with it.
    """
    kept = {}
    for name, column in zip(data.column_names, data.columns, strict=True):
        kind = known.field(name).type if known is not None and name in known.names else column.type
        if is_.is_null(kind):
            continue
        kept[name] = column if kind == column.type else _lossless(column, kind, f"column {name} of {thing}")
    return pa.table(kept)


def _lossless(column: pa.ChunkedArray, kind: pa.DataType, thing: str) -> pa.ChunkedArray:
    if is_.is_null(column.type):
        return column.cast(kind)
    if all(is_.is_integer(k) or is_.is_floating(k) for k in (column.type, kind)):
        try:
            cast = column.cast(kind)
            if table_digest(pa.table({"": cast.cast(column.type)})) == table_digest(pa.table({"": column})):
                return cast
        except pa.ArrowException:
            pass
    raise StoreError(thing, f"{kind} as before", str(column.type), "cast it, or store it under a new column name")


class _Hashing:
    """A file that hashes what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.hash, self.closed = file, hashlib.sha256(), False

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.closed = True


def write_file(path: Path, data: pa.Table, names: list[str]) -> str:
    """Write a Parquet file so that it is there wholly or not at all; returns its SHA-256.

    `names` are all the columns, those that were left out as null included.
    Raises `OSError` when the folder is read-only or the disk full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            sink = _Hashing(file)
            data = data.replace_schema_metadata({NAMES: json.dumps(names)})
            pq.write_table(data, pa.PythonFile(sink, "w"), compression="zstd", write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return sink.hash.hexdigest()


def checked(data: bytes, sha: str, thing: str) -> bytes:
    """The bytes, if they are those that were recorded.

    Raises
    ------
    IntegrityError
        If their SHA-256 is not `sha`.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != sha:
        raise IntegrityError(thing, f"SHA-256 {sha[:12]}…", f"{found[:12]}…", "run the window again: its bytes changed")
    return data


def read_file(path: Path, sha: str, window: str, columns: list[str] | None) -> tuple[pa.Table, list[str]]:
    """The wanted columns that a checked file has and its window, and the names of all it has."""
    thing = f"lake file {path}"
    try:
        data = checked(path.read_bytes(), sha, thing)
        file = pq.ParquetFile(pa.BufferReader(data))
        table = file.read(columns=columns, use_threads=False)
        meta = file.schema_arrow.metadata or {}
        names = json.loads(meta[NAMES]) if NAMES in meta else file.schema_arrow.names
    except (OSError, pa.ArrowException) as fault:
        raise IntegrityError(thing, "the file that was recorded", _line(fault), "run the window again") from None
    rows, has = file.metadata.num_rows, set(table.column_names)
    wanted = {n: table[n] if n in has else pa.nulls(rows) for n in names if columns is None or n in columns}
    return pa.table({**wanted, "window": pa.repeat(pa.scalar(window, pa.string()), rows)}), names


def _line(fault: BaseException) -> str:
    return getattr(fault, "strerror", None) or (str(fault).splitlines() or [type(fault).__name__])[0]


__all__ = ["checked", "conform", "read_file", "storable", "write_file"]
