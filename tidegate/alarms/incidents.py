"""Incidents: one trouble of one model or dataset, from its first alarm until it has been quiet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from tidegate.alarms.budget import group_of
from tidegate.alarms.severity import Mute
from tidegate.alarms.told import Told
from tidegate.config.dataset import Dataset
from tidegate.config.model import Model
from tidegate.config.platform import Freeze, Platform
from tidegate.verdicts import Alarm, Cause, Severity

Status = Literal["open", "acknowledged", "snoozed", "closed"]
Scope = Literal["model", "dataset"]
What = Literal[
    "raised", "joined", "worsened", "reminded", "reopened", "acknowledged", "snoozed", "closed", "noted", "delivered",
    "undelivered",
]  # fmt: skip
ITSELF = "tidegate"
"""Who did what no person did."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One trouble.

    ``severity`` is the loudest that was told, on window ``told``; ``keys`` are its signals;
    ``quiet`` counts the quiet nights in a row of each model that sees it; ``groups`` is what
    each group has been told, ``group`` the first of them. ``closed`` is the date it was closed
    on, ``closed_by`` the person or Tidegate itself.
    """

    number: int
    scope: Scope
    name: str
    group: str
    cause: Cause
    severity: Severity
    opened: str
    last: str
    told: str
    since: str
    text: str
    status: Status = "open"
    until: str = ""
    closed: str = ""
    closed_by: str = ""
    members: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    quiet: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, Told] = field(default_factory=dict)
    revision: int = 0

    @property
    def about(self) -> str:
        return f"{self.scope} {self.name}"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to an incident, on which window, by whom."""

    number: int
    what: What
    window: str
    by: str = ITSELF
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """How one model's signals become alarms; days and nights are whole numbers, ``caps`` pages a night by group."""

    model: str
    dataset: str
    group: str
    dataset_group: str
    features: int
    cooldown: int
    close_after: int
    caps: Mapping[str, int]
    runbook: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known when a window is judged.

    Parameters
    ----------
    incidents : tuple of Incident
        Of the model and of its dataset: those not closed, those closed within the cooldown,
        and those that were open on the window.
    alarms : tuple of Alarm
        The model's alarms of the window and of the cooldown before it.
    newest : str
        The newest window that was judged for this model.
    earlier : str
        The newest judged window before the one in hand, if that one is older than `newest`.
    judged : bool
        Whether this very window was judged before: then it is restated.
    paged : mapping of str to int
        Pages that each group got on this window from other models.
    next_number : int
        Of the next incident.
    """

    incidents: tuple[Incident, ...] = ()
    mutes: tuple[Mute, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    newest: str = ""
    earlier: str = ""
    judged: bool = False
    paged: Mapping[str, int] = field(default_factory=dict)
    next_number: int = 1

    def before(self, window: str) -> str:
        """The window that was judged before this one; empty if there is none."""
        return self.newest if self.newest < window else self.earlier


@dataclass(frozen=True, slots=True)
class Judged:
    """A window's alarms, the incidents that are new or changed, and what happened to them."""

    alarms: tuple[Alarm, ...] = ()
    incidents: tuple[Incident, ...] = ()
    events: tuple[Event, ...] = ()


def rules_of(model: Model, dataset: Dataset, platform: Platform) -> Rules:
    """The rules of a model; trouble of the dataset goes to the dataset's owner, if that is a declared group.

    Raises
    ------
    ConfigError
        If the model's group is not declared.
    """
    group, on_call = group_of(model, platform)
    dataset_group = dataset.owner if dataset.owner in platform.on_call else group
    return Rules(
        model=model.name,
        dataset=dataset.name,
        group=group,
        dataset_group=dataset_group,
        features=len(model.features),
        cooldown=-(-model.alarms.cooldown // _DAY),
        close_after=model.alarms.close_after,
        caps={dataset_group: platform.on_call.get(dataset_group, on_call).page_cap, group: on_call.page_cap},
        runbook=model.alarms.runbook,
    )


_DAY = date(2000, 1, 2) - date(2000, 1, 1)
