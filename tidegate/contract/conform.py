"""Values in the types a contract asks for: parsed where they are text, never changed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tidegate.config.dataset import Column

ARROW: dict[str, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "category": pa.string(),
    "text": pa.string(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
# ASCII digits only: int() and float() also take "١٢", "1_000" and "nan".
_INTEGER = re.compile(r"[+-]?([0-9]{1,19})(\.0*)?")
_NUMBER = re.compile(r"[+-]?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?(Z|[+-][0-9]{2}:?[0-9]{2})"
)
_BOOLEAN = {"True": True, "true": True, "TRUE": True, "False": False, "false": False, "FALSE": False}
_INT64 = 2**63


def conform(values: pd.Series, column: Column) -> tuple[pd.Series, np.ndarray]:
    """The values in the contract's type, and a mask of those that do not fit it.

    Every value that fits equals the source's; nothing is rounded, cut or guessed. Numbers
    are finite; integers that the type cannot hold exactly do not fit. A timestamp names its
    zone and has at most microseconds. Text may hold a number or a time as a whole, blanks
    around a number aside. None, NaN, NaT and empty text are missing, whatever the type.

    Parameters
    ----------
    values : pandas.Series, shape (n,)
        As they came, of any dtype.
    column : Column
        The contract of the column; only its type counts here.

    Returns
    -------
    values : pandas.Series, shape (n,)
        Int64, float64, object (text, boolean) or datetime64[us, UTC]; missing where the
        source is missing or does not fit.
    wrong : numpy.ndarray of bool, shape (n,)

    Examples
    --------
    >>> values, wrong = conform(pd.Series(["12", " 7 ", "1e3", "x", None]), Column(type="integer"))
    >>> values.tolist(), wrong.tolist()
    ([12, 7, <NA>, <NA>, <NA>], [False, False, True, True, False])
    """
    fast = _from_numpy(values, column.type)
    if fast is not None:
        return fast
    read = _READ[column.type]
    out: list[Any] = []
    wrong = np.zeros(len(values), dtype=bool)
    for i, value in enumerate(values.astype("object")):
        if is_missing(value):
            out.append(None)
            continue
        got = read(value)
        out.append(got)
        wrong[i] = got is None
    return pd.Series(out, index=values.index, dtype=_PANDAS.get(column.type, "object")), wrong


def is_missing(value: Any) -> bool:
    """None, NaN, NaT, NA, or empty text."""
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    if isinstance(value, str):
        return not value
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, (float, np.floating)) and math.isnan(value)


def _from_numpy(values: pd.Series, kind: str) -> tuple[pd.Series, np.ndarray] | None:
    """The same for whole arrays of numbers or instants; None where values need a look each."""
    dtype = values.dtype
    if kind == "timestamp" and isinstance(dtype, pd.DatetimeTZDtype) and dtype.unit in ("us", "ns"):
        utc = values.dt.tz_convert("UTC")
        out = utc.dt.as_unit("us")
        wrong = ((out != utc) & utc.notna()).to_numpy()
        return out.mask(wrong), wrong
    if kind not in ("integer", "number") or not isinstance(dtype, np.dtype) or dtype.itemsize > 8:
        return None
    raw = values.to_numpy()
    if dtype.kind == "f":
        wrong = np.isinf(raw)
        if kind == "number":
            return values.astype("float64").mask(wrong), wrong
        known = ~np.isnan(raw)
        wrong |= known & ((raw != np.floor(raw)) | (np.abs(raw) >= _INT64))
        return values.mask(wrong).astype("Int64"), wrong
    if dtype.kind in "iu":
        limit = 2**53 if kind == "number" else _INT64 - 1
        if not len(raw) or (int(raw.max()) <= limit and int(raw.min()) >= -limit):
            return values.astype("float64" if kind == "number" else "Int64"), np.zeros(len(raw), dtype=bool)
    return None


def _integer(value: Any) -> int | None:
    if isinstance(value, str):
        match = _INTEGER.fullmatch(value.strip())
        if not match:
            return None
        whole = int(value.strip().split(".")[0])
    elif _is_number(value) and (_is_int(value) or (math.isfinite(value) and value == int(value))):
        whole = int(value)
    else:
        return None
    return whole if -_INT64 <= whole < _INT64 else None


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value.strip())
        if not match:
            return None
        number = float(value)
        # Text of an integer is as exact as the integer; other text means the nearest double.
        if match.group(1) == value.strip().lstrip("+-") and match.group(1).isdigit():
            return _number(int(value)) if len(match.group(1)) < 400 else None
        vanished = number == 0 and bool(re.search("[1-9]", match.group(1)))
        return None if vanished or math.isinf(number) else number
    if not _is_number(value):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    exact = isinstance(value, Decimal) or number == value
    return number if exact and math.isfinite(number) else None


def _is_number(value: Any) -> bool:
    return _is_int(value) or isinstance(value, (float, np.floating, Decimal))


def _is_int(value: Any) -> bool:
    # bool is an int to Python, a time span one to NumPy; neither is one to a contract.
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64))


def _boolean(value: Any) -> bool | None:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    return _BOOLEAN.get(value) if isinstance(value, str) else None


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return str(value)


def _timestamp(value: Any) -> datetime | None:
    if isinstance(value, str):
        if not _TIMESTAMP.fullmatch(value):
            return None
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    # Without a zone it would be one of several instants.
    if not isinstance(value, datetime) or value.utcoffset() is None or getattr(value, "nanosecond", None):
        return None
    try:
        return value.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


_READ: dict[str, Callable[[Any], Any]] = {
    "integer": _integer,
    "number": _number,
    "category": _text,
    "text": _text,
    "boolean": _boolean,
    "timestamp": _timestamp,
}
_PANDAS = {"integer": "Int64", "number": "float64", "timestamp": "datetime64[us, UTC]"}
