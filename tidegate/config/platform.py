"""The platform file, `configs/tidegate.yaml`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import Field, model_validator

from tidegate.config.alerts import Alerts
from tidegate.config.base import Settings, did_you_mean, show, wrong
from tidegate.config.operations import Operations
from tidegate.config.retention import Retention
from tidegate.config.schedule import Schedule
from tidegate.config.serving import Gateway
from tidegate.config.values import Day, Duration, Name, Number, RelativePath, Whole


class OnCall(Settings):
    """What a group of people is willing to be woken for."""

    budget: Number = Field(
        1.0, ge=0, description="False pages in 30 days that the group accepts, all its models together."
    )
    page_cap: Whole = Field(3, ge=1, description="Pages a night at most; what is above becomes a ticket.")


class Freeze(Settings):
    """A period in which nothing pages."""

    start: Day = Field(alias="from", description="First date on which nothing pages.")
    end: Day = Field(alias="to", description="Last date on which nothing pages.")
    reason: str = Field(min_length=1, description="Why; said in every alarm that it lowers.")

    @model_validator(mode="after")
    def _in_order(self) -> Freeze:
        if self.end < self.start:
            raise wrong(f"a date from {self.start} on", show(self.end.isoformat()), key="to")
        return self


class Platform(Settings):
    """What holds for every model of a home."""

    namespace: Name = Field("default", description="Put on every stored row of this home's models and datasets.")
    state: RelativePath = Field("var", description="Folder of all state, relative to the home.")
    lease: Duration = Field(
        timedelta(minutes=15), gt=timedelta(0), description="How long a lease lives without renewal."
    )
    serving: Gateway = Field(Gateway(), description="Where the gateway listens, and what it refuses.")
    operations: Operations = Field(Operations(), description="What `tidegate up` starts, and where it listens.")
    retention: Retention = Field(Retention(), description="How long things are kept, and how much disk they may take.")
    on_call: dict[Name, OnCall] = Field(
        default_factory=dict, description="The groups that are woken, by name; an owner without one has the defaults."
    )
    schedule: Schedule = Field(Schedule(), description="When things run by themselves, and what is caught up.")
    alerts: Alerts = Field(Alerts(), description="Whom alarms are told to, through what, and when.")
    freezes: tuple[Freeze, ...] = Field((), description="Periods in which alarms go to the digest only.")
    defaults: dict[str, Any] = Field(
        default_factory=dict,
        description="Any keys of a model file but `name`; every model file inherits them, key by key.",
    )

    @model_validator(mode="after")
    def _routes_lead_to_groups(self) -> Platform:
        # An owner may be a group without being declared, but then `default` is its route: a typo here is silence.
        for group in self.alerts.routes:
            if group != "default" and group not in self.on_call:
                known = ("default", *self.on_call)
                do = did_you_mean(group, known, f"declare on_call.{group}")
                raise wrong(f"one of {', '.join(known)}", show(group), key="alerts.routes", do=do)
        return self
