"""A model: what is predicted from which dataset, and how it is looked after."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tidegate.config.base import Settings, did_you_mean, show, wrong
from tidegate.config.dataset import Source
from tidegate.config.deciding import Deciding
from tidegate.config.gating import Gate
from tidegate.config.serving import Serving
from tidegate.config.values import Class, Classes, ColumnName, Columns, Cron, Duration, Name, Number, UserCode, Whole

Kind = Literal["binary", "multiclass", "regression"]

METRICS: dict[Kind, tuple[str, ...]] = {
    "binary": ("roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "precision", "recall", "kpi"),
    "multiclass": ("roc_auc", "log_loss", "brier", "accuracy", "precision", "recall", "f1", "kpi"),
    "regression": ("r2", "mae", "rmse", "kpi"),
}
"""The performance metrics that each kind of model is judged by."""


class Label(Settings):
    """What came true, and when it becomes known."""

    column: ColumnName = Field(description="Column of the label's source that holds the outcome.")
    source: Source = Field(description="Where labels come from; as a dataset's source.")
    delay: Duration = Field(timedelta(0), ge=timedelta(0), description="Time from a window's end to its labels.")
    arrived_at: ColumnName | None = Field(
        None, description="Column that says when a label arrived; `delay` then says when a night is mature."
    )
    min_coverage: Number = Field(
        0.5,
        ge=0,
        le=1,
        description="A mature night counts as labelled when at least this share of its rows has a label.",
    )
    classes: Classes | None = Field(None, description="Every class, for classification.")
    positive: Class | None = Field(None, description="The positive class of a binary model.")


class Estimator(Settings):
    """The user's code."""

    build: UserCode | None = Field(
        None, description="`module:function`, `build(params) -> estimator`; without it the model is only monitored."
    )
    features: UserCode | None = Field(None, description="`module:function`, `features(frame) -> frame`, row-wise.")
    params: dict[str, Any] = Field(default_factory=dict, description="Passed to `build`.")
    seed: Whole = Field(0, ge=0, lt=2**32, description="Handed to `build` as `params['random_state']`.")


class Kpi(Settings):
    """Money (or another unit) per outcome; the mean per row is the KPI."""

    unit: str = Field("USD", min_length=1, description="Unit of all values here, for people.")
    true_positive: Number = Field(0.0, description="Binary: value of a row rightly predicted positive.")
    false_positive: Number = Field(0.0, description="Binary: value of a false warning; a cost is negative.")
    false_negative: Number = Field(0.0, description="Binary: value of a missed positive; a cost is negative.")
    true_negative: Number = Field(0.0, description="Binary: value of a row rightly predicted negative.")
    correct: Number = Field(0.0, description="Multiclass: value of a right answer.")
    wrong: Number = Field(0.0, description="Multiclass: value of a wrong answer.")
    per_unit_error: Number = Field(0.0, description="Regression: value per unit of absolute error.")

    @property
    def priced(self) -> bool:
        """Whether any outcome has a value."""
        return any(getattr(self, name) for name in type(self).model_fields if name != "unit")


class Metric(Settings):
    """What the model is judged by."""

    primary: str = Field("roc_auc", description="The metric that a candidate must improve; one of its kind's metrics.")
    useful_gain: Number = Field(
        0.02,
        gt=0,
        description="Smallest gain of the primary metric worth a promotion, in its unit; the gate says "
        "how many nights would prove it.",
    )
    must_hold: dict[str, Annotated[Number, Field(ge=0)]] = Field(
        default_factory=dict, description="Guardrails: metric to the largest worsening allowed, in its unit."
    )


class Monitors(Settings):
    """Limits of the nightly monitors."""

    psi_margin: Number = Field(0.05, ge=0, description="PSI that may matter; what is not surely above it is no signal.")
    centre_margin: Number = Field(0.1, ge=0, description="Change of a mean, in standard deviations; likewise.")
    missing_margin: Number = Field(0.02, ge=0, le=1, description="Change in the missing share; likewise.")
    unseen_margin: Number = Field(0.005, ge=0, le=1, description="Share of unseen categories; likewise.")
    confidence: Number = Field(0.95, gt=0.5, lt=1, description="Of the bounds that an alarm states.")

    @model_validator(mode="before")
    @classmethod
    def _moved(cls, data: object) -> object:
        for key in ("persistence", "within", "cooldown"):
            if isinstance(data, dict) and key in data:
                raise wrong("a key of monitors", show(key), key=key, do=f"move it to alarms.{key}")
        return data


class Alarms(Settings):
    """What becomes an alarm, who gets it, and how long it lasts."""

    group: Name | None = Field(
        None, description="On-call group of `configs/tidegate.yaml` that is woken; left out, the one called as `owner`."
    )
    materiality: Number = Field(
        1.0, gt=0, description="Weight of this model when its group's budget is shared over the group's models."
    )
    min_effect: Number = Field(
        0.02, ge=0, description="Smallest loss worth a page, as a share of the usual KPI (of the loss, without a KPI)."
    )
    persistence: Whole = Field(2, ge=1, description="Nights out of `within` on which a signal must be seen to last.")
    within: Whole = Field(3, ge=1, description="Nights that `persistence` looks back over.")
    cooldown: Duration = Field(
        timedelta(days=14), ge=timedelta(0), description="No second notice of the same trouble before this."
    )
    close_after: Whole = Field(5, ge=1, description="Quiet nights after which an incident closes by itself.")
    runbook: Annotated[str, Field(min_length=1, max_length=500)] | None = Field(
        None, description="Page that alarms name; left out, the one in `docs/runbooks` on the suspected cause."
    )

    @model_validator(mode="after")
    def _can_alarm(self) -> Alarms:
        if self.persistence > self.within:
            raise wrong(f"at most within, {self.within}", str(self.persistence), key="persistence")
        return self


