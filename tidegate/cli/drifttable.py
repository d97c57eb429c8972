"""How distances of profiles are written: rows for people, rows for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tidegate.text import printable

if TYPE_CHECKING:
    from tidegate.drift.bounds import Interval
    from tidegate.drift.classifier import ClassifierTest
    from tidegate.drift.compare import Drift

FINE = 0.0005
"""A KS that is known only more coarsely than this is shown with its resolution."""
SHARES = {"missing": "+.1%", "unseen": ".1%"}
TOLD = 5
"""Columns of the classifier that people are told of."""


def drift_row(d: Drift, intervals: Mapping[str, Interval], resolution: float) -> dict[str, Any]:
    """All that is known of one column."""
    from tidegate.drift.bounds import flat

    return asdict(d) | {"resolution": resolution} | flat(intervals)


def drift_line(d: Drift, intervals: Mapping[str, Interval], resolution: float) -> dict[str, Any]:
    """The same for people: below each distance its bounds."""
    coarse = f" ±{resolution:.4f}" if resolution > FINE else ""

    def cell(statistic: str, told: str) -> str:
        return f"{told}\n{_span(intervals[statistic], SHARES.get(statistic))}".rstrip() if told else ""

    return {
        "column": printable(d.column),
        "PSI": cell("psi", number(d.psi)),
        "limit": number(d.psi_limit),
        "JS": cell("js", number(d.js)),
        "KS": cell("ks", number(d.ks) + coarse if math.isfinite(d.ks) else ""),
        "W1/σ": cell("w1_sigma", number(d.w1_sigma)),
        "missing": cell("missing", f"{d.missing:+.1%}" if math.isfinite(d.missing) and d.missing else ""),
        "unseen": cell("unseen", f"{d.unseen:.1%}" if d.unseen > 0 else ""),
        "±inf": f"{d.infinite:,}" if d.infinite else "",
        "": "beyond the limit" if d.psi > d.psi_limit else "",
    }


def size(d: Drift) -> float:
    """How far a column moved, in [0, 1]: the one distance that numbers and categories share."""
    return d.js if math.isfinite(d.js) else -1.0


def classifier_words(t: ClassifierTest, confidence: float, margin: float) -> str:
    """What the classifier says, for people."""
    if math.isnan(t.auc):
        return f"all columns together: nothing can be said: {printable(t.reason)}"
    most = ", ".join(f"{printable(name)} {loss:.3f}" for name, loss in t.importance[:TOLD] if loss > 0)
    return (
        f"all columns together: a classifier tells the sides apart with AUC {t.auc:.3f}, {confidence:.0%} bounds "
        f"{t.low:.3f} to {t.high:.3f} (0.5: not at all), p {t.p:.2g} of at most {margin:g}; "
        f"{t.n:,} rows against {t.n_reference:,}"
    ) + (f"\nAUC that is lost without a column: {most}" if most else "")


def number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:.4f}" if 1e-4 <= abs(value) < 1e4 or not value else f"{value:.4g}"


def _span(of: Interval, share: str | None) -> str:
    """From low to high; empty where nothing is known."""
    if math.isnan(of.low) or math.isnan(of.high):
        return ""
    low, high = (
        f"{end:{share}}" if share else f"{end:.3f}" if abs(end) < 10 else f"{end:.3g}" for end in (of.low, of.high)
    )
    return f"{low} to {high}" if math.isfinite(of.high) else f"{low} or more"


def shown(name: str) -> str:
    return {"\x00other": "(other)", "\x00missing": "(missing)"}.get(name, name)
