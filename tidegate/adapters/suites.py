"""Quality suites: from the dataset file or from JSON, and what they say in plain words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidegate.config.base import did_you_mean, show
from tidegate.config.dataset import Dataset
from tidegate.errors import ConfigError

Expectation = dict[str, Any]
"""One expectation in Great Expectations' JSON form: `type`, `kwargs`, `severity`."""

SEVERITIES = ("critical", "warning", "info")


def suite_of(dataset: Dataset) -> list[Expectation]:
    """The expectations that a dataset's contract amounts to.

    Examples
    --------
    >>> dataset = Dataset.model_validate({
    ...     "name": "d", "source": {"files": "{date}.csv"}, "event_time": "at", "key": ["at"],
    ...     "columns": {"at": {"type": "timestamp"}, "km": {"type": "number", "min": 0}}})
    >>> [(e["type"], e["severity"]) for e in suite_of(dataset)]
    [('expect_column_values_to_be_between', 'warning')]
    """
    out: list[Expectation] = []

    def expect(kind: str, severity: str, **kwargs: Any) -> None:
        out.append({"type": f"expect_column_values_to_{kind}", "severity": severity, "kwargs": kwargs})

    for name, column in dataset.columns.items():
        if not column.nullable:
            expect("not_be_null", "warning", column=name)
        if column.max_missing < 1:
            expect("not_be_null", "critical", column=name, mostly=round(1 - column.max_missing, 6))
        if column.min is not None or column.max is not None:
            expect("be_between", "warning", column=name, min_value=column.min, max_value=column.max)
        if column.values is not None:
            expect("be_in_set", "warning", column=name, value_set=list(column.values))
        if column.pattern is not None:
            # Not "$": that would let a line break follow.
            expect("match_regex", "warning", column=name, regex=rf"^(?:{column.pattern})\Z")
    return out


def read_suite(path: Path) -> list[Expectation]:
    """A hand-written suite: JSON as Great Expectations saves it, severities included.

    An expectation without a severity is critical, as in Great Expectations.

    Raises
    ------
    ConfigError
        If the file is not such JSON, or a severity is not known.
    """
    try:
        expectations = json.loads(path.read_text(encoding="utf-8"))["expectations"]
        if not isinstance(expectations, list):
            raise TypeError(f"expectations is a {type(expectations).__name__}")
        suite = [_read(one) for one in expectations]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as fault:
        found = "no such file" if isinstance(fault, FileNotFoundError) else f"{type(fault).__name__}: {fault}"
        raise ConfigError(
            f"quality suite {path}", "JSON with a list 'expectations' of {type, kwargs, severity}", found[:200],
            "correct the file",
        ) from None  # fmt: skip
    for one in suite:
        if one["severity"] not in SEVERITIES:
            raise ConfigError(
                f"quality suite {path}: {one['type']}", f"a severity of {', '.join(SEVERITIES)}",
                show(one["severity"]), did_you_mean(one["severity"], SEVERITIES),
            )  # fmt: skip
    return suite


def _read(one: Any) -> Expectation:
    kind, kwargs = one["type"], one["kwargs"]
    if not isinstance(kind, str) or not re.fullmatch(r"expect_[a-z0-9_]+", kind, re.IGNORECASE):
        raise TypeError(f"type is {show(kind)}")
    if not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs of {kind} is {show(kwargs)}")
    # How results are given back is ours to choose.
    ours = ("result_format", "catch_exceptions", "batch_id")
    theirs = {name: value for name, value in kwargs.items() if name not in ours}
    return {"type": kind, "severity": one.get("severity") or "critical", "kwargs": theirs}


def wording(expectation: Expectation) -> str:
    """What an expectation asks, short.

    Examples
    --------
    >>> wording({"type": "expect_column_values_to_be_between", "kwargs": {"column": "km", "max_value": 6000.0}})
    'km: expected at most 6000'
    """
    kwargs = expectation["kwargs"]
    named = [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
    columns = kwargs.get("column_list") or named
    kind = expectation["type"].removeprefix("expect_").removeprefix("column_values_to_").replace("_", " ")
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if kind == "not be null":
        text = "a value"
    elif kind.endswith("be between"):
        subject = kind.removesuffix("be between").removesuffix(" to ").removeprefix("column ")
        text = f"{subject} {_range(low, high)}".strip()
    elif kind == "be in set":
        text = f"one of {', '.join(map(str, kwargs.get('value_set') or ()))}"
    elif kind == "match regex":
        text = f"to match {kwargs.get('regex')}"
    else:
        text = f"to {kind}" if kind.startswith(("be ", "match ", "not ")) else kind
    text = text if len(text) <= 100 else f"{text[:97]}..."
    return f"{', '.join(columns) or 'batch'}: expected {text}"


def summary(expectation: Expectation, result: Mapping[str, Any]) -> str:
    """What failed, in numbers."""
    text = wording(expectation)
    percent, mostly = result.get("unexpected_percent"), expectation["kwargs"].get("mostly")
    if percent is not None:
        text += f", {percent:.1f} % of rows fail"
        return text + (f" (at most {100 * (1 - mostly):.3g} % may)" if mostly is not None else "")
    found = result.get("observed_value")
    return text + (f", found {found:.6g}" if isinstance(found, float) else f", found {show(found)}")


def _range(low: Any, high: Any) -> str:
    low, high = (f"{v:.12g}" if isinstance(v, (int, float)) else v for v in (low, high))
    if low is None or high is None:
        return f"at most {high}" if low is None else f"at least {low}"
    return f"{low} to {high}"
