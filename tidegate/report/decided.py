"""The decisions of a replay: what was weighed on each night, what was chosen, and what lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.report.words import day_name, plain

NAMES: Final = {
    "nothing": "Nothing",
    "fix_data": "Mend the data",
    "recalibrate": "Recalibrate",
    "move_threshold": "Move the threshold",
    "retrain": "Retrain",
    "roll_back": "Roll back",
    "regate": "Look again",
}


@dataclass(frozen=True)
class OptionRow:
    """One option of a night: its name, its net gain in words, how that came, whether it was chosen."""

    name: str
    net: str
    how: str
    chosen: bool


@dataclass(frozen=True)
class DecisionRow:
    """One night: the choice, why, and the options beside it."""

    day: str
    action: str
    reason: str
    acted: bool
    options: tuple[OptionRow, ...]


def decision_rows(decisions: Iterable[Mapping[str, Any]]) -> tuple[DecisionRow, ...]:
    """The nights as `tidegate.steps.decisions` gives them, for a table; looks at waiting candidates are left out."""
    return tuple(
        DecisionRow(
            day_name(d["window"]),
            NAMES.get(d["action"], plain(d["action"])),
            plain(d["reason"]),
            bool(d.get("acts")),
            tuple(_option(o, d["action"]) for o in d.get("options") or () if o["action"] != "nothing"),
        )
        for d in decisions
        if d["action"] != "regate" and d.get("options")
    )


def _option(o: Mapping[str, Any], chosen: str) -> OptionRow:
    name, mine = NAMES.get(o["action"], plain(o["action"])), o["action"] == chosen
    if o.get("net") is None:
        return OptionRow(name, "not estimable", plain(o["why"]), mine)
    chance = "" if o["chance"] == 1 else f" × {o['chance']:.0%} chance"
    net = f"net {o['net']:+,.0f} {o['unit']} (surely {o['low']:+,.0f})"
    how = f"gains {o['gain']:+.3f} ± {o['se']:.3f} a row{chance} × {o['rows']:,.0f} rows − {o['cost']:,.6g}; {o['why']}"
    return OptionRow(name, plain(net), plain(how), mine)
