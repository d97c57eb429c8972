"""Great Expectations judges a batch: a suite made from the dataset file, or a hand-written one.

Severities: `critical` blocks the batch when it fails, `warning` quarantines the failing
rows, `info` is only recorded.

Its metrics, expectations and engine are used without its data context and validator. Those
parse every expectation about eighty times a run, which is 80 % of the time of a night of a
thousand rows; and without a context there is nothing to send analytics from. First only the
numbers of unexpected rows are asked for, through a metric graph made once per suite. Where
there are none, the expectation holds; the others are run completely, to learn which rows.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas as pd

from tidegate.adapters.suites import Expectation, read_suite, suite_of, summary, wording
from tidegate.config.base import did_you_mean
from tidegate.contract.conform import is_missing
from tidegate.errors import CheckBroke, ConfigError

__all__ = ["Judged", "judge", "read_suite", "suite_of"]

_BOOLEAN = {"result_format": "BOOLEAN_ONLY", "catch_exceptions": False}
_COMPLETE = {
    "result_format": {"result_format": "COMPLETE", "include_unexpected_rows": False},
    "catch_exceptions": False,
}


@dataclass(frozen=True)
class Judged:
    """Failing rows (index labels of the frame to reasons), reasons to block, and notes."""

    rows: dict[int, list[str]]
    breaks: tuple[str, ...]
    notes: tuple[str, ...]
    checked: int


def judge(frame: pd.DataFrame, expectations: Sequence[Expectation]) -> Judged:
    """Judge a frame, whose index labels name its rows.

    Of an expectation of severity `warning` every failing row is named, also where `mostly`
    lets the expectation pass. A failing `warning` that is not about rows (a mean, say)
    blocks the batch. A frame without rows is not judged.

    Raises
    ------
    ConfigError
        If the suite has an expectation, or an argument of one, that is not known.
    CheckBroke
        If an expectation could not be evaluated: that says nothing about the data.
    """
    if not expectations or frame.empty:
        return Judged({}, (), (), 0)
    # Rows by position: of an index that has a name, Great Expectations gives rows in another form.
    numbered = frame.copy(deep=False)
    numbered.index = pd.RangeIndex(len(frame))
    with _quiet():
        plan = _plan(json.dumps(expectations, sort_keys=True, default=str))
        results = list(_results(numbered, expectations, plan))
    rows: dict[int, list[str]] = {}
    breaks: list[str] = []
    notes: list[str] = []
    for expectation, result in results:
        severity = expectation.get("severity") or "critical"
        failing = result.result.get("unexpected_index_list")
        if severity == "warning" and failing is not None:
            reason, column = wording(expectation), expectation["kwargs"].get("column")
            for i in failing:
                value = None if column is None else frame[column].iloc[i]
                found = "" if is_missing(value) else f", found {str(value)[:40]}"
                rows.setdefault(int(frame.index[i]), []).append(reason + found)
        elif not result.success:
            (notes if severity == "info" else breaks).append(summary(expectation, result.result))
    return Judged(rows, tuple(breaks), tuple(notes), len(expectations))


@dataclass(frozen=True)
class _Plan:
    """A parsed suite; for each expectation the metric that counts its unexpected rows, if one does."""

    parsed: tuple[Any, ...]
    counts: tuple[Any, ...]
    edges: tuple[Any, ...]


@lru_cache(maxsize=32)
def _plan(suite: str) -> _Plan:
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.expectations import expectation as base

    parsed = tuple(_parse(one) for one in json.loads(suite))
    engine = PandasExecutionEngine()
    counts: list[Any] = []
    wanted: list[Any] = []
    for one in parsed:
        # Types that say themselves what they depend on may look at the data for it: never kept.
        plain = type(one).get_validation_dependencies.__module__ == base.__name__
        count = None
        if plain and getattr(one, "map_metric", None):
            needs = one.get_validation_dependencies(execution_engine=engine, runtime_configuration=_BOOLEAN)
            count = needs.metric_configurations.get(f"{one.map_metric}.unexpected_count")
            wanted += needs.get_metric_configurations() if count else []
        counts.append(count)
    return _Plan(parsed, tuple(counts), _edges(engine, wanted, _BOOLEAN))


def _parse(expectation: Expectation) -> Any:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    kind, severity = expectation["type"], expectation.get("severity") or "critical"
    known = list_registered_expectation_implementations()
    if kind not in known:
        do = did_you_mean(kind, known)
        raise ConfigError("quality suite", "an expectation of Great Expectations", repr(kind), do)
    try:
        return ExpectationConfiguration(type=kind, kwargs=expectation["kwargs"], severity=severity).to_domain_obj()
    except Exception as fault:
        faults = fault.errors() if hasattr(fault, "errors") else []
        text = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in faults) or _line(fault)
        raise ConfigError(f"quality suite: {kind}", "its own arguments", text, "correct the suite") from None


def _results(
    frame: pd.DataFrame, expectations: Sequence[Expectation], plan: _Plan
) -> Iterator[tuple[Expectation, Any]]:
    """The complete results of those expectations that do not plainly hold."""
    from great_expectations.execution_engine import PandasExecutionEngine

    engine = PandasExecutionEngine(batch_data_dict={"batch": frame})
    try:
        counts = _resolve(engine, plan.edges, _BOOLEAN)
    except Exception:
        # One by one, then: whichever broke will break again, and be named.
        counts = {}
    for expectation, parsed, count in zip(expectations, plan.parsed, plan.counts, strict=True):
        with _named(expectation):
            if count is not None and count.id in counts:
                if counts[count.id] == 0:
                    continue
                if expectation.get("severity") != "warning" and _evaluate(engine, parsed, counts, _BOOLEAN).success:
                    continue
            needs = parsed.get_validation_dependencies(execution_engine=engine, runtime_configuration=_COMPLETE)
            metrics = _resolve(engine, _edges(engine, needs.get_metric_configurations(), _COMPLETE), _COMPLETE)
            result = _evaluate(engine, parsed, metrics, _COMPLETE)
        yield expectation, result


def _edges(engine: Any, metrics: Sequence[Any], runtime: dict[str, Any]) -> tuple[Any, ...]:
    from great_expectations.validator.metrics_calculator import MetricsCalculator

    graph = MetricsCalculator(engine).build_metric_dependency_graph(list(metrics), runtime)
    return tuple(graph.edges)


def _resolve(engine: Any, edges: Sequence[Any], runtime: dict[str, Any]) -> dict[Any, Any]:
    from great_expectations.validator.validation_graph import ValidationGraph

    metrics, _ = ValidationGraph(engine, edges=list(edges)).resolve(runtime, show_progress_bars=False)
    return metrics  # type: ignore[no-any-return]


def _evaluate(engine: Any, parsed: Any, metrics: dict[Any, Any], runtime: dict[str, Any]) -> Any:
    # A copy: it writes the format it parsed back.
    return parsed.metrics_validate(metrics=metrics, execution_engine=engine, runtime_configuration=dict(runtime))


@contextmanager
def _named(expectation: Expectation) -> Iterator[None]:
    """Whatever an expectation raises means that it broke, not that the data is bad."""
    try:
        yield
    except Exception as fault:
        kind, column = expectation["type"], expectation["kwargs"].get("column")
        raise CheckBroke(
            f"{kind} on {column or 'the batch'}", "pass or fail", _line(fault),
            "correct the suite: this says nothing about the data",
        ) from fault  # fmt: skip


@contextmanager
def _quiet() -> Iterator[None]:
    """Great Expectations' own warnings off; its logger says only what is an error."""
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Its import of old modules, and its search for patterns that have groups.
        warnings.filterwarnings("ignore", "module 'sre_(constants|parse)' is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", "This pattern is interpreted as a regular expression", UserWarning)
        yield


def _line(fault: Exception) -> str:
    text = str(fault).strip()
    return (text.splitlines()[0] if text else type(fault).__name__)[:200]
