"""Estimates as people are shown them: night by night, with what came true where it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from tidegate.config.model import Model
from tidegate.steps.stores import Stores
from tidegate.verdicts import Verdict

NIGHTS = 30


@dataclass(frozen=True, slots=True)
class Shown:
    """One night: the estimate of the primary metric with its error, and what came true; None where not known."""

    window: str
    version: int
    value: float
    se: float
    n: int
    trusted: bool
    realised: float | None
    gap: str
    metrics: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Estimated:
    """The nights that were asked for, and in words whether their estimates are trusted and what the gap says."""

    model: str
    metric: str
    nights: tuple[Shown, ...]
    trust: Verdict | None
    gap: Verdict | None
    words: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def estimated(stores: Stores, model: Model, first: date | None = None, last: date | None = None) -> Estimated:
    """The stored estimates from `first` to `last`; left out, of the last `NIGHTS` that have one."""
    known = [s.window for s in stores.lake.many("estimates", model.name) if s.rows]
    wanted = [w for w in known if (not first or w >= first.isoformat()) and (not last or w <= last.isoformat())]
    wanted = wanted if first else wanted[-NIGHTS:]
    by_night: dict[str, dict[str, dict[str, Any]]] = {}
    for r in stores.lake.read("estimates", model.name, wanted).to_pylist() if wanted else ():
        by_night.setdefault(r.pop("window"), {})[r.pop("metric")] = r
    realised = _realised(stores, model, wanted)
    gaps = stores.records.verdicts(model.name, "gap")
    nights = []
    for window, metrics in by_night.items():
        for name, value in metrics.items():
            value["realised"] = realised.get(window, {}).get(name)
        # A primary metric that cannot be estimated (R²) is shown by the first that can.
        found = metrics.get(model.metric.primary) or next(iter(metrics.values()))
        outcome = gaps[window].outcome if window in gaps else ""
        nights.append(Shown(window, found["version"], found["value"], found["se"], found["n"], bool(found["trusted"]),
                            found["realised"], outcome, metrics))  # fmt: skip
    metric = model.metric.primary
    if nights and metric not in nights[-1].metrics:
        metric = next(iter(nights[-1].metrics))
    trust = stores.records.verdicts(model.name, "estimate")
    upto = nights[-1].window if nights else "9"
    newest, gap = _newest(trust, upto), _newest(gaps, upto)
    words = [w for v in (newest, gap) if v is not None for w in v.reasons[:1]]
    if newest is None:
        words.append(_nothing(stores, model))
    return Estimated(model.name, metric, tuple(nights), newest, gap, tuple(words))


def _nothing(stores: Stores, model: Model) -> str:
    if model.estimator.build is None:
        return f"{model.name} is only monitored: without a model's scores nothing can be estimated"
    if stores.champion(model.name) is None:
        return f"{model.name} has no champion: nothing to estimate"
    return "no window was scored since estimates are made"


def _newest(known: Mapping[str, Verdict], upto: str) -> Verdict | None:
    found = [w for w in known if w <= upto]
    return known[max(found)] if found else None


def _realised(stores: Stores, model: Model, windows: list[str]) -> dict[str, dict[str, float]]:
    """The measured metrics of windows that matured with enough labels, whole nights only."""
    covered = stores.records.outcomes(model.name, "coverage")
    wanted = [s.window for s in stores.lake.many("metrics", model.name, windows) if covered.get(s.window) == "pass"]
    out: dict[str, dict[str, float]] = {}
    for r in stores.lake.read("metrics", model.name, wanted).to_pylist() if wanted else ():
        if r["segment"] == "all":
            out.setdefault(r["window"], {})[r["metric"]] = r["value"]
    return out
