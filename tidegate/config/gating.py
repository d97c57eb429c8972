"""What a candidate must show before it may replace the champion."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from tidegate.config.base import Settings, wrong
from tidegate.config.values import ColumnName, Columns, Duration, Number, UserCode, Whole


class Fairness(Settings):
    """How alike the groups of `protected` columns must be treated."""

    criteria: tuple[Literal["demographic_parity", "equalized_odds", "four_fifths"], ...] = Field(
        ("demographic_parity", "equalized_odds", "four_fifths"), description="What is judged; the rest is shown."
    )
    max_gap: Number = Field(
        0.1,
        gt=0,
        le=1,
        description="Largest difference of rates between two groups (regression: of means, in standard deviations "
        "of the label).",
    )
    min_ratio: Number = Field(0.8, gt=0, lt=1, description="Smallest ratio of selection rates: the four-fifths rule.")
    min_rows: Whole = Field(
        100, ge=10, description="A group with fewer rows is unknown; for equalized odds, fewer of either class."
    )
    confidence: Number = Field(0.95, gt=0.5, lt=1, description="Of the intervals, all groups and looks together.")
    margin: Number = Field(
        0.02,
        gt=0,
        lt=1,
        description="Rise of a gap above the champion's that is let pass while the gap itself is within its limit, "
        "but not yet proven to be.",
    )
    aim: Number = Field(
        0.5, gt=0, le=1, description="Part of the limits that group thresholds aim at, to leave room for the interval."
    )


class Robustness(Settings):
    """What a candidate must bear: disturbed inputs, leaks, poisoned labels."""

    rows: Whole = Field(2000, ge=100, le=100_000, description="Recent rows that are disturbed and replayed.")
    noise: Number = Field(0.1, ge=0, description="Noise added to numbers, in standard deviations of the column.")
    missing: Number = Field(0.1, ge=0, le=1, description="Share of the cells of a nullable column that is emptied.")
    max_loss: Number = Field(
        0.1,
        gt=0,
        description="Largest rise of the loss under a disturbance that can happen, as a share of a constant's loss.",
    )
    max_alone: Number = Field(
        0.95, gt=0.5, le=1, description="A single feature that ranks the label this well (ROC AUC) is a suspected leak."
    )
    max_certain: Number = Field(
        0.02,
        gt=0,
        lt=1,
        description="A feature that makes the label all but certain, by a jump, on a larger share of "
        "the rows is a suspected leak.",
    )
    strong: Columns = Field((), description="Features known to be that strong for good reason; never suspected.")
    anchor_margin: Number = Field(
        0.1, gt=0, description="Largest loss above the champion's on labels kept from before, as a share of it."
    )
    max_relabelled: Number = Field(
        0.15,
        gt=0,
        description="Largest move of a group's labels away from what the champion and the other groups lead "
        "to expect, as a share of labels (regression: in standard deviations).",
    )
    min_share: Number = Field(0.03, gt=0, le=1, description="Groups below this share of the rows are not looked at.")
    source: ColumnName | None = Field(None, description="Column that says who delivered a row, for the share of each.")
    max_source_rise: Number = Field(
        0.2, gt=0, le=1, description="Largest rise of a source's share of the rows above the champion's training."
    )


class Servability(Settings):
    """What a candidate must bear in a fresh process."""

    max_latency: Number = Field(200.0, gt=0, description="Milliseconds for one row, 95 of 100 times.")
    max_batch: Number = Field(30.0, gt=0, description="Seconds for 10,000 rows.")
    max_memory: Whole = Field(1024, gt=0, description="Mebibytes that loading and scoring may add to a process.")
    time_limit: Number = Field(120.0, gt=0, le=3600, description="Seconds after which the fresh process is ended.")


class Gate(Settings):
    """When a candidate may replace the champion."""

    error_per_year: Number = Field(
        0.05, gt=0, lt=0.5, description="Chance that a candidate that is no better passes, over all attempts of a year."
    )
    alpha: Number = Field(
        0.05, gt=0, lt=0.5, description="Error of each other check over a whole attempt, shared over its looks."
    )
    block_nights: Whole = Field(3, ge=1, le=31, description="Nights in a block, the unit of resampling.")
    min_blocks: Whole = Field(6, ge=3, description="Fewer hold-out blocks than this is inconclusive.")
    looks: Whole = Field(3, ge=1, le=12, description="Times that one candidate is tested; later looks get more error.")
    look_every: Duration = Field(timedelta(days=14), description="New matured nights between two looks.")
    min_gain_over_dummy: Number = Field(0.0, ge=0, description="First model: margin over a constant prediction.")
    baseline: UserCode | None = Field(
        None, description="First model: `module:function`, `baseline(frame) -> scores`, what it must beat."
    )
    segments: Columns = Field(
        (), description="Columns, besides `segments` and `protected`, by whose values harm is judged."
    )
    segment_margin: Number = Field(
        0.1, ge=0, description="Largest rise of a segment's loss above the champion's, as a share of it."
    )
    min_segment_rows: Whole = Field(200, ge=20, description="A segment with fewer rows is unknown.")
    brier_margin: Number = Field(0.005, ge=0, description="Largest rise of the Brier score above the champion's.")
    ece_margin: Number = Field(0.02, ge=0, description="Largest rise of the calibration error above the champion's.")
    approval_lapses: Duration = Field(
        timedelta(days=7), gt=timedelta(0), description="An unanswered request for approval lapses after this."
    )
    fairness: Fairness = Field(Fairness(), description="How alike the groups of `protected` columns must be treated.")
    robustness: Robustness = Field(Robustness(), description="Disturbed inputs, leaks, poisoned labels.")
    servability: Servability = Field(Servability(), description="What must hold in a fresh process.")
    immutable: Columns = Field((), description="Features that a counterfactual must not change.")

    @model_validator(mode="after")
    def _can_decide(self) -> Gate:
        if self.error_per_year < 1e-4 * self.looks:
            raise wrong("at least 0.0001 a look", str(self.error_per_year), key="error_per_year")
        return self
