"""How loud a signal may be: page, ticket or digest, and what lowers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from tidegate.config.platform import Freeze
from tidegate.verdicts import Severity, Signal

LOUDNESS: dict[Severity, int] = {"digest": 0, "ticket": 1, "page": 2}

BENIGN = "benign: "
"""How the reason of a line in the digest begins that costs surely too little to matter."""


@dataclass(frozen=True, slots=True)
class Mute:
    """A person's wish not to be told of one subject of a model, up to and including `until`."""

    model: str
    subject: str
    until: str
    by: str
    reason: str

    def covers(self, signal: Signal) -> bool:
        """Whether the signal is of the subject, or of one of its segments."""
        return self.subject in (signal.subject, signal.column) and signal.window <= self.until


@dataclass(frozen=True, slots=True)
class Graded:
    """A signal with its severity, and why that is not higher."""

    signal: Signal
    severity: Severity
    why: str = ""


def severity_of(signal: Signal) -> Severity:
    """The severity that the evidence alone gives.

    A page takes a fault, proven harm, or evidence certified for the budget that lasts and
    has a material effect. What is worse and lasts is a ticket, also where its effect is not
    estimable; but one whose effect is surely too small to matter is benign, a line in the digest. So
    is an improvement. A fault and proven harm are never benign.

    Examples
    --------
    >>> night = dict(window="2013-06-14", monitor="performance", subject="roc_auc", statistic="roc_auc")
    >>> size = dict(value=0.61, low=0.59, high=0.63, z=-4.0, since="2013-06-02")
    >>> severity_of(Signal(**night, **size, kind="harm", persistent=True, worse=True))
    'page'
    >>> severity_of(Signal(**night, **size, kind="harm", persistent=True, worse=False))
    'digest'
    """
    if not signal.worse:
        return "digest"
    material = signal.effect is not None and signal.effect.material
    if signal.kind in ("fault", "harm") or (signal.certified and signal.persistent and material):
        return "page"
    return "ticket" if signal.persistent and not _benign(signal) else "digest"


def _benign(signal: Signal) -> bool:
    return signal.effect is not None and signal.effect.estimable and signal.effect.benign


def graded(signal: Signal, mutes: Sequence[Mute], freezes: Sequence[Freeze]) -> Graded:
    """The severity after mutes and freeze periods, which lower it to the digest and say so."""
    severity, night = severity_of(signal), date.fromisoformat(signal.window)
    if severity == "digest":
        return Graded(signal, severity, _quiet(signal))
    for mute in mutes:
        if mute.covers(signal):
            return Graded(signal, "digest", f"{mute.subject} muted by {mute.by} until {mute.until}: {mute.reason}")
    for freeze in freezes:
        if freeze.start <= night <= freeze.end:
            return Graded(signal, "digest", f"freeze from {freeze.start} to {freeze.end}: {freeze.reason}")
    return Graded(signal, severity, _missing(signal) if severity == "ticket" else "")


def _quiet(signal: Signal) -> str:
    """Why something is no more than a line in the digest."""
    if not signal.worse:
        return "an improvement never pages"
    if not signal.persistent:
        return "it has not lasted"
    return f"{BENIGN}{signal.effect.words if signal.effect else ''}"


def _missing(signal: Signal) -> str:
    """What a ticket lacks for a page."""
    effect = signal.effect
    if not signal.certified:
        return "its threshold is not certified for the budget"
    if effect is None:
        return "no effect on the model is known"
    if not effect.estimable:
        return "its effect is not estimable"
    if effect.value > 0 >= effect.low:
        return "its effect is not proven: it may be nothing"
    return "its effect is too small to matter"
