"""What probably lies behind the signals of a night: one suspected cause for all that belongs together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidegate.alarms.severity import Graded
from tidegate.verdicts import Cause, Signal

SEVERAL = 3
"""Columns that have to change on the same night before their source is suspected."""
SHARE = 0.5
"""And the least share of the model's features that they have to be."""
SOURCE = frozenset({"missing", "unseen", "infinite", "constant"})
"""Statistics that speak of how the data is made, not of what it says."""
GAP = "estimate gap"
"""Subject of outcomes that stay worse than estimated: what the inputs do is in the estimate already."""


def by_cause(signals: Sequence[Graded], features: int, standing: Mapping[str, Cause]) -> dict[Cause, list[Graded]]:
    """The night's signals by suspected cause, every one in exactly one place.

    A signal that an open incident has already stays with that incident's cause. Of the rest:

    - ``improvement``: what is not worse.
    - ``upstream``: faults, quality and volume; missing, unseen, infinite values; many features
      that changed on the same night. What began no earlier and may be a consequence (the same
      columns, the prediction, the performance) goes with it.
    - ``population``: features drift; prediction and performance may follow.
    - ``concept``: performance or labels move without features, or outcomes stay worse than estimated.
    - ``model``: the prediction moves alone.
    - ``service``: latency, errors, skew: told apart from all that rows and labels say.

    Parameters
    ----------
    features : int
        Columns that the model predicts from.
    standing : mapping of str to Cause
        Cause of the open incident that has a signal, by the signal's key.
    """
    out: dict[Cause, list[Graded]] = {}
    found = causes([g.signal for g in signals], features, standing)
    for g, cause in zip(signals, found, strict=True):
        out.setdefault(cause, []).append(g)
    return out


def causes(signals: Sequence[Signal], features: int, standing: Mapping[str, Cause]) -> list[Cause]:
    """The suspected cause of each signal, by the rules of `by_cause`."""
    worse = [s for s in signals if s.worse and s.monitor != "service"]
    source = _of_the_source(worse, features)
    columns = {s.column for s in source}
    began = min((s.since for s in source), default="")
    of_source = {s.key for s in source}
    world = _of_the_world([s for s in worse if s.key not in of_source and s.column not in columns])
    out: list[Cause] = []
    for s in signals:
        known = standing.get(s.key)
        consequence = bool(source) and s.since >= began and (s.monitor != "feature" or s.column in columns)
        if not s.worse:
            out.append("improvement")
        elif s.monitor == "service":
            out.append("service")
        elif known is not None:
            out.append(known)
        elif s.key in of_source or consequence:
            out.append("upstream")
        else:
            out.append("concept" if s.column == GAP else world)
    return out


def _of_the_source(signals: Sequence[Signal], features: int) -> list[Signal]:
    found = [
        s for s in signals
        if s.kind == "fault" or s.monitor in ("quality", "volume") or (s.monitor == "feature" and s.statistic in SOURCE)
    ]  # fmt: skip
    nights: dict[str, list[Signal]] = {}
    for s in signals:
        if s.monitor == "feature" and s.kind == "sudden":
            nights.setdefault(s.since, []).append(s)
    for together in nights.values():
        if len({s.column for s in together}) >= max(SEVERAL, SHARE * features):
            found += together
    return found


def _of_the_world(signals: Sequence[Signal]) -> Cause:
    monitors = {s.monitor for s in signals}
    if "feature" in monitors:
        return "population"
    return "concept" if monitors & {"performance", "label"} else "model"
