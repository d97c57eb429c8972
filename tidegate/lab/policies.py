"""Policies compared in money: what each cost over the same nights, and what it gained over never retraining.

All policies are judged on the rows that every one of them scored. A policy's cost is what it lost on them, minus the
KPI, and what its actions cost. A gain is paired, night by night, so what makes a night good or bad for all falls out.

A year is one draw: another would have other storms. The interval says how far the gain would swing. Its unit is a
block of `BLOCK` nights, since two policies differ by the models they have in service, which change about once a month:
of shorter blocks several would count one model's luck. Its error is the delete-one-block jackknife with Student's t
(Künsch 1989), of a share the same with the ratio taken anew without each block. In simulated years of 306 nights it
covers 92 % to 95 % where models stay a month, and 87 % where they stay six weeks and all the difference is theirs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from tidegate.errors import UsageError

Floats = NDArray[np.float64]

FLOOR: Final = "never"
YARDSTICK: Final = "monthly"
BLOCK: Final = 42
"""Nights of a block; shorter ones, down to a week, where fewer than `LEAST` would come of it."""
LEAST: Final = 7
WEEK: Final = 7
LEVEL: Final = 0.95
"""Of the two-sided intervals."""


@dataclass(frozen=True)
class Nights:
    """What each policy earned and spent, night by night.

    Parameters
    ----------
    nights : tuple of str
        Every replayed night in order, those without common rows included.
    rows : ndarray, shape (nights,)
        Rows that every policy scored and whose label came.
    value : mapping of str to ndarray, shape (nights,)
        By policy, the sum of these rows' KPI (without one, minus their loss).
    spent : mapping of str to ndarray, shape (nights,)
        By policy, what its actions of the night cost, in the same unit.
    """

    nights: tuple[str, ...]
    rows: Floats
    value: Mapping[str, Floats]
    spent: Mapping[str, Floats]

    def part(self, start: int, stop: int) -> Nights:
        """Some nights, `start` included, `stop` not."""
        return replace(
            self, nights=self.nights[start:stop], rows=self.rows[start:stop],
            value={p: v[start:stop] for p, v in self.value.items()},
            spent={p: v[start:stop] for p, v in self.spent.items()},
        )  # fmt: skip

    def net(self, policy: str) -> Floats:
        """What a policy earned less what it spent, by night."""
        return np.asarray(self.value[policy] - self.spent[policy], dtype=np.float64)


def compared(on: Nights) -> dict[str, dict[str, Any]]:
    """Each policy's cost, and its gain over never and over monthly with intervals.

    Returns
    -------
    dict
        By policy: ``kpi_sum``, ``kpi_per_row`` (over rows, where months do not count alike), ``actions_cost``,
        ``cost`` = ``actions_cost`` − ``kpi_sum``; ``gain``, ``low``, ``high`` over never; ``over_monthly`` with the
        same three; ``share_of_monthly`` = gain / monthly's gain with ``share_low``, ``share_high``. None where the
        other policy was not replayed, monthly gained nothing, or there are too few nights for an error.

    Examples
    --------
    >>> value = {"never": np.full(56, -3.0), "monthly": np.full(56, -1.0), "mine": np.full(56, -2.0)}
    >>> spent = {p: np.zeros(56) for p in value}
    >>> spent["monthly"][0] = 12.0
    >>> found = compared(Nights(tuple(map(str, range(56))), np.ones(56), value, spent))
    >>> found["mine"]["cost"], found["mine"]["gain"], found["monthly"]["gain"], found["mine"]["share_of_monthly"]
    (112.0, 56.0, 100.0, 0.56)
    """
    rows = float(on.rows.sum())
    out: dict[str, dict[str, Any]] = {}
    for policy, value in on.value.items():
        kpi, actions = float(value.sum()), float(on.spent[policy].sum())
        figures: dict[str, Any] = {
            "kpi_sum": kpi,
            "kpi_per_row": kpi / rows if rows else None,
            "actions_cost": actions,
            "cost": actions - kpi,
        }
        over_floor = _over(on, policy, FLOOR)
        figures |= over_floor | {"over_monthly": _over(on, policy, YARDSTICK)}
        figures |= _share(on, policy)
        out[policy] = figures
    return out


def segments(on: Nights, count: int) -> list[dict[str, Any]]:
    """The comparison on stretches: `count` of equal length, and as long ones that begin half a stretch later.

    A policy's rank on each says whether its rank on the whole hangs on one stretch. Costs are those of the one replay:
    a stretch's first models have a past.

    Returns
    -------
    list of dict
        ``from``, ``to``, ``nights``, ``rows``, ``offset`` (True for those that begin later) and by policy ``cost``,
        ``gain``, ``share_of_monthly`` and ``rank`` (1 the cheapest, equal costs the same).

    Raises
    ------
    UsageError
        If `count` is below 1 or above the number of nights.

    Examples
    --------
    >>> value = {"never": np.array([-1.0, -1.0, -9.0, -9.0]), "mine": np.array([-2.0, -2.0, -1.0, -1.0])}
    >>> spent = {p: np.zeros(4) for p in value}
    >>> found = segments(Nights(("a", "b", "c", "d"), np.ones(4), value, spent), 2)
    >>> [(s["from"], s["to"], s["policies"]["mine"]["gain"], s["policies"]["mine"]["rank"]) for s in found]
    [('a', 'b', -2.0, 2), ('c', 'd', 16.0, 1), ('b', 'c', 7.0, 1)]
    """
    total = len(on.nights)
    if not 1 <= count <= max(total, 1):
        raise UsageError("segments", f"1 to {total}, the nights replayed", str(count), "correct --segments")
    edges = np.linspace(0, total, count + 1).round().astype(int).tolist()
    half = total // (2 * count)
    stretches = [(a, b, False) for a, b in pairwise(edges)]
    stretches += [(a + half, b + half, True) for a, b in pairwise(edges[:-1]) if half]
    return [_segment(on.part(a, b), later) for a, b, later in stretches if b > a]


def _segment(on: Nights, later: bool) -> dict[str, Any]:
    cost = {p: float(-on.net(p).sum()) for p in on.value}
    gains = {p: cost[FLOOR] - c if FLOOR in cost else None for p, c in cost.items()}
    whole = gains.get(YARDSTICK)
    return {
        "from": on.nights[0],
        "to": on.nights[-1],
        "nights": len(on.nights),
        "rows": int(on.rows.sum()),
        "offset": later,
        "policies": {
            p: {
                "cost": c,
                "gain": gain,
                "share_of_monthly": gain / whole if gain is not None and whole is not None and whole > 0 else None,
                "rank": 1 + sum(other < c for other in cost.values()),
            }
            for (p, c), gain in zip(cost.items(), gains.values(), strict=True)
        },
    }


def blocks(nights: int) -> list[slice]:
    """The nights in blocks of nearly equal length: `BLOCK` nights, less where that gives fewer than `LEAST` of them.

    Examples
    --------
    >>> [len(blocks(n)) for n in (306, 84, 10, 0)]
    [7, 7, 1, 0]
    """
    count = max(round(nights / BLOCK), min(LEAST, nights // WEEK), min(nights, 1))
    edges = np.linspace(0, nights, count + 1).round().astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(edges)]


def paired(difference: Sequence[float] | Floats) -> tuple[float, float, float]:
    """The sum of nightly differences with its interval at `LEVEL`, infinite with fewer than two blocks.

    Examples
    --------
    >>> total, low, high = paired(np.repeat([1.0, 3.0], 28))
    >>> total, round(low, 1), round(high, 1)
    (112.0, 60.2, 163.8)
    >>> paired([1.0, 2.0])
    (3.0, -inf, inf)
    """
    x = np.asarray(difference, dtype=np.float64)
    total = float(x.sum())
    parts = blocks(len(x))
    if len(parts) < 2:
        return total, -math.inf, math.inf
    without = np.array([(total - x[b].sum()) / (len(x) - len(x[b])) for b in parts])
    reach = _reach(without) * len(x)
    return total, total - reach, total + reach


def _reach(without: Floats) -> float:
    """Half the width of the jackknife's interval, from the values without each block."""
    b = len(without)
    se = math.sqrt((b - 1) / b * float(((without - without.mean()) ** 2).sum()))
    return float(student.ppf((1 + LEVEL) / 2, b - 1)) * se


