"""A typed row is taken as it is or refused with what was expected, found and the next step."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.dataset import Dataset
from tidegate.contract.single import parse_row, single
from tidegate.errors import UsageError

DATASET = Dataset.model_validate({
    "name": "d", "source": {"files": "{date}.csv"}, "event_time": "at", "key": ["at"],
    "columns": {
        "at": {"type": "timestamp", "nullable": False},
        "temp": {"type": "number", "min": -30, "max": 50},
        "seats": {"type": "integer", "min": 0},
        "origin": {"type": "category", "values": ["JFK", "LGA"]},
        "dest": {"type": "text", "pattern": "[A-Z]{3}"},
        "late": {"type": "boolean"},
        "gust": {"type": "number", "required": False},
    },
})  # fmt: skip
WANTED = ["temp", "seats", "origin", "dest", "late", "at", "gust"]
ROW = {"at": "2024-01-01T10:00:00-05:00", "temp": 21, "seats": 180, "origin": "JFK", "dest": "BOS", "late": False}


def test_a_row_in_the_contracts_types():
    made = single(ROW, DATASET, WANTED)
    assert made.column_names == WANTED
    assert made.to_pylist() == [
        {"temp": 21.0, "seats": 180, "origin": "JFK", "dest": "BOS", "late": False,
         "at": datetime(2024, 1, 1, 15, tzinfo=UTC), "gust": None}
    ]  # fmt: skip
    assert [str(t) for t in made.schema.types] == [
        "double", "int64", "string", "string", "bool", "timestamp[us, tz=UTC]", "double",
    ]  # fmt: skip
    missing = single(ROW | {"temp": None, "origin": None, "late": None}, DATASET, WANTED).to_pylist()[0]
    assert (missing["temp"], missing["origin"], missing["late"]) == (None, None, None)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"temp": "warm"}, "temp: expected number, found 'warm'"),
        ({"temp": 51}, "temp: expected at most 50, found 51.0"),
        ({"temp": -31}, "temp: expected at least -30"),
        ({"temp": True}, "temp: expected number, found True"),
        ({"temp": [1]}, "temp: expected number, found [1]"),
        ({"temp": {"a": 1}}, "temp: expected number"),
        ({"seats": 1.5}, "seats: expected integer, found 1.5"),
        ({"seats": 2**70}, "seats: expected integer"),
        ({"origin": "EWR"}, "origin: expected one of JFK, LGA, found 'EWR'"),
        ({"origin": 3}, "origin: expected category, found 3"),
        ({"dest": "Boston"}, "dest: expected text that matches [A-Z]{3}"),
        ({"dest": "BOS\n"}, "dest: expected text that matches"),
        ({"late": "perhaps"}, "late: expected boolean"),
        ({"at": "2024-01-01T10:00:00"}, "at: expected timestamp with a time zone"),
        ({"at": None}, "at: expected timestamp with a time zone, found none. Next: give a value"),
        ({"orign": "JFK"}, "found 'orign'"),
        ({"\ud800": 1}, "columns of dataset d"),
    ],
)
def test_what_does_not_fit_is_refused(cells, words):
    with pytest.raises(UsageError) as caught:
        single(ROW | cells, DATASET, WANTED)
    assert words in str(caught.value)
    assert ". Next: " in str(caught.value)


def test_a_column_that_is_left_out_is_asked_for():
    with pytest.raises(UsageError, match=r"temp: expected a value, found none\. Next: give it, as null"):
        single({k: v for k, v in ROW.items() if k != "temp"}, DATASET, WANTED)
    # What is not wanted need not be there, and is checked if it is.
    assert single({"temp": 1}, DATASET, ["temp"]).column_names == ["temp"]
    with pytest.raises(UsageError, match="origin"):
        single({"temp": 1, "origin": "MARS"}, DATASET, ["temp"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "a JSON object"),
        ("[1]", "found list"),
        ('{"a": NaN}', "found NaN"),
        ('{"a": -Infinity}', "found -Infinity"),
        ('{"a": 1, "a": 2}', "'a' twice"),
        ("[" * 100_000, "a JSON object"),
        ('{"a": "' + "x" * 1_000_000 + '"}', "at most 1,000,000 characters"),
    ],
)
def test_text_that_is_no_row_is_refused(text, words):
    with pytest.raises(UsageError) as caught:
        parse_row(text)
    assert words in str(caught.value)


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text(), max_size=4))
def test_no_values_raise_anything_else(cells):
    try:
        made = single(ROW | cells, DATASET, WANTED)
    except UsageError:
        return
    assert made.num_rows == 1
