"""Effect: what a series past its limit costs, from the rows of the night and the model itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.adapters.packages import Loaded
from tidegate.alarms.series import Series
from tidegate.config.model import Model
from tidegate.decision.effect import effect_of_drift, effect_of_rows
from tidegate.decision.harm import Harm, concept_effect, kinds_of, not_estimable
from tidegate.drift.undo import scrambled, undoable, undone
from tidegate.performance.metrics import metrics
from tidegate.performance.tally import Tally, total
from tidegate.profile.column import ColumnProfile
from tidegate.profile.profile import Profile
from tidegate.steps.covariates import Covariates
from tidegate.steps.measure import nightly_tallies, package_blocks
from tidegate.steps.observe import Observed
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import cuts_of
from tidegate.verdicts import Cause, Effect
from tidegate.windows import Window

Floats = NDArray[np.float64]

DRAWS = 2
"""Times that a column is repaired, where that goes by lot."""


@dataclass(frozen=True)
class Night:
    """What an effect is judged from; what is not known is None.

    ``usual``: KPI (or loss) per row on the reference. ``recent``: the tally of the nights that matured lately, and
    ``matured`` each of them. ``own``: the reference's profile of the scores. ``features``: that of the dataset's
    columns. ``covariates``: what the window's inputs cost if the world moved, of the nights since one. ``blocks``: the
    reference's tallies by block of nights; ``residuals``: of a regression, those of the reference.
    """

    model: Model
    threshold: float | Floats
    usual: float
    score: Callable[[pa.Table], Floats]
    features: Profile | None
    own: ColumnProfile | None
    batch: pa.Table | None
    scores: Floats | None
    recent: Tally | None
    seed: int = 0
    matured: Sequence[Tally] = ()
    blocks: Sequence[Tally] = ()
    residuals: Floats | None = None
    covariates: Callable[[str], Effect] | None = None
    known: dict[tuple[str, str], Effect] = field(default_factory=dict)

    def effect(self, series: Series, value: float) -> Effect | None:
        """The effect of one series past its limit, whatever its cause; None where nothing can be told."""
        found = self.harm(series, value)
        return None if found is None or not found.effect.estimable else found.effect

    def harm(self, series: Series, value: float, cause: Cause | str = "", since: str = "") -> Harm | None:
        """What one series past its limit costs by each kind that its suspected cause leaves open.

        `since` is the night from which the window's inputs are looked at. A segment's effect is that of the whole
        column, which may hide the segment's: it is never called benign. Nor is what labels say of the whole model,
        or a number of rows.
        """
        if series.monitor == "volume":
            return Harm((effect_of_rows(value),))
        least, sure = self.model.alarms.min_effect, self.model.monitors.confidence
        if series.monitor in ("label", "performance"):
            recent = self.matured or ([self.recent] if self.recent is not None else [])
            return self._harm([concept_effect(self.model, recent, self.blocks, self.usual, least, sure)])
        readings = [self._fault(series)]
        if "covariate" in kinds_of(cause) and self.covariates is not None:
            readings.append(self.covariates(since))
        if " [" in series.subject:
            readings = [replace(r, benign=False) for r in readings]
        return self._harm(readings)

    def _harm(self, readings: Sequence[Effect]) -> Harm:
        rows = len(self.scores) if self.scores is not None else 0
        return Harm(tuple(readings), rows, self.model.decision.horizon / timedelta(days=1))

    def _fault(self, series: Series) -> Effect:
        """What the series' column costs if it is at fault; worked out once for all of its series."""
        key = (series.monitor, series.subject.split(" [", 1)[0])
        if key not in self.known:
            self.known[key] = self._repaired(*key)
        return self.known[key]

    def _repaired(self, monitor: str, column: str) -> Effect:
        model = self.model
        if self.scores is None or not len(self.scores):
            return not_estimable(model, "fault", "the night was not scored")
        rng = np.random.default_rng(self.seed)
        if monitor == "prediction":
            if self.own is None or self.scores.ndim != 1:
                return not_estimable(model, "fault", "scores of several classes are not undone")
            back: list[Floats] = [np.asarray(undone(pa.chunked_array([self.scores]), self.own, rng).to_numpy())]
            mixed: Floats | None = None
        else:
            if monitor != "feature" or self.batch is None or self.features is None:
                return not_estimable(model, "fault", "the night's rows are not stored")
            if column not in self.batch.column_names or column not in self.features.columns:
                return not_estimable(model, "fault", f"{column} is not among the night's columns")
            reference = self.features.columns[column]
            if not undoable(self.batch[column], reference):
                return not_estimable(model, "fault", f"{column} has no values that could be carried back")
            back, mixed = self._rescored(column, reference, rng)
        return effect_of_drift(
            model, self.scores, back[0], self.threshold, self.usual, model.alarms.min_effect,
            draws=back[1:], scrambled=mixed, residuals=self.residuals, confidence=model.monitors.confidence,
        )  # fmt: skip

    def _rescored(
        self, column: str, reference: ColumnProfile, rng: np.random.Generator
    ) -> tuple[list[Floats], Floats | None]:
        """The scores with the column repaired, once or by several lots, and (categories only) with it scrambled.

        A number's rank holds, whatever its unit; of a category nothing but the counts is to be seen.
        """
        assert self.batch is not None
        at = self.batch.column_names.index(column)
        made = [undone(self.batch[column], reference, rng) for _ in range(DRAWS)]
        if all(m.equals(made[0]) for m in made[1:]):
            made = made[:1]
        category = reference.axis.kind == "category"
        if category:
            made.append(scrambled(self.batch[column], reference, rng))
        scores = self.score(pa.concat_tables([self.batch.set_column(at, column, m) for m in made]))
        parts = np.split(scores, len(made))
        return (parts[:-1], parts[-1]) if category else (parts, None)


