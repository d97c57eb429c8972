"""Fairness: are the groups of the protected columns treated alike?

Three criteria, each over every pair of groups: demographic parity (difference of selection rates), equalised odds
(the larger difference of true and of false positive rates; Hardt et al. 2016), four-fifths (ratio of selection
rates; 29 CFR 1607.4 D). The figures are Fairlearn's, the bounds those of `tidegate.gate.disparity`. Several classes:
each against the rest, the widest counts. Regression: difference of mean predictions and of mean errors, in standard
deviations of the label.

A criterion *passes* when every pair is proven within the limit (each at the line's error: the gap can only be wider
if some pair is, so no correction is due), *fails* when some pair is proven beyond it (Bonferroni over all pairs of
the check). In between, small groups would block every promotion for ever. So an open criterion also passes when no
pair is treated less alike than by the champion, proven up to `margin` while the gap itself is within the limit, and
without any margin while it is not. Else it is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from tidegate.config.model import Model
from tidegate.gate.checks import nights_for
from tidegate.gate.disparity import Contrasts, Floats, Ints, Sums, contrasts, reach, rise, sums_of
from tidegate.gate.grouprates import rates_of, texts, told, widest
from tidegate.gate.judged import Judged
from tidegate.gate.line import Check, Line, not_asked, unknown, verdict_of
from tidegate.performance.blocks import cut
from tidegate.verdicts import Outcome

CRITERIA = ("demographic_parity", "equalized_odds", "four_fifths")
TOLD = 20
"""Unknown groups that are told one by one."""


@dataclass(frozen=True, eq=False)
class Compared:
    """One criterion on one column: pairs of groups for each rate, `limit` on the scale of `apart`."""

    criterion: str
    column: str
    groups: tuple[str, ...]
    pairs: tuple[Contrasts, ...]
    rises: tuple[Floats, ...]
    observed: float
    limit: float
    rows: int
    blocks: int

    @property
    def log(self) -> bool:
        return self.criterion == "four_fifths"


def fairness(model: Model, judged: Judged, look: int = 1) -> Check:
    """Judge how alike the groups of `model.protected` are treated by ``judged.ours``.

    Parameters
    ----------
    judged : Judged
        With the values of every protected column in ``groups``. Nulls are a group of their own, ``missing``.
    look : int
        Which look at this candidate, from 1. Look k of K gets the part k / (1 + … + K) of 1 − `confidence`.

    Returns
    -------
    Check
        Name ``fairness``; a line for each criterion and column, `limit` and bounds in the unit of the criterion
        (difference of rates, or ratio). Unknown groups and criteria that are not asked for are ``shown``. ``extra``
        has the rates of every group and Fairlearn's figures. No rows, scores or labels that are missing, a column
        without two comparable groups: inconclusive, with the reason.
    """
    settings, gate = model.gate.fairness, model.gate
    if not model.protected:
        return not_asked("fairness", "no protected groups declared")
    if trouble := _trouble(model, judged, look):
        return unknown("fairness", trouble)
    alpha = (1 - settings.confidence) * look / (gate.looks * (gate.looks + 1) / 2)
    block = _blocks(judged, gate.block_nights)
    if (found := int(block.max()) + 1) < gate.min_blocks:
        more = nights_for(gate.min_blocks - found, gate.block_nights)
        return unknown("fairness", f"{found} blocks of {gate.block_nights} nights, {gate.min_blocks} needed: {more}")
    lines: list[Line] = []
    compared: list[Compared] = []
    judged, block = judged.where(block >= 0), block[block >= 0]
    extra: dict[str, Any] = {"groups": [], "fairlearn": {}, "alpha": alpha}
    for column in model.protected:
        if column not in judged.groups:
            lines.append(_unclear(column, f"no values of {column} in these rows", math.nan))
            continue
        values = texts(judged.groups[column])
        table, figures = told(model, judged, values)
        extra["groups"] += [{"column": column, **row} for row in table]
        extra["fairlearn"][column] = figures
        for criterion in CRITERIA:
            made, more_lines = _compared(model, judged, column, values, criterion, block, alpha)
            lines += more_lines
            compared += [made] if made else []
    asked = [c for c in compared if c.criterion in settings.criteria]
    tests = sum(len(p.apart) for c in asked for p in c.pairs)
    lines = [_line(model, c, alpha, max(tests, 1)) for c in compared] + lines
    n = len(judged)
    effects = [line.n / line.n_eff for line in lines if line.role == "fairness" and line.n_eff > 0]
    return Check("fairness", verdict_of(lines), tuple(lines), n, n / max(effects, default=math.nan), extra=extra)


def _trouble(model: Model, judged: Judged, look: int) -> str:
    """Why nothing can be judged at all, or an empty string."""
    if not 1 <= look <= model.gate.looks:
        return f"look {look}: all {model.gate.looks} looks at this candidate are taken"
    if not len(judged):
        return "no rows"
    lost = ~np.isfinite(judged.ours).reshape(len(judged), -1).all(axis=1)
    if lost.any():
        return f"{int(lost.sum())} of {len(judged)} scores of the candidate are not finite"
    if model.kind == "binary" and not np.isfinite(judged.our_cut).all():
        return "the candidate has no threshold for some rows"
    blank = ~np.isfinite(np.asarray(judged.label, dtype=np.float64))
    return f"{int(blank.sum())} of {len(judged)} labels are missing" if blank.any() else ""


def _blocks(judged: Judged, nights: int) -> Ints:
    """The block of each row; −1 on the short rest of nights at the start. The numbers leave no gap."""
    of = {n: i for i, block in enumerate(cut(judged.nights(), nights)) for n in block}
    return np.array([of.get(n, -1) for n in judged.night.tolist()], dtype=np.int64)


def _compared(
    model: Model, judged: Judged, column: str, values: NDArray[Any], criterion: str, block: Ints, alpha: float
) -> tuple[Compared | None, list[Line]]:
    """One criterion on one column, and lines on what is unknown of it."""
    settings = model.gate.fairness
    asked = criterion in settings.criteria
    rates = rates_of(model, judged, criterion)
    if not rates:
        if criterion == "four_fifths":
            return None, [_unclear(column, "a ratio of means says nothing", 0.0, criterion, asked=False)]
        return None, [_unclear(column, "every label is the same", math.nan, criterion, asked=asked)]
    names = sorted(set(values.tolist()))
    blocks = int(block.max()) + 1
    code = np.searchsorted(np.array(names), values.astype(str)).astype(np.int64)
    rows = np.array([np.bincount(code[r.of], minlength=len(names)) for r in rates])
    seen = np.array([
        sums_of(r.ours, np.where(r.of, code, -1), block, len(names), blocks).present() for r in rates
    ])  # fmt: skip
    # A class that never occurs cannot be told apart; it does not make the others unknown.
    counted = rows.sum(axis=1) > 0 if model.kind == "multiclass" else np.ones(len(rates), dtype=bool)
    enough = (rows[counted] >= settings.min_rows).all(axis=0) & (seen[counted] >= model.gate.min_blocks).all(axis=0)
    lines = _unknown_groups(model, column, criterion, names, rows[counted], enough, judged)
    if enough.sum() < 2:
        least = np.sort(rows[counted].min(axis=0))[::-1]
        more = math.nan
        if len(names) >= 2 and least[1] > 0:
            more = math.ceil(max(settings.min_rows / least[1] - 1, 0) * len(judged.nights()))
        what = "one group only" if len(names) < 2 else f"fewer than two groups with {settings.min_rows} rows"
        if criterion == "equalized_odds" and len(names) > 1:
            what += " of either class" if model.kind != "regression" else ""
        tail = f": about {more:.0f} more nights" if more > 0 else ""
        return None, [_unclear(column, what + tail, more, criterion, asked=asked), *lines]
    known = np.cumsum(enough) - 1
    code = np.where(enough[code], known[code], -1)
    groups = tuple(n for n, yes in zip(names, enough, strict=True) if yes)
    pairs, rises, wide = [], [], []
    log, share = criterion == "four_fifths", model.kind != "regression"
    for r, there in zip(rates, counted, strict=True):
        if not there:
            continue
        at = np.where(r.of, code, -1)
        mine, other, off = (
            sums_of(v, at, block, len(groups), blocks, share=share) for v in (r.ours, r.theirs, r.ours - r.theirs)
        )
        made = contrasts(r.name, mine, log=log)
        pairs.append(made)
        rises.append(_rise(made, mine, other, off, alpha, log=log))
        wide.append(widest(r, at, groups, log=log))
    observed = float(np.min(wide) if log else np.max(wide))
    limit = -math.log(settings.min_ratio) if log else settings.max_gap
    used = int((code >= 0).sum())
    return Compared(criterion, column, groups, tuple(pairs), tuple(rises), observed, limit, used, blocks), lines


def _rise(made: Contrasts, mine: Sums, other: Sums, off: Sums, alpha: float, *, log: bool) -> Floats:
    if not (np.isfinite(other.hits).all() and np.isfinite(other.squared).all()):
        return np.full(len(made.apart), math.inf)
    rates = np.minimum(mine.hits.sum(axis=0), other.hits.sum(axis=0)) / mine.rows.sum(axis=0) if log else None
    return rise(made, contrasts(made.rate, other, log=log), off, alpha, rates=rates)


def _unclear(column: str, why: str, more: float, criterion: str = "", *, asked: bool = True) -> Line:
    name = f"{criterion or 'fairness'} [{column}]"
    role = "fairness" if asked else "shown"
    return Line(name, role, "inconclusive", math.nan, math.nan, f"{name}: {why}", more_nights=more)


def _unknown_groups(
    model: Model, column: str, criterion: str, names: Sequence[str], rows: Ints, enough: NDArray[np.bool_],
    judged: Judged,
) -> list[Line]:  # fmt: skip
    """A shown line for each group that is too small for a criterion."""
    if criterion == "four_fifths":  # as for demographic parity
        return []
    least, nights = rows.min(axis=0), len(judged.nights())
    wanted, lines = model.gate.fairness.min_rows, []
    for i in np.flatnonzero(~enough)[:TOLD]:
        more = math.ceil(max(wanted / least[i] - 1, 0) * nights) if least[i] else math.nan
        have = f"{least[i]} rows" + (" of one class" if criterion == "equalized_odds" else "")
        why = f"{have}, {wanted} needed" if least[i] < wanted else f"in fewer than {model.gate.min_blocks} blocks"
        name = f"{criterion} [{column}={names[i]}]"
        reason = f"{name}: unknown, {why}"
        lines.append(Line(name, "shown", "inconclusive", math.nan, math.nan, reason, n=int(least[i]), more_nights=more))
    if (rest := int((~enough).sum()) - TOLD) > 0:
        name = f"{criterion} [{column}]"
        lines.append(
            Line(f"{name} others", "shown", "inconclusive", math.nan, math.nan, f"{name}: {rest} more unknown")
        )
    return lines


def _line(model: Model, c: Compared, alpha: float, tests: int) -> Line:
    """The verdict on one criterion."""
    settings, block = model.gate.fairness, model.gate.block_nights
    upper = max(float(p.upper(alpha).max()) for p in c.pairs)
    lower = max(float(p.lower(alpha / tests).max()) for p in c.pairs)
    _, k, i = max((float(np.abs(p.apart).max()), k, int(np.abs(p.apart).argmax())) for k, p in enumerate(c.pairs))
    worst = c.pairs[k]
    apart, se, df = abs(float(worst.apart[i])), float(worst.se[i]), worst.df[i : i + 1]
    rises = max(float(r.max()) for r in c.rises)
    most = (-math.log(1 - settings.margin) if c.log else settings.margin) if apart <= c.limit else 0.0
    outcome: Outcome = "inconclusive"
    how = ""
    if math.isnan(upper) or math.isnan(c.observed):
        how = "not defined: nobody is selected" if c.log else "not defined on these rows"
    elif upper <= c.limit:
        outcome, how = "pass", f"at worst {_shown(c, upper)}"
    elif lower > c.limit:
        outcome, how = "fail", f"at best {_shown(c, lower)}"
    elif rises <= most:
        allowed = f" by more than {settings.margin:g}" if most else ""
        outcome, how = "pass", f"open, but proven no wider than the champion's{allowed}"
    more = 0.0
    if outcome == "inconclusive" and not how:
        room = abs(c.limit - apart)
        wanted = (float(reach(alpha, df)[0]) + float(norm.ppf(0.8))) * se
        more = math.ceil(max(c.blocks * (wanted / room) ** 2 - c.blocks, 1) * block) if room else math.inf
        low, high = sorted((lower, upper), key=lambda apart: -apart if c.log else apart)
        nights = nights_for(min(more, 1e6) / block, block)
        how = f"between {_shown(c, low)} and {_shown(c, high)}: {nights} would settle it"
    groups = f"{c.groups[worst.first[i]]} and {c.groups[worst.second[i]]}"
    allowed = f"at least {settings.min_ratio:g}" if c.log else f"{settings.max_gap:g} allowed"
    unit = "ratio" if c.log else "gap"
    name = f"{c.criterion} [{c.column}]"
    reason = f"{name}: {worst.rate} of {groups}, {unit} {_figure(c.observed)} ({allowed}), {how}"
    # A chance that some pair's bound is too far, summed over pairs: the power is at least the rest.
    miss = sum(float(2 * norm.sf(c.limit / np.maximum(p.se, 1e-12) - reach(alpha, p.df)).sum()) for p in c.pairs)
    bounds = (math.exp(-upper), math.exp(-lower)) if c.log else (lower, upper)
    role = "fairness" if c.criterion in settings.criteria else "shown"
    limit = settings.min_ratio if c.log else settings.max_gap
    return Line(
        name, role, outcome, c.observed, limit, reason, se=se, lower=bounds[0], upper=bounds[1], n=c.rows,
        n_eff=c.rows / float(worst.effect()[i]), power=max(0.0, 1 - miss), more_nights=more,
    )  # fmt: skip


def _figure(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.3f}"


def _shown(c: Compared, apart: float) -> str:
    return f"{math.exp(-apart):.3f}" if c.log else f"{apart:.3f}"