def _over(on: Nights, policy: str, other: str) -> dict[str, float | None]:
    if other not in on.value:
        return {"gain": None, "low": None, "high": None}
    found = paired(on.net(policy) - on.net(other))
    return {k: v if math.isfinite(v) else None for k, v in zip(("gain", "low", "high"), found, strict=True)}


def _share(on: Nights, policy: str) -> dict[str, float | None]:
    """The part of monthly's gain that a policy brought, with the jackknife's interval of the ratio."""
    nothing = dict.fromkeys(("share_of_monthly", "share_low", "share_high"))
    if FLOOR not in on.value or YARDSTICK not in on.value:
        return nothing
    ours, whole = on.net(policy) - on.net(FLOOR), on.net(YARDSTICK) - on.net(FLOOR)
    if not whole.sum() > 0:
        return nothing
    share = float(ours.sum() / whole.sum())
    rest = [(ours.sum() - ours[b].sum(), whole.sum() - whole[b].sum()) for b in blocks(len(ours))]
    # Where one block is all that monthly gained, the ratio without it says nothing, nor does its interval.
    if len(rest) < 2 or any(w <= 0 for _, w in rest):
        return nothing | {"share_of_monthly": share}
    reach = _reach(np.array([a / w for a, w in rest]))
    return {"share_of_monthly": share, "share_low": share - reach, "share_high": share + reach}
