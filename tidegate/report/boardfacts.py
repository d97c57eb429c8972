"""What the dashboards are told of one model; read by `tidegate.steps.pages`, and nothing but values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Batch:
    """A window's batch as it was judged."""

    outcome: str
    rows: int
    quarantined: int
    why: str = ""


@dataclass(frozen=True)
class Worth:
    """A matured window: the mean worth of a row as served, and by the first champion (None if it cannot be told)."""

    served: float
    never: float | None
    n: int
    version: int


@dataclass(frozen=True)
class Told:
    """An alarm."""

    window: str
    severity: str
    subject: str
    words: str
    next: str
    runbook: str
    incident: int | None
    effect: str = ""


@dataclass(frozen=True)
class Trouble:
    """An incident."""

    number: int
    severity: str
    status: str
    cause: str
    opened: str
    last: str
    words: str


@dataclass(frozen=True)
class Release:
    """A version: what it learned from, what became of it, and where its evidence and its package are."""

    version: int
    status: str
    trained_through: str
    rows: int
    window: str
    reason: str
    digest: str
    run: str
    outcome: str
    reasons: Sequence[str] = ()


@dataclass(frozen=True)
class Group:
    """A protected group's primary metric over the newest windows, with its 95 % interval."""

    column: str
    value: str
    metric: str
    level: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Facts:
    """Everything of one model; mappings go from window to value, windows oldest first."""

    model: str
    state: str
    words: Sequence[str]
    next: str
    monitor_only: bool
    unit: str
    priced: bool
    primary: str
    champion: int | None
    since: str
    windows: Sequence[str]
    batches: Mapping[str, Batch] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    estimates: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    drift: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Window to subject to how far it is up to its limit: 1 and more is an alarm's signal."""
    service: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decisions: Sequence[Mapping[str, Any]] = ()
    switches: Sequence[tuple[str, int | None, int | None, str, str]] = ()
    """Window, from, to, by whom, why."""
    alarms: Sequence[Told] = ()
    incidents: Sequence[Trouble] = ()
    releases: Sequence[Release] = ()
    groups: Sequence[Group] = ()
    worth: Mapping[str, Worth] = field(default_factory=dict)
    never_why: str = ""
    coverage: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    """Window to outcome and share of rows with a label."""
    costs: Mapping[str, float] = field(default_factory=dict)
    block: int = 7
    today: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    """Window to the page of its drift report; ``evidence/3`` to that of version 3."""


__all__ = ["Batch", "Facts", "Group", "Release", "Told", "Trouble", "Worth"]
