"""Great Expectations judges a batch: a suite made from the dataset file, or a hand-written one.

Severities: `critical` blocks the batch when it fails, `warning` quarantines the failing
rows, `info` is only recorded. Every expectation is first asked for yes or no; only those
that did not pass are run again completely, to learn which rows failed.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from tidegate.config.dataset import Dataset
from tidegate.errors import CheckBroke, ConfigError


@dataclass(frozen=True)
class Judged:
    """Failing rows (index labels of the frame to reasons), reasons to block, and notes."""

    rows: dict[int, list[str]]
    breaks: tuple[str, ...]
    notes: tuple[str, ...]
    checked: int


def suite_of(dataset: Dataset) -> list[dict[str, Any]]:
    """The expectations (GX's own JSON form) that a dataset's contract amounts to."""
    out: list[dict[str, Any]] = []

    def expect(kind: str, severity: str, **kwargs: Any) -> None:
        out.append({"type": kind, "severity": severity, "kwargs": kwargs})

    for name, column in dataset.columns.items():
        if not column.nullable:
            expect("expect_column_values_to_not_be_null", "warning", column=name)
        if column.max_missing < 1:
            expect("expect_column_values_to_not_be_null", "critical", column=name, mostly=round(1 - column.max_missing, 6))
        if column.min is not None or column.max is not None:
            expect("expect_column_values_to_be_between", "warning", column=name, min_value=column.min, max_value=column.max)
        if column.values is not None:
            expect("expect_column_values_to_be_in_set", "warning", column=name, value_set=list(column.values))
        if column.pattern is not None:
            expect("expect_column_values_to_match_regex", "warning", column=name, regex=f"^(?:{column.pattern})$")
    return out


def read_suite(path: Path) -> list[dict[str, Any]]:
    """A hand-written suite (JSON, with an `expectations` list, severities included)."""
    try:
        expectations = json.loads(path.read_text(encoding="utf-8"))["expectations"]
        if not all(re.fullmatch(r"expect_[a-z_]+", e["type"]) and isinstance(e["kwargs"], dict) for e in expectations):
            raise KeyError("type")
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise ConfigError(f"quality suite {path}", "JSON with a list 'expectations' of {type, kwargs, severity}", f"{type(fault).__name__}: {fault}", "correct the file") from None
    return list(expectations)


@lru_cache(maxsize=1)
def _context() -> Any:
    import os

    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    for noisy in ("great_expectations", "great_expectations.data_context"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    definition = context.data_sources.add_pandas("tidegate").add_dataframe_asset("batch").add_batch_definition_whole_dataframe("whole")
    return definition


def judge(frame: pd.DataFrame, expectations: list[dict[str, Any]]) -> Judged:
    """Judge a frame, whose index labels name its rows.

    Raises
    ------
    CheckBroke
        If an expectation could not be evaluated: that says nothing about the data.
    """
    if not expectations or frame.empty:
        return Judged({}, (), (), 0)
    import great_expectations as gx
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    batch = _context().get_batch({"dataframe": frame})
    try:
        parsed = [ExpectationConfiguration(type=e["type"], kwargs=e["kwargs"], severity=e.get("severity", "critical")).to_domain_obj() for e in expectations]
    except Exception as fault:
        raise ConfigError("quality suite", "expectations that Great Expectations knows", str(fault).splitlines()[0], "correct the suite") from None
    first = batch.validate(gx.ExpectationSuite(name="first", expectations=parsed), result_format="BOOLEAN_ONLY")
    again = [e for e, r in zip(parsed, _in_order(parsed, first.results), strict=True) if not r.success or e_mostly(e) < 1]
    rows: dict[int, list[str]] = {}
    breaks: list[str] = []
    notes: list[str] = []
    if again:
        full = batch.validate(gx.ExpectationSuite(name="again", expectations=[type(e)(**_kwargs(e)) for e in again]),
                              result_format={"result_format": "COMPLETE", "include_unexpected_rows": False})
        for expectation, result in zip(again, _in_order(again, full.results), strict=True):
            _sort_out(expectation, result, rows, breaks, notes)
    return Judged(rows, tuple(breaks), tuple(notes), len(parsed))


def e_mostly(expectation: Any) -> float:
    return float(getattr(expectation, "mostly", 1) or 1) if str(getattr(expectation, "severity", "critical")).endswith("warning") else 1.0


def _kwargs(expectation: Any) -> dict[str, Any]:
    config = expectation.configuration
    return {**config.kwargs, "severity": config.severity}


def _in_order(expectations: list[Any], results: list[Any]) -> list[Any]:
    """Results in the order of their expectations: GX gives them in another one."""
    left = list(results)
    out = []
    for e in expectations:
        want = e.configuration
        at = next(i for i, r in enumerate(left) if r.expectation_config.type == want.type and _same(r.expectation_config.kwargs, want.kwargs))
        out.append(left.pop(at))
    return out


def _same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(found.get(k) == v for k, v in wanted.items() if v is not None)


def _sort_out(expectation: Any, result: Any, rows: dict[int, list[str]], breaks: list[str], notes: list[str]) -> None:
    kind = result.expectation_config.type.removeprefix("expect_").replace("_", " ")
    column = result.expectation_config.kwargs.get("column", "")
    info = result.exception_info or {}
    if info.get("raised_exception") or any(isinstance(v, dict) and v.get("raised_exception") for v in info.values()):
        message = info.get("exception_message") or next((v.get("exception_message") for v in info.values() if isinstance(v, dict)), "")
        raise CheckBroke(f"expectation '{kind}' on {column or 'the batch'}", "a yes or no", str(message).splitlines()[0][:200], "correct the suite: this says nothing about the data")
    severity = str(getattr(expectation, "severity", "critical")).rsplit(".", 1)[-1].lower()
    detail = result.result or {}
    what = f"{column}: {kind}" if column else kind
    if detail.get("unexpected_percent") is not None:
        what += f", {detail['unexpected_percent']:.1f} % fail"
    elif detail.get("observed_value") is not None:
        what += f", observed {detail['observed_value']}"
    if severity == "info":
        notes.append(what)
    elif severity == "critical":
        if not result.success:
            limit = result.expectation_config.kwargs.get("mostly")
            breaks.append(what + (f" (at most {100 * (1 - limit):.0f} % allowed)" if limit else ""))
    else:
        bad = detail.get("unexpected_index_list")
        if bad is None and not result.success:
            breaks.append(what)
        limits = {k: v for k, v in result.expectation_config.kwargs.items() if k in ("min_value", "max_value", "value_set", "regex") and v is not None}
        for label in bad or ():
            rows.setdefault(int(label), []).append(f"{column}: {kind} {limits or ''}".strip())
