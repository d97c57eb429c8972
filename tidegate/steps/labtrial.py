"""What a lab stands on: labelled nights, a model that is blind to the night it scores, and the orders they are put in.

It is kept in the lab's folder, so that a lab which is resumed, or a second process, trains nothing.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tidegate.adapters.packages import load
from tidegate.alarms.calibration import CERTIFIED, PRESENT
from tidegate.config.home import Home
from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.lab.rules import Column, column_of
from tidegate.lineage.digest import folder_digest
from tidegate.profile.grid import Grid
from tidegate.profile.profile import profile_of
from tidegate.steps.ingest import frozen_grid
from tidegate.steps.observe import by_night
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores, open_stores
from tidegate.steps.trial import Trial, take_in, trial, weekdays
from tidegate.training.scoring import design, score

Floats = NDArray[np.float64]
Say = Callable[[str], None]

SAMPLE = 4000
"""Rows that the model's heed of each column is measured on."""


@dataclass(frozen=True, eq=False)
class Base:
    """A trial with what the faults are drawn by: the columns that they may touch, and how much each is heeded."""

    trial: Trial
    types: Mapping[str, str]
    importance: Mapping[str, float]
    learned: int

    def score(self, night: str, rows: pa.Table) -> Floats:
        """Scores by the member that is blind to this night; the other members are not asked."""
        package = self.trial.package
        if not rows.num_rows:
            return np.zeros(0)
        fold = int(self.trial.outcomes[night]["fold"][0].as_py()) % len(package.estimator.estimators_)
        frame = design(rows, package.spec, package.features)
        return np.asarray(score(package.estimator.estimators_[fold], frame, package.spec))

    def frame(self, night: str) -> pd.DataFrame:
        """A night's features and label as an upstream has them, rows counted from 0; not to be changed."""
        return _frame(self, night)

    def columns(self, night: str) -> dict[str, Column]:
        """A night's columns as the rules of the trade see them: features, the model's own, the label."""
        return _columns(self, night)

    def order(self, k: int, seed: int) -> tuple[dict[str, str], tuple[str, ...]]:
        """The nights in their k-th order, and the dates that are learned."""
        return sides(self.trial.nights, self.learned, k % 2, np.random.default_rng([seed, 7]),
                     np.random.default_rng([seed, 11, k]))  # fmt: skip


def sides(
    nights: tuple[str, ...], learned: int, side: int, halves: np.random.Generator, within: np.random.Generator
) -> tuple[dict[str, str], tuple[str, ...]]:
    """An order within weekdays in which one half of the nights is learned and the other half comes after.

    The halves are drawn once, by `halves`; of orders on side 0 and on side 1 the later dates share no night, so that
    what is swept on one side is read on nights which the sweep never saw.
    """
    days = weekdays(nights).tolist()
    order: dict[str, str] = {}
    for day in sorted(set(days)):
        same = [i for i, d in enumerate(days) if d == day]
        early = sum(i < learned for i in same)
        shuffled = [nights[same[i]] for i in halves.permutation(len(same))]
        late = len(same) - early
        # Side 0 learns the first ones drawn and side 1 the last ones; where the halves differ, the surplus is learned.
        after = shuffled[len(same) - late :] if side == 0 else shuffled[:late]
        before = [n for n in shuffled if n not in after]
        put = [before[i] for i in within.permutation(early)] + [after[i] for i in within.permutation(late)]
        order |= dict(zip([nights[i] for i in same], put, strict=True))
    return {n: order[n] for n in nights}, nights[:learned]


