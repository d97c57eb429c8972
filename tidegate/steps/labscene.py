"""The scenarios that the right action is measured on: a change of the data, of what comes true, or of the model."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tidegate.adapters.packages import load
from tidegate.clock import evening_of
from tidegate.errors import UsageError
from tidegate.lab.calibrationshift import shifted
from tidegate.lab.catalogue import FAULTS, fault_named
from tidegate.lab.onlabels import a_region, exchanged
from tidegate.steps.decide import labelled_nights
from tidegate.steps.labbase import Base, build, install
from tidegate.steps.labbench import Bench, Change
from tidegate.steps.labfork import fork
from tidegate.steps.labframes import TRUTH
from tidegate.steps.stores import Stores

MODELS = {"bad_promotion": (0.15, 0.4, 1.0), "calibration_shift": (0.25, 0.75, 1.5), "unchanged": (0.0, 0.0, 0.0)}
"""Scenarios beside the catalogue's, with their three sizes: the share of the labels that half of a champion's training
rows exchanged with the other half; the factor on the odds, as its logarithm; nothing at all."""
WORLD = ("slow_covariate_shift", "shifted_segment", *(f.name for f in FAULTS if f.benign))
"""Changes of the rows that are how the world is now: no source can mend them."""
KINDS = (*(f.name for f in FAULTS), *MODELS)


@dataclass(frozen=True, eq=False)
class Scene:
    """One scenario on a baseline: what comes on a night, what comes true of it, and what is on record.

    ``recorded``: a wrong label is only on record; what came true is as it was.
    """

    bench: Bench
    kind: str
    size: int
    seed: int
    onset: str
    words: str
    change: Change | None = None
    recorded: bool = False

    @property
    def mendable(self) -> bool:
        """Whether there is anything about the data that a source could mend."""
        if self.change is None or self.kind in WORLD:
            return False
        return self.change.fault.of == "rows" or self.recorded

    def comes(self, night: str, whole: pd.DataFrame) -> pd.DataFrame:
        """The night's rows and labels as the sources give them."""
        if night < self.onset:
            return whole
        if self.kind == "calibration_shift":
            rng = np.random.default_rng([self.seed, int(pd.Timestamp(night).dayofyear), 13])
            scores = self.bench.champion.scores(self.bench.base.nights.table(whole))
            size = MODELS[self.kind][self.size] * (1 if self.seed % 2 else -1)
            return whole.assign(
                **{TRUTH: shifted(self.bench.base.model.kind, scores, whole[TRUTH].to_numpy(), size, rng)}
            )
        return self.change.frame(night, whole) if self.change else whole

    def mended(self, whole: pd.DataFrame, came: pd.DataFrame) -> pd.DataFrame:
        """The night once the source is in order again: the world stays as it has become."""
        return whole if self.mendable else came

    def truth(self, whole: pd.DataFrame, came: pd.DataFrame) -> pd.Series:
        """What came true of the rows that came."""
        if not self.recorded:
            return came[TRUTH]
        return whole[TRUTH].reindex(came.index)


def scene_of(bench: Bench, kind: str, size: int, seed: int, onset: str) -> Scene | None:
    """A scenario; None where the fault finds nothing to touch.

    Raises
    ------
    UsageError
        For a kind that is not among `KINDS`.
    """
    if kind in MODELS:
        return Scene(bench, kind, size, seed, onset, kind)
    if kind not in KINDS:
        raise UsageError("scenario", f"one of {', '.join(KINDS)}", repr(kind), "correct the name")
    fault = fault_named(kind)
    change = bench.change(fault, fault.magnitudes[size], onset, seed)
    if change is None:
        return None
    return Scene(bench, kind, size, seed, onset, change.plan.words, change, recorded=kind == "label_flip")


def promote_badly(base: Base, stores: Stores, size: int, evening: str) -> None:
    """Put a champion that learned from poisoned labels over the good one; these labels stay on record."""
    digest = poisoned(base, size)
    folder = stores.package_folder(base.model_name, digest)
    if not folder.exists():
        folder.symlink_to(_kept(base, size) / digest)
    model = stores.project.model(base.model_name)
    spec = load(folder.resolve(), digest).spec
    _poison(base, stores, MODELS["bad_promotion"][size], spec["trained"])
    window = base.window(evening)
    install(stores, model, 3, folder, digest, window, evening_of(window))


def poisoned(base: Base, size: int) -> str:
    """Train a champion on poisoned labels, unless that is done; its digest."""
    kept = _kept(base, size)
    found = sorted(p.name for p in kept.glob("*") if p.is_dir() and "." not in p.name) if kept.is_dir() else []
    if found:
        return found[0]
    window = base.window(base.since)
    now = evening_of(window)
    with fork(base, base.since) as stores:
        model = stores.project.model(base.model_name)
        nights = sorted(labelled_nights(stores, model, window))
        _poison(base, stores, MODELS["bad_promotion"][size], nights)
        folder, digest = build(stores, model, window, now, nights)
        kept.mkdir(parents=True, exist_ok=True)
        part = kept / f"{digest}.{os.getpid()}.part"
        shutil.copytree(folder, part)
        try:
            part.rename(kept / digest)
        except OSError:
            shutil.rmtree(part)
    return digest


def _kept(base: Base, size: int) -> Path:
    return base.home.state / "poisoned" / str(size)


def _poison(base: Base, stores: Stores, share: float, nights: list[str]) -> None:
    model = stores.project.model(base.model_name)
    rng = np.random.default_rng([17, round(share * 100)])
    columns = {f: base.nights.dataset.columns[f].type for f in model.features}
    plan = a_region(base.nights.frame(nights[0]), columns, TRUTH, Bench(base).importance, rng)
    if plan is None:
        raise UsageError(f"poisoned labels of {model.name}", "features and labels that vary", "none")
    batches = stores.data.read("batches", model.dataset, nights).to_pandas()
    for night, rows in batches.groupby("window"):
        window = base.window(base.nights_before(str(night), -base.delay))
        labels = stores.lake.read("labels", model.name, [window.id]).drop_columns(["window"])
        known = labels.to_pandas().set_index("row_id")
        frame = rows.set_index("row_id").join(known["label"].rename(TRUTH)).reset_index()
        turned = exchanged(frame, plan, share, 0, rng).set_index("row_id")[TRUTH]
        new = turned.reindex(known.index).fillna(known["label"])
        at = labels.column_names.index("label")
        table = labels.set_column(at, "label", pa.array(new.to_numpy(dtype=np.float64)))
        stores.lake.put("labels", model.name, window.id, table, evening_of(window))
