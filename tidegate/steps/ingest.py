"""Ingest: read a window, judge it, quarantine or block, land it, profile it."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from tidegate.adapters.expectations import judge, read_suite, suite_of
from tidegate.adapters.source import read_window
from tidegate.config.dataset import Dataset
from tidegate.contract.admit import admit
from tidegate.contract.quality import QUARANTINE, judge_batch
from tidegate.contract.volume import judge_volume
from tidegate.errors import StoreError, Unreadable
from tidegate.profile.grid import Grid
from tidegate.profile.profile import grid_of, profile_of
from tidegate.profile.table import to_table
from tidegate.steps.stores import Stores
from tidegate.verdicts import Verdict
from tidegate.windows import Window


def ingest(stores: Stores, dataset: Dataset, window: Window, now: datetime, *, again: bool = False) -> Verdict:
    """Land one window, unless it has passed before; returns its quality verdict.

    A blocked window is judged again each time, so a corrected file releases it. Several
    runs may ask at once: one works, the others wait and find it done.
    """
    if not again and (done := _passed(stores, dataset, window)):
        return done
    with stores.data_leases.waiting(f"ingest/{dataset.name}/{window.id}", dataset.name) as lease:
        if not again and (done := _passed(stores, dataset, window)):
            return done
        verdict, good, bad = judge_window(stores, dataset, window)
        stores.data.put("quarantine", dataset.name, window.id, bad, now, lease)
        if verdict.passed:
            stores.data.put("batches", dataset.name, window.id, good, now, lease)
            profile = profile_of(good, grid(stores, dataset, good, now))
            stores.data.put("profiles", dataset.name, window.id, to_table(profile), now, lease)
        stores.data_records.put_verdict(dataset.name, "quality", window.id, verdict, now)
    return verdict


def _passed(stores: Stores, dataset: Dataset, window: Window) -> Verdict | None:
    known = stores.data_records.verdict(dataset.name, "quality", window.id)
    return known if known is not None and known.passed else None


def judge_window(stores: Stores, dataset: Dataset, window: Window) -> tuple[Verdict, pa.Table, pa.Table]:
    """A window's quality verdict, its good rows and those to quarantine; nothing is stored."""
    try:
        frame = read_window(dataset.source, window, stores.home, f"rows/{dataset.name}")
    except Unreadable as fault:
        # Data that cannot be read is bad data: the window is blocked until a good file comes.
        return Verdict("fail", (f"NO_DATA: {fault}",)), pa.table({}), QUARANTINE.empty_table()
    admission = admit(frame, dataset, window)
    expectations = suite_of(dataset)
    if dataset.quality.suite:
        expectations += read_suite(stores.home.root / dataset.quality.suite)
    rows = admission.rows.to_pandas().set_index("position", drop=True) if admission.rows.num_rows else None
    judged = judge(rows, expectations) if rows is not None else None
    calendar = stores.project.calendar(dataset)
    volume = judge_volume(
        len(frame),
        _same_weekdays(stores, dataset, window),
        dataset.quality,
        holiday=window.date in calendar.holidays,
        expected_empty=window.date in calendar.expected_empty,
    )
    released = stores.data_records.verdict(dataset.name, "release", window.id)
    verdict, good, bad = judge_batch(frame, admission, judged, volume, dataset, released.numbers if released else {})
    later = [name for name, column in dataset.columns.items() if column.known == "later" and name in good.column_names]
    return verdict, good.drop_columns(later), bad


def _same_weekdays(stores: Stores, dataset: Dataset, window: Window) -> list[int]:
    calendar = stores.project.calendar(dataset)
    wanted = [calendar.shift(window, -7 * k).id for k in range(dataset.quality.row_count_history, 0, -1)]
    return [s.rows for s in stores.data.many("batches", dataset.name, wanted)]


def grid(stores: Stores, dataset: Dataset, batch: pa.Table, now: datetime) -> Grid:
    """The dataset's frozen grid; the first batch that lands sets it."""
    body = stores.data_records.grid(dataset.name)
    if body is None:
        made = grid_of(batch.drop_columns(["row_id", *(k for k in (dataset.event_time,) if k in batch.column_names)]))
        stores.data_records.put_grid(dataset.name, made.as_dict(), made.digest, now)
        body = stores.data_records.grid(dataset.name)
        assert body is not None
    return Grid.from_dict(body)


def frozen_grid(stores: Stores, dataset: Dataset) -> Grid:
    """The grid that the dataset's first batch set; raises `StoreError` when none has landed."""
    body = stores.data_records.grid(dataset.name)
    if body is None:
        raise StoreError(
            f"grid of {dataset.name}", "a window that landed", "none", f"run tidegate ingest {dataset.name}"
        )
    return Grid.from_dict(body)
