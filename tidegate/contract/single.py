"""One row that a person typed, checked against the contract."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from tidegate.config.base import did_you_mean
from tidegate.config.dataset import Column, Dataset
from tidegate.contract.conform import ARROW, conform, is_missing
from tidegate.errors import UsageError

LONGEST = 1_000_000
"""Characters of a row as JSON."""


def parse_row(text: str) -> dict[str, Any]:
    """The values of a row that is written as a JSON object.

    Raises
    ------
    UsageError
        If it is not one, names a column twice, holds NaN or Infinity, or has more than 1,000,000 characters.

    Examples
    --------
    >>> parse_row('{"carrier": "UA", "temp": null}')
    {'carrier': 'UA', 'temp': None}
    """
    do = 'write it as {"column": value, ...}'
    if len(text) > LONGEST:
        raise UsageError("the row", f"at most {LONGEST:,} characters", f"{len(text):,}", do)
    try:
        values = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except UsageError:
        raise
    except (ValueError, RecursionError) as fault:
        raise UsageError("the row", "a JSON object", str(fault) or type(fault).__name__, do) from None
    if not isinstance(values, dict):
        raise UsageError("the row", "a JSON object", type(values).__name__, do)
    return values


def single(values: Mapping[str, Any], dataset: Dataset, wanted: Sequence[str]) -> pa.Table:
    """A table of one row with the columns `wanted`, in the contract's types.

    Every declared column may be given and is checked; of `wanted`, each must be, with null where it is missing. Only
    a column that the contract does not require may be left out.

    Raises
    ------
    UsageError
        If a column is unknown or missing, or a value has another type, or breaks the column's rules.

    Examples
    --------
    >>> dataset = Dataset.model_validate({
    ...     "name": "d", "source": {"files": "{date}.csv"}, "event_time": "at", "key": ["at"],
    ...     "columns": {"temp": {"type": "number", "max": 50}, "at": {"type": "timestamp"}}})
    >>> single({"temp": 21}, dataset, ["temp"]).to_pylist()
    [{'temp': 21.0}]
    >>> single({"temp": 70}, dataset, ["temp"])
    Traceback (most recent call last):
    ...
    tidegate.errors.UsageError: the row: temp: expected at most 50, found 70.0. Next: correct the value
    """
    for name in values:
        if name not in dataset.columns:
            do = did_you_mean(name, dataset.columns, "leave it out")
            raise UsageError("the row", f"columns of dataset {dataset.name}", repr(name)[:60], do)
    for name in wanted:
        if name not in values and dataset.columns[name].required:
            raise UsageError(f"the row: {name}", "a value", "none", "give it, as null if it is missing")
    checked = {
        name: _checked(name, values.get(name), dataset.columns[name]) for name in {**values, **dict.fromkeys(wanted)}
    }
    return pa.table({name: checked[name] for name in wanted})


def _checked(name: str, value: Any, column: Column) -> pa.Array:
    thing, do = f"the row: {name}", "correct the value"
    kind = "timestamp with a time zone" if column.type == "timestamp" else column.type
    if isinstance(value, (list, dict)):
        raise UsageError(thing, kind, json.dumps(value)[:60], do)
    series, wrong = conform(pd.Series([value], dtype="object"), column)
    if wrong[0]:
        raise UsageError(thing, kind, repr(value)[:60], do)
    cell = pa.array(series, ARROW[column.type], from_pandas=True)
    if is_missing(value):
        if not column.nullable:
            raise UsageError(thing, kind, "none", "give a value: the column is not nullable")
        return cell
    broken = _broken(cell[0].as_py(), column)
    if broken:
        raise UsageError(thing, broken, repr(cell[0].as_py())[:60], do)
    return cell


def _broken(value: Any, column: Column) -> str | None:
    """The rule that a value breaks, in words."""
    if column.min is not None and value < column.min:
        return f"at least {column.min:g}"
    if column.max is not None and value > column.max:
        return f"at most {column.max:g}"
    if column.values is not None and value not in column.values:
        return f"one of {', '.join(column.values)}"
    if column.pattern is not None and not re.fullmatch(column.pattern, value):
        return f"text that matches {column.pattern}"
    return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in pairs:
        if name in out:
            raise UsageError("the row", "each column once", f"{name!r} twice", "remove one of them")
        out[name] = value
    return out


def _refuse(word: str) -> Any:
    raise UsageError("the row", "numbers, text, booleans and null", word, "write null for a missing value")
