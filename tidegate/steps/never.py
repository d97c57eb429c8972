"""What each matured night was worth as it was served, and what it would have been had nobody ever retrained.

The yardstick is the first champion: its package answers the same rows again, with its own threshold. It has to be
in the registry still; each night is scored once and kept as the verdict ``never`` of its window.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from tidegate.adapters import ledger
from tidegate.adapters.packages import Loaded
from tidegate.config.model import Model
from tidegate.errors import TidegateError
from tidegate.performance.worth import Floats, row_worth
from tidegate.steps.decide import labelled_nights
from tidegate.steps.outcomes import join, labels_of
from tidegate.steps.score import scores_of
from tidegate.steps.stores import Stores
from tidegate.training.thresholds import cuts_of
from tidegate.verdicts import Verdict
from tidegate.windows import Window

KIND = "never"
MOST = 60
"""Nights that one pass scores; the rest is done by the next ones."""


def first_champion(stores: Stores, model: str) -> tuple[int, str, str] | None:
    """Version and digest of the first champion, and the window on which it was promoted."""
    for entry in ledger.entries(stores.control, stores.namespace, model, "plan"):
        to = entry["body"]["to"]
        if to["champion"] is not None:
            return int(to["champion"]), str(to["champion_digest"]), str(entry["window"] or "")
    return None


def against_never(stores: Stores, model: Model, window: Window, now: datetime, most: int = MOST) -> str:
    """Score matured nights that have no verdict yet, the newest first; why it cannot be told, or an empty string."""
    first = first_champion(stores, model.name)
    if first is None:
        return "there was no champion yet"
    version, digest, since = first
    known = stores.records.outcomes(model.name, KIND)
    wanted = [n for n in sorted(labelled_nights(stores, model, window), reverse=True) if n > since and n not in known]
    if not wanted:
        return ""
    try:
        package = stores.package(model.name, version, digest)
    except TidegateError:
        return f"version {version}, the first champion, is not in the registry any more"
    for night in wanted[:most]:
        verdict = _night(stores, model, package, version, night, window)
        if verdict is not None:
            stores.records.put_verdict(model.name, KIND, night, verdict, now)
    return ""


def _night(
    stores: Stores, model: Model, first: Loaded, version: int, night: str, window: Window
) -> Verdict | None:  # fmt: skip
    labels = labels_of(stores, model, [night], window)
    rows = stores.lake.read("inferences", model.name, [night])
    if not rows.num_rows or not labels.num_rows:
        return None
    served = join(rows, labels)
    if not served.num_rows:
        return None
    by = int(served["version"][0].as_py())
    package = stores.package(model.name, by, served["package"][0].as_py())
    truth = served["label"].to_numpy().astype(np.float64)
    worth = row_worth(model, scores_of(served), truth, cuts_of(package.spec, served))
    numbers: dict[str, Any] = {"n": len(worth), "version": by, "first": version, "served": float(worth.mean())}
    if by == version:
        return Verdict("pass", (), numbers | {"never": numbers["served"]})
    try:
        other = _again(stores, model, first, served, night)
    except TidegateError as fault:
        return Verdict("inconclusive", (f"version {version} does not score {night}: {type(fault).__name__}",), numbers)
    both = np.isfinite(other)
    if not both.any():
        return Verdict("inconclusive", (f"version {version} knows no row of {night}",), numbers)
    found = {"n": int(both.sum()), "served": float(worth[both].mean()), "never": float(other[both].mean())}
    return Verdict("pass", (), numbers | found)


def _again(stores: Stores, model: Model, package: Loaded, served: pa.Table, night: str) -> Floats:
    """The worth of the served rows as another version would have answered them; NaN where the batch lacks a row."""
    batch, out = stores.data.read("batches", model.dataset, [night]), np.full(served.num_rows, np.nan)
    if not batch.num_rows:
        return out
    at = {row: i for i, row in enumerate(batch["row_id"].to_pylist())}
    where = np.array([at.get(r, -1) for r in served["row_id"].to_pylist()], dtype=np.int64)
    there = where >= 0
    rows = batch.take(pa.array(where[there]))
    truth = served["label"].to_numpy().astype(np.float64)[there]
    out[there] = row_worth(model, package.scores(rows), truth, cuts_of(package.spec, rows))
    return out


__all__ = ["KIND", "against_never", "first_champion"]