class Retrain(Settings):
    """When retraining is worth a try."""

    policy: Literal["evidence", "never", "monthly", "drift", "performance"] = Field(
        "evidence",
        description="`evidence`: when it pays; `monthly`: by the calendar; `drift`, `performance`: a fixed threshold, "
        "to compare with.",
    )
    first_nights: Whole = Field(28, ge=3, description="Matured nights before the first model is trained.")
    decay_margin: Number = Field(
        0.02, gt=0, description="Drop of the primary metric below its reference that matters, in its unit."
    )
    decay_nights: Whole = Field(27, ge=3, description="Matured nights that decay is judged on.")
    decay_alpha: Number = Field(0.05, gt=0, lt=0.5, description="False decay calls per year.")
    growth: Number = Field(1.5, gt=1, description="More data: retrain when history has grown by this factor.")
    cooldown: Duration = Field(timedelta(days=28), description="Time between two attempts.")
    max_per_year: Whole = Field(6, ge=0, description="Attempts to change the model that a year allows.")
    windows: tuple[Literal["all", "recent", "season", "clean"], ...] = Field(
        ("all",),
        min_length=1,
        description="Training sets that are tried: all history; the newest `recent_nights`; those and the same season "
        "of earlier years; all nights from which no row was quarantined. The best on nights held out is taken.",
    )
    recent_nights: Whole = Field(120, ge=14, description="Nights of the training sets `recent` and `season`.")


class Model(Settings):
    """A model file, `configs/models/<name>.yaml`."""

    name: Name = Field(description="The file's name without its ending; may be left out of the file.")
    dataset: Name = Field(description="Name of the dataset file that the model's rows come from.")
    owner: str = Field("unowned", min_length=1, description="Person or team that answers for the model.")
    namespace: Name = Field("default", description="Left out, it is the one of `configs/tidegate.yaml`.")
    kind: Kind = Field(description="What is predicted: two classes, several, or a number.")
    label: Label = Field(description="What came true, and when it becomes known.")
    estimator: Estimator = Field(Estimator(), description="The user's code.")
    features: Columns = Field(min_length=1, description="Columns of the dataset, known at the event, to predict from.")
    segments: Columns = Field((), description="Columns by whose values performance is reported.")
    protected: Columns = Field((), description="Columns whose groups must be treated alike.")
    metric: Metric = Field(Metric(), description="What the model is judged by.")
    kpi: Kpi = Field(Kpi(), description="Value per outcome.")
    monitors: Monitors = Field(Monitors(), description="Limits of the nightly monitors.")
    alarms: Alarms = Field(Alarms(), description="What becomes an alarm, and who gets it.")
    gate: Gate = Field(Gate(), description="When a candidate may replace the champion.")
    retrain: Retrain = Field(Retrain(), description="When retraining is worth a try.")
    decision: Deciding = Field(Deciding(), description="How the nightly decision weighs its options.")
    serving: Serving = Field(Serving(), description="What is asked of those who send rows, and of the service.")
    promotion: Literal["automatic", "approve"] = Field("approve", description="Whether a person has to agree.")
    schedule: Cron = Field("0 6 * * *", description="Cron line of the nightly run, in the dataset's time zone.")

    @property
    def judged_segments(self) -> tuple[str, ...]:
        """Every column by whose values the gate judges: segments, protected ones, and the gate's own."""
        return tuple(dict.fromkeys((*self.segments, *self.protected, *self.gate.segments)))

    @model_validator(mode="after")
    def _kind_fits(self) -> Model:
        classes = self.label.classes or ()
        if self.kind == "binary" and len(classes) != 2:
            raise wrong("the two classes of a binary model", show(classes or None), key="label.classes")
        if self.kind == "multiclass" and len(classes) < 2:
            raise wrong("the two or more classes of a multiclass model", show(classes or None), key="label.classes")
        if self.kind == "regression" and (classes or self.label.positive is not None):
            key = "classes" if classes else "positive"
            raise wrong("none for a regression", show(getattr(self.label, key)), key=f"label.{key}", do="remove it")
        # By type, too: 1 is not true.
        typed = [(type(c), c) for c in classes]
        if self.kind == "binary" and (type(self.label.positive), self.label.positive) not in typed:
            raise wrong(f"one of {show(classes)}", show(self.label.positive), key="label.positive")
        if strange := [c for c in self.serving.coerce if c not in self.features]:
            raise wrong("features", show(strange[0]), key="serving.coerce", do=did_you_mean(strange[0], self.features))
        if self.label.column in self.features:
            raise wrong("no label among them", show(self.label.column), key="features", do="remove it")
        return self

    @model_validator(mode="after")
    def _metrics_fit(self) -> Model:
        known = METRICS[self.kind]
        named = {"metric.primary": self.metric.primary, **{f"metric.must_hold.{m}": m for m in self.metric.must_hold}}
        for key, metric in named.items():
            if metric not in known:
                given = key != "metric.primary" or "primary" in self.metric.model_fields_set
                found = show(metric) if given else f"the default {show(metric)}"
                do = did_you_mean(metric, known, "name a metric of the model's kind")
                raise wrong(f"one of {', '.join(known)} ({self.kind})", found, key=key, do=do)
        return self
