"""The lab's nights as frames: what a source would deliver and what came true, in any order, changed or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tidegate.adapters.injected import inject_frame
from tidegate.adapters.source import read_window
from tidegate.config.dataset import Dataset
from tidegate.config.home import Home
from tidegate.config.model import Model
from tidegate.contract.admit import ARROW, conform, row_ids
from tidegate.errors import SourceError, Unreadable, UsageError
from tidegate.lab.moved import dealt, moved
from tidegate.steps.labels import class_order, encode
from tidegate.steps.stores import Stores

TRUTH = "what came true"
"""Column of a lab frame: the class's position or the target, NaN where it never became known."""


def gather(
    stores: Stores, model: Model, first: date, last: date, folder: Path, say: Callable[[str], None]
) -> list[str]:
    """Read every window and what came true of its rows into `folder`, unless it is there; the dates that have rows.

    Cells that do not fit the contract's types are missing: the lab begins with readable data.
    """
    dataset = stores.project.dataset(model.dataset)
    calendar = stores.project.calendar(dataset)
    done = folder / f"{first}_{last}.done"
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        say(f"reading {first} to {last}")
        labels = _labels(stores, model, first, last)
        for window in calendar.range(first, last):
            try:
                raw = read_window(dataset.source, window, stores.home)
            except Unreadable:
                continue
            frame = _typed(raw, dataset)
            if len(frame):
                ids = row_ids([frame[k] for k in dataset.key])
                frame[TRUTH] = pd.Series(ids).map(labels).astype("float64").to_numpy()
                frame.to_parquet(folder / f"{window.id}.parquet", index=False)
        done.touch()
    found = sorted(p.stem for p in folder.glob("*.parquet") if first.isoformat() <= p.stem <= last.isoformat())
    if not found:
        raise UsageError(f"lab of {model.name}", f"rows from {first} to {last}", "none", "give other dates")
    return found


def _typed(raw: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    raw = raw.reset_index(drop=True)
    known = {name: conform(raw[name], column)[0] for name, column in dataset.columns.items() if name in raw.columns}
    frame = pd.DataFrame(known)
    needed = [*dataset.key, dataset.event_time]
    missing = [name for name in needed if name not in frame.columns]
    if len(raw) and missing:
        raise SourceError(f"source of {dataset.name}", f"columns {missing}", f"{list(raw.columns)[:12]}")
    return frame.dropna(subset=needed).drop_duplicates(dataset.key).reset_index(drop=True) if len(raw) else frame


def _labels(stores: Stores, model: Model, first: date, last: date) -> pd.Series:
    """What came true by row id, of every window of the label source."""
    dataset = stores.project.dataset(model.dataset)
    found = []
    for window in stores.project.calendar(dataset).range(first, last):
        try:
            frame = read_window(model.label.source, window, stores.home)
        except Unreadable:
            continue
        if not len(frame):
            continue
        frame = frame[frame[model.label.column].notna()].reset_index(drop=True)
        keys = [conform(frame[k], dataset.columns[k])[0] for k in dataset.key]
        found.append(pd.Series(encode(model, frame[model.label.column]), index=row_ids(keys), dtype="float64"))
    whole = pd.concat(found) if found else pd.Series(dtype="float64")
    return whole[~whole.index.duplicated(keep="last")]


@dataclass(frozen=True, eq=False)
class Nights:
    """The lab's nights in one order: by date, the rows of the night that is put there."""

    dataset: Dataset
    model: Model
    folder: Path
    order: dict[str, str]

    @cached_property
    def times(self) -> list[str]:
        return [name for name, column in self.dataset.columns.items() if column.type == "timestamp"]

    @property
    def dates(self) -> list[str]:
        return list(self.order)

    def frame(self, night: str) -> pd.DataFrame:
        """The declared columns and `TRUTH`, index 0…; raises `UsageError` for a date outside the lab."""
        if night not in self.order:
            raise UsageError(f"night {night}", f"a date of the lab, {self.dates[0]} to {self.dates[-1]}", "another")
        frame = pd.read_parquet(self.folder / f"{self.order[night]}.parquet")
        times = [t for t in self.times if t in frame.columns]
        return moved(frame, times, self.dataset.calendar.time_zone, self.order[night], night)

    def table(self, frame: pd.DataFrame) -> pa.Table:
        """A frame's declared columns in the contract's types, as a model is given them."""
        return pa.table({
            name: pa.array(frame[name], ARROW[column.type], from_pandas=True)
            for name, column in self.dataset.columns.items() if name in frame.columns
        })  # fmt: skip

    def deliver(self, home: Home, night: str, frame: pd.DataFrame, whole: pd.DataFrame) -> None:
        """Let a home's sources give `frame` on a night, with labels for its rows and for those that did not come.

        Labels have the keys that the rows came with: both come from one upstream. Rows that are new by their index
        get keys of their own where theirs are taken.
        """
        frame = self.with_keys(frame)
        rows = frame[[c for c in frame.columns if c != TRUTH]].reset_index(drop=True)
        inject_frame(home, f"rows/{self.dataset.name}", night, rows)
        told = pd.concat([frame[~frame.index.duplicated()], whole[~whole.index.isin(frame.index)]])
        told = told[told[TRUTH].notna()]
        names = dict.fromkeys((*self.dataset.key, self.dataset.event_time))
        labels = told[list(names)].assign(**{self.model.label.column: self._decoded(told[TRUTH])})
        inject_frame(home, f"labels/{self.model.name}", night, labels.reset_index(drop=True))

    def _decoded(self, truth: pd.Series) -> pd.Series:
        if self.model.kind == "regression":
            return truth
        classes = np.array(class_order(self.model), dtype="object")
        return pd.Series(classes[truth.to_numpy().astype(int)], index=truth.index).infer_objects()

    def with_keys(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows that are new by their index under keys that no other row has."""
        key = list(self.dataset.key)
        again = frame.index.duplicated()
        taken = frame[key].duplicated() & ~again
        if not taken.any():
            return frame
        name = min(key, key=lambda k: ("timestamp", "integer", "number").index(self.dataset.columns[k].type)
                   if self.dataset.columns[k].type in ("timestamp", "integer", "number") else 3)  # fmt: skip
        count, column = np.arange(1, int(taken.sum()) + 1), frame[name].copy()
        if self.dataset.columns[name].type == "timestamp":
            column[taken] = column[taken] + pd.to_timedelta(count, unit="us")
        elif self.dataset.columns[name].type in ("integer", "number"):
            column[taken] = column.max() + count
        else:
            column[taken] = [f"{v}~{n}" for v, n in zip(column[taken], count, strict=True)]
        return frame.assign(**{name: column})


def nights_in_order(stores: Stores, model: Model, folder: Path, dates: list[str], seed: int) -> Nights:
    """The lab's nights dealt out anew within their weekdays; seed 0 leaves them as they were."""
    dataset = stores.project.dataset(model.dataset)
    calendar = stores.project.calendar(dataset)
    special = {d.isoformat() for d in (*calendar.holidays, *calendar.expected_empty)}
    order = dealt(dates, special, np.random.default_rng([seed, 5])) if seed else {d: d for d in dates}
    return Nights(dataset, model, folder, order)
