"""A contract's columns as Python types with their rules, which msgspec checks in C; and what C cannot check."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Union

import pandas as pd
from msgspec import Meta

from tidegate.config.dataset import Column
from tidegate.contract.conform import conform

INT64 = 2**63 - 1
YEARS = (1700, 2250)
"""Instants outside cannot be computed with in nanoseconds."""

PLAIN = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false",
          "datetime": "an instant", "object": "an object", "array": "a list"}  # fmt: skip


def type_of(column: Column, loose: bool, needed: bool) -> Any:
    """The Python type of a column's values, with the contract's rules; `loose` takes text as well."""
    kind: Any
    if column.type == "number":
        kind = Annotated[float, Meta(**_bounds(column))] if _bounds(column) else float
    elif column.type == "integer":
        low, high = _bounds(column).get("ge", -INT64), _bounds(column).get("le", INT64)
        low, high = max(low, -INT64), min(high, INT64)
        exact: Any = Annotated[int, Meta(ge=int(low), le=int(high))]
        kind = Union[exact, Annotated[float, Meta(ge=low, le=high)]]  # noqa: UP007
    elif column.type == "boolean":
        kind = bool
    elif column.type == "timestamp":
        kind = Annotated[datetime, Meta(tz=True)]
    elif column.values is not None and column.pattern is None:
        kind = Literal[(*column.values, *(("",) if column.nullable else ()))]
    else:
        kind = _text(column)
    if loose and column.type in ("number", "integer", "boolean"):
        kind = bool | int | float | str
    return kind if needed and not column.nullable else Union[kind, None]  # noqa: UP007


def _text(column: Column) -> Any:
    empty = "?" if column.nullable else ""
    if column.pattern is not None:
        return Annotated[str, Meta(pattern=rf"\A(?:(?:{column.pattern})){empty}\Z")]
    return str if column.nullable else Annotated[str, Meta(min_length=1)]


def _bounds(column: Column) -> dict[str, Any]:
    return {k: v for k, v in (("ge", column.min), ("le", column.max)) if v is not None}


def word_of(column: Column) -> str:
    return {"timestamp": "an instant with a time zone"}.get(column.type, f"a value of type {column.type}")


def instant(value: datetime) -> datetime:
    if not YEARS[0] < value.year < YEARS[1]:
        raise ValueError(f"expected a year between {YEARS[0]} and {YEARS[1]}. Next: correct the value")
    return value.astimezone(UTC)


def whole(value: float) -> int:
    if value.__class__ is int:
        return int(value)
    if not value.is_integer():
        raise ValueError("expected a whole number, found a fraction. Next: correct the value")
    return int(value)


def coerced(value: Any, column: Column) -> Any:
    """A value that may be text, where the model file allows it; the contract's rules hold all the same."""
    series, wrong = conform(pd.Series([value], dtype="object"), column)
    if wrong[0]:
        raise ValueError(f"expected {word_of(column)}, found another. Next: correct the value")
    found = series.astype("object").iloc[0]
    if pd.isna(found):
        if not column.nullable:
            raise ValueError("expected a value, found none. Next: give it")
        return None
    if (column.min is not None and found < column.min) or (column.max is not None and found > column.max):
        raise ValueError("expected a value within the contract's limits. Next: correct the value")
    return instant(found.to_pydatetime()) if column.type == "timestamp" else found


__all__ = ["PLAIN", "coerced", "instant", "type_of", "whole", "word_of"]
