"""Digests: are the windows that a package says it was trained on those that control knows?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.adapters.lake import Lake
from tidegate.adapters.windowlog import digests_of
from tidegate.config.model import Model
from tidegate.gate.line import Line
from tidegate.lineage.digest import file_digest
from tidegate.steps.stores import Stores
from tidegate.verdicts import Outcome


def window_digests(stores: Stores, model: Model, spec: Mapping[str, Any]) -> list[Line]:
    """A line each for the batches and the labels of a training, and one for their files.

    A digest that control never had fails; one that was replaced since, by a restatement, is told. Files of windows
    that still are as they were at the training must have the bytes that were recorded.
    """
    tables = (("batches", stores.data, model.dataset), ("labels", stores.lake, model.name))
    lines: list[Line] = []
    damaged: list[str] = []
    looked = 0
    for table, lake, owner in tables:
        recorded = spec.get(table)
        lines.append(_line(table, recorded, digests_of(lake, table, owner)))
        if isinstance(recorded, Mapping) and recorded:
            count, wrong = _files(lake, table, owner, recorded)
            looked, damaged = looked + count, damaged + wrong
    reason = f"training files: {looked} of {looked} as recorded"
    if damaged:
        reason = f"training files: {len(damaged)} of {looked} missing or changed, such as {damaged[0]}"
    outcome: Outcome = "fail" if damaged else "pass" if looked else "inconclusive"
    reason = reason if looked else "training files: none of its windows is as it was at the training"
    return [*lines, Line("training files", "digests", outcome, float(len(damaged)), 0.0, reason, n=looked)]


def _line(table: str, recorded: Any, known: Mapping[str, list[str]]) -> Line:
    if not isinstance(recorded, Mapping) or not recorded:
        return Line(table, "digests", "fail", 1.0, 0.0, f"{table}: the package records no digests of them")
    strangers = sorted(w for w, digest in recorded.items() if digest not in known.get(w, ()))
    if strangers:
        reason = f"{table}: {len(strangers)} of {len(recorded)} windows have a digest that control never had, such as "
        return Line(table, "digests", "fail", float(len(strangers)), 0.0, reason + strangers[0], n=len(recorded))
    restated = [w for w, digest in recorded.items() if known[w][-1] != digest]
    reason = f"{table}: {len(recorded)} of {len(recorded)} windows as control had them"
    reason += f"; {len(restated)} restated since" if restated else ""
    return Line(table, "digests", "pass", 0.0, 0.0, reason, n=len(recorded))


def _files(lake: Lake, table: str, owner: str, recorded: Mapping[str, str]) -> tuple[int, list[str]]:
    """Files of the windows that have not changed since, and those of them whose bytes differ."""
    folder, count, wrong = lake.path(table, owner), 0, []
    for stored in lake.many(table, owner, recorded):
        if stored.digest != recorded[stored.window]:
            continue
        for name, sha in stored.files.items():
            count += 1
            try:
                whole = file_digest(folder / name) == sha
            except OSError:
                whole = False
            if not whole:
                wrong.append(f"{table} of {stored.window}")
    return count, wrong
