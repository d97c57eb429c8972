import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.config.dataset import Column
from tidegate.contract.conform import ARROW, conform, is_missing

TYPES = ("integer", "number", "category", "text", "boolean", "timestamp")
REFUSED = object()


def one(value, kind):
    """What becomes of one value in a column of objects: a value, None if missing, or REFUSED."""
    values, wrong = conform(pd.Series([value], dtype="object"), Column(type=kind))
    if wrong[0]:
        assert values.isna()[0]
        return REFUSED
    return None if values.isna()[0] else values[0]


@pytest.mark.parametrize(
    ("value", "integer", "number"),
    [
        ("12", 12, 12.0),
        (" 12 ", 12, 12.0),
        ("+7", 7, 7.0),
        ("-0", 0, 0.0),
        ("12.0", 12, 12.0),
        ("12.5", REFUSED, 12.5),
        ("1e3", REFUSED, 1000.0),
        (".5", REFUSED, 0.5),
        ("1_000", REFUSED, REFUSED),
        ("1,000", REFUSED, REFUSED),
        ("0x10", REFUSED, REFUSED),
        ("NaN", REFUSED, REFUSED),
        ("inf", REFUSED, REFUSED),
        ("1e999", REFUSED, REFUSED),
        ("1e-999", REFUSED, REFUSED),
        ("0e-999", REFUSED, 0.0),
        ("١٢", REFUSED, REFUSED),
        ("１２", REFUSED, REFUSED),
        ("1 2", REFUSED, REFUSED),
        ("", None, None),
        (" ", REFUSED, REFUSED),
        ("true", REFUSED, REFUSED),
        (True, REFUSED, REFUSED),
        (np.True_, REFUSED, REFUSED),
        (np.timedelta64(3, "s"), REFUSED, REFUSED),
        (12, 12, 12.0),
        (12.0, 12, 12.0),
        (12.5, REFUSED, 12.5),
        (math.inf, REFUSED, REFUSED),
        (math.nan, None, None),
        (Decimal("3.0"), 3, 3.0),
        (Decimal("0.1"), REFUSED, 0.1),
        (Decimal("Infinity"), REFUSED, REFUSED),
        (Decimal("NaN"), None, None),
        (2**53 + 1, 2**53 + 1, REFUSED),
        (str(2**53 + 1), 2**53 + 1, REFUSED),
        (2**63 - 1, 2**63 - 1, REFUSED),
        (2**63, REFUSED, float(2**63)),
        (10**400, REFUSED, REFUSED),
        ("9" * 500, REFUSED, REFUSED),
        (-(2**63), -(2**63), float(-(2**63))),
        (b"12", REFUSED, REFUSED),
        (1j, REFUSED, REFUSED),
        (Fraction(1, 2), REFUSED, REFUSED),
        ([1], REFUSED, REFUSED),
        (np.array([1, 2]), REFUSED, REFUSED),
        (None, None, None),
        (pd.NA, None, None),
        (pd.NaT, None, None),
    ],
)
@pytest.mark.fault(18)
def test_numbers_are_read_exactly_or_not_at_all(value, integer, number):
    assert one(value, "integer") == integer
    assert one(value, "number") == number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2013-01-05T10:00:00Z", datetime(2013, 1, 5, 10, tzinfo=UTC)),
        ("2013-01-05 10:00+01:00", datetime(2013, 1, 5, 9, tzinfo=UTC)),
        ("2013-01-05T10:00:00.123456000Z", datetime(2013, 1, 5, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2013-01-05T10:00:00.1234567Z", REFUSED),
        ("2013-01-05T10:00:00", REFUSED),
        ("2013-01-05", REFUSED),
        ("2013-02-30T10:00:00Z", REFUSED),
        ("05/01/2013 10:00Z", REFUSED),
        ("20130105T100000Z", REFUSED),
        ("0001-01-01T00:00:00+23:00", REFUSED),
        ("1357380000", REFUSED),
        (1357380000, REFUSED),
        (datetime(2013, 1, 5, 10), REFUSED),
        (date(2013, 1, 5), REFUSED),
        (np.datetime64("2013-01-05"), REFUSED),
        (datetime(2013, 7, 5, 10, tzinfo=ZoneInfo("America/New_York")), datetime(2013, 7, 5, 14, tzinfo=UTC)),
        (pd.Timestamp(1, tz="UTC"), REFUSED),
        (True, REFUSED),
        ("", None),
        (pd.NaT, None),
    ],
)
def test_a_timestamp_names_one_instant_or_is_refused(value, expected):
    assert one(value, "timestamp") == expected


