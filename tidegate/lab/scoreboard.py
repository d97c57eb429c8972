"""The scoreboard: what the lab's lines come to, per rule, fault and size, all at the same rate of false pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.alarms.aa import rate
from tidegate.lab.catalogue import FAULTS, SIZES
from tidegate.lab.rules import COMPARATORS
from tidegate.lab.sweep import MONTH, Cut, Floats, curve, first_page, pages_of, swept, wilson

OURS = "tidegate"
PUBLISHED = {OURS: 1.0, **{r.name: r.threshold - (1e-9 if r.reached else 0.0) for r in COMPARATORS}}
TITLES = {OURS: "Tidegate", **{r.name: r.title for r in COMPARATORS}}
BOOTSTRAP = 2000
SWEEP = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""False pages in 30 nights at which the power is drawn."""

Line = Mapping[str, Any]
Board = dict[str, Any]


@dataclass(frozen=True)
class _Case:
    """A cell-seed as one rule sees it: whether it pages (a share, where the threshold is drawn) and how late."""

    fault: str
    size: str
    seed: int
    material: bool
    harm: float
    paged: float
    nights: float


def scoreboard(lines: Sequence[Line], budget: float, delays: Sequence[int]) -> Board:
    """What `var/lab/scoreboard.json` says of the rules; the first delay's figures are the rule's own.

    Parameters
    ----------
    lines : sequence of mapping
        Histories and cells of a lab, as `profile.jsonl` has them; cells whose order has no history are left out.
    budget : float
        False pages in 30 nights that every rule's threshold is swept to.
    """
    histories = {h["order"]: h for h in lines if h["kind"] == "history"}
    cells = [c for c in lines if c["kind"] == "cell" and c["held"] and c["order"] in histories]
    by_delay = {str(d): _at(histories, cells, budget, str(d)) for d in delays}
    first = by_delay[str(delays[0])]
    rules = {name: {**body, "by_delay": {d: by_delay[d][name] for d in by_delay}} for name, body in first.items()}
    return {"rules": rules}


def merge(board: Mapping[str, Any], new: Mapping[str, Any]) -> Board:
    """The scoreboard with new parts; what others wrote (right action, policies) stays."""
    return {**board, **new, "settings": {**board.get("settings", {}), **new.get("settings", {})}}


def _at(histories: Mapping[int, Line], cells: Sequence[Line], budget: float, delay: str) -> Board:
    told = {rule: _cases(histories, cells, budget, delay, rule) for rule in TITLES}
    out = {rule: _rule(histories, cells, rule, budget, delay, told[rule]) for rule in TITLES}
    _against(out, told)
    return out


def _held(line: Line, delay: str, rule: str) -> Floats:
    return np.array(line["held"][delay][rule], dtype=np.float64)


def _cuts(histories: Mapping[int, Line], rule: str, budget: float, delay: str) -> dict[int, Cut]:
    """The cut that each side is read with: it was swept on the other."""
    quiet = _quiet(histories)
    return {
        side: swept([_held(h, delay, rule) for h in histories.values() if h["side"] != side], quiet, budget)
        for side in (0, 1)
    }


def _quiet(histories: Mapping[int, Line]) -> int:
    return max((int(h["quiet"]) for h in histories.values()), default=0)


def _cases(
    histories: Mapping[int, Line], cells: Sequence[Line], budget: float, delay: str, rule: str
) -> list[_Case]:  # fmt: skip
    cuts = _cuts(histories, rule, budget, delay)
    out = []
    for c in cells:
        history, late = histories[c["order"]], int(c["held"][delay]["late"])
        held = _held(c, delay, rule)
        begins = int(c["start"]) + late
        clean = _held(history, delay, rule)[begins : begins + len(held)]
        cut = cuts[history["side"]]
        after = [first_page(held, clean, t) + late for t in (cut.low, cut.high)]
        paged = [float(math.isfinite(a)) for a in after]
        share = cut.mixed(*paged)
        nights = [w * a for w, a, p in zip((cut.share, 1 - cut.share), after, paged, strict=True) if p and w]
        mean = sum(nights) / share if share else math.nan
        material = c["harm"] >= history["min_effect"]
        out.append(_Case(c["fault"], c["size"], c["seed"], material, c["harm"], share, mean))
    return out


