"""A model: what is predicted from which dataset, and how it is looked after."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, model_validator

from tidegate.config.base import ColumnName, Duration, Name, Settings, UserCode
from tidegate.config.dataset import Source

Kind = Literal["binary", "multiclass", "regression"]


class Label(Settings):
    """What came true, and when it becomes known."""

    column: ColumnName
    source: Source
    delay: Duration = Field(timedelta(0), ge=timedelta(0), description="Time from a window's end to its labels.")
    arrived_at: ColumnName | None = Field(None, description="Column that says when a label arrived, instead of `delay`.")
    classes: tuple[str | int | bool, ...] | None = Field(None, description="Every class, for classification.")
    positive: str | int | bool | None = Field(None, description="The positive class of a binary model.")


class Estimator(Settings):
    """The user's code."""

    build: UserCode | None = Field(None, description="`module:function`, `build(params) -> estimator`.")
    features: UserCode | None = Field(None, description="`module:function`, `features(frame) -> frame`, row-wise.")
    params: dict[str, Any] = Field(default_factory=dict, description="Passed to `build`.")
    seed: int = Field(0, ge=0, description="Handed to `build` as `params['random_state']`.")


class Kpi(Settings):
    """Money (or another unit) per outcome; the mean per row is the KPI."""

    unit: str = "USD"
    true_positive: float = 0.0
    false_positive: float = 0.0
    false_negative: float = 0.0
    true_negative: float = 0.0
    correct: float = Field(0.0, description="Multiclass: value of a right answer.")
    wrong: float = Field(0.0, description="Multiclass: value of a wrong answer.")
    per_unit_error: float = Field(0.0, description="Regression: value per unit of absolute error.")


class Metric(Settings):
    """What the model is judged by."""

    primary: str = Field("roc_auc", description="A registered performance metric.")
    must_hold: dict[str, float] = Field(
        default_factory=dict, description="Guardrails: metric to the largest worsening allowed, in its unit."
    )


class Monitors(Settings):
    """Limits of the nightly monitors."""

    psi_margin: float = Field(0.2, gt=0, description="PSI that matters, on top of its sampling error.")
    missing_margin: float = Field(0.2, gt=0, le=1, description="Change in the missing share that matters.")
    unseen_margin: float = Field(0.01, gt=0, le=1, description="Share of unseen categories that matters.")
    confidence: float = Field(0.99, gt=0.5, lt=1, description="Of the sampling limit on each statistic.")
    persistence: int = Field(3, ge=1, description="Failing nights within `within` before an alarm.")
    within: int = Field(5, ge=1)
    cooldown: Duration = Field(timedelta(days=14), description="No second alarm on the same subject before this.")


class Gate(Settings):
    """When a candidate may replace the champion."""

    alpha: float = Field(0.10, gt=0, lt=0.5, description="Error of a whole attempt, shared over its looks.")
    block_nights: int = Field(3, ge=1, le=31, description="Nights in a block, the unit of resampling.")
    min_blocks: int = Field(6, ge=3, description="Fewer hold-out blocks than this is inconclusive.")
    target_blocks: int = Field(7, ge=3, description="Hold-out blocks aimed at when there are many nights.")
    looks: int = Field(3, ge=1, le=12, description="Times that one candidate is tested, alpha shared evenly.")
    look_every: Duration = Field(timedelta(days=14), description="New matured nights between two looks.")
    min_gain_over_dummy: float = Field(0.0, ge=0, description="First model: margin over a constant prediction.")


class Retrain(Settings):
    """When retraining is worth a try."""

    policy: Literal["evidence", "never", "monthly"] = "evidence"
    first_nights: int = Field(28, ge=3, description="Matured nights before the first model is trained.")
    decay_margin: float = Field(0.02, gt=0, description="Drop of the primary metric below its reference that matters.")
    decay_nights: int = Field(27, ge=3, description="Matured nights that decay is judged on.")
    decay_alpha: float = Field(0.05, gt=0, lt=0.5, description="False decay calls per year.")
    growth: float = Field(1.5, gt=1, description="More data: retrain when history has grown by this factor.")
    cooldown: Duration = Field(timedelta(days=28), description="Time between two attempts.")
    max_per_year: int = Field(6, ge=0, description="Retrain budget.")


class Model(Settings):
    """A model file, `configs/models/<name>.yaml`."""

    name: Name
    dataset: Name
    owner: str = "unowned"
    namespace: Name = "default"
    kind: Kind
    label: Label
    estimator: Estimator = Estimator()
    features: tuple[ColumnName, ...] = Field(min_length=1)
    segments: tuple[ColumnName, ...] = ()
    protected: tuple[ColumnName, ...] = ()
    metric: Metric = Metric()
    kpi: Kpi = Kpi()
    monitors: Monitors = Monitors()
    gate: Gate = Gate()
    retrain: Retrain = Retrain()
    promotion: Literal["automatic", "approve"] = Field("approve", description="Whether a person has to agree.")
    schedule: str = Field("0 6 * * *", description="Cron line of the nightly run, in the dataset's time zone.")

    @model_validator(mode="after")
    def _kind_fits(self) -> Model:
        if self.kind != "regression" and not self.label.classes:
            raise ValueError(f"label.classes: expected the list of classes of a {self.kind} model, found none")
        if self.kind == "binary":
            if len(self.label.classes or ()) != 2:
                raise ValueError("label.classes: expected two classes for a binary model")
            if self.label.positive not in (self.label.classes or ()):
                raise ValueError(f"label.positive: expected one of {self.label.classes}, found {self.label.positive!r}")
        if self.label.column in self.features:
            raise ValueError(f"features: the label {self.label.column!r} cannot be a feature")
        return self
