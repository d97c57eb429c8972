"""Proves that two ways of scoring are one: on a package's probe rows, and on edges of its trees and its contract."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tidegate.adapters.treelitemodel import TreeliteModel
from tidegate.config.dataset import Column, Dataset
from tidegate.errors import SourceError

if TYPE_CHECKING:
    from tidegate.adapters.fastscorer import Prepared

Row = tuple[Any, ...]
Floats = NDArray[np.float64]

SAME = 1e-12
"""Difference that two orders of the same sums may make, relative where a score is above 1."""
REPEATED = 1e-9
"""Difference to the training's predictions, as in the smoke test."""
SPLITS = 24
"""Thresholds tried, a column: each exactly, and a step of float64 and of float32 aside."""
BASES = 3
MIXED = 200
ALONE = 2
"""Groups at the beginning that the package scores by themselves: alone, rows must score as in company."""
FEW = 16
"""Rows tried one by one of a group that the package refuses as a whole."""
LARGEST = 1.7976931348623157e308


def proven(made: Prepared, trees: TreeliteModel, dataset: Dataset) -> tuple[float, str]:
    """The largest difference on the rows of the proof, and what is wrong, or an empty string."""
    groups = list(_groups(made, trees, dataset))
    alone, together = groups[:ALONE], groups[ALONE:]
    parts = [(name, part, wanted) for name, rows in alone for part, wanted in _wanted(made, rows)]
    every = [row for _, rows in together for row in rows]
    try:
        # A package takes longer for each of many small batches than for their rows.
        scores = np.split(made.by_package(every), np.cumsum([len(rows) for _, rows in together])[:-1])
        parts += [(*group, wanted) for group, wanted in zip(together, scores, strict=True)]
    except SourceError:
        parts += [(name, part, wanted) for name, rows in together for part, wanted in _wanted(made, rows)]
    worst = 0.0
    for name, rows, wanted in parts:
        apart, why = _compared(made, rows, wanted)
        worst = max(worst, apart)
        if why:
            return worst, f"{why} ({name})"
    return worst, ""


def repeated(made: Prepared) -> bool:
    """Whether the fast path repeats what the training predicted of the probe rows, of one row and of all."""
    probe = made.package.reference("probe")
    wanted = np.array(probe["expected"].to_pylist(), dtype=np.float64)
    rows = [tuple(row.values()) for row in probe.select(list(made.columns)).to_pylist()]
    if not rows:
        return False
    return max(_apart(made.scores(rows), wanted), _apart(made.scores(rows[:1]), wanted[:1])) <= REPEATED


def _compared(made: Prepared, rows: list[Row], wanted: Floats | None) -> tuple[float, str]:
    # One by one through pandas takes a thousand times as long, and pandas' part is the package's own.
    tried = rows[:1] if made.designed and wanted is not None else rows
    singly = [_scored(made, [row]) for row in tried]
    if wanted is None:
        refused = all(isinstance(one, str) for one in singly)
        return (0.0, "") if refused else (math.inf, "it scores rows that the package refuses")
    if said := [one for one in singly if isinstance(one, str)]:
        return math.inf, f"it refuses rows that the package scores, {said[0]}"
    found = np.concatenate([one for one in singly if not isinstance(one, str)])
    apart = max(_apart(found, wanted[: len(tried)]), _apart(made.scores(rows), wanted))
    return apart, "" if apart <= SAME else f"its scores differ from the package's by {apart:.3g}"


def _apart(found: Floats, wanted: Floats) -> float:
    if found.shape != wanted.shape:
        return math.inf
    return float((np.abs(found - wanted) / np.maximum(1, np.abs(wanted))).max()) if wanted.size else 0.0


def _scored(made: Prepared, rows: list[Row]) -> Floats | str:
    try:
        return made.scores(rows)
    except SourceError as fault:
        return str(fault)


