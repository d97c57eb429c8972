"""What an action costs, over what time its gain counts, and when nobody acts by himself."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from tidegate.config.base import Settings
from tidegate.config.values import Duration, Number, Whole

Costed = Literal["fix_data", "recalibrate", "move_threshold", "retrain", "roll_back"]


class ActionCost(Settings):
    """What one action costs, in the KPI's unit."""

    compute: Number = Field(0.0, ge=0, description="Machines: training, scoring, storage.")
    review: Number = Field(0.0, ge=0, description="People's time to look at it.")
    risk: Number = Field(0.0, ge=0, description="What a change of the model may break, times how likely that is.")

    @property
    def total(self) -> float:
        """All of it."""
        return self.compute + self.review + self.risk


class Costs(Settings):
    """The cost of each action; doing nothing costs nothing."""

    fix_data: ActionCost = Field(ActionCost(), description="Getting a batch delivered again, or mended.")
    recalibrate: ActionCost = Field(ActionCost(), description="New probabilities from the same estimator.")
    move_threshold: ActionCost = Field(ActionCost(), description="A new decision threshold, nothing else.")
    retrain: ActionCost = Field(ActionCost(), description="A new estimator.")
    roll_back: ActionCost = Field(ActionCost(), description="The former champion once more.")

    def of(self, action: Costed) -> ActionCost:
        """The cost of one action."""
        found: ActionCost = getattr(self, action)
        return found


class Deciding(Settings):
    """How the nightly decision weighs its options."""

    mode: Literal["act", "recommend"] = Field(
        "act", description="`recommend`: the choice is written down and told, and a person carries it out."
    )
    actions: tuple[Literal["recalibrate", "move_threshold", "retrain", "roll_back"], ...] = Field(
        ("recalibrate", "move_threshold", "retrain", "roll_back"), description="What may be done to the model."
    )
    horizon: Duration = Field(
        timedelta(days=28), ge=timedelta(days=1), description="Time over which an action's gain is counted."
    )
    nights: Whole = Field(28, ge=6, description="Newest matured nights that gains are estimated on.")
    look_every: Duration = Field(
        timedelta(days=7),
        ge=timedelta(days=1),
        description="Options are weighed this often, and at once when something that costs money is proven.",
    )
    confidence: Number = Field(
        0.8, gt=0.5, lt=1, description="One-sided: an action is taken when its net gain is above zero at this level."
    )
    cooldown: Duration = Field(
        timedelta(days=14), ge=timedelta(0), description="Time after any change of the model before another is tried."
    )
    breaker: Whole = Field(
        3, ge=1, description="After so many attempts in a row that were not promoted, no more by itself for a while."
    )
    breaker_rest: Duration = Field(
        timedelta(days=60), ge=timedelta(0), description="How long; a promotion ends it, too."
    )
    costs: Costs = Field(Costs(), description="What each action costs, in the KPI's unit.")
