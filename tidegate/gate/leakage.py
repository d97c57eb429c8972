"""Leaks: features that know the label.

Three rules of the contract (no feature that is known later, that is not declared, that is the label), and a screen
of each feature alone, on rows of other nights than it is fitted to. A feature is suspected when

- it ranks the label better than `max_alone`, over all rows or over those in which it has a value (a copy of the
  label that is there only for some rows ranks well only there);
- or the label is all but certain on a *region* of its values that holds more than `max_certain` of the rows, though
  a smooth curve through all its values is not. A strong and honest feature is certain at its ends, too, but gets
  there by degrees; a leak on a part of the rows jumps. Of a category or of a missing value, which have no
  neighbours, the class's share of all rows takes the curve's place.

What is a rule of the world (never a claim below the age of 18) looks the same: declare it in `gate.robustness.strong`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import beta

from tidegate.config.dataset import Dataset
from tidegate.config.gating import Robustness
from tidegate.gate.alone import FOLDS, Alone, alone
from tidegate.gate.line import Line

MIN_ROWS = 200
MIN_CLASS = 20
ERROR = 0.05
"""A region is certain when its share of other classes is proven below this."""
SMALLEST = 0.2
"""Of a class with more than 1 − this of the rows no region counts alone: nearly all its rows are certain anyway."""
JUMP = 6.0
"""How many times the smooth curve's error in a region must be above the region's own upper bound."""


def leakage(
    dataset: Dataset,
    features: Sequence[str],
    label_column: str,
    kind: str,
    rows: pa.Table,
    label: NDArray[Any],
    night: NDArray[Any],
    settings: Robustness,
    made: Mapping[str, pa.ChunkedArray] | None = None,
) -> tuple[list[Line], dict[str, Alone]]:
    """Lines of role ``leakage``, and what each feature says alone, for the page.

    Parameters
    ----------
    features : sequence of str
        Those of the *package's* record, whatever the model file says now.
    rows : Table of n rows
        Labelled rows with the features; n of 200 or more to say anything.
    label : ndarray, shape (n,)
        Class positions, or the regression target.
    night : ndarray of str, shape (n,)
        The window of each row: no feature is screened on nights that it is fitted to.
    made : mapping of str to ChunkedArray, shape (n,)
        What the user's `features` makes of the rows: the difference of two honest columns may be the label.
    """
    lines = _declared(dataset, features, label_column)
    there = [f for f in features if f in rows.column_names]
    lines += [_line(f, "fail", f"{f}: used by the model, but not among the rows") for f in features if f not in there]
    nights = len(np.unique(night))
    few = _too_few(kind, label, nights)
    if few:
        return [*lines, _line("alone", "inconclusive", f"single features were not screened: {few}")], {}
    found = {f: alone(kind, rows[f], label, night) for f in there}
    found |= {f: alone(kind, column, label, night) for f, column in (made or {}).items()}
    passed: list[tuple[str, Alone]] = []
    for name, what in found.items():
        why = suspect(kind, what, label, settings)
        if not why:
            passed.append((name, what))
        elif name in settings.strong:
            lines.append(_line(name, "pass", f"{name}: {why}; declared as strong", what, settings))
        else:
            lines.append(_line(name, "fail", f"{name}: {why}: a suspected leak", what, settings))
    if passed:
        name, best = max(passed, key=lambda p: -1.0 if math.isnan(p[1].auc) else p[1].auc)
        said = f"no other feature is suspected alone; the strongest, {name}, ranks the label at {best.auc:.3f}"
        lines.append(_line("alone", "pass", said, best, settings))
    return lines, found


def suspect(kind: str, what: Alone, label: NDArray[Any], settings: Robustness) -> str:
    """Why a feature is a suspected leak; empty where it is none."""
    most, n = settings.max_alone, len(label)
    if what.equal > settings.max_certain:
        return f"equals the label on {what.equal:.0%} of the rows"
    if what.auc > most:
        return f"ranks the label at {what.auc:.3f} by itself, more than {most:g}"
    if what.auc_there > most and what.there > settings.max_certain:
        return f"ranks the label at {what.auc_there:.3f} where it has a value ({what.there:.0%} of the rows)"
    for name, region in certain(what, label).items() if kind != "regression" else ():
        if region.rows > settings.max_certain * n:
            share = f"on {region.rows / n:.0%} of the rows, where {region.expected:.0%} others would be usual"
            return f"{name} is all but certain (at most {region.error:.1%} others) {share}"
    return ""


@dataclass(frozen=True)
class Region:
    """Rows on which a class is all but certain: how many, an upper bound on the others, and what would be usual."""

    rows: int
    error: float
    expected: float


def certain(what: Alone, label: NDArray[Any]) -> Mapping[str, Region]:
    """The regions of a feature's values on which a class is certain, by class position, and all of them together.

    The rows are those whose leaf, fitted to other nights, holds one class almost alone; the bound is Clopper and
    Pearson's (1934) at 95 %.
    """
    picked: dict[str, NDArray[np.bool_]] = {}
    every, classes = np.zeros(len(label), dtype=bool), 0
    guess = np.where(np.isfinite(what.sharp).all(axis=1), what.sharp.argmax(axis=1), -1)
    expected = 1 - what.smooth[np.arange(len(label)), guess]
    for c in range(what.sharp.shape[1]):
        share = float((label == c).mean())
        if 0 < share < 1:
            allowed = min(0.03, (1 - share) / 10)
            # Rows that the smooth curve finds certain, too, are the honest end of a strong feature.
            at = (guess == c) & (what.sharp[:, c] >= 1 - allowed) & (expected > JUMP * allowed)
            every |= at
            classes += int(at.sum() >= MIN_CLASS // 2)
            if share <= 1 - SMALLEST:
                picked[f"class {c}"] = at
    if classes > 1:
        picked["the class"] = every
    out: dict[str, Region] = {}
    # Small leaves that are pure by chance must not spoil a value that is: values that come again are asked alone, too.
    regions = [(name, at & part) for part in (what.repeated, True) for name, at in picked.items()]
    for name, at in regions:
        m, wrong = int(at.sum()), int((label[at] != guess[at]).sum())
        bound = float(beta.ppf(0.95, wrong + 1, m - wrong)) if wrong < m else 1.0
        usual = float(expected[at].mean()) if m else 0.0
        if bound <= ERROR and usual > JUMP * bound and (name not in out or m > out[name].rows):
            out[name] = Region(m, bound, usual)
    return out


def _declared(dataset: Dataset, features: Iterable[str], label_column: str) -> list[Line]:
    lines, names = [], list(features)
    for name in names:
        if name == label_column:
            lines.append(_line(name, "fail", f"{name}: is the label itself"))
        elif name not in dataset.columns:
            lines.append(_line(name, "fail", f"{name}: is no column of the contract, so nobody says when it is known"))
        elif dataset.columns[name].known == "later":
            lines.append(_line(name, "fail", f"{name}: is known only after the event"))
    if not lines and names:
        said = f"all {len(names)} features are in the contract and known at the event"
        lines.append(_line("known at the event", "pass", said))
    return lines


def _too_few(kind: str, label: NDArray[Any], nights: int) -> str:
    if len(label) < MIN_ROWS:
        return f"{len(label)} labelled rows, {MIN_ROWS} needed"
    if nights < FOLDS:
        return f"{nights} nights, {FOLDS} needed"
    if not np.isfinite(label.astype(np.float64)).all():
        return "labels that are no numbers"
    if kind == "regression":
        return "every label is the same" if np.ptp(label) == 0 else ""
    counts = np.unique(label, return_counts=True)[1]
    if len(counts) < 2:
        return "one class only"
    return f"a class with {counts.min()} rows, {MIN_CLASS} needed" if counts.min() < MIN_CLASS else ""


def _line(
    name: str, outcome: Any, reason: str, what: Alone | None = None, settings: Robustness | None = None, *,
    role: str = "leakage",
) -> Line:  # fmt: skip
    if what is None or settings is None:
        return Line(name, role, outcome, math.nan, math.nan, reason)
    bounds = {"se": what.se, "lower": what.auc - 2 * what.se, "upper": what.auc + 2 * what.se}
    return Line(name, role, outcome, what.auc, settings.max_alone, reason, n=what.n, **bounds)
