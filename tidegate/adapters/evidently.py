"""Evidently draws a drift report: the drawing is its own, what it compares and judges by is ours.

Nothing is left to its defaults. It would choose a test by the column's look and the reference's
size, drop missing and infinite values without a word, take many unique strings for text, lay the
bins of its PSI over both sides, and put values into the page as they come. So every column comes
with a kind, a statistic of ours and a limit, in values that need no escaping (`report.drift`).
"""

from __future__ import annotations

import html
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from tidegate.errors import CheckBroke
from tidegate.report.drift import Field, Kind, score

__all__ = ["Drawn", "draw"]

METHODS: dict[Kind, tuple[str, str]] = {
    "number": ("tidegate_psi_number", "PSI on the reference's deciles"),
    "category": ("tidegate_psi_category", "PSI on categories"),
    "state": ("tidegate_share", "largest change in a share"),
}
# What it needs is inside the page: it asks nobody for anything.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; font-src data:; img-src data: blob:"
)


@dataclass(frozen=True)
class Drawn:
    """The page, and the fields that Evidently calls drifted by the limits it was given."""

    html: str
    drifted: tuple[str, ...]


def draw(fields: Sequence[Field], title: str, head: Callable[[Sequence[str]], str]) -> Drawn:
    """Draw fields as one page that needs nothing else.

    Parameters
    ----------
    fields : sequence of Field
        At least one; names and categories as `report.drift.shown` gives them.
    title : str
        The page's title, as text.
    head : callable
        What stands above the charts, as HTML, made from the names of the drifted fields.

    Raises
    ------
    CheckBroke
        If Evidently cannot draw them: that says nothing about the data.
    """
    with _quiet(), _named():
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        _register()
        kinds = DataDefinition(
            numerical_columns=[f.name for f in fields if f.kind == "number"],
            categorical_columns=[f.name for f in fields if f.kind != "number"],
        )
        names = [f.name for f in fields]
        preset = DataDriftPreset(
            columns=names,
            # One column is enough to call it drift; rounded down, for the page shows it.
            drift_share=math.floor(1e4 / len(names)) / 1e4,
            per_column_method={f.name: METHODS[f.kind][0] for f in fields},
            per_column_threshold={f.name: f.limit for f in fields},
        )
        sides = [
            Dataset.from_pandas(pd.DataFrame({f.name: getattr(f, side) for f in fields}), data_definition=kinds)
            for side in ("current", "reference")
        ]
        drawn = Report([preset], include_tests=True).run(*sides)
        page = drawn.get_html_str(as_iframe=False)
        drifted = [
            t["metric_config"]["params"]["column"]
            for t in drawn.dict()["tests"]
            if t["id"] == "drift" and str(getattr(t["status"], "value", t["status"])) == "FAIL"
        ]
    return Drawn(_framed(page, title, head(drifted)), tuple(drifted))


def _framed(page: str, title: str, head: str) -> str:
    if page.count("<head>") != 1 or page.count("<body>") != 1:
        raise CheckBroke("drift report", "a page with one head and one body", "another", "install the pinned Evidently")
    meta = f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{html.escape(title)}</title>'
    return page.replace("<head>", meta).replace("<body>", f"<body>{head}")


@cache
def _register() -> None:
    """Tell Evidently our statistics by name: a report of its own accord knows only its own."""
    from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    for kind, (name, words) in METHODS.items():
        type_ = ColumnType.Numerical if kind == "number" else ColumnType.Categorical
        register_stattest(StatTest(name=name, display_name=words, allowed_feature_types=[type_]), _statistic(kind))


def _statistic(kind: Kind) -> Callable[..., tuple[float, bool]]:
    def statistic(reference: pd.Series[Any], current: pd.Series[Any], _: object, limit: float) -> tuple[float, bool]:
        value = score(kind, reference, current)
        return value, value > limit

    return statistic


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except Exception as fault:
        found = f"{type(fault).__name__}: {fault}"[:200]
        raise CheckBroke(
            "drift report", "a page from Evidently", found, "read the window's findings instead"
        ) from fault


@contextmanager
def _quiet() -> Iterator[None]:
    """No telemetry; no warnings of its imports, nor of its charts of columns with a single value."""
    os.environ.setdefault("DO_NOT_TRACK", "true")
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, PendingDeprecationWarning, FutureWarning, RuntimeWarning):
            warnings.simplefilter("ignore", kind)
        yield
