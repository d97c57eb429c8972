"""Gower's distance by hand, over every type, with what is missing."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import UsageError
from tidegate.explain.neighbours import neighbours


def day(i):
    return datetime(2024, 1, i, tzinfo=UTC)


SCHEMA = pa.schema([("temp", pa.float64()), ("seats", pa.int64()), ("origin", pa.string()), ("late", pa.bool_()),
                    ("at", pa.timestamp("us", tz="UTC"))])  # fmt: skip
REFERENCE = pa.Table.from_pylist(
    [
        {"temp": 10.0, "seats": 100, "origin": "JFK", "late": True, "at": day(1)},
        {"temp": 20.0, "seats": None, "origin": "LGA", "late": False, "at": day(11)},
        {"temp": None, "seats": 300, "origin": None, "late": None, "at": None},
        {"temp": 30.0, "seats": 200, "origin": "JFK", "late": True, "at": day(21)},
    ],
    schema=SCHEMA,
)


def one(**cells):
    return pa.Table.from_pylist([cells], schema=SCHEMA)


def test_each_type_counts_by_its_own_measure():
    row = one(temp=15.0, seats=200, origin="JFK", late=False, at=day(6))
    by_place = {n.place: n for n in neighbours(row, REFERENCE, 9)}
    assert by_place[0].apart == pytest.approx({"temp": 0.25, "seats": 0.5, "origin": 0, "late": 1, "at": 0.25})
    assert by_place[1].apart == pytest.approx({"temp": 0.25, "seats": 1, "origin": 1, "late": 0, "at": 0.25})
    assert by_place[2].apart == pytest.approx({"temp": 1, "seats": 0.5, "origin": 1, "late": 1, "at": 1})
    assert by_place[3].apart == pytest.approx({"temp": 0.75, "seats": 0, "origin": 0, "late": 1, "at": 0.75})
    for n in by_place.values():
        assert n.distance == pytest.approx(np.mean(list(n.apart.values())))
    order = [n.distance for n in neighbours(row, REFERENCE, 9)]
    assert order == sorted(order)


def test_missing_is_near_to_missing_only():
    row = one(temp=None, seats=None, origin=None, late=None, at=None)
    found = {n.place: n.apart for n in neighbours(row, REFERENCE, 9)}
    assert found[2] == {"temp": 0, "seats": 1, "origin": 0, "late": 0, "at": 0}
    assert found[0] == dict.fromkeys(SCHEMA.names, 1)
    nan = pa.table({"x": [np.nan]})
    assert [n.distance for n in neighbours(nan, pa.table({"x": [1.0, None, np.nan]}), 3)] == [0, 0, 1]


def test_values_beyond_the_range_are_at_most_one_apart():
    far = neighbours(one(temp=1e9, seats=-5, origin="EWR", late=True, at=day(28)), REFERENCE, 9)
    assert max(v for n in far for v in n.apart.values()) == 1
    constant = pa.table({"x": [3.0, 3.0]})
    assert [n.distance for n in neighbours(pa.table({"x": [3.0]}), constant, 2)] == [0, 0]
    assert [n.distance for n in neighbours(pa.table({"x": [4.0]}), constant, 2)] == [1, 1]
    infinite = pa.table({"x": [np.inf, 0.0, 10.0]})
    assert [n.place for n in neighbours(pa.table({"x": [9.0]}), infinite, 3)] == [2, 1, 0]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_row_is_nearest_to_itself_in_any_order(seed, shuffle):
    rng = np.random.default_rng(seed)
    table = pa.table({"x": rng.normal(size=30), "c": rng.choice(["a", "b"], 30), "id": np.arange(30)})
    row = table.slice(7, 1).select(["x", "c"])
    mixed = table.take(pa.array(np.random.default_rng(shuffle).permutation(30)))
    first, *_ = neighbours(row, mixed, 3)
    assert (first.distance, first.row["id"]) == (0.0, 7)
    assert [n.row["id"] for n in neighbours(row, mixed, 3)] == [n.row["id"] for n in neighbours(row, table, 3)]


def test_no_reference_and_wrong_calls():
    assert neighbours(REFERENCE.slice(0, 1), REFERENCE.slice(0, 0), 3) == ()
    assert len(neighbours(REFERENCE.slice(0, 1), REFERENCE, 2)) == 2
    with pytest.raises(UsageError, match="one row"):
        neighbours(REFERENCE, REFERENCE, 2)
    with pytest.raises(UsageError, match="other"):
        neighbours(REFERENCE.slice(0, 1), REFERENCE, 2, columns=("other",))
