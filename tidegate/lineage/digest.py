"""Digests that depend on content alone, not on how it happens to be laid out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_

from tidegate.errors import UsageError


class _Hash(Protocol):
    def update(self, data: Any, /) -> None: ...


def table_digest(table: pa.Table) -> str:
    """SHA-256 over column names, types and values of a table, in its row order.

    Chunking, dictionary encoding, slicing, the bytes hidden under nulls, the payload of a
    NaN and schema metadata do not matter. Row order, column order, names, types, null
    against NaN, and 0.0 against -0.0 do.

    Parameters
    ----------
    table : pyarrow.Table
        Any number of rows and columns, none included; nested columns too.

    Returns
    -------
    str
        64 hex digits.

    Raises
    ------
    UsageError
        If a column has a type without a digest (intervals, unions).

    Examples
    --------
    >>> a = pa.table({"x": [1, None, 3]})
    >>> b = pa.concat_tables([a.slice(0, 1), a.slice(1)])
    >>> table_digest(a) == table_digest(b)
    True
    >>> table_digest(a) == table_digest(pa.table({"x": [1.0, None, 3.0]}))
    False
    """
    h = hashlib.sha256()
    _text(h, f"{table.num_rows} {table.num_columns}")
    for name, column in zip(table.column_names, table.columns, strict=True):
        _text(h, name)
        _values(h, column.combine_chunks() if column.num_chunks != 1 else column.chunk(0), name)
    return h.hexdigest()


def _text(h: _Hash, text: str) -> None:
    data = text.encode()
    h.update(f"{len(data)}:".encode() + data)  # the length first: no two sequences of texts look alike


def _values(h: _Hash, array: pa.Array, name: str) -> None:
    """Type and validity, then the values with nulls blanked, then whatever is nested inside."""
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    if isinstance(array, pa.ExtensionArray):
        _text(h, str(array.type))
        array = array.storage
    kind = array.type
    nested = is_.is_nested(kind)
    _text(h, f"{type(array).__name__ if nested else kind} {len(array)} {array.null_count}")
    if array.null_count and not is_.is_null(kind):
        h.update(_bits(array.is_valid()))
    if nested:
        _nested(h, array, name)
    elif is_.is_boolean(kind):
        h.update(_bits(array.fill_null(False)))
    elif is_.is_floating(kind):
        values = array.fill_null(pa.scalar(0.0, kind)).to_numpy(zero_copy_only=False)
        strange = np.isnan(values)
        h.update((np.where(strange, values.dtype.type("nan"), values) if strange.any() else values).data)
    elif is_.is_integer(kind) or (is_.is_temporal(kind) and not is_.is_interval(kind)):
        whole = array if is_.is_integer(kind) else array.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
        h.update(whole.fill_null(0).to_numpy(zero_copy_only=False).data)
    elif is_.is_decimal(kind):
        _bytes(h, array.cast(pa.string()))
    elif _is_bytes(kind):
        _bytes(h, array)
    elif not is_.is_null(kind):
        raise _unknown(name, kind)


def _nested(h: _Hash, array: pa.Array, name: str) -> None:
    kind = array.type
    if is_.is_struct(kind):
        _text(h, str(kind.num_fields))
        for i, child in enumerate(array.flatten()):  # flatten() carries the parent's nulls down
            _text(h, kind.field(i).name)
            _values(h, child, name)
        return
    if is_.is_map(kind):
        array = array.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
    elif not (is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind)):
        raise _unknown(name, kind)
    lengths = pc.list_value_length(array).cast(pa.int64()).fill_null(0)
    h.update(lengths.to_numpy(zero_copy_only=False).data)
    _values(h, array.flatten(), name)  # flatten() leaves out what lies under a null list


def _is_bytes(kind: pa.DataType) -> bool:
    text = is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind)
    return bool(text or is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_binary_view(kind)
                or is_.is_fixed_size_binary(kind))  # fmt: skip


def _bits(array: pa.Array) -> bytes:
    return np.packbits(array.to_numpy(zero_copy_only=False)).tobytes()


def _bytes(h: _Hash, array: pa.Array) -> None:
    if is_.is_string_view(array.type):
        array = array.cast(pa.large_string())
    array = array.cast(pa.large_binary()).fill_null(b"")
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64, len(array) + 1, array.offset * 8) if len(array) else np.zeros(1, np.int64)
    h.update(np.diff(ends).data)
    if data is not None:
        h.update(memoryview(data)[ends[0] : ends[-1]])


def _unknown(name: str, kind: pa.DataType) -> UsageError:
    return UsageError(f"column {name}", "a type that has a digest", str(kind), "cast it to numbers or text")


def plain(value: Any) -> Any:
    """A value as JSON would give it back: text keys, lists, numbers, text.

    NumPy's scalars and arrays become numbers and lists, moments ISO text, sets sorted
    lists; anything else becomes its text.

    Raises
    ------
    UsageError
        If a value's text is its address in memory, which differs in every run.

    Examples
    --------
    >>> plain({"n": np.int64(3), "by": ("a", "b"), "at": date(2013, 1, 2)})
    {'n': 3, 'by': ['a', 'b'], 'at': '2013-01-02'}
    """
    return json.loads(json.dumps(value, default=_default))


def _default(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if str(value) == object.__repr__(value):
        raise UsageError("a value to be stored", "numbers, text, lists, dates", type(value).__name__)
    return str(value)


def json_digest(value: Any) -> str:
    """SHA-256 of a JSON value with sorted keys (see `plain` for what is not JSON)."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def folder_digest(folder: Path, skip: Sequence[str] = ()) -> str:
    """SHA-256 over the relative names and bytes of every file below a folder.

    Python's caches (`__pycache__`) and the relative names in `skip` are left out.
    """
    h = hashlib.sha256()
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    for name in names:
        if name not in skip and "__pycache__" not in name.split("/"):
            h.update(f"{name}\0{file_digest(folder / name)}\0".encode())
    return h.hexdigest()


__all__ = ["file_digest", "folder_digest", "json_digest", "plain", "table_digest"]
