"""What looking after a model brought: gains over never retraining, and their share of monthly's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.performance.metrics import HIGHER_IS_BETTER
from tidegate.report.words import decimals, plain

OURS: Final = "tidegate"
FLOOR: Final = "never"
YARDSTICK: Final = "monthly"
EQUAL = 1e-9
_NAMES: Final = {
    OURS: "Tidegate",
    YARDSTICK: "Monthly",
    "drift": "On drift",
    "performance": "On decay",
    FLOOR: "Never",
}


@dataclass(frozen=True)
class Measure:
    """A metric by month and policy; NaN where it is not defined."""

    key: str
    months: tuple[str, ...]
    rows: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]

    @property
    def sign(self) -> int:
        """1 if more is better, -1 if less is."""
        return 1 if HIGHER_IS_BETTER.get(self.key, True) else -1

    @property
    def usable(self) -> list[int]:
        """Positions of the months in which every policy has a value."""
        return [i for i in range(len(self.months)) if all(math.isfinite(v[i]) for v in self.values.values())]

    @property
    def says_nothing(self) -> bool:
        """Nothing is defined, or everything is zero (as a KPI that nobody declared)."""
        return not any(math.isfinite(v) and v for values in self.values.values() for v in values)

    def mean(self, policy: str) -> float:
        """Mean over the usable months, which count alike; NaN without any."""
        return _mean([self.values[policy][i] for i in self.usable])

    @property
    def places(self) -> int:
        """Places after the point that tell both months and policies apart."""
        everything = [v for values in self.values.values() for v in values]
        return max(decimals(everything), decimals(self.mean(p) for p in self.values))

    def gains(self, policy: str, over: str) -> list[float]:
        """What `policy` did better than `over`, by month; positive is better."""
        return [self.sign * (a - b) for a, b in zip(self.values[policy], self.values[over], strict=True)]


@dataclass(frozen=True)
class Gain:
    """What one policy did better than never retraining; positive is better."""

    key: str
    value: float
    yardstick: float
    total: float
    ahead: int
    behind: int
    equal: int

    @property
    def share(self) -> float:
        """Part of the yardstick's gain; NaN where the yardstick gained nothing."""
        return share(self.value, self.yardstick)

    @property
    def direction(self) -> int:
        """1 better, -1 worse, 0 the same."""
        return 0 if abs(self.value) <= EQUAL else 1 if self.value > 0 else -1


def share(gain: float, whole: float) -> float:
    """`gain` as a part of `whole`; NaN unless both are defined and `whole` is above zero.

    >>> share(0.033, 0.036)
    0.9166666666666667
    >>> share(0.033, -0.01), share(float("nan"), 0.036)
    (nan, nan)
    """
    return gain / whole if whole > EQUAL and math.isfinite(gain) else math.nan


def policies_of(summary: Mapping[str, Any]) -> list[str]:
    """Its policies: Tidegate's own, monthly, the thresholds, never, then any other.

    >>> policies_of({"policies": {"never": {}, "mine": {}, "tidegate": {}}})
    ['tidegate', 'never', 'mine']
    """
    names, order = list(summary.get("policies") or {}), list(_NAMES)
    return sorted(names, key=lambda p: order.index(p) if p in order else len(order))


def policy_name(policy: str) -> str:
    """
    >>> policy_name("tidegate"), policy_name("my_own")
    ('Tidegate', 'my_own')
    """
    return _NAMES.get(policy, plain(policy))


def measures_of(summary: Mapping[str, Any]) -> list[Measure]:
    """Every metric of the summary, the primary one first and the KPI second."""
    by_month: Mapping[str, Any] = summary.get("months") or {}
    policies = policies_of(summary)
    months = sorted({m for p in policies for m in by_month.get(p, {})})
    cells = {p: [by_month.get(p, {}).get(m, {}) for m in months] for p in policies}
    keys = list(dict.fromkeys(k for row in cells.values() for cell in row for k in cell if k != "n"))
    first = summary.get("primary") or next((k for k in keys if k != "kpi"), "kpi")
    rows = tuple(max((_whole(cells[p][i].get("n")) for p in policies), default=0) for i in range(len(months)))
    return [
        Measure(key, tuple(months), rows, {p: tuple(_float(cell.get(key)) for cell in cells[p]) for p in policies})
        for key in sorted(keys, key=lambda k: (k != first, k != "kpi"))
    ]


def gain_of(measure: Measure, policy: str = OURS) -> Gain | None:
    """The gain of a policy over never retraining; None if either was not replayed.

    ``total`` weights each month by its rows: the sum over all rows of a value per row.

    >>> m = Measure("mae", ("2013-03", "2013-04"), (10, 30), {"never": (5.0, 6.0), "tidegate": (5.0, 4.0)})
    >>> gain_of(m)
    Gain(key='mae', value=1.0, yardstick=nan, total=60.0, ahead=1, behind=0, equal=1)
    """
    if policy not in measure.values or FLOOR not in measure.values:
        return None
    usable, by_month = measure.usable, measure.gains(policy, FLOOR)
    ours = [by_month[i] for i in usable]
    whole = measure.gains(YARDSTICK, FLOOR) if YARDSTICK in measure.values else []
    ahead, behind = sum(g > EQUAL for g in ours), sum(g < -EQUAL for g in ours)
    return Gain(
        measure.key,
        _mean(ours),
        _mean([whole[i] for i in usable]) if whole else math.nan,
        sum(g * measure.rows[i] for g, i in zip(ours, usable, strict=True)),
        ahead,
        behind,
        len(ours) - ahead - behind,
    )


def retrains_of(summary: Mapping[str, Any], policy: str) -> int:
    """Retrains that were started; a first model is none."""
    return _whole((summary.get("policies") or {}).get(policy, {}).get("retrains"))


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0
