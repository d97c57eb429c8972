"""What the fixed-threshold policies go by: the newest nights' PSI, or the newest matured week."""

from __future__ import annotations

import json

from tidegate.adapters.packages import Loaded, cached_by_package
from tidegate.config.model import Model
from tidegate.decision.thresholds import OF, WEEK, judge_psi, judge_week
from tidegate.drift.compare import compare
from tidegate.performance.blocks import blocks_of, cut
from tidegate.performance.tally import Tally, total
from tidegate.profile.grid import Grid
from tidegate.profile.profile import Profile
from tidegate.profile.table import from_table
from tidegate.steps.ingest import frozen_grid
from tidegate.steps.measure import nightly_tallies
from tidegate.steps.observe import stored_profiles
from tidegate.steps.outcomes import tally_by
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import cuts_of
from tidegate.verdicts import Verdict
from tidegate.windows import Window


def fixed_evidence(
    stores: Stores, model: Model, champion: tuple[int, Loaded], window: Window, labelled: dict[str, int]
) -> dict[str, Verdict]:
    """The verdict of the model's own policy, under its name."""
    policy = model.retrain.policy
    judge = _psi(stores, model, champion[1], window) if policy == "drift" else _week(stores, model, champion, labelled)
    return {policy: judge}


def _psi(stores: Stores, model: Model, package: Loaded, window: Window) -> Verdict:
    dataset = stores.project.dataset(model.dataset)
    calendar, on = stores.project.calendar(dataset), frozen_grid(stores, dataset)
    columns = tuple(c for c in model.features if c in on.axes)
    nights = [calendar.shift(window, -k).id for k in reversed(range(OF))]
    seen = stored_profiles(stores, dataset, nights, columns)
    usual = _usual(package, json.dumps(on.as_dict()), columns)
    return judge_psi([{d.column: d.psi for d in compare(usual, night)} for night in seen.values()])


@cached_by_package
def _usual(package: Loaded, on: str, columns: tuple[str, ...]) -> Profile:
    return from_table(package.reference("profile"), Grid.from_dict(json.loads(on))).only(list(columns))


def _week(stores: Stores, model: Model, champion: tuple[int, Loaded], labelled: dict[str, int]) -> Verdict:
    version, package = champion
    unseen = [n for n in labelled if n > package.spec["trained"][-1]]
    tallies = nightly_tallies(stores, model, unseen[-WEEK:], version)
    return judge_week(model, _weeks(package, model.model_dump_json()), total(list(tallies.values())), len(tallies))


@cached_by_package
def _weeks(package: Loaded, model: str) -> list[Tally]:
    outcomes = package.reference("outcomes")
    by_night = tally_by(Model.model_validate_json(model), outcomes, "event_window", cuts_of(package.spec, outcomes))
    return blocks_of(by_night, cut(sorted(by_night), WEEK))
