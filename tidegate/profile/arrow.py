"""Arrow columns as numbers or as rows by category, without a copy where the type allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.errors import SourceError
from tidegate.profile.column import OTHER

t = pa.types


def value_type(kind: pa.DataType) -> pa.DataType:
    """The type inside a dictionary encoding."""
    return kind.value_type if t.is_dictionary(kind) else kind


def family(kind: pa.DataType) -> str:
    """What a type is profiled as: number, boolean, time, text, null or none of them."""
    kind = value_type(kind)
    if t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind):
        return "number"
    if t.is_boolean(kind):
        return "boolean"
    if t.is_temporal(kind):
        return "time"
    if is_text(kind):
        return "text"
    return "null" if t.is_null(kind) else "none"


def is_text(kind: pa.DataType) -> bool:
    return bool(t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind))


def is_ordered(kind: pa.DataType) -> bool:
    return family(kind) in ("number", "boolean", "time")


def floats(name: str, column: pa.ChunkedArray) -> tuple[NDArray[np.float64], int]:
    """The values that are not null as float64, and how many are null; large integers are rounded.

    Times are seconds since 1970 UTC, booleans 0 and 1.

    Raises
    ------
    SourceError
        The type has no order, or no length (interval of months).
    """
    kind, nulls = value_type(column.type), column.null_count
    if not (is_ordered(kind) or t.is_null(kind)):
        raise no_profile(name, "number, boolean or time", column.type)
    if nulls == len(column):
        return np.empty(0), nulls
    try:
        if kind != column.type:
            column = column.cast(kind)
        if nulls:
            column = column.drop_null()
        if t.is_temporal(kind):
            return _numbers(column.cast(_micros(kind), safe=False).cast(pa.int64())) / 1e6, nulls
        if t.is_boolean(kind):
            column = column.cast(pa.uint8())
        elif t.is_decimal(kind):
            column = column.cast(pa.float64(), safe=False)
        return _numbers(column), nulls
    except pa.ArrowException as error:
        raise no_profile(name, "number, boolean or time", column.type) from error


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Read from the buffers: `to_numpy` imports pandas, which costs more than a million rows."""
    kind = np.dtype(DTYPES[column.type])
    parts = [
        np.frombuffer(chunk.buffers()[1], dtype=kind, count=len(chunk), offset=chunk.offset * kind.itemsize)
        for chunk in column.chunks
        if len(chunk)
    ]
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return np.asarray(values, dtype=np.float64)


def array(values: NDArray[Any]) -> pa.Array:
    """A NumPy array as Arrow's, without a copy; `pa.array` imports pandas."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def texts(values: Sequence[str]) -> pa.Array:
    """Texts as Arrow's, again without pandas."""
    data = [v.encode() for v in values]
    ends = np.cumsum([0, *map(len, data)]).astype(np.int32)
    return pa.Array.from_buffers(pa.string(), len(data), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(data))])


DTYPES = {
    pa.int8(): "i1", pa.int16(): "i2", pa.int32(): "i4", pa.int64(): "i8",
    pa.uint8(): "u1", pa.uint16(): "u2", pa.uint32(): "u4", pa.uint64(): "u8",
    pa.float16(): "f2", pa.float32(): "f4", pa.float64(): "f8",
}  # fmt: skip


def _micros(kind: pa.DataType) -> pa.DataType:
    if t.is_time(kind):
        return pa.time64("us")
    return pa.duration("us") if t.is_duration(kind) else pa.timestamp("us", tz="UTC")


def lengths(name: str, column: pa.ChunkedArray) -> tuple[NDArray[np.float64], int]:
    """Characters of each text that is not null, and how many are null."""
    kind, nulls = value_type(column.type), column.null_count
    if t.is_null(kind):
        return np.empty(0), nulls
    if not is_text(kind):
        raise no_profile(name, "text", column.type)
    if kind != column.type:
        column = column.cast(kind)
    return floats(name, pc.utf8_length(column.drop_null()))[0], nulls


def tally(name: str, column: pa.ChunkedArray, cap: int) -> tuple[dict[str, int], int]:
    """Rows by category, and how many are null; beyond `cap` categories the rest is one OTHER more.

    Dictionary-encoded chunks are counted by their codes; a million distinct values stay in Arrow
    and only the kept ones become Python strings.
    """
    nulls = column.null_count
    counts: dict[str, int] = {}
    try:
        if t.is_dictionary(column.type) and is_text(column.type.value_type):
            parts = [_by_code(chunk) for chunk in column.chunks]
        else:
            parts = [column.cast(pa.string()).drop_null().value_counts()]
        for found in parts:
            for value, count in _largest(found, cap).items():
                counts[value] = counts.get(value, 0) + count
    except pa.ArrowException as error:
        raise no_profile(name, "text, number, boolean or time", column.type) from error
    return counts, nulls


def codes(indices: pa.Array) -> NDArray[np.intp]:
    """The codes of a dictionary's rows, without the nulls."""
    if indices.null_count:
        indices = indices.drop_null()
    kind = np.dtype(DTYPES[indices.type])
    stored = indices.buffers()[1] or b""
    return np.frombuffer(stored, kind, len(indices), indices.offset * kind.itemsize).astype(np.intp)


def _by_code(chunk: pa.DictionaryArray) -> pa.StructArray:
    """What `value_counts` would give, by counting the codes instead of the texts."""
    names = chunk.dictionary
    rows = np.bincount(codes(chunk.indices), minlength=len(names))
    used = np.flatnonzero(rows)
    if len(used) < len(names):
        names, rows = names.take(array(used)), rows[used]
    return pa.StructArray.from_arrays([names.cast(pa.string()), array(rows)], ["values", "counts"])


def _largest(found: pa.StructArray, cap: int) -> dict[str, int]:
    table = pa.table({"name": found.field("values"), "rows": found.field("counts")})
    order = [("rows", "descending"), ("name", "ascending")]
    kept = table.take(pc.select_k_unstable(table, k=cap, sort_keys=order)) if table.num_rows > cap else table
    counts: dict[str, int] = dict(zip(kept["name"].to_pylist(), kept["rows"].to_pylist(), strict=True))
    cut = pc.sum(table["rows"]).as_py() - sum(counts.values()) if table.num_rows > cap else 0
    if cut:
        counts[OTHER] = counts.get(OTHER, 0) + cut
    return counts


def no_profile(name: str, expected: str, kind: pa.DataType) -> SourceError:
    return SourceError(f"column {name}", expected, str(kind), "convert it in the source, or leave it out of the grid")
