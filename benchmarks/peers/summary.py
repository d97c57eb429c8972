"""From every run to medians, ratios to Tidegate, and how right each peer's answers were."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from peers.data import SHIFTED

Runs = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Median CPU seconds of a peer at one size, their range, and those of the work after the imports.

    ``wall_s`` and ``peak_mb`` are medians too; ``fault`` is why there is no figure.
    """

    runs: int
    cpu_s: float
    least_s: float
    most_s: float
    work_s: float
    wall_s: float
    peak_mb: float
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """Over all data sets of a size: shifts seen, false alarms, and columns without an answer (with why)."""

    seen: int
    shifted: int
    false: int
    still: int
    missed: tuple[str, ...]
    wrong: tuple[str, ...]
    unable: Mapping[str, str]


def import_cost(runs: Runs, peer: str) -> float:
    """Median CPU seconds of the imports alone; NaN if they failed."""
    found = [r["cpu_s"] for r in runs if r["peer"] == peer and r["state"] == "import" and not r["fault"]]
    return statistics.median(found) if found else math.nan


def cost(runs: Runs, peer: str, rows: int, state: str = "warm") -> Cost | None:
    """What a peer costs at a size; None if it did not run there."""
    found = [r for r in runs if (r["peer"], r["rows"], r["state"]) == (peer, rows, state)]
    if not found:
        return None
    good = [r for r in found if not r["fault"]]
    if not good:
        return Cost(0, *[math.nan] * 6, fault=found[0]["fault"])
    cpu = [r["cpu_s"] for r in good]
    work, wall, peak = (statistics.median(r[k] for r in good) for k in ("work_s", "wall_s", "peak_mb"))
    fault = next((r["fault"] for r in found if r["fault"]), "")
    return Cost(len(good), statistics.median(cpu), min(cpu), max(cpu), work, wall, peak, fault)


def answers(runs: Runs, peer: str, rows: int) -> Answers | None:
    """How a peer judged the columns of a size; each data set counts once, None without any."""
    by_seed = {r["seed"]: r["verdicts"] for r in runs if (r["peer"], r["rows"]) == (peer, rows) and r["verdicts"]}
    if not by_seed:
        return None
    said = [(name, verdict) for verdicts in by_seed.values() for name, verdict in verdicts.items()]
    moved = [(name, v) for name, v in said if name in SHIFTED]
    still = [(name, v) for name, v in said if name not in SHIFTED]
    return Answers(
        sum(v is True for _, v in moved),
        len(moved),
        sum(v is True for _, v in still),
        len(still),
        tuple(sorted({name for name, v in moved if v is not True})),
        tuple(sorted({name for name, v in still if v is True})),
        {name: v for name, v in said if isinstance(v, str)},
    )
