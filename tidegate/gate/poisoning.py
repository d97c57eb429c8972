"""Poisoned labels: does the candidate contradict what was known before?

Three guards, all against the champion, so none without one. *Anchor*: labels that were recorded with the champion at
its training, with the champion's out-of-fold scores; the candidate must not lose more there than the champion by more
than `anchor_margin`, in all or in any group of rows. The candidate has learned from those nights, which favours it by
some 10 % of the loss over all rows: a clean one is safe. *Conflict*: in a group, recent labels that the champion ranks
the wrong way round, though it ranked those before rightly: poisoned, or a world turned over; a person must look.
*Sources*: a deliverer whose share of the training rows has jumped.

What is spread thinly over all groups, flips a part of one, or only its newest nights, is often not seen:
`benchmarks/poisoning.py` says how often.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidegate.config.dataset import Dataset
from tidegate.config.model import Model
from tidegate.gate.line import Line
from tidegate.gate.relabelled import relabelled
from tidegate.gate.rise import holm, mean_by_blocks, p_above, ranked_by_blocks, rows_in_blocks
from tidegate.performance.blocks import Estimate
from tidegate.performance.loss import row_loss
from tidegate.verdicts import Outcome

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labelled rows and what the models say of them.

    Parameters
    ----------
    label : ndarray, shape (n,)
        Class positions, or the regression target.
    night : ndarray of str, shape (n,)
    theirs : ndarray, shape (n,) or (n, classes)
        The champion's scores: of the anchor out-of-fold, of recent rows its own.
    ours : ndarray or None
        The candidate's scores; needed of the anchor only.
    groups : mapping of str to ndarray of str, shape (n,)
        As `groups_of` makes it.
    """

    label: NDArray[Any]
    night: NDArray[Any]
    theirs: Floats
    ours: Floats | None = None
    groups: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Sources:
    """Who delivered each training row: the champion's, and the candidate's; arrays of str of any two lengths."""

    theirs: NDArray[Any]
    ours: NDArray[Any]


def guarded(model: Model, dataset: Dataset) -> list[str]:
    """The columns whose groups are looked at: categories among the features, segments, protected columns.

    Whatever their groups are, they are columns of the dataset.
    """
    words = [f for f in model.features if f in dataset.columns and dataset.columns[f].type in ("category", "boolean")]
    return list(dict.fromkeys([*words, *model.judged_segments]))


def groups_of(rows: pa.Table, columns: list[str]) -> dict[str, NDArray[Any]]:
    """The value of each row in each column as text, ``missing`` for null; columns that are not there are left out.

    Examples
    --------
    >>> groups_of(pa.table({"origin": ["JFK", None]}), ["origin", "gone"])["origin"].tolist()
    ['JFK', 'missing']
    """
    there = [c for c in columns if c in rows.column_names]
    filled = {c: pc.fill_null(rows[c].cast(pa.string()), "missing") for c in there}
    return {c: np.asarray(v.to_numpy(zero_copy_only=False), dtype=object) for c, v in filled.items()}


def poisoning(
    model: Model, anchor: Labelled | None, recent: Labelled | None = None, sources: Sources | None = None
) -> list[Line]:
    """Lines of role ``poisoning``; one that is only shown where there is no champion, that is no anchor.

    Parameters
    ----------
    anchor : Labelled or None
        The champion's reference outcomes with `ours`, the candidate's scores of the same rows.
    recent : Labelled or None
        Labelled rows after the champion's training.
    """
    if anchor is None:
        said = "no champion, so no labels from before: poisoned labels cannot be told from the truth"
        return [Line("anchor", "shown", "inconclusive", math.nan, math.nan, said)]
    anchor = _numbered(anchor)
    lines = _anchor(model, anchor)
    if recent is not None and len(recent.label):
        recent = _numbered(recent)
        lines += _conflict(model, anchor, recent) + relabelled(model, _sides(model, anchor), _sides(model, recent))
    if sources is not None:
        lines += _sources(model, sources)
    return lines


