"""Digests that depend on content alone, not on how it happens to be laid out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def table_digest(table: pa.Table) -> str:
    """SHA-256 over column names, types and values of a table, in its row order.

    Chunking, dictionary encoding, slicing and the bytes hidden under nulls do not matter;
    row order, column order, types, nulls against NaN do. An empty table has a digest too.

    Examples
    --------
    >>> a = pa.table({"x": [1, None, 3]})
    >>> b = pa.concat_tables([a.slice(0, 1), a.slice(1)])
    >>> table_digest(a) == table_digest(b)
    True
    >>> table_digest(a) == table_digest(pa.table({"x": [1.0, None, 3.0]}))
    False
    """
    h = hashlib.sha256(str(table.num_rows).encode())
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        array = column.cast(kind).combine_chunks() if column.num_chunks != 1 else column.chunk(0).cast(kind)
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0) if array.num_chunks else pa.array([], kind)
        h.update(f"\0{name}\0{kind}\0{array.null_count}\0".encode())
        if array.null_count:
            h.update(np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).tobytes())
        _update(h, array, kind)
    return h.hexdigest()


def _update(h: Any, array: pa.Array, kind: pa.DataType) -> None:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        filled = array.fill_null(b"" if pa.types.is_binary(kind) else "")
        h.update(pc.binary_length(filled).cast(pa.int64()).to_numpy().tobytes())
        h.update("".join(filled.to_pylist()).encode() if not pa.types.is_binary(kind) else b"".join(filled.to_pylist()))
    elif pa.types.is_boolean(kind):
        h.update(np.packbits(array.fill_null(False).to_numpy(zero_copy_only=False)).tobytes())
    elif pa.types.is_timestamp(kind):
        h.update(array.cast(pa.int64()).fill_null(0).to_numpy().tobytes())
    elif pa.types.is_date32(kind):
        h.update(array.cast(pa.int32()).fill_null(0).to_numpy().tobytes())
    elif pa.types.is_floating(kind):
        values = array.fill_null(0.0).to_numpy(zero_copy_only=False)
        h.update(np.where(np.isnan(values), np.nan, values).astype(values.dtype).tobytes())
    elif pa.types.is_integer(kind):
        h.update(array.fill_null(0).to_numpy().tobytes())
    else:
        h.update(json.dumps(array.to_pylist(), default=str).encode())


def json_digest(value: Any) -> str:
    """SHA-256 of a JSON value with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def folder_digest(folder: Path, skip: Sequence[str] = ()) -> str:
    """SHA-256 over the relative names and bytes of every file below a folder."""
    h = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name not in skip and "__pycache__" not in name:
            h.update(f"{name}\0{file_digest(path)}\0".encode())
    return h.hexdigest()
