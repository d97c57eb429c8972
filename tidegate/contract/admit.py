"""Admits the rows of a batch that have the declared columns and types, one by one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tidegate.config.base import did_you_mean
from tidegate.config.dataset import Dataset
from tidegate.contract.conform import ARROW, conform, is_missing
from tidegate.windows import Window

__all__ = ["ARROW", "Admission", "admit", "conform", "row_ids", "row_text"]


@dataclass(frozen=True)
class Admission:
    """The outcome for one batch.

    Attributes
    ----------
    rows : pyarrow.Table
        `row_id`, `position` in the source frame and every declared column, in the contract's
        types, sorted by `row_id`.
    reasons : dict of int to list of str
        Why a row was refused, by its position in the source frame; admitted rows are not in it.
    breaks : tuple of str
        Reasons to refuse the batch as a whole.
    ids : dict of int to str
        The `row_id` of each refused row whose key can be read, by position.
    """

    rows: pa.Table
    reasons: dict[int, list[str]]
    breaks: tuple[str, ...]
    ids: dict[int, str] = field(default_factory=dict)


def admit(frame: pd.DataFrame, dataset: Dataset, window: Window) -> Admission:
    """Check columns, types, key and event time of a batch; never coerces silently.

    Text is parsed where the contract asks for numbers or times (a CSV file has nothing
    else), and only if the whole text is one. A missing required column, or a declared one
    that is there twice, breaks the batch; columns that are not declared are left out. Of
    copies of one row one is admitted; rows that share a key and differ are all refused. A
    row outside the window is refused. No rows and no columns is an empty batch.

    The admitted rows do not depend on the order in which rows arrive.

    Examples
    --------
    >>> from tidegate.windows import Calendar
    >>> dataset = Dataset.model_validate({
    ...     "name": "d", "source": {"files": "{date}.csv"}, "event_time": "at", "key": ["id"],
    ...     "columns": {"id": {"type": "integer"}, "at": {"type": "timestamp"}}})
    >>> frame = pd.DataFrame({"id": ["1", "x"], "at": ["2013-01-01T10:00:00Z"] * 2})
    >>> admission = admit(frame, dataset, Calendar().window("2013-01-01"))
    >>> admission.rows["id"].to_pylist(), admission.reasons
    ([1], {1: ["id: expected integer, found 'x'"]})
    """
    breaks = _breaks(frame, dataset)
    if breaks or (frame.empty and not len(frame.columns)):
        return Admission(_schema(dataset).empty_table(), {}, breaks)
    frame = frame.reset_index(drop=True)
    bad: dict[int, list[str]] = {}
    arrays: dict[str, pd.Series] = {}
    for name, column in dataset.columns.items():
        source = frame[name] if name in frame.columns else pd.Series([None] * len(frame), dtype="object")
        arrays[name], wrong = conform(source, column)
        expected = "timestamp with a time zone" if column.type == "timestamp" else column.type
        for i in np.flatnonzero(wrong):
            bad.setdefault(int(i), []).append(f"{name}: expected {expected}, found {str(source.iloc[i])[:40]!r}")
    keyed = np.ones(len(frame), dtype=bool)
    for name in dataset.key:
        keyed &= arrays[name].notna().to_numpy()
    _time_and_key(arrays, dataset, window, bad)
    ids = row_ids([arrays[k] for k in dataset.key])
    _duplicates(frame, ids, arrays, bad)
    keep = np.array([i for i in range(len(frame)) if i not in bad], dtype=np.int64)
    keep = keep[np.argsort(ids[keep], kind="stable")]
    columns = [pa.array(ids[keep], pa.string()), pa.array(keep, pa.int64())]
    columns += [
        pa.array(arrays[name].iloc[keep], ARROW[column.type], from_pandas=True)
        for name, column in dataset.columns.items()
    ]
    rows = pa.Table.from_arrays(columns, schema=_schema(dataset))
    return Admission(rows, bad, (), {i: str(ids[i]) for i in bad if keyed[i]})


def _schema(dataset: Dataset) -> pa.Schema:
    declared = [(name, ARROW[column.type]) for name, column in dataset.columns.items()]
    return pa.schema([("row_id", pa.string()), ("position", pa.int64()), *declared])


def _breaks(frame: pd.DataFrame, dataset: Dataset) -> tuple[str, ...]:
    if frame.empty and not len(frame.columns):
        return ()
    found = list(frame.columns)
    spare = [str(name) for name in found if name not in dataset.columns]
    out = []
    for name, column in dataset.columns.items():
        times = found.count(name)
        if times > 1:
            out.append(f"column {name!r}: expected once, found {times} times")
        elif not times and column.required:
            hint = did_you_mean(name, spare, "")
            out.append(f"column {name!r}: expected to be present, found missing" + (f"; {hint}" if hint else ""))
    return tuple(out)


def _time_and_key(arrays: dict[str, pd.Series], dataset: Dataset, window: Window, bad: dict[int, list[str]]) -> None:
    when = arrays[dataset.event_time]
    outside = (when.notna() & ((when < window.start) | (when >= window.end))).to_numpy()
    for i in np.flatnonzero(outside):
        reason = f"{dataset.event_time}: expected in window {window.id}, found {when.iloc[i].isoformat()}"
        bad.setdefault(int(i), []).append(reason)
    for name in dict.fromkeys((dataset.event_time, *dataset.key)):
        for i in np.flatnonzero(arrays[name].isna().to_numpy()):
            # A value of the wrong type has its own reason already.
            if not any(reason.startswith(f"{name}: ") for reason in bad.get(int(i), ())):
                bad.setdefault(int(i), []).append(f"{name}: expected a value, found none")


def _duplicates(frame: pd.DataFrame, ids: np.ndarray, arrays: dict[str, pd.Series], bad: dict[int, list[str]]) -> None:
    groups: dict[str, list[int]] = {}
    for i, row_id in enumerate(ids):
        if i not in bad:
            groups.setdefault(row_id, []).append(i)
    several = [group for group in groups.values() if len(group) > 1]
    rows = [i for group in several for i in group]
    content = dict(zip(rows, row_ids([values.iloc[rows] for values in arrays.values()]), strict=True)) if rows else {}
    for group in several:
        same = len({content[i] for i in group}) == 1
        # Which copy stays must not hang on the order of arrival: they may differ in undeclared columns.
        stays = min(group, key=lambda i: row_text(frame, i)) if same else None
        for i in group:
            if i != stays:
                bad[i] = ["duplicate row" if same else "another row has the same key and other values"]


def row_ids(columns: Sequence[pd.Series]) -> np.ndarray:
    """Hex digests (32 characters) of rows of key columns.

    A missing value differs from any text, and the border between two columns counts.

    Parameters
    ----------
    columns : sequence of pandas.Series, each of shape (n,)
        In the contract's types, as `conform` gives them.

    Returns
    -------
    numpy.ndarray of str, shape (n,)

    Examples
    --------
    >>> a, b = row_ids([pd.Series(["ab", "a"]), pd.Series(["c", "bc"])])
    >>> a != b, len(a)
    (True, 32)
    """
    texts = [[_part(value) for value in column.astype("object")] for column in columns]
    digests = [hashlib.sha256("".join(row).encode()).hexdigest()[:32] for row in zip(*texts, strict=True)]
    return np.array(digests, dtype=object)


def _part(value: Any) -> str:
    if is_missing(value):
        return "~"
    text = value.isoformat() if isinstance(value, pd.Timestamp) else str(value)
    return f"{len(text)}:{text}"


def row_text(frame: pd.DataFrame, position: int) -> str:
    """A row of the source as JSON text, as it came: for people, and for the quarantine."""
    row = {str(name): _plain(value) for name, value in zip(frame.columns, frame.iloc[position], strict=True)}
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, str) or value is None or isinstance(value, (bool, int)):
        return value
    if is_missing(value):
        return None
    return value if isinstance(value, float) and np.isfinite(value) else str(value)
