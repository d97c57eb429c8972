"""A sample of a model's data in a state folder of its own: ingested and labelled as by night, then thinned."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pyarrow as pa

from tidegate.clock import evening_of
from tidegate.config.home import Home
from tidegate.config.model import Model
from tidegate.config.project import Project
from tidegate.errors import SourceError, UsageError
from tidegate.steps.decide import labelled_nights
from tidegate.steps.ingest import ingest
from tidegate.steps.labels import collect_labels, delay_nights
from tidegate.steps.stores import Stores
from tidegate.verdicts import Verdict
from tidegate.windows import Window

NEWEST = 3
"""Windows whose contract is judged where none was named."""
TOLD = 5
MOST_NIGHTS = 120
"""Nights that are read, at most, however few rows they have."""


@dataclass
class Sample:
    """What was read: windows asked for, verdicts of the contract, labelled nights that are left to train on."""

    asked: list[Window]
    evening: Window
    named: bool = False
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    nights: list[str] = field(default_factory=list)
    rows: int = 0


def windows_there(project: Project, model: Model, home: Home) -> list[str]:
    """Windows with a source file, oldest first; none where the source is not by file."""
    dataset = project.dataset(model.dataset)
    if not dataset.source.files:
        return []
    parts = [glob.escape(p) for p in dataset.source.files.split("{date}")]
    shape = re.compile(r"(\d{4}-\d{2}-\d{2})".join(map(re.escape, dataset.source.files.split("{date}"))))
    found = glob.glob("????-??-??".join(parts), root_dir=home.root)
    ids = [m[1] for f in found if (m := shape.fullmatch(f.replace("\\", "/"))) and len(set(m.groups())) == 1]
    return sorted(set(ids))


def asked_windows(stores: Stores, model: Model, named: Sequence[str], there: Sequence[str], today: Window) -> Sample:
    """The windows whose contract is judged: those that were named, else the newest whose file is there.

    Raises
    ------
    UsageError
        If a name is not a date.
    SourceError
        If no window was named and no file is there.
    """
    dataset = stores.project.dataset(model.dataset)
    calendar = stores.project.calendar(dataset)
    if named:
        asked = sorted(calendar.window(n) for n in named)
    elif dataset.source.files:
        if not [w for w in there if w <= today.id]:
            raise SourceError(
                f"source of dataset {dataset.name}", f"files like {dataset.source.files}", "none",
                "put data there, or correct source.files",
            )  # fmt: skip
        asked = [calendar.window(w) for w in there if w <= today.id][-NEWEST:]
    else:
        # A query cannot be asked which days it has: as every night, the last ones that are over.
        asked = [calendar.shift(today, -k) for k in range(NEWEST, 0, -1)]
    if named and asked[-1].date > today.date:
        raise UsageError("--window", "a night that is over", asked[-1].id, "name an earlier one")
    return Sample(asked, asked[-1], named=bool(named))


def judge_contract(stores: Stores, model: Model, sample: Sample, rows: int, there: Sequence[str]) -> Verdict:
    """Ingest the windows asked for, and as many before the last as `rows` rows need; the contract's verdict.

    Windows that a person named must all pass. Of the newest ones, and of all, most must: a night whose
    file is bad is told and left out of the training, as it is by night.
    """
    dataset = stores.project.dataset(model.dataset)
    calendar = stores.project.calendar(dataset)
    for window in sample.asked:
        sample.verdicts[window.id] = ingest(stores, dataset, window, evening_of(window))
    passed = {w: v for w, v in sample.verdicts.items() if v.passed}
    if 2 * len(passed) < len(sample.asked) or (sample.named and len(passed) < len(sample.asked)):
        return Verdict("fail", tuple(_reasons(sample)))
    a_night = max(1, *(int(v.numbers["rows"]) for v in passed.values()))
    gate = model.gate
    most = min(max(-(-rows // a_night), gate.min_blocks * gate.block_nights), MOST_NIGHTS) + delay_nights(model)
    first = calendar.shift(sample.evening, 1 - most)
    known = set(there)
    # In the order of time, since the row count is held against the same weekdays before.
    for window in calendar.range(first.date, sample.evening.date):
        if window.id not in sample.verdicts and (window.id in known or not dataset.source.files):
            sample.verdicts[window.id] = ingest(stores, dataset, window, evening_of(window))
    shut = sum(not v.passed for v in sample.verdicts.values())
    told = f"{sum(int(v.numbers.get('rows', 0)) for v in sample.verdicts.values())} rows of "
    told += f"{len(sample.verdicts)} nights read, {shut} of them blocked"
    return Verdict("fail" if 2 * shut > len(sample.verdicts) else "pass", (told, *_reasons(sample)))


def _reasons(sample: Sample) -> list[str]:
    """The first reason of each blocked night, the newest first."""
    shut = sorted(((w, v) for w, v in sample.verdicts.items() if not v.passed), reverse=True, key=lambda item: item[0])
    out = [f"{w} blocked: {v.reasons[0]}" + (f" (and {len(v.reasons) - 1} more)" if v.reasons[1:] else "")
           for w, v in shut]  # fmt: skip
    return out[:TOLD] + ([f"and {len(out) - TOLD} nights more"] if out[TOLD:] else [])


def label(stores: Stores, model: Model, sample: Sample, rows: int, rng: np.random.Generator) -> Verdict:
    """Collect what was known by the evening of the sample, and thin the labelled nights to `rows` rows in all."""
    dataset = stores.project.dataset(model.dataset)
    calendar = stores.project.calendar(dataset)
    nights = sorted(w for w, v in sample.verdicts.items() if v.passed)
    if nights:
        for window in calendar.range(nights[0], sample.evening.date):
            collect_labels(stores, model, window, evening_of(window))
    sample.nights = sorted(labelled_nights(stores, model, sample.evening))
    if not sample.nights:
        due = f"no night has labels for {model.label.min_coverage:.0%} of its rows by the evening of"
        return Verdict("inconclusive", (f"{due} {sample.evening.id}: put label files there, or name another --window",))
    share = max(1, rows // len(sample.nights))
    for night in sample.nights:
        batch = stores.data.read("batches", dataset.name, [night]).drop_columns(["window"])
        if batch.num_rows > share:
            kept = batch.take(pa.array(np.sort(rng.choice(batch.num_rows, share, replace=False))))
            later = evening_of(calendar.window(night)) + timedelta(seconds=1)
            stores.data.put("batches", dataset.name, night, kept, later)
        sample.rows += min(batch.num_rows, share)
    span = f"{sample.nights[0]}..{sample.nights[-1]}"
    return Verdict("pass", (f"{len(sample.nights)} labelled nights, {span}, {sample.rows} rows taken",))