def prepare(
    stores: Stores, model: Model, folder: Path, first: date, last: date, now: datetime, say: Say = lambda _: None
) -> None:
    """Take in the nights, train the blind members, and keep them in `folder`; nothing if they are there.

    Raises
    ------
    UsageError
        Without `estimator.build`, or with fewer labelled nights than two times 26 weeks.
    """
    if (folder / "base.json").is_file():
        return
    if model.estimator.build is None:
        raise UsageError(f"lab of {model.name}", "estimator.build", "a monitor-only model", "declare build")
    say(f"taking in {first} to {last}")
    nights = take_in(stores, model, first, last, now)
    learned = _learned(model, nights)
    dataset = stores.project.dataset(model.dataset)
    calendar = stores.project.calendar(dataset)
    say(f"training a model on {len(nights)} nights, each night scored by a member that is blind to it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix="base-", dir=folder.parent))
    try:
        with trial(stores, model, nights, calendar.shift(calendar.window(last), 40), now) as tried:
            shutil.copytree(tried.package.folder, staging / "package")
            on = frozen_grid(stores, dataset)
            body = {
                "digest": folder_digest(staging / "package"), "nights": list(tried.nights), "learned": learned,
                "grid": on.as_dict(), "importance": _importance(tried, model),
            }  # fmt: skip
            tables = [t.append_column("night", pa.array([n] * t.num_rows)) for n, t in tried.rows.items()]
            pq.write_table(pa.concat_tables(tables), staging / "rows.parquet")
        (staging / "base.json").write_text(json.dumps(body))
        shutil.rmtree(folder, ignore_errors=True)
        staging.replace(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _learned(model: Model, nights: list[str]) -> int:
    """How many nights the first 26 weeks have; the rest must be as many, for the halves change places."""
    if nights:
        start = date.fromisoformat(nights[0])
        half = sum((date.fromisoformat(n) - start).days < CERTIFIED for n in nights)
        if half >= PRESENT * CERTIFIED and len(nights) - half >= PRESENT * CERTIFIED:
            return max(half, len(nights) - len(nights) // 2)
    wanted = f"labelled nights of two times 26 weeks ({2 * CERTIFIED} days)"
    raise UsageError(f"lab of {model.name}", wanted, f"{len(nights)} nights", "name more nights with --from and --to")


def _importance(tried: Trial, model: Model) -> dict[str, float]:
    """How far scores move on average when a column's values are dealt out anew among the rows."""
    rng = np.random.default_rng(model.estimator.seed)
    table = pa.concat_tables(list(tried.rows.values()))
    some = table.take(pa.array(np.sort(rng.permutation(table.num_rows)[:SAMPLE])))
    plain = tried.package.scores(some)
    out = {}
    for name in model.features:
        dealt = some[name].take(pa.array(rng.permutation(some.num_rows)))
        other = some.set_column(some.column_names.index(name), name, dealt)
        out[name] = float(np.abs(tried.package.scores(other) - plain).mean())
    return out


@lru_cache(maxsize=2)
def opened(home: Home, model_name: str, folder: Path) -> Base:
    """The base that `prepare` kept."""
    stores = open_stores(home)
    model = stores.project.model(model_name)
    body = json.loads((folder / "base.json").read_text())
    package = load(folder / "package", body["digest"])
    table = pq.read_table(folder / "rows.parquet")
    nights = tuple(body["nights"])
    found = by_night(table, set(nights), "night")
    rows = {n: found[n].drop_columns(["night"]) for n in nights}
    whole = Grid.from_dict(body["grid"])
    on = Grid({c: whole.axes[c] for c in model.features if c in whole.axes}, whole.max_categories)
    profiles = {n: profile_of(t, on) for n, t in rows.items()}
    types = {n: str(t) for n, t in package.spec["features"].items()}
    return Base(Trial(stores, model, package, nights, rows, profiles), types, body["importance"], int(body["learned"]))


def columns_of(rows: pa.Table, types: Mapping[str, str]) -> dict[str, Column]:
    """The features of a night as the rules of the trade see them: numbers, categories and booleans."""
    return {c: column_of(rows[c], t) for c, t in types.items() if t not in ("timestamp", "text")}


def model_columns(rows: pa.Table, scores: Floats, kind: str) -> dict[str, Column]:
    """The model's own column and the label, likewise."""
    own = pa.chunked_array([scores.argmax(axis=1).astype(str) if scores.ndim == 2 else scores])
    return {
        "prediction": column_of(own, "category" if scores.ndim == 2 else "number"),
        "label": column_of(rows["label"], "number" if kind == "regression" else "category"),
    }


@lru_cache(maxsize=1000)
def _columns(base: Base, night: str) -> dict[str, Column]:
    rows, scores = base.trial.rows[night], scores_of(base.trial.outcomes[night])
    return columns_of(rows, base.types) | model_columns(rows, scores, base.trial.model.kind)


@lru_cache(maxsize=32)
def _frame(base: Base, night: str) -> pd.DataFrame:
    model = base.trial.model
    wanted = list(dict.fromkeys((*base.types, *model.segments, *model.protected, "label")))
    whole = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}
    frame: pd.DataFrame = base.trial.rows[night].select(wanted).to_pandas(types_mapper=whole.get)
    return frame
