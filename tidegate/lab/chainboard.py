"""What the lab through the whole chain comes to: by fault, who was woken, what was blocked, what was decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

Line = Mapping[str, Any]


def chainboard(lines: Sequence[Line], least: float) -> dict[str, Any]:
    """The scoreboard's part of the chain.

    A page counts where the same nights without the fault have none by then. ``paged`` is the share of all seeds,
    ``power`` that of the seeds whose harm reached `least` (a share of the usual value), with Wilson's 95 % interval;
    None without any. ``delay`` is the median of the nights from the first affected one to the page.

    Parameters
    ----------
    lines : sequence of mapping
        As `chain.jsonl` has them.
    least : float
        `alarms.min_effect`.

    Examples
    --------
    >>> quiet = {"first": {}, "alarms": {"page": 0}, "blocked": [], "action": "nothing"}
    >>> loud = {"first": {"page": 1}, "alarms": {"page": 1}, "blocked": [1], "action": "fix_data"}
    >>> line = {"fault": "unit_change", "delay": 2, "harm": 0.2, "nights": 7, "cpu": 3.5}
    >>> line |= {"with": loud, "without": quiet}
    >>> found = chainboard([line], 0.02)["faults"]["unit_change"]["2"]
    >>> found["power"], found["delay"], found["actions"]
    (1.0, 1.0, {'fix_data': 1})
    """
    cells: dict[str, dict[str, list[Line]]] = {}
    for line in lines:
        cells.setdefault(line["fault"], {}).setdefault(str(line["delay"]), []).append(line)
    nights = sum(r["nights"] for r in lines)
    false = sum(r["without"]["alarms"]["page"] for r in lines)
    return {
        "faults": {f: {d: _told(found, least) for d, found in by.items()} for f, by in cells.items()},
        "n": len(lines),
        "pages_without_30d": 30 * false / nights if nights else None,
        "cpu_s_per_night": round(sum(r["cpu"] for r in lines) / nights, 2) if nights else None,
    }


def _told(found: Sequence[Line], least: float) -> dict[str, Any]:
    material = [r for r in found if r["harm"] >= least]
    late = [r["with"]["first"]["page"] for r in found if _paged(r)]
    hits = sum(map(_paged, material))
    low, high = binomtest(hits, len(material)).proportion_ci(0.95, "wilson") if material else (None, None)
    return {
        "n": len(found),
        "material": len(material),
        "paged": sum(map(_paged, found)) / len(found),
        "power": hits / len(material) if material else None,
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
        "delay": float(np.median(late)) if late else None,
        "blocked": sum(bool(r["with"]["blocked"]) for r in found) / len(found),
        "harm": float(np.median([r["harm"] for r in found])),
        "actions": dict(Counter(r["with"]["action"] for r in found)),
    }


def _paged(line: Line) -> bool:
    at, without = line["with"]["first"].get("page"), line["without"]["first"].get("page")
    return at is not None and (without is None or at < without)
