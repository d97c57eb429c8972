"""Effect: what a series past its limit costs, from the rows of the night and the model itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidegate.adapters.packages import Loaded
from tidegate.alarms.series import Series
from tidegate.config.model import Model
from tidegate.decision.effect import effect_of_drift, effect_of_loss, effect_of_rows
from tidegate.drift.undo import undone
from tidegate.performance.metrics import metrics
from tidegate.performance.tally import Tally, total
from tidegate.profile.column import ColumnProfile
from tidegate.profile.profile import Profile
from tidegate.steps.measure import nightly_tallies, package_blocks
from tidegate.steps.observe import Observed
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import cuts_of
from tidegate.verdicts import Effect
from tidegate.windows import Window

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Night:
    """What an effect is judged from; what is not known is None.

    ``usual``: KPI (or loss) per row on the reference. ``recent``: the tally of the nights that matured lately.
    ``own``: the reference's profile of the scores. ``features``: that of the dataset's columns.
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

    def effect(self, series: Series, value: float) -> Effect | None:
        """The effect of one series past its limit; None where it cannot be told."""
        if series.monitor == "volume":
            return effect_of_rows(value)
        least = self.model.alarms.min_effect
        if series.monitor in ("label", "performance"):
            if self.recent is None or not self.recent.n:
                return None
            return effect_of_loss(self.model, worth(self.model, self.recent), self.usual, least)
        other = self._undone(series)
        if other is None or self.scores is None:
            return None
        return effect_of_drift(self.model, self.scores, other, self.threshold, self.usual, least)

    def _undone(self, series: Series) -> Floats | None:
        """The scores had the series' column not drifted."""
        rng, column = np.random.default_rng(self.seed), series.subject.split(" [", 1)[0]
        if (
            series.monitor == "prediction"
            and self.own is not None
            and self.scores is not None
            and self.scores.ndim == 1
        ):
            return np.asarray(undone(pa.chunked_array([self.scores]), self.own, rng).to_numpy())
        if series.monitor != "feature" or self.batch is None or self.features is None:
            return None
        at = self.batch.column_names.index(column) if column in self.batch.column_names else -1
        if at < 0:
            return None
        back = undone(self.batch[column], self.features.columns[column], rng)
        return self.score(self.batch.set_column(at, column, back))


def night_of(stores: Stores, model: Model, champion: tuple[int, Loaded], seen: Observed, window: Window) -> Night:
    """What the effects of one stored window are judged from."""
    version, package = champion
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    batch = stores.data.read("batches", model.dataset, [window.id])
    rows = stores.lake.read("inferences", model.name, [window.id])
    lately = [calendar.shift(seen.event, -k).id for k in range(model.alarms.within)]
    own = seen.pairs.get(("prediction", "champion"))
    reference = seen.pairs.get(("feature", "champion"))
    return Night(
        model,
        cuts_of(package.spec, rows),
        usual_worth(model, package),
        package.scores,
        reference[0] if reference else None,
        own[0].columns["prediction"] if own else None,
        batch if batch.num_rows and rows.num_rows == batch.num_rows else None,
        scores_of(rows) if rows.num_rows else None,
        total(list(nightly_tallies(stores, model, lately, version).values())),
        model.estimator.seed,
    )


def usual_worth(model: Model, package: Loaded) -> float:
    """The KPI per row (or the loss) on the champion's held-out reference."""
    return worth(model, total(package_blocks(package, model.model_dump_json())))


def worth(model: Model, tally: Tally) -> float:
    """The KPI per row of a tally, or its mean loss for a model without a KPI."""
    found = metrics(model.kind, tally)
    if model.kpi.priced:
        return float(found["kpi"])
    return float(found["mae" if model.kind == "regression" else "log_loss"])
