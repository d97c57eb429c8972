"""Mitigate: a candidate of its own from a version's package, with a threshold for each protected group."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.gate.judged import Judged
from tidegate.gate.mitigation import offer
from tidegate.steps.candidate import register
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import choose, crossfit, cuts_of
from tidegate.windows import Window


@dataclass(frozen=True)
class Mitigated:
    """The new version, and what it brings and costs on the rows that its members did not see."""

    version: int
    of: int
    offer: dict[str, Any]
    known: bool = False


def mitigate(
    stores: Stores, model: Model, version: int, window: Window, now: datetime, *, column: str | None = None
) -> Mitigated:
    """Register a version with thresholds by group; it waits for the gate like every candidate.

    The estimator is untouched: only `spec.json` and the predictions of the reference outcomes differ. Doing it again
    gives the version that is there already.

    Raises
    ------
    UsageError
        If there is no such version, it is not binary, or no gap between groups can be measured on its rows.
    """
    record = next((v for v in stores.records.versions(model.name) if v["version"] == version), None)
    if record is None:
        do = f"look at tidegate lineage {model.name}"
        raise UsageError(f"version {version} of {model.name}", "a registered version", "none", do)
    if not model.protected:
        do = "declare protected columns in the model file"
        raise UsageError(f"mitigation of {model.name}", "protected columns", "none declared", do)
    if model.kind != "binary":
        do = "leave out what stands for the group from the features, or weigh the rows in `build`"
        raise UsageError(f"mitigation of {model.name}", "a binary model", f"a {model.kind} one", do)
    if column is not None and column not in model.protected:
        raise UsageError("--column", f"one of {', '.join(model.protected)}", column, "name a protected column")
    package = stores.package(model.name, version, record["digest"])
    if package.spec.get("group_thresholds"):
        found, do = f"one of version {record['body'].get('mitigates')}", "mitigate that version instead"
        raise UsageError(f"version {version} of {model.name}", "a version without thresholds by group", found, do)
    judged, fold = judged_blind(model, package)
    brings = offer(model, judged, fold=fold, column=column)
    if not brings["offered"]:
        raise UsageError(
            f"mitigation of version {version} of {model.name}", "gaps between groups that can be measured",
            brings["why"], "wait for more labelled nights, or lower gate.fairness.min_rows",
        )  # fmt: skip
    with stores.leases.holding(f"retrain/{model.name}", model.owner) as lease:
        if lease is None:
            found = f"another run that makes a version of {model.name}"
            raise UsageError(f"mitigation of {model.name}", "no other run", found, "wait for it, then try again")
        folder, digest = _package(stores, model, package, version, judged, brings)
        known = next((v for v in stores.records.versions(model.name) if v["digest"] == digest), None)
        if known is not None:
            return Mitigated(known["version"], version, brings, known=True)
        made = register(
            stores, model, folder, digest, window, now, reason=f"mitigation of version {version}",
            more={"mitigates": version, "mitigation": brings},
        )  # fmt: skip
    return Mitigated(made, version, brings)


def judged_blind(model: Model, package: Loaded) -> tuple[Judged, np.ndarray]:
    """A binary package's own out-of-fold rows, each decided by a threshold of the other folds, and their folds."""
    outcomes = package.reference("outcomes")
    scores, label, fold = scores_of(outcomes), outcomes["label"].to_numpy(), outcomes["fold"].to_numpy()
    columns = [c for c in dict.fromkeys((*model.segments, *model.protected)) if f"segment_{c}" in outcomes.column_names]
    groups = {c: outcomes[f"segment_{c}"].fill_null("missing").to_numpy(zero_copy_only=False) for c in columns}
    own = (package.spec.get("group_thresholds") or {}).get("column")
    values = groups.get(own) if own else None
    cut = crossfit(model, scores, label, values, fold, own or "")
    night = outcomes["event_window"].to_numpy(zero_copy_only=False)
    rows = outcomes["row_id"].to_numpy(zero_copy_only=False)
    # There is no other side: what is left open stays open.
    return Judged(night, label, scores, np.full(len(scores), np.nan), cut, cut, groups, rows), fold


def _package(
    stores: Stores, model: Model, package: Loaded, version: int, judged: Judged, brings: dict[str, Any]
) -> tuple[Path, str]:
    """A copy of the package with its thresholds by group, under its own digest."""
    column = brings["column"]
    chosen = choose(model, judged.ours, judged.label, judged.groups[column], column)
    spec = package.spec | {
        "group_thresholds": chosen.as_spec() | {"aim": model.gate.fairness.aim, "stretch": chosen.stretch},
        "mitigates": {"version": version, "package": package.digest},
    }
    with stores.staging(model.name) as staging:
        copy = staging / "package"
        shutil.copytree(package.folder, copy)
        (copy / "tidegate" / "spec.json").write_text(json.dumps(spec, indent=1, default=str))
        outcomes = package.reference("outcomes")
        guess = (judged.ours >= cuts_of(spec, outcomes)).astype(int)
        at = outcomes.column_names.index("prediction")
        path = copy / "tidegate" / "reference" / "outcomes.parquet"
        pq.write_table(outcomes.set_column(at, "prediction", pa.array(guess)), path, write_page_checksum=True)
        return stores.keep(model.name, copy)
