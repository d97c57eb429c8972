"""What the flows are asked: typed, with descriptions that Prefect's forms show."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tidegate.clock import now
from tidegate.config.home import Home, find_home
from tidegate.config.project import load_project
from tidegate.errors import UsageError
from tidegate.windows import Window

NAME = r"^[a-z0-9_-]{1,64}$"
HISTORY = 59
"""Nights before a replay that its first champion learns from, unless it is told otherwise."""


class Parameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    home: str | None = Field(None, description="Home folder; by default TIDEGATE_HOME, or the nearest one upward.")

    def resolved(self) -> Home:
        root = find_home(self.home)
        return Home.at(root, load_project(Home.at(root)).platform.state)


class DatasetNight(Parameters):
    """One window of a dataset."""

    dataset: str = Field(pattern=NAME, description="Name of a file in configs/datasets.")
    window: date | None = Field(None, description="Date of the window; by default the last one that is over.")
    again: bool = Field(False, description="Judge and land the window again even if it passed before.")


class ModelNight(Parameters):
    """One window of a model."""

    model: str = Field(pattern=NAME, description="Name of a file in configs/models.")
    window: date | None = Field(None, description="Date of the window; by default the last one that is over.")


class Nights(Parameters):
    """One window of a model, or all that are due."""

    model: str = Field(pattern=NAME, description="Name of a file in configs/models.")
    window: date | None = Field(
        None, description="Date of the window; left out, every night that is due and not done, the oldest first."
    )


class RetrainRequest(ModelNight):
    """A retrain that somebody, or a threshold, asks for."""

    champion: int | None = Field(
        None, ge=1, description="Version that is to be replaced; if another one decides by now, nothing is trained."
    )
    reason: str = Field("requested", max_length=200, description="Why; written to the ledger.")


class RecalibrateRequest(ModelNight):
    """An adjustment of the champion that somebody asks for."""

    threshold_only: bool = Field(False, description="Move the decision threshold; the scores stay bit for bit.")
    reason: str = Field("requested", max_length=200, description="Why; written to the ledger.")


class ApprovalRequest(Parameters):
    """A question about a version, or an answer to it."""

    model: str = Field(pattern=NAME, description="Name of a file in configs/models.")
    version: int | None = Field(None, ge=1, description="Version; by default the newest that waits for an answer.")
    decision: Literal["ask", "approve", "reject"] = Field(
        "ask", description="`ask` shows the verdict and waits for the form; the other two answer at once."
    )
    by: str = Field("", max_length=120, description="Who answers; kept in the ledger. Not needed to ask.")
    reason: str = Field("", max_length=1000, description="Why; kept in the ledger. A rejection needs one.")


class RollbackRequest(Parameters):
    """A person's way back to a former champion."""

    model: str = Field(pattern=NAME, description="Name of a file in configs/models.")
    to: int | None = Field(None, ge=1, description="A former champion; by default the last one that is sound.")
    check: bool = Field(True, description="Try it on current data first, and refuse what cannot serve.")
    by: str = Field(min_length=1, max_length=120, description="Who asks; kept in the ledger.")
    reason: str = Field("", max_length=1000, description="Why; kept in the ledger.")


class CompactRequest(Parameters):
    """Which home to keep."""


class FailedRun(Parameters):
    """A run that did not end well."""

    run: str = Field(max_length=120, description="Id of the flow run; `prefect.flow-run.` may stand before it.")
    state: str = Field("Failed", max_length=120, description="What became of it: Failed, Crashed or TimedOut.")


class DrillRequest(Parameters):
    """A rollback drill of one model, or of all that have a former champion."""

    model: str | None = Field(None, pattern=NAME, description="Name of a file in configs/models; by default every one.")


class ReplayRequest(Parameters):
    """History, night by night, under one policy or several."""

    model: str = Field(pattern=NAME, description="Name of a file in configs/models.")
    start: date = Field(description="First night.")
    end: date = Field(description="Last night.")
    history: date | None = Field(
        None, description="First night of the first champion's training; by default 59 nights before the start."
    )
    policy: Literal["tidegate", "never", "monthly", "drift", "performance", "all", "every"] = Field(
        "tidegate",
        description="When to retrain; `all` runs the first three side by side, `every` all five, two at a time.",
    )
    faults: str | None = Field(None, description="YAML file of faults to inject, relative to the home.")
    replay_id: str = Field("replay", pattern=NAME, description="Name of the replay's folder under var/replay.")


def window_of(home: Home, dataset: str, day: date | None) -> Window:
    """The asked window, or the last one that is over."""
    project = load_project(home)
    calendar = project.calendar(project.dataset(dataset))
    last = calendar.shift(calendar.of(now()), -1)
    if day is not None and day > last.date:
        raise UsageError(
            f"window {day} of {dataset}",
            f"a night that is over, {last} at the latest",
            str(day),
            "wait, or correct the date",
        )
    return calendar.window(day) if day else last
