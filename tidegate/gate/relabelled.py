"""Relabelled groups: recent labels that differ from what the champion expects in one group, and not in the rest.

Flipped labels turn the champion's ranking around; labels set to one value, or drawn at random, need not. What both do
is move the group's mean label away from the champion's mean score, while the rest of the same nights stays. The
difference between group and rest is taken within blocks of nights, so that a day's weather, which all groups share,
cancels (a difference in differences), and what the champion was off by on the anchor is taken away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.config.model import Model
from tidegate.gate.line import Line
from tidegate.gate.rise import holm, p_above
from tidegate.performance.blocks import Estimate, weighted

Floats = NDArray[np.float64]
Parts = Mapping[str, NDArray[np.bool_]]


def relabelled(
    model: Model,
    before: tuple[Floats, Floats, NDArray[np.int64], Parts],
    now: tuple[Floats, Floats, NDArray[np.int64], Parts],
) -> list[Line]:
    """A failed line for each group whose labels are proven moved by more than `max_relabelled`, or one that passes.

    Parameters
    ----------
    before, now : (label, score, block, parts)
        Anchor and recent rows: labels, shape (n,); the champion's scores, (n,) or (n, classes); the block of nights
        of each row, −1 outside all; which rows are of each group, the whole left out.

    Returns
    -------
    list of Line
        Observed values are shares of labels (regression: standard deviations of the anchor's labels), in the
        direction that moved most. Without two blocks of a group on either side it is not looked at.
    """
    margin, alpha = model.gate.robustness.max_relabelled, model.gate.alpha
    scale = float(np.nanstd(before[0])) if model.kind == "regression" else 1.0
    found: dict[str, Estimate] = {}
    for name in now[3]:
        if name in before[3] and scale > 0:
            moved = [_moved(model, *side[:3], side[3][name]) for side in (now, before)]
            found |= {f"{name}{of}": e for of, e in _apart(moved[0], moved[1], scale).items()}
    kept = {n: e for n, e in found.items() if e.blocks >= model.gate.min_blocks}
    if not kept:
        return []
    chances = [min(1.0, 2 * p_above(Estimate(abs(e.value), e.se, e.blocks), margin)) for e in kept.values()]
    lines = []
    for (name, e), hit in zip(kept.items(), holm(chances, alpha), strict=True):
        if hit:
            said = (
                f"recent labels{name}: {e.value:+.3f} from what the champion and the other groups lead to expect "
                f"({margin:g} allowed), proven: poisoned labels or a change of the world; have a person look"
            )
            lines.append(_line(f"relabelled{name}", "fail", e, margin, said, alpha))
    if not lines:
        name, e = max(kept.items(), key=lambda item: abs(item[1].value))
        said = (
            f"recent labels: {len(kept)} groups, none moved by more than {margin:g}; the most,{name}, by {e.value:+.3f}"
        )
        lines = [_line("relabelled", "pass", e, margin, said, alpha)]
    return lines


def _moved(
    model: Model, label: Floats, score: Floats, block: NDArray[np.int64], part: NDArray[np.bool_]
) -> dict[str, Estimate]:
    """Mean of label − score in a part minus that of the rest, by class; blocks with rows of both only."""
    off = _off(model, label, score)
    out = {}
    for of, values in off.items():
        at = np.isfinite(values) & (block >= 0)
        blocks = int(block.max()) + 1 if len(block) else 0
        mine, rest = at & part, at & ~part
        sums = [np.bincount(block[k], values[k], blocks) for k in (mine, rest)]
        rows = [np.bincount(block[k], minlength=blocks) for k in (mine, rest)]
        both = (rows[0] > 0) & (rows[1] > 0)
        apart = sums[0][both] / rows[0][both] - sums[1][both] / rows[1][both]
        out[of] = weighted(apart, rows[0][both].astype(np.float64))
    return out


def _off(model: Model, label: Floats, score: Floats) -> dict[str, Floats]:
    """Label minus score of each row, for each class that has a say."""
    if score.ndim == 1:
        return {"": label - score}
    names = model.label.classes or ()
    return {
        f" [{name}]": np.where(np.isfinite(label), label == k, np.nan) - score[:, k] for k, name in enumerate(names)
    }


def _apart(now: dict[str, Estimate], before: dict[str, Estimate], scale: float) -> dict[str, Estimate]:
    out = {}
    for of, e in now.items():
        old = before[of]
        known = old.blocks >= 2 and math.isfinite(old.value)
        value = e.value - (old.value if known else 0.0)
        se = math.hypot(e.se, old.se if known else 0.0)
        out[of] = Estimate(value / scale, se / scale, e.blocks)
    return out


def _line(name: str, outcome: Any, e: Estimate, margin: float, reason: str, alpha: float) -> Line:
    return Line(
        name, "poisoning", outcome, e.value, margin, reason, se=e.se, lower=e.lower(alpha / 2), upper=e.upper(alpha / 2)
    )