def _rule(
    histories: Mapping[int, Line], cells: Sequence[Line], rule: str, budget: float, delay: str, cases: Sequence[_Case]
) -> Board:
    cuts, quiet = _cuts(histories, rule, budget, delay), _quiet(histories)
    every = [(h["side"], _held(h, delay, rule)) for h in histories.values()]
    nights = {side: max((len(x) for s, x in every if s == side), default=0) for side in (0, 1)}
    counts = [cuts[s].mixed(pages_of(x, cuts[s].low, quiet), pages_of(x, cuts[s].high, quiet)) for s, x in every]
    months = [len(x) / MONTH for _, x in every]
    false = rate(counts, months, sum(nights.values()) / MONTH)
    published = [pages_of(x, PUBLISHED[rule], quiet) for _, x in every]
    kinds = [f for f in FAULTS if not f.benign]
    by_fault = {f.name: {size: _cell(cases, f.name, size) for size in SIZES} for f in FAULTS}
    pooled = {f.name: _cell(cases, f.name, None) for f in kinds}
    material = [c for c in cases if c.material]
    rest = [c for c in cases if not c.material]
    benign = [c for c in rest if c.fault in {f.name for f in FAULTS if f.benign}]
    return {
        "title": TITLES[rule], "false_pages_30d": _none(false.measured),
        "interval": [_none(false.lower95), _none(false.upper95)],
        "power": _macro([p["power"] for p in pooled.values()]),
        "power_large": _macro([by_fault[f.name]["large"]["power"] for f in kinds]),
        "delay_nights": _delay(material), "material": len(material),
        "unwanted_pages": _none(float(np.mean([c.paged for c in rest])) if rest else math.nan),
        "unwanted_benign": _none(float(np.mean([c.paged for c in benign])) if benign else math.nan),
        "immaterial": len(rest), "pooled": pooled, "by_fault": by_fault,
        "thresholds": {str(s): [_none(c.low), _none(c.high), c.share] for s, c in cuts.items()},
        "published": {"threshold": round(PUBLISHED[rule], 6),
                      "false_pages_30d": _none(sum(published) / sum(months) if months else math.nan)},
        "sweep": _sweep(histories, cells, rule, delay),
    }  # fmt: skip


def _sweep(histories: Mapping[int, Line], cells: Sequence[Line], rule: str, delay: str) -> list[list[float | None]]:
    """Power over kinds at other rates of false pages."""
    harmful = {f.name for f in FAULTS if not f.benign}
    out = []
    for budget in SWEEP:
        cases = [c for c in _cases(histories, cells, budget, delay, rule) if c.fault in harmful]
        out.append([budget, _macro([_cell(cases, f, None)["power"] for f in sorted(harmful)])])
    return out


def _cell(cases: Sequence[_Case], fault: str, size: str | None) -> Board:
    mine = [c for c in cases if c.fault == fault and size in (None, c.size)]
    some = [c for c in mine if c.material]
    power = float(np.mean([c.paged for c in some])) if some else math.nan
    # Sizes of a seed share their onset and plan: they count as one.
    low, high = wilson(power, len({c.seed for c in some})) if some else (math.nan, math.nan)
    rest = [c.paged for c in mine if not c.material]
    return {
        "power": _none(power), "low": _none(low), "high": _none(high), "n": len(mine), "material": len(some),
        "delay": _delay(some), "unwanted": _none(float(np.mean(rest)) if rest else math.nan),
        "harm": _none(float(np.median([c.harm for c in mine])) if mine else math.nan),
    }  # fmt: skip


def _against(out: Board, told: Mapping[str, Sequence[_Case]]) -> None:
    """Ours less the best comparator's power, fault by fault, seed by seed."""
    rng = np.random.default_rng(1)
    for fault in out[OURS]["pooled"]:
        rivals = [(out[r]["pooled"][fault]["power"], r) for r in told if r != OURS]
        known = [(p, r) for p, r in rivals if p is not None]
        if not known:
            continue
        best = max(known)[1]
        pairs = [(a.seed, a.paged - b.paged) for a, b in zip(told[OURS], told[best], strict=True)
                 if a.fault == fault and a.material]  # fmt: skip
        seeds = sorted({s for s, _ in pairs})
        sums = np.array([[sum(d for s, d in pairs if s == k), sum(s == k for s, _ in pairs)] for k in seeds])
        drawn = sums[rng.integers(0, len(seeds), (BOOTSTRAP, len(seeds)))].sum(axis=1)
        low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
        mean = float(sums[:, 0].sum() / sums[:, 1].sum())
        out[OURS]["pooled"][fault]["against_best"] = {
            "rule": best, "difference": round(mean, 4), "low": round(float(low), 4), "high": round(float(high), 4),
        }  # fmt: skip


def _macro(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return round(sum(known) / len(known), 4) if known else None


def _delay(cases: Sequence[_Case]) -> float | None:
    weights = sum(c.paged for c in cases if c.paged)
    return _none(sum(c.paged * c.nights for c in cases if c.paged) / weights if weights else math.nan)


def _none(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


__all__ = ["OURS", "TITLES", "curve", "merge", "scoreboard"]