def _numbered(rows: Labelled) -> Labelled:
    """Labels as numbers, nights counted in their order: text is slow to sort once a group."""
    night = np.unique(rows.night.astype(str), return_inverse=True)[1]
    return replace(rows, label=rows.label.astype(np.float64), night=night)


def _parts(model: Model, rows: Labelled) -> dict[str, NDArray[np.bool_]]:
    """All rows, and each group with enough of them."""
    n = len(rows.label)
    parts = {"": np.ones(n, dtype=bool)}
    for column, values in rows.groups.items():
        names, at, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
        for i in np.flatnonzero((counts >= model.gate.robustness.min_share * n) & (counts < n)).tolist():
            parts[f" [{column}={names[i]}]"] = at == i
    return parts


def _anchor(model: Model, anchor: Labelled) -> list[Line]:
    gate, margin = model.gate, model.gate.robustness.anchor_margin
    known = np.isfinite(anchor.label)
    if anchor.ours is None or not known.any():
        why = "the candidate has not scored them" if known.any() else "there are none"
        return [_line("anchor", "inconclusive", math.nan, margin, f"labels from before: {why}", 0)]
    label, nights = anchor.label, range(int(anchor.night.max()) + 1)
    ours, theirs = (np.full(len(label), np.nan) for _ in range(2))
    for out, scores in ((ours, anchor.ours), (theirs, anchor.theirs)):
        out[known] = row_loss(model.kind, scores[known], label[known])
    usable = known & np.isfinite(ours) & np.isfinite(theirs)
    if usable.sum() < known.sum():
        said = f"labels from before: {int(known.sum() - usable.sum())} of {int(known.sum())} have a score that is NaN"
        return [_line("anchor", "fail", math.nan, margin, said, int(known.sum()))]
    found: dict[str, tuple[Estimate, float, int]] = {}
    for name, part in _parts(model, anchor).items():
        at = part & usable
        usual = float(theirs[at].mean()) if at.any() else 0.0
        if not usual > 0:
            continue
        # Linear in the losses, so that the error of the champion's loss counts, too.
        over = mean_by_blocks((ours - (1 + margin) * theirs)[at] / usual, anchor.night[at], nights,
                              gate.block_nights)  # fmt: skip
        if over.blocks >= gate.min_blocks:
            rise = Estimate(over.value + margin, over.se, over.blocks)
            found[name] = rise, p_above(over, 0.0), int(at.sum())
    if "" not in found:
        said = f"labels from before: fewer than {gate.min_blocks} blocks of {gate.block_nights} nights"
        return [_line("anchor", "inconclusive", math.nan, margin, said, int(known.sum()))]
    return _believed(found, gate.alpha, margin)


def _believed(found: Mapping[str, tuple[Estimate, float, int]], alpha: float, margin: float) -> list[Line]:
    """A line for each group that is proven above the margin, and one for the rest."""
    lines, rest = [], []
    for (name, (rise, _, n)), hit in zip(
        found.items(), holm([p for _, p, _ in found.values()], alpha), strict=True
    ):  # fmt: skip
        low, high = rise.lower(alpha), rise.upper(alpha)
        said = f"labels from before{name}: the loss is {rise.value:+.1%} of the champion's ({margin:+.0%} allowed)"
        if hit:
            why = f"{said}, proven above: poisoned labels, or a candidate that forgot"
            lines.append(_line(f"anchor{name}", "fail", rise.value, margin, why, n, rise.se, low, high))
        else:
            rest.append(_line(f"anchor{name}", "pass", rise.value, margin, f"{said}, not proven above", n, rise.se,
                              low, high))  # fmt: skip
    if rest:
        # The whole if it is among them, and the group that is nearest to its margin.
        lines += [line for line in rest if line.name == "anchor"]
        groups = [line for line in rest if line.name != "anchor"]
        if groups:
            worst = max(groups, key=lambda line: line.observed)
            lines.append(_line("anchor groups", "pass", worst.observed, margin,
                               f"{len(groups)} groups not proven above, the worst: {worst.reason}", worst.n, worst.se,
                               worst.lower, worst.upper))  # fmt: skip
    return lines


