"""One disturbance: what it does to the loss, against a limit and against what it does to the champion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.errors import SourceError
from tidegate.gate.flips import Score
from tidegate.gate.line import Line
from tidegate.gate.rise import mean_by_blocks
from tidegate.performance.blocks import Estimate
from tidegate.performance.loss import row_loss
from tidegate.verdicts import Outcome

LOOSE = 5.0
"""How many times `max_loss` a rise may be on a bad day."""
SLACK = 0.25
"""Of `max_loss`: how much more than the champion a candidate may lose under a disturbance that both bear badly."""
Floats = NDArray[np.float64]


@dataclass(eq=False)
class Trial:
    """Rows with labels (NaN where not known), their windows, and who is tried on them.

    ``constant`` is what a constant prediction loses, in the loss's unit.
    """

    model: Model
    rows: pa.Table
    label: Floats
    night: NDArray[Any]
    score: Score
    champion: Score | None
    constant: float
    _base: dict[str, Floats] = field(default_factory=dict)

    def head(self, count: int) -> Trial:
        """The first `count` rows."""
        if self.rows.num_rows <= count:
            return self
        return replace(self, rows=self.rows.slice(0, count), label=self.label[:count], night=self.night[:count],
                       _base={})  # fmt: skip

    def rises(self, who: str, made: pa.Table) -> tuple[Floats, Floats]:
        """The loss of each row as it is, and its rise in the disturbed rows; NaN without a label."""
        score = self.champion if who == "champion" else self.score
        assert score is not None
        if who not in self._base:
            self._base[who] = self._loss(score, self.rows)
        base = self._base[who]
        return base, self._loss(score, made) - base

    def _loss(self, score: Score, rows: pa.Table) -> Floats:
        out, known = np.full(rows.num_rows, np.nan), np.isfinite(self.label)
        scores = answered(score, rows)
        out[known] = row_loss(self.model.kind, scores[known], self.label[known])
        return out


def answered(score: Score, rows: pa.Table) -> Floats:
    """Finite scores, or a `SourceError`."""
    scores = np.asarray(score(rows), dtype=np.float64)
    if len(scores) != rows.num_rows or not np.isfinite(scores).all():
        found = f"{len(scores)}, {int((~np.isfinite(scores)).sum())} of them not finite"
        raise SourceError("the model's scores", f"{rows.num_rows} finite ones", found)
    return scores


def borne(
    trial: Trial, name: str, said: str, made: pa.Table, *, loose: bool = False, also: Sequence[pa.Table] = ()
) -> Line:
    """The line of one disturbance.

    Parameters
    ----------
    said : str
        The disturbance in words.
    made : Table
        The disturbed rows, in their places.
    loose : bool
        Whether the limit is that of a bad day: `LOOSE` times `max_loss`, or `max_loss` above the constant.
    also : sequence of Table
        What must be answered, too.
    """
    gate, n = trial.model.gate, trial.rows.num_rows
    most, alpha = gate.robustness.max_loss, gate.alpha
    limit = LOOSE * most if loose else most
    try:
        for table in also:
            answered(trial.score, table)
        base, rises = trial.rises("candidate", made)
    except SourceError as fault:
        return Line(name, "robustness", "fail", math.nan, limit, f"{said}: no answer: {fault}", n=n)
    usual = float(np.nanmean(base)) if np.isfinite(base).any() else math.nan
    unit = max(trial.constant, usual)
    if not (unit > 0 and trial.constant > 0):
        why = "no row has a label" if math.isnan(unit) else "every label is the same"
        reason = f"{said}: answered, but the loss is unknown: {why}"
        return Line(name, "robustness", "inconclusive", math.nan, limit, reason, n=n)
    if loose:
        limit = max(limit, ((1 + most) * trial.constant - usual) / unit)
    nights = sorted(set(trial.night.tolist()))
    rise = mean_by_blocks(rises / unit, trial.night, nights, gate.block_nights)
    # Where the candidate bears it by itself, the champion need not be asked.
    theirs, more = None if rise.upper(alpha) <= limit else _champions(trial, made), None
    if theirs is not None:
        more = mean_by_blocks((rises - theirs) / unit, trial.night, nights, gate.block_nights)
    outcome, why = _outcome(rise, limit, more, SLACK * most, alpha)
    reason = f"{said}: the loss rises by {rise.value:.1%} of a constant's ({limit:.0%} allowed), {why}"
    low, high = rise.lower(alpha), rise.upper(alpha)
    return Line(name, "robustness", outcome, rise.value, limit, reason, se=rise.se, lower=low, upper=high, n=n)


def _champions(trial: Trial, made: pa.Table) -> Floats | None:
    if trial.champion is None:
        return None
    try:
        return trial.rises("champion", made)[1]
    except SourceError:
        # One that does not answer is no yardstick.
        return None


def _outcome(rise: Estimate, limit: float, more: Estimate | None, slack: float, alpha: float) -> tuple[Outcome, str]:
    if rise.upper(alpha) <= limit:
        return "pass", f"at most {rise.upper(alpha):.1%}"
    beside = "" if more is None else f", the champion's by {rise.value - more.value:.1%}"
    if more is not None and more.upper(alpha) <= slack:
        return "pass", beside.removeprefix(", ")
    if rise.lower(alpha) > limit and (more is None or more.lower(alpha) > slack):
        return "fail", f"at least {rise.lower(alpha):.1%}{beside}"
    if rise.blocks < 2:
        return "inconclusive", f"{rise.blocks} blocks of nights are too few to say more"
    return "inconclusive", f"between {rise.lower(alpha):.1%} and {rise.upper(alpha):.1%}{beside}"
