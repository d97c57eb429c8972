"""One row's id is that of `row_ids`, whatever its values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.config.dataset import Dataset
from tidegate.contract.admit import conform, row_ids
from tidegate.contract.rowid import row_id_of

TYPES = ("integer", "number", "category", "text", "boolean", "timestamp")
DATASET = Dataset.model_validate(
    {"name": "d", "source": {"files": "{date}.csv"}, "event_time": "timestamp", "key": list(TYPES),
     "columns": {t: {"type": t} for t in (*TYPES,)}}
)  # fmt: skip
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=5, minutes=30))])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ROWS = st.tuples(
    st.integers(-(2**63), 2**63 - 1) | st.none(), st.floats(allow_infinity=False) | st.integers(-9, 9),
    TEXT | st.none(),
    TEXT, st.booleans(), st.datetimes(datetime(1700, 1, 2), datetime(2200, 1, 1), timezones=ZONES),
)  # fmt: skip


@settings(max_examples=150)
@given(ROWS)
def test_as_row_ids_gives_it(row: tuple[Any, ...]) -> None:
    columns = []
    for kind, value in zip(TYPES, row, strict=True):
        values, wrong = conform(pd.Series([value], dtype="object"), DATASET.columns[kind])
        assert not wrong.any()
        columns.append(values)
    missing = any(c.isna().any() for c in columns)
    assert row_id_of(DATASET, TYPES)(row) == (None if missing else row_ids(columns)[0])


def test_a_row_without_its_key_has_no_id() -> None:
    assert row_id_of(DATASET, ("integer", "text"))((1, "a")) is None
