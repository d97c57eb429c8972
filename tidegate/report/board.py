"""What a dashboard is made of: models with sections, each a sentence, a chart, a table, or why there is nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tidegate.report.words import plain

Tone = Literal["fine", "look", "act", ""]


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of a table; ``href`` makes it a link, ``tone`` marks it, ``code`` sets it as a command."""

    text: str
    href: str = ""
    tone: Tone = ""
    code: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under names; ``days`` is the date of each row, for the filter, or empty."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    days: tuple[str, ...] = ()
    caption: str = ""
    ids: tuple[str, ...] = ()
    """An anchor a row, or none."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series of a chart; None where nothing is known. ``style`` picks colour, dash and marker at once."""

    name: str
    y: tuple[float | None, ...]
    style: int = 0
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over days, or a map of subjects over days (``z``); ``marks`` are days with a word."""

    kind: Literal["lines", "map", "bars"]
    days: tuple[str, ...]
    unit: str = ""
    lines: tuple[Line, ...] = ()
    subjects: tuple[str, ...] = ()
    z: tuple[tuple[float | None, ...], ...] = ()
    marks: tuple[tuple[str, str], ...] = ()
    alt: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One question that a page answers. Without chart, table and lines there is ``missing``: why, and what to do."""

    id: str
    title: str
    says: str = ""
    chart: Chart | None = None
    tables: tuple[Table, ...] = ()
    points: tuple[str, ...] = ()
    missing: str = ""


@dataclass(frozen=True, slots=True)
class ModelPart:
    """A model on a page: how it is, what is next, and its sections."""

    name: str
    tone: Tone
    headline: str
    next: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True, slots=True)
class Board:
    """A page of models."""

    title: str
    kind: Literal["engineering", "business"]
    written: str
    models: tuple[ModelPart, ...]
    links: Mapping[str, str] = field(default_factory=dict)


TONES: Final[Mapping[str, Tone]] = {
    "fine": "fine",
    "pass": "fine",
    "look": "look",
    "inconclusive": "look",
    "ticket": "look",
    "act": "act",
    "fail": "act",
    "page": "act",
}


def tone(word: str) -> Tone:
    """How loud a state, an outcome or a severity is.

    Examples
    --------
    >>> tone("fail"), tone("digest")
    ('act', '')
    """
    return TONES.get(word, "")


def known(value: float | None) -> float | None:
    """A number for JSON: None for what is not finite.

    Examples
    --------
    >>> known(1.5), known(float("nan")), known(None)
    (1.5, None, None)
    """
    return float(value) if value is not None and math.isfinite(value) else None


def cells(*values: Any) -> tuple[Cell, ...]:
    """Cells of values: what is no cell is text as people read it, and no formula of a spreadsheet.

    Examples
    --------
    >>> [c.text for c in cells("=1+1", 3, None)]
    ["'=1+1", '3', '–']
    """
    return tuple(v if isinstance(v, Cell) else Cell(text(v)) for v in values)


def text(value: Any) -> str:
    """One value as text."""
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    return f"{value:,}" if isinstance(value, int) else plain(str(value))


def rows_of(values: Sequence[Sequence[Any]]) -> tuple[tuple[Cell, ...], ...]:
    """Rows of cells."""
    return tuple(cells(*row) for row in values)


__all__ = [
    "Board",
    "Cell",
    "Chart",
    "Line",
    "ModelPart",
    "Section",
    "Table",
    "Tone",
    "cells",
    "known",
    "rows_of",
    "text",
    "tone",
]
