"""The values that decisions are made of: frozen, with reasons and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Outcome = Literal["pass", "fail", "inconclusive"]
Severity = Literal["page", "ticket", "digest"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one question about one thing.

    ``inconclusive`` means that the evidence does not suffice; it is never a pass.
    """

    outcome: Outcome
    reasons: tuple[str, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return self.outcome == "pass"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One monitor's verdict on one window.

    ``value`` is in the statistic's own unit, ``limit`` is the value above (or, for
    performance, below) which the monitor fails; ``n`` rows, ``n_eff`` after dependence.
    """

    window: str
    monitor: str
    subject: str
    statistic: str
    value: float
    limit: float
    outcome: Outcome
    n: int
    n_eff: float
    reason: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Findings worth a person's time, grouped by what they are about."""

    window: str
    monitor: str
    subject: str
    severity: Severity
    since: str
    text: str
    next_command: str


Action = Literal["nothing", "fix_data", "retrain", "regate"]


@dataclass(frozen=True, slots=True)
class Decision:
    """The chosen action on one window and the options that lost, with why."""

    window: str
    action: Action
    reason: str
    losing: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)
