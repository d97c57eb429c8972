"""The words of an alarm: what a stranger needs at three in the morning."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from tidegate.text import printable
from tidegate.verdicts import Cause, Signal

SHOWN = 3
"""Subjects that an alarm spells out."""
LENGTH = 40
"""Characters of a subject that an alarm shows."""

CAUSES: dict[Cause, str] = {
    "upstream": "the data itself: its source, or a step before it, changed or broke",
    "population": "other cases come in than the model learned from",
    "concept": "the same inputs now lead to other outcomes",
    "model": "the model: its predictions moved although its inputs did not",
    "service": "the service: what it runs on or in, not what the model learned",
    "improvement": "nothing to mend, it got better",
}
_HAPPENED = {
    "prediction": "predictions moved",
    "label": "outcomes changed",
    "volume": "number of rows is off",
    "quality": "data failed its checks",
    "service": "the service answers badly",
}
_SERVICE = {
    "latency": "answers are slow",
    "errors": "requests fail",
    "skew": "served otherwise than in training",
    "nightly": "nights are not run",
    "run": "a run failed",
}
_SHARES = {"missing": "missing share", "unseen": "share of unseen categories"}
_NAMES = {"psi": "PSI", "ks": "KS", "js": "JS", "kl": "KL", "w1_sigma": "W1/σ", "infinite": "infinite values"}


def size_of(signal: Signal) -> str:
    """The statistic with its bounds; empty where there is nothing to measure.

    Examples
    --------
    >>> night = dict(window="2013-06-14", z=5.0, since="2013-06-09", persistent=True, worse=True)
    >>> size_of(Signal(monitor="feature", subject="distance", statistic="ks", kind="sudden",
    ...                value=0.1234, low=0.1, high=0.15, **night))
    'KS 0.123 (0.1 to 0.15)'
    """
    if math.isnan(signal.value):
        return ""
    share = signal.statistic in _SHARES
    name = _SHARES.get(signal.statistic) or _NAMES.get(signal.statistic, printable(signal.statistic))
    value, low, high = (f"{x:.1%}" if share else _number(x) for x in (signal.value, signal.low, signal.high))
    bounds = "" if math.isnan(signal.low) or math.isnan(signal.high) else f" ({low} to {high})"
    if math.isinf(signal.high):
        bounds = f" ({low} or more)"
    return f"{name} {value}{bounds}"


def subjects_of(signals: Sequence[Signal]) -> str:
    """The first subjects, each once, and how many more there are."""
    names = list(dict.fromkeys(_short(s.subject) for s in signals))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def sentence(signals: Sequence[Signal], cause: Cause, nights: int) -> str:
    """What happened, how much, since when, what is suspected; the loudest signal is the first."""
    first = signals[0]
    size, reason = size_of(first), printable(first.reason)
    detail = "; ".join(part for part in (size, reason) if part)
    lasted = f"since {first.since}" + (f", {nights} nights" if nights > 1 else "")
    return f"{_what(signals)}{f': {detail}' if detail else ''}, {lasted}. Suspected cause: {CAUSES[cause]}."


def next_command(cause: Cause, first: Signal, model: str, dataset: str, incident: int | None) -> str:
    """The command that a person runs next."""
    if cause == "upstream" and (first.kind == "fault" or first.monitor in ("quality", "volume")):
        return f"tidegate quarantine list {dataset} --window {first.window}"
    if cause == "concept":
        why = f"incident {incident}" if incident else "concept"
        return f"tidegate retrain {model} --reason {shlex.quote(why)}"
    if cause == "model":
        return f"tidegate lineage {model}"
    if cause == "service":
        return _of_the_service(first, model)
    return f"tidegate findings {model} {first.window}"


def _of_the_service(first: Signal, model: str) -> str:
    subject = first.subject.partition(" [")[0]
    if subject in ("nightly", "run"):
        return f"tidegate nightly {model} --window {first.since}"
    return f"tidegate {'skew' if subject == 'skew' else 'service'} {model} --window {first.window}"


def happened(monitor: str, subject: str) -> str:
    """What a monitor has to say of a subject, without any number or value.

    Examples
    --------
    >>> happened("feature", "zip"), happened("quality", "zip")
    ('zip drifted', 'data failed its checks: zip')
    """
    if monitor == "feature":
        return f"{subject} drifted"
    return f"{_HAPPENED.get(monitor, printable(monitor))}: {subject}"


def _what(signals: Sequence[Signal]) -> str:
    first = signals[0]
    names = list(dict.fromkeys(s.subject for s in signals if s.monitor == first.monitor))
    if first.monitor == "performance":
        return f"{_short(first.subject)} {'got worse' if first.worse else 'improved'}"
    if first.monitor == "feature":
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"{_short(first.subject)}{more} {'drifted' if first.worse else 'came back'}"
    if first.monitor == "service":
        return _SERVICE.get(first.column, _HAPPENED["service"])
    segment = first.subject.partition(" [")[2]
    return _HAPPENED.get(first.monitor, printable(first.monitor)) + (f" [{_short(segment)}" if segment else "")


def _number(x: float) -> str:
    return f"{x:,.0f}" if 1000 <= abs(x) < 1e12 else f"{x:.3g}"


def _short(subject: str) -> str:
    text = printable(subject)
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"