def _wanted(made: Prepared, rows: list[Row]) -> Iterator[tuple[list[Row], Floats | None]]:
    """Rows with the package's own scores; None where it refuses them."""
    try:
        yield rows, made.by_package(rows)
    except SourceError:
        for row in rows[:: max(1, len(rows) // FEW)]:
            try:
                yield [row], made.by_package([row])
            except SourceError:
                yield [row], None


def _groups(made: Prepared, trees: TreeliteModel, dataset: Dataset) -> Iterator[tuple[str, list[Row]]]:
    """Rows of the proof, by what is proven on them."""
    kinds = made.package.spec["features"]
    probe = made.package.reference("probe").select(list(made.columns))
    rows = [tuple(row.values()) for row in probe.to_pylist()]
    nothing = (None,) * len(made.columns)
    rows = rows or [nothing]
    yield "a row alone", rows[:1]
    yield "every value missing", [nothing]
    yield "probe rows", rows
    contract = {n: dataset.columns.get(n) for n in made.columns}
    pools: list[list[Any]] = []
    # What the user's own function makes of a row has columns of its own: its edges are those of the contract.
    splits, words = ({}, {}) if made.designed else (trees.thresholds(), trees.categories())
    for at, name in enumerate(made.columns):
        column = contract[name]
        kind = column.type if column else kinds[name]
        yield f"{name} missing", [_with(row, at, None) for row in rows[:BASES]]
        values = {
            "extremes": _extremes(kind, column),
            "categories": _words(kind, column, words.get(at, [])),
            "thresholds": _aside(kind, splits.get(at, np.zeros(0))),
        }
        for what, tried in values.items():
            if tried:
                yield f"{name}, {what}", [_with(rows[i % len(rows)], at, v) for i, v in enumerate(tried)]
        pools.append([None, *values["categories"], *values["thresholds"], *(row[at] for row in rows)])
    rng = np.random.default_rng(0)
    full = [[v for v in pool if v is not None] or [None] for pool in pools]
    for what, drawn in (("values mixed", full), ("values mixed, some missing", pools)):
        yield what, [tuple(pool[int(rng.integers(len(pool)))] for pool in drawn) for _ in range(MIXED)]


def _with(row: Row, at: int, value: Any) -> Row:
    return (*row[:at], value, *row[at + 1 :])


def _extremes(kind: str, column: Column | None) -> list[Any]:
    """The least and the largest that the contract allows, zeros of both signs, and integers that no double holds."""
    low, high = (None, None) if column is None else (column.min, column.max)
    if kind == "number":
        return [-LARGEST if low is None else float(low), LARGEST if high is None else float(high), 0.0, -0.0, 5e-324]
    if kind == "integer":
        least, most = -(2**63) if low is None else math.ceil(low), 2**63 - 1 if high is None else math.floor(high)
        return [v for v in (least, most, 0, 2**53 + 1, -(2**53) - 1) if least <= v <= most]
    return [True, False] if kind == "boolean" else []


def _words(kind: str, column: Column | None, seen: Sequence[Any]) -> list[Any]:
    if kind != "category":
        return [int(v) if kind == "integer" else v for v in seen] if kind in ("integer", "number") else []
    declared = list(column.values or ()) if column else []
    words = list(dict.fromkeys([*seen, *declared]))
    return [*words, next(w for w in ("unseen" + "'" * i for i in range(len(words) + 1)) if w not in words), ""]


def _aside(kind: str, thresholds: Floats) -> list[Any]:
    """Thresholds exactly and a step aside; of integers the neighbours."""
    if len(thresholds) > SPLITS:
        thresholds = thresholds[np.linspace(0, len(thresholds) - 1, SPLITS).astype(int)]
    tried: list[Any] = []
    for t in thresholds[np.isfinite(thresholds)].tolist():
        if kind == "integer":
            tried += [math.floor(t), math.ceil(t)]
        elif kind == "number":
            tried += [t, *(float(np.nextafter(t, side)) for side in (-math.inf, math.inf))]
            if abs(t) < 3e38:
                short = np.float32(t)
                tried += [float(short), *(float(np.nextafter(short, np.float32(side))) for side in (-3e38, 3e38))]
    return tried


__all__ = ["SAME", "proven", "repeated"]
