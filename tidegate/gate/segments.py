"""Segments: is any of them proven to be harmed beyond the margin?

Harm is the rise of a segment's mean loss above the champion's, as a share of the champion's. It is a ratio of paired
sums over blocks of nights, so its error is that of a ratio (Cochran 1977, section 6.4), by blocks. Holm's method
(1979) holds the error over all segments together. A segment that could not show even a doubled loss is unknown: it is
told and does not decide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from tidegate.config.model import Model
from tidegate.gate.error import look_part
from tidegate.gate.judged import Judged
from tidegate.gate.line import Check, Line, not_asked, verdict_of
from tidegate.gate.usable import unusable
from tidegate.performance.blocks import Estimate, cut, weighted, widened
from tidegate.performance.loss import row_loss
from tidegate.verdicts import Outcome, Verdict

Floats = NDArray[np.float64]
LEAST_BLOCKS = 4
DOUBLED = 1.0
"""A rise of the loss by its whole (or twice the margin): a segment in which not even that would show is unknown."""
TOLD = 20
"""Unknown segments of a column that get a line; the rest is counted."""


def segments(model: Model, judged: Judged, *, look: int = 1) -> Check:
    """Judge each value of each column of `segments`, `protected` and `gate.segments`.

    Fails when the harm of a segment is proven above `gate.segment_margin`, at this look's part of `gate.alpha`.
    Inconclusive when it would be at the whole of it: suspected, and passing now would be rash. Passes when of no
    segment with enough rows it is either. Also inconclusive when every segment is unknown: fewer than
    `gate.min_segment_rows` rows or four blocks, or an error so large that not even a doubled loss would show. Not asked
    where no columns are declared.

    Parameters
    ----------
    judged : Judged
        Rows that neither saw, with ``groups``; a null is the segment ``missing``.
    look : int
        Which look this is, from 1: it gets its part of `gate.alpha`.
    """
    gate = model.gate
    columns = model.judged_segments
    if not columns:
        return not_asked("segments", "no segments or protected columns are declared")
    bad = unusable(model, judged)
    if bad:
        return Check("segments", bad, n=len(judged))
    absent = [c for c in columns if c not in judged.groups]
    if absent:
        return Check("segments", Verdict("inconclusive", (f"the rows lack {', '.join(absent)}",)), n=len(judged))
    alpha = gate.alpha * look_part(gate.looks, min(look, gate.looks))
    nights = _Nights.of(judged, gate.block_nights)
    labels = judged.label.astype(np.float64)
    losses = row_loss(model.kind, judged.ours, labels), row_loss(model.kind, judged.theirs, labels)
    known: list[_Harm] = []
    lines: list[Line] = []
    for column in columns:
        few: list[Line] = []
        for value, at in _values(judged.groups[column]):
            harm = _harm(f"loss [{column}={value}]", at, losses, nights)
            why = _unknown(harm, gate.min_segment_rows)
            if why:
                few.append(_line(harm, "inconclusive", math.nan, gate.segment_margin, f"{harm.name}: unknown, {why}"))
            else:
                known.append(harm)
        lines += _some(few, column)
    lines = [*_judge(known, gate.segment_margin, alpha, gate.alpha), *lines]
    verdict = verdict_of(lines)
    tested = sum(line.role == "segment" for line in lines)
    if not tested:
        why = f"fewer than {gate.min_segment_rows} rows or {LEAST_BLOCKS} blocks, or too much noise"
        verdict = Verdict("inconclusive", (f"every segment is unknown: {why}",))
    extra = {"alpha": alpha, "tested": tested, "unknown": len(lines) - tested}
    return Check("segments", verdict, tuple(lines), len(judged), extra=extra)


@dataclass(frozen=True, eq=False)
class _Nights:
    """The night of each row (−1 outside whole blocks), counted from 0, in blocks of `block`."""

    at: NDArray[np.int64]
    count: int
    block: int

    @classmethod
    def of(cls, judged: Judged, block: int) -> _Nights:
        names, at = np.unique(judged.night, return_inverse=True)
        skip = len(names) - sum(len(b) for b in cut(names.tolist(), block))
        return cls(np.where(at >= skip, at - skip, -1).astype(np.int64), len(names) - skip, block)


@dataclass(frozen=True, eq=False)
class _Harm:
    """A segment's relative rise of the loss, with its rows and those after dependence."""

    name: str
    rise: Estimate
    n: int
    n_eff: float


