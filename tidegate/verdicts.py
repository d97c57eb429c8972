"""The values that decisions are made of: frozen, with reasons and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Outcome = Literal["pass", "fail", "inconclusive"]
Severity = Literal["page", "ticket", "digest"]
Kind = Literal["sudden", "gradual", "harm", "fault"]
Cause = Literal["upstream", "population", "concept", "model", "service", "improvement"]


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

    ``value`` is in the statistic's own unit (see `tidegate.alarms.series.Series`), ``against`` its yardstick. ``z``
    is the calibrated standard score with its ``limit``, ``total`` the cumulative sum of a gradual change with
    its ``total_limit``; all NaN where nothing is calibrated, and the outcome is inconclusive. ``n`` rows, ``n_eff``
    after dependence; ``detectors`` the number of the set of limits, 0 for none; ``material`` whether
    its effect was found worth a page, None where nobody asked.
    """

    window: str
    monitor: str
    subject: str
    statistic: str
    against: str
    value: float
    z: float
    limit: float
    total: float
    total_limit: float
    outcome: Outcome
    n: int
    n_eff: float
    detectors: int
    reason: str
    material: bool | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change costs the business or the model: ``value`` in ``unit``, and in words.

    ``material`` says whether it reaches the size that the model's owner called worth a page; ``kind`` by what
    reasoning it was estimated (empty: neither), ``low`` and ``high`` bound it. What is not ``estimable`` has NaN for
    its value. ``benign``: by every reasoning that applies it is surely below that size; unlike "not material", which
    may only mean that it is not known to reach it.
    """

    value: float
    unit: str
    words: str
    material: bool
    kind: Literal["fault", "covariate", "concept", ""] = ""
    low: float = math.nan
    high: float = math.nan
    estimable: bool = True
    benign: bool = False


@dataclass(frozen=True, slots=True)
class Signal:
    """What survived a monitor's calibrated threshold on one window: the raw material of alarms.

    Parameters
    ----------
    monitor : str
        ``feature``, ``prediction``, ``label``, ``performance``, ``volume``, ``quality`` or ``service``.
    subject : str
        A column, a metric or ``rows``; of a segment, ``distance [origin=JFK]``.
    value, low, high : float
        The statistic and its bounds, in its own unit; NaN where there is nothing to measure.
    z : float
        The calibrated standard score.
    since : str
        The window on which it began.
    worse : bool
        False for an improvement, which never pages.
    certified : bool
        Whether the threshold is certified for the budget of those who would be woken.
    """

    window: str
    monitor: str
    subject: str
    statistic: str
    kind: Kind
    value: float
    low: float
    high: float
    z: float
    since: str
    persistent: bool
    worse: bool
    effect: Effect | None = None
    certified: bool = False
    reason: str = ""

    @property
    def key(self) -> str:
        """What is the same signal on another window."""
        return f"{self.monitor}/{self.subject}/{self.statistic}"

    @property
    def column(self) -> str:
        """The subject without its segment."""
        return self.subject.split(" [", 1)[0]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Signals of one suspected cause, worth a person's time.

    ``about`` is the model or dataset that has the trouble, ``size`` the first member's
    statistic with its bounds, ``why_not_page`` what lowered the severity.
    """

    window: str
    monitor: str
    subject: str
    severity: Severity
    since: str
    text: str
    next_command: str
    cause: Cause | Literal[""] = ""
    about: str = ""
    group: str = ""
    incident: int | None = None
    size: str = ""
    effect: str = ""
    runbook: str = ""
    members: tuple[str, ...] = ()
    why_not_page: str = ""


Action = Literal["nothing", "fix_data", "recalibrate", "move_threshold", "retrain", "roll_back", "regate"]


@dataclass(frozen=True, slots=True)
class Option:
    """One action on one window: what it would gain over doing nothing, and what it costs.

    Parameters
    ----------
    gain, se : float
        Gain per row and its standard error, in ``unit`` (the KPI's; without a KPI the loss, less of it being a
        gain); NaN where it cannot be estimated.
    rows : float
        Rows that are expected within the horizon.
    chance : float
        Probability in [0, 1] that the action takes effect: that its candidate passes the gate.
    cost : float
        Compute, review and risk together, in the same unit.
    net, low, high : float
        ``chance · gain · rows − cost`` with its bounds at the declared confidence.
    why : str
        How the gain was estimated, or why it could not be.
    """

    action: Action
    gain: float
    se: float
    rows: float
    chance: float
    cost: float
    net: float
    low: float
    high: float
    unit: str
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The chosen action on one window and the options that lost, with why.

    ``options`` is what was weighed, empty where nothing was; ``acts`` whether the action
    is carried out without a person.
    """

    window: str
    action: Action
    reason: str
    losing: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[Option, ...] = ()
    acts: bool = True