@pytest.mark.parametrize(
    ("value", "text", "boolean"),
    [
        ("AA", "AA", REFUSED),
        (" AA ", " AA ", REFUSED),
        ("true", "true", True),
        ("FALSE", "FALSE", False),
        ("1", "1", REFUSED),
        (1, REFUSED, REFUSED),
        (0.0, REFUSED, REFUSED),
        (True, REFUSED, True),
        (np.False_, REFUSED, False),
        (b"AA", REFUSED, REFUSED),
        ("\ud800", REFUSED, REFUSED),
        ("a\nb\x00", "a\nb\x00", REFUSED),
    ],
)
def test_text_and_truth_are_not_made_of_other_things(value, text, boolean):
    assert one(value, "text") == one(value, "category") == text
    assert one(value, "boolean") == boolean


@pytest.mark.parametrize(
    ("values", "kind", "expected", "wrong"),
    [
        (pd.Series([1, 2**53 + 1]), "number", [1.0, None], [False, True]),
        (pd.Series([1, 2**64 - 1], dtype="uint64"), "integer", [1, None], [False, True]),
        (pd.Series([1, None, 2**62 + 1], dtype="Int64"), "integer", [1, None, 2**62 + 1], [False] * 3),
        (pd.Series([1.0, np.nan, 1.5, np.inf, 1e300]), "integer", [1] + [None] * 4, [False, False, True, True, True]),
        (pd.Series([0.5, np.nan, -np.inf], dtype="float32"), "number", [0.5, None, None], [False, False, True]),
        (pd.Series([True, False]), "integer", [None, None], [True, True]),
        (pd.Series(["a", "b"], dtype="category"), "category", ["a", "b"], [False, False]),
        (pd.Series([1, 2], dtype="category"), "category", [None, None], [True, True]),
        (pd.to_datetime(pd.Series(["2013-01-05"])), "timestamp", [None], [True]),
        (pd.Series([1, None], dtype="Float64"), "number", [1.0, None], [False, False]),
        (pd.Series([None, None]), "boolean", [None, None], [False, False]),
        (pd.Series([np.nan, np.nan]), "text", [None, None], [False, False]),
    ],
)
def test_whole_columns_of_any_dtype(values, kind, expected, wrong):
    out, mask = conform(values, Column(type=kind))
    assert [None if is_missing(v) else v for v in out.astype("object")] == expected
    assert mask.tolist() == wrong


def test_nanoseconds_in_a_column_are_refused_not_cut():
    values = pd.Series(pd.to_datetime([1_000, 1_001, None], utc=True))
    out, wrong = conform(values, Column(type="timestamp"))
    assert wrong.tolist() == [False, True, False]
    assert out.isna().tolist() == [False, True, True]


@pytest.mark.parametrize("kind", TYPES)
def test_an_empty_column_stays_empty(kind):
    values, wrong = conform(pd.Series([], dtype="object"), Column(type=kind))
    assert len(values) == len(wrong) == 0
    assert pa.array(values, ARROW[kind], from_pandas=True).type == ARROW[kind]


ANY = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8), st.binary(max_size=4),
    st.decimals(allow_nan=False), st.datetimes(), st.datetimes(timezones=st.just(timezone(timedelta(hours=-5)))),
    st.from_regex(r"[+-]?[0-9]{1,20}(\.[0-9]{0,3})?(e[0-9])?", fullmatch=True), st.dates(),
)  # fmt: skip


@pytest.mark.fault(18)
@settings(max_examples=150, deadline=None)
@given(st.lists(ANY, min_size=1, max_size=6), st.sampled_from(TYPES))
def test_whatever_gets_through_equals_the_source(values, kind):
    out, wrong = conform(pd.Series(values, dtype="object"), Column(type=kind))
    stored = pa.array(out, ARROW[kind], from_pandas=True).to_pylist()
    for source, got, refused in zip(values, stored, wrong, strict=True):
        if refused or is_missing(source):
            assert got is None
        elif kind in ("integer", "number"):
            exact = Decimal(source) if isinstance(source, str) else source
            assert not isinstance(source, bool)
            if isinstance(exact, Decimal) and kind == "number":
                assert got == float(exact)
            else:
                assert got == exact
        elif isinstance(source, str) and kind == "boolean":
            assert source.lower() == str(got).lower()
        elif isinstance(source, str) and kind == "timestamp":
            assert got == datetime.fromisoformat(source)
        else:
            assert got == source
            assert isinstance(got, type(source))
