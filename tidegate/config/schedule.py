"""When things run by themselves, and how much of what was missed is caught up."""

from __future__ import annotations

from pydantic import Field

from tidegate.config.base import Settings
from tidegate.config.values import Cron, Number, TimeZone, Whole


class Schedule(Settings):
    """The schedules of a home; a model's nightly run is its own key `schedule`."""

    time_zone: TimeZone = Field("UTC", description="IANA name of the zone of the cron lines below.")
    compact: Cron = Field("30 3 * * 0", description="Cron line of housekeeping.")
    drill: Cron = Field("0 11 * * 3", description="Cron line of the rollback drill, beside production.")
    deliver: Cron = Field("*/5 * * * *", description="Cron line of the delivery of alerts, where `tidegate up` is not.")
    catch_up: Whole = Field(14, ge=1, le=366, description="Missed nights at most that a run catches up, oldest first.")
    patience: Number = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the time between two nightly runs that one may be late before it pages.",
    )
    at_once: Whole = Field(4, ge=1, le=64, description="Flow runs at the same time.")