def _values(groups: NDArray[np.object_]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Each value with the positions of its rows; nulls and empty texts are ``missing``."""
    text = ["missing" if str(g) in ("", "None", "nan") else str(g) for g in groups.tolist()]
    names, code = np.unique(np.array(text), return_inverse=True)
    order = np.argsort(code, kind="stable")
    for name, at in zip(names, np.split(order, np.cumsum(np.bincount(code))[:-1]), strict=True):
        yield str(name), at


def _harm(name: str, at: NDArray[np.int64], losses: tuple[Floats, Floats], nights: _Nights) -> _Harm:
    at = at[nights.at[at] >= 0]
    night, ours, theirs = nights.at[at], losses[0][at], losses[1][at]
    rows, rise, base = (np.bincount(night, w, nights.count).astype(float) for w in (None, ours - theirs, theirs))
    if not base.sum() > 0:
        # Where the other was never wrong there is no share of its loss: then of its loss on all rows.
        usual = float(losses[1].mean())
        theirs, base = np.full(len(at), usual), rows * usual
    if not base.sum() > 0:
        return _Harm(name, Estimate(math.nan, math.nan, 0), len(at), math.nan)
    ratio = float(rise.sum() / base.sum())
    level = float(base.sum() / rows.sum())
    # The ratio's error is that of the mean of what it leaves unexplained, over the champion's mean.
    left = rise - ratio * base
    with np.errstate(invalid="ignore"):
        nightly = left / np.where(rows > 0, rows, np.nan)
    blocks = left.reshape(-1, nights.block).sum(axis=1), rows.reshape(-1, nights.block).sum(axis=1)
    used = blocks[1] > 0
    mean = widened(weighted(blocks[0][used] / blocks[1][used], blocks[1][used]), nightly, nights.block)
    spread = float(np.var(ours - theirs - ratio * theirs))
    n_eff = len(at) / max(1.0, len(at) * mean.se**2 / spread) if spread > 0 and not math.isnan(mean.se) else math.nan
    return _Harm(name, Estimate(ratio, mean.se / level, mean.blocks), len(at), n_eff)


def _unknown(harm: _Harm, least: int) -> str:
    if harm.n < least:
        return f"{harm.n:,} rows, {least:,} needed"
    if math.isnan(harm.rise.value):
        return "the loss that it is compared with is 0"
    if harm.rise.blocks < LEAST_BLOCKS:
        return f"rows in {harm.rise.blocks} blocks, {LEAST_BLOCKS} needed"
    return ""


def _judge(known: Sequence[_Harm], margin: float, alpha: float, suspect: float) -> list[Line]:
    """A line for each: proven harmed, suspected (proven but for the sharing over looks), unknown, or neither."""
    if not known:
        return []
    from statsmodels.stats.multitest import multipletests

    each = alpha / len(known)
    p = multipletests([_p(h.rise, margin) for h in known], method="holm")[1]
    lines = []
    for harm, chance in zip(known, p, strict=True):
        low, high = harm.rise.lower(each), harm.rise.upper(each)
        blind = harm.rise.value - low > max(DOUBLED, 2 * margin) - margin
        outcome: Outcome = "fail" if chance <= alpha else "inconclusive" if chance <= suspect or blind else "pass"
        tail = {
            "fail": f"proven above {margin:.0%}",
            "inconclusive": f"suspected above {margin:.0%}, to be proven or cleared by more nights"
            if chance <= suspect
            else "unknown, not even a doubled loss would show",
            "pass": f"not proven above {margin:.0%}",
        }[outcome]
        change = f"{harm.rise.value:+.1%} of the other's ({low:+.1%} to {high:+.1%}, {harm.n:,} rows)"
        line = _line(harm, outcome, each, margin, f"{harm.name}: {change}, {tail}")
        lines.append(replace(line, role="segment") if chance <= suspect else line)
    return sorted(lines, key=lambda line: (line.outcome != "fail", -line.observed))


def _p(rise: Estimate, margin: float) -> float:
    if rise.se == 0:
        return 0.0 if rise.value > margin else 1.0
    return float(student.sf((rise.value - margin) / rise.se, rise.blocks - 1))


def _line(harm: _Harm, outcome: Outcome, alpha: float, margin: float, reason: str) -> Line:
    low, high = (math.nan, math.nan) if math.isnan(alpha) else (harm.rise.lower(alpha), harm.rise.upper(alpha))
    role = "shown" if outcome == "inconclusive" else "segment"
    return Line(harm.name, role, outcome, harm.rise.value, margin, reason, harm.rise.se, low, high, harm.n, harm.n_eff)


def _some(few: list[Line], column: str) -> list[Line]:
    """The largest unknown segments of a column, the others as one line."""
    few = sorted(few, key=lambda line: -line.n)
    if len(few) <= TOLD:
        return few
    rest = few[TOLD:]
    n = sum(line.n for line in rest)
    reason = f"{len(rest):,} more values of {column}: unknown, {n:,} rows in all"
    return [*few[:TOLD], Line(f"loss [{column}: others]", "shown", "inconclusive", math.nan, math.nan, reason, n=n)]