def _conflict(model: Model, anchor: Labelled, recent: Labelled) -> list[Line]:
    gate, before = model.gate, _parts(model, anchor)
    found: dict[str, tuple[Estimate, Estimate, int]] = {}
    for name, part in _parts(model, recent).items():
        if name not in before:
            continue
        now = _ranked(model, recent, part)
        if now.blocks >= gate.min_blocks:
            found[name] = now, _ranked(model, anchor, before[name]), int(part.sum())
    if not found:
        said = f"recent labels: fewer than {gate.min_blocks} blocks of {gate.block_nights} nights"
        return [_line("conflict", "inconclusive", math.nan, 0.5, said, len(recent.label))]
    turned = holm([p_above(Estimate(-now.value, now.se, now.blocks), -0.5) for now, _, _ in found.values()], gate.alpha)
    lines = []
    for (name, (now, old, n)), hit in zip(found.items(), turned, strict=True):
        if hit and old.lower(gate.alpha) > 0.5:
            said = (
                f"recent labels{name}: the champion ranks them at {now.value:.3f}, below chance, and those from before "
                f"at {old.value:.3f}: poisoned labels or a change of the world; have a person look"
            )
            bounds = (now.se, now.lower(gate.alpha), now.upper(gate.alpha))
            lines.append(_line(f"conflict{name}", "fail", now.value, 0.5, said, n, *bounds))
    if not lines:
        name, (now, _, n) = min(found.items(), key=lambda item: item[1][0].value)
        said = f"recent labels: {len(found)} groups, none turned over; the least{name} is ranked at {now.value:.3f}"
        bounds = (now.se, now.lower(gate.alpha), now.upper(gate.alpha))
        lines = [_line("conflict", "pass", now.value, 0.5, said, n, *bounds)]
    return lines


def _sides(model: Model, rows: Labelled) -> tuple[Floats, Floats, NDArray[np.int64], dict[str, NDArray[np.bool_]]]:
    """Labels, the champion's scores, blocks of nights and groups, the whole left out."""
    nights = list(range(int(rows.night.max()) + 1)) if len(rows.night) else []
    parts = {name: part for name, part in _parts(model, rows).items() if name}
    return rows.label, rows.theirs, rows_in_blocks(rows.night, nights, model.gate.block_nights)[0], parts


def _ranked(model: Model, rows: Labelled, part: NDArray[np.bool_]) -> Estimate:
    at = part & np.isfinite(rows.label) & np.isfinite(rows.theirs.reshape(len(part), -1)).all(axis=1)
    nights = range(int(rows.night.max()) + 1)
    block = model.gate.block_nights
    return ranked_by_blocks(model.kind, rows.theirs[at], rows.label[at], rows.night[at], nights, block)


def _sources(model: Model, sources: Sources) -> list[Line]:
    most, n = model.gate.robustness.max_source_rise, len(sources.ours)
    if not n or not len(sources.theirs):
        return [_line("sources", "inconclusive", math.nan, most, "who delivered the training rows is not known", n)]
    ours, theirs = sources.ours.astype(str), sources.theirs.astype(str)
    rises = {str(s): float((ours == s).mean() - (theirs == s).mean()) for s in np.unique(ours)}
    high = {s: r for s, r in rises.items() if r > most}
    if not high:
        name, rise = max(rises.items(), key=lambda item: item[1])
        said = f"no source's share rose by more than {most:.0%}; the most, {name}, by {rise:+.1%}"
        return [_line("sources", "pass", rise, most, said, n)]
    return [
        _line(f"source [{s}]", "fail", r, most, f"{s} delivers {r:+.1%} more of the training rows than before", n)
        for s, r in high.items()
    ]


def _line(
    name: str, outcome: Outcome, observed: float, limit: float, reason: str, n: int, se: float = math.nan,
    lower: float = math.nan, upper: float = math.nan,
) -> Line:  # fmt: skip
    return Line(name, "poisoning", outcome, observed, limit, reason, se=se, lower=lower, upper=upper, n=n)
