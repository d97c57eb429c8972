"""Admits the rows of a batch that have the declared columns and types, one by one."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from tidegate.config.dataset import Column, Dataset
from tidegate.windows import Window

ARROW: dict[str, pa.DataType] = {
    "integer": pa.int64(), "number": pa.float64(), "category": pa.string(), "text": pa.string(),
    "boolean": pa.bool_(), "timestamp": pa.timestamp("us", tz="UTC"),
}
_INTEGER = re.compile(r"[+-]?\d{1,18}")


@dataclass(frozen=True)
class Admission:
    """The outcome for one batch.

    ``rows`` has `row_id` and every declared column, sorted by `row_id`; ``reasons`` says
    for each position of the source frame why its row was refused (empty: admitted);
    ``breaks`` are reasons to refuse the batch as a whole.
    """

    rows: pa.Table
    reasons: dict[int, list[str]]
    breaks: tuple[str, ...]


def admit(frame: pd.DataFrame, dataset: Dataset, window: Window) -> Admission:
    """Check columns, types, key and event time of a batch; never coerces silently.

    Text is parsed where the contract asks for numbers or times (a CSV file has nothing
    else), and only if the whole text is one. A missing required column, or an unknown
    type, breaks the batch. Copies of one row are refused but for the first; rows that
    share a key and differ are all refused.
    """
    breaks = [f"column {name!r}: expected to be present, found missing"
              for name, column in dataset.columns.items() if column.required and name not in frame.columns]
    if breaks:
        return Admission(pa.table({}), {}, tuple(breaks))
    frame = frame.reset_index(drop=True)
    bad: dict[int, list[str]] = {}
    arrays: dict[str, pd.Series] = {}
    for name, column in dataset.columns.items():
        if name not in frame.columns:
            arrays[name] = pd.Series([None] * len(frame), dtype="object")
            continue
        values, wrong = conform(frame[name], column)
        arrays[name] = values
        for i in np.flatnonzero(wrong):
            bad.setdefault(int(i), []).append(f"{name}: expected {column.type}, found {str(frame[name].iloc[i])[:40]!r}")
    _time_and_key(arrays, dataset, window, bad)
    keep = np.array([i for i in range(len(frame)) if i not in bad], dtype=np.int64)
    ids = row_ids([arrays[k] for k in dataset.key])
    _duplicates(ids, arrays, keep, bad)
    keep = np.array([i for i in keep if i not in bad], dtype=np.int64)
    keep = keep[np.argsort(ids[keep], kind="stable")] if len(keep) else keep
    columns = {"row_id": pa.array(ids[keep], pa.string()), "position": pa.array(keep, pa.int64())}
    for name, column in dataset.columns.items():
        columns[name] = pa.array(arrays[name].iloc[keep], ARROW[column.type], from_pandas=True)
    return Admission(pa.table(columns), bad, ())


def conform(values: pd.Series, column: Column) -> tuple[pd.Series, np.ndarray]:
    """The values in the contract's type, and a mask of those that do not fit it."""
    missing = values.isna().to_numpy() | (values.astype("object") == "").to_numpy()
    if column.type in ("integer", "number"):
        return _numeric(values, missing, column.type == "integer")
    if column.type == "boolean":
        known = {True: True, False: False, "True": True, "False": False, "true": True, "false": False}
        out = values.astype("object").where(~missing, None).map(lambda v: known.get(v) if isinstance(v, (bool, np.bool_, str)) else None)
        return out, (out.isna().to_numpy() & ~missing)
    if column.type == "timestamp":
        if values.dtype.kind in "iufb":
            return pd.Series(pd.NaT, index=values.index, dtype="datetime64[ns, UTC]"), ~missing
        naive = values.dtype.kind == "M" and getattr(values.dtype, "tz", None) is None
        out = pd.to_datetime(values.where(~missing, None), utc=True, errors="coerce", format="ISO8601" if values.dtype == object else None)
        return out, (out.isna().to_numpy() & ~missing) | (naive & ~missing)
    text = values.astype("object")
    wrong = np.array([not isinstance(v, str) for v in text], dtype=bool) & ~missing
    return text.where(~(missing | wrong), None), wrong


def _numeric(values: pd.Series, missing: np.ndarray, integer: bool) -> tuple[pd.Series, np.ndarray]:
    if values.dtype.kind == "b":
        return pd.Series(np.nan, index=values.index), ~missing
    if values.dtype.kind in "iu":
        return values.astype("int64" if integer else "float64"), np.zeros(len(values), dtype=bool)
    if values.dtype.kind == "f":
        out = values.astype("float64")
    else:
        objects = values.astype("object")
        out = pd.to_numeric(objects.where(~missing, None), errors="coerce").astype("float64")
        flags = np.array([isinstance(v, (bool, np.bool_)) for v in objects], dtype=bool)
        out = out.where(~flags)
        if integer:
            whole = np.array([not isinstance(v, str) or bool(_INTEGER.fullmatch(v.strip())) for v in objects], dtype=bool)
            out = out.where(whole)
    wrong = out.isna().to_numpy() & ~missing
    if not integer:
        return out, wrong
    wrong |= ~missing & ~wrong & (out.to_numpy() % 1 != 0)
    return out.where(~wrong).astype("Int64"), wrong


def _time_and_key(arrays: dict[str, pd.Series], dataset: Dataset, window: Window, bad: dict[int, list[str]]) -> None:
    when = pd.to_datetime(arrays[dataset.event_time], utc=True)
    outside = ((when < window.start) | (when >= window.end)).to_numpy() & when.notna().to_numpy()
    for i in np.flatnonzero(outside):
        bad.setdefault(int(i), []).append(f"{dataset.event_time}: expected in window {window.id}, found {when.iloc[i].isoformat()}")
    for name in dict.fromkeys((dataset.event_time, *dataset.key)):
        for i in np.flatnonzero(arrays[name].isna().to_numpy()):
            bad.setdefault(int(i), []).append(f"{name}: expected a value, found none")


def _duplicates(ids: np.ndarray, arrays: dict[str, pd.Series], keep: np.ndarray, bad: dict[int, list[str]]) -> None:
    if len(set(ids[keep])) == len(keep):
        return
    content = row_ids([s.iloc[keep] for s in arrays.values()])
    by_id: dict[str, list[int]] = {}
    for at, i in enumerate(keep):
        by_id.setdefault(ids[i], []).append(at)
    for group in by_id.values():
        same = len({content[at] for at in group}) == 1
        for at in group[1:] if same else (group if len(group) > 1 else []):
            bad.setdefault(int(keep[at]), []).append("duplicate row" if same else "another row has the same key and other values")


def row_ids(columns: list[pd.Series]) -> np.ndarray:
    """Hex digests (32 characters) of rows of key columns."""
    texts = [[v.isoformat() if isinstance(v, pd.Timestamp) else str(v) for v in c.astype("object")] for c in columns]
    return np.array([hashlib.sha256("\x1f".join(row).encode()).hexdigest()[:32] for row in zip(*texts, strict=True)], dtype=object)