def night_of(stores: Stores, model: Model, champion: tuple[int, Loaded], seen: Observed, window: Window) -> Night:
    """What the effects of one stored window are judged from."""
    version, package = champion
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    batch = stores.data.read("batches", model.dataset, [window.id])
    rows = stores.lake.read("inferences", model.name, [window.id])
    lately = [calendar.shift(seen.event, -k).id for k in range(model.alarms.within)]
    tallies = list(nightly_tallies(stores, model, lately, version).values())
    own = seen.pairs.get(("prediction", "champion"))
    reference = seen.pairs.get(("feature", "champion"))
    usual = usual_worth(model, package)
    return Night(
        model,
        cuts_of(package.spec, rows),
        usual,
        package.scores,
        reference[0] if reference else None,
        own[0].columns["prediction"] if own else None,
        batch if batch.num_rows and rows.num_rows == batch.num_rows else None,
        scores_of(rows) if rows.num_rows else None,
        total(tallies),
        model.estimator.seed,
        tallies,
        package_blocks(package, model.model_dump_json()),
        residuals_of(model, package.reference("outcomes")),
        Covariates(stores, model, package, window, usual).effect,
    )


def residuals_of(model: Model, outcomes: pa.Table, most: int = 2000) -> Floats | None:
    """Target minus prediction of a regression's reference rows, evenly spaced ones of many; None for other kinds."""
    if model.kind != "regression" or not outcomes.num_rows:
        return None
    off = np.asarray(outcomes["label"].to_numpy(), dtype=np.float64) - scores_of(outcomes)
    return np.asarray(np.sort(off)[:: max(1, len(off) // most)], dtype=np.float64)


def usual_worth(model: Model, package: Loaded) -> float:
    """The KPI per row (or the loss) on the champion's held-out reference."""
    return worth(model, total(package_blocks(package, model.model_dump_json())))


def worth(model: Model, tally: Tally) -> float:
    """The KPI per row of a tally, or its mean loss for a model without a KPI."""
    found: Mapping[str, float] = metrics(model.kind, tally)
    if model.kpi.priced:
        return float(found["kpi"])
    return float(found["mae" if model.kind == "regression" else "log_loss"])
