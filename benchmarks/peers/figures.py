"""The figures that Tidegate has set itself, beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from peers.plan import LARGE, MEDIUM
from peers.summary import answers, cost

LEAST = {"evidently": 150.0, "nannyml": 40.0, "scipy": 6.0, "evidently-50k": 1.0}
TITLES = {"evidently": "Evidently", "nannyml": "NannyML", "scipy": "scipy", "evidently-50k": "Evidently on 50,000 rows"}
DECODE, MEMORY_MB, MERGE_MS, FLAT = 1.5, 400.0, 2.0, 1.2


@dataclass(frozen=True, slots=True)
class Figure:
    what: str
    target: str
    measured: str
    met: bool


def of(drift: Mapping[str, Any], history: Mapping[str, Any]) -> list[Figure]:
    """Every figure; one that was not measured is not met."""
    runs, out = drift["runs"], []
    own = cost(runs, "tidegate", MEDIUM)
    for peer, least in LEAST.items():
        other = cost(runs, peer, MEDIUM)
        what = f"CPU of {TITLES[peer]} ÷ Tidegate, 1,000,000 rows, without imports"
        if own and other and own.runs and other.runs:
            ratio = other.work_s / own.work_s
            out.append(Figure(what, f"≥ {least:g}×", f"{ratio:.1f}×", ratio >= least))
        else:
            out.append(Figure(what, f"≥ {least:g}×", "not measured", False))
    out.append(_power(drift))
    large, floor = cost(runs, "tidegate", LARGE), cost(runs, "decode", LARGE)
    if large and floor and large.runs and floor.runs:
        ratio, peak = large.work_s / floor.work_s, large.peak_mb
        cells = [(f"{ratio:.2f}×", ratio <= DECODE), (f"{peak:.0f} MB", peak <= MEMORY_MB)]
    else:
        cells = [("not measured", False)] * 2
    out.append(Figure("CPU of Tidegate ÷ Parquet decode alone, 5,000,000 rows", f"≤ {DECODE:g}×", *cells[0]))
    out.append(Figure("Peak memory of Tidegate, 5,000,000 rows", f"≤ {MEMORY_MB:g} MB", *cells[1]))
    return out + _nights(history)


def _power(drift: Mapping[str, Any]) -> Figure:
    what, target = "Shifts seen, beside Evidently on 50,000 rows, 1,000,000 rows", "more"
    own, other = (answers(drift["runs"], p, MEDIUM) for p in ("tidegate", "evidently-50k"))
    if not (own and other):
        return Figure(what, target, "not measured", False)
    measured = f"{own.seen} and {other.seen} of {own.shifted}"
    measured += f"; false alarms {own.false} and {other.false} of {own.still}"
    return Figure(what, target, measured, own.seen > other.seen and own.false <= other.false)


def _nights(history: Mapping[str, Any]) -> list[Figure]:
    nights = sorted(history["nights"].items(), key=lambda item: int(item[0]))
    (short, first), (long, last) = nights[0], nights[-1]
    growth = last["night_cpu_ms"] / first["night_cpu_ms"]
    one = last["steps"]["merge the night into it"]["cpu_ms"]
    each = last["merge_ms_a_night"]
    return [
        Figure(f"CPU of one more night at {int(long):,} ÷ at {int(short):,} nights", f"the same (≤ {FLAT:g}×)",
               f"{growth:.2f}×", growth <= FLAT),
        Figure("CPU of a merged night, when 28 are merged", f"≤ {MERGE_MS:g} ms", f"{each:.2f} ms", each <= MERGE_MS),
        Figure(f"CPU of merging one night into the reference of {int(long):,}", f"≤ {MERGE_MS:g} ms", f"{one:.2f} ms",
               one <= MERGE_MS),
    ]  # fmt: skip


def table(drift: Mapping[str, Any], history: Mapping[str, Any]) -> str:
    """The figures as a Markdown table."""
    rows = [f"| {f.what} | {f.target} | {f.measured} | {'yes' if f.met else '**no**'} |" for f in of(drift, history)]
    return "\n".join(["| Figure | wanted | measured | met |", "|---|---|---|---|", *rows])
