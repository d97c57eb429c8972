import json
import socket
import warnings

import numpy as np
import pandas as pd
import pytest

from tidegate.adapters.expectations import Judged, judge, read_suite, suite_of
from tidegate.config.dataset import Dataset
from tidegate.errors import CheckBroke, ConfigError


def expect(kind, severity="warning", **kwargs):
    return {"type": f"expect_{kind}", "severity": severity, "kwargs": kwargs}


@pytest.fixture
def frame():
    """Rows named 10, 20, … 100; x is 1 to 10; half of m is missing; e is empty."""
    return pd.DataFrame(
        {
            "x": np.arange(1.0, 11.0),
            "m": [1.0, None] * 5,
            "c": ["AA", "UA"] * 5,
            "e": pd.Series([None] * 10, dtype="object"),
        }
    ).set_index(pd.Index(range(10, 110, 10), name="position"))


def test_failing_rows_are_named_by_label_with_what_was_found(frame):
    judged = judge(frame, [expect("column_values_to_be_between", column="x", min_value=2, max_value=9)])
    reason = "x: expected 2 to 9, found"
    assert judged == Judged({10: [f"{reason} 1.0"], 100: [f"{reason} 10.0"]}, (), (), 1)


def test_rows_are_named_also_where_mostly_lets_them_pass(frame):
    lenient = expect("column_values_to_be_between", column="x", min_value=2, mostly=0.5)
    assert list(judge(frame, [lenient]).rows) == [10]


def test_severities(frame):
    low = {"column": "x", "max_value": 5}
    judged = judge(frame, [expect("column_values_to_be_between", s, **low) for s in ("critical", "info", "warning")])
    text = "x: expected at most 5, 50.0 % of rows fail"
    assert judged.breaks == (text,)
    assert judged.notes == (text,)
    assert sorted(judged.rows) == [60, 70, 80, 90, 100]


@pytest.mark.parametrize(("mostly", "blocks"), [(0.5, False), (0.51, True)])
def test_a_critical_share_blocks_only_when_passed(frame, mostly, blocks):
    judged = judge(frame, [expect("column_values_to_not_be_null", "critical", column="m", mostly=mostly)])
    assert judged.rows == {}
    assert judged.breaks == (("m: expected a value, 50.0 % of rows fail (at most 49 % may)",) if blocks else ())


def test_expectations_on_columns_pairs_and_tables(frame):
    judged = judge(
        frame,
        [
            expect("column_mean_to_be_between", "critical", column="x", min_value=0, max_value=5),
            expect("table_row_count_to_be_between", column_x=None, max_value=5) | {"kwargs": {"max_value": 5}},
            expect("column_pair_values_a_to_be_greater_than_b", column_A="x", column_B="m"),
            expect("compound_columns_to_be_unique", column_list=["x", "c"]),
            expect("column_values_to_be_of_type", "critical", column="x", type_="float64"),
            expect("column_to_exist", "critical", column="gone"),
        ],
    )
    assert judged.breaks == (
        "x: expected mean 0 to 5, found 5.5",
        "batch: expected table row count at most 5, found 10",
        "gone: expected column to exist, found nothing",
    )
    assert list(judged.rows) == [10, 20, 40, 60, 80, 100]


def test_the_order_of_results_is_the_suites(frame):
    suite = [expect("column_values_to_be_between", "critical", column=c, max_value=v) for c, v in (("x", 1), ("m", 0))]
    assert [b[0] for b in judge(frame, suite).breaks] == ["x", "m"]
    assert [b[0] for b in judge(frame, suite[::-1]).breaks] == ["m", "x"]


def test_a_suite_is_kept_but_never_its_data(frame):
    suite = [
        expect("column_values_to_be_between", column="x", max_value=10),
        expect("column_values_to_be_of_type", "critical", column="c", type_="str"),
        expect("column_mean_to_be_between", "critical", column="x", max_value=6),
    ]
    assert judge(frame, suite).rows == {}
    assert list(judge(frame.assign(x=frame["x"] + 1), suite).rows) == [100]
    other = judge(frame.assign(c=[1, "b"] * 5, x=7.0).reset_index(drop=True), suite)
    assert len(other.breaks) == 2
    assert judge(frame, suite).breaks == ()


@pytest.mark.parametrize("column", ["e", "m"])
def test_missing_values_break_no_rule_but_that_they_be_there(frame, column):
    empty = frame.assign(m=np.nan)
    suite = [expect("column_values_to_be_between", column=column, min_value=0)]
    assert judge(empty, suite).rows == {}
    assert len(judge(empty, [expect("column_values_to_not_be_null", column=column)]).rows) == 10


def test_an_infinite_value_is_out_of_every_range(frame):
    frame.loc[30, "x"] = np.inf
    assert list(judge(frame, [expect("column_values_to_be_between", column="x", max_value=10)]).rows) == [30]


def test_nothing_to_judge(frame):
    suite = [expect("column_values_to_not_be_null", column="x")]
    assert judge(frame.head(0), suite) == judge(frame, []) == Judged({}, (), (), 0)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (expect("column_values_to_be_between", column="c", min_value=3), "to_be_between on c"),
        (expect("column_values_to_be_between", column="gone", min_value=3), '"gone" in BatchData does not exist'),
        (expect("column_mean_to_be_between", column="c", min_value=3), "expect_column_mean_to_be_between on c"),
        (expect("column_values_to_match_regex", column="c", regex="("), "unterminated"),
        (expect("column_values_to_be_of_type", column="gone", type_="str"), "to_be_of_type on gone"),
    ],
)
def test_a_check_that_broke_is_told_from_bad_data(frame, one, words):
    fine = expect("column_values_to_be_between", column="x", min_value=0)
    with pytest.raises(CheckBroke, match="this says nothing about the data") as caught:
        judge(frame, [fine, one])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (expect("column_values_to_be_betwen", column="x"), "did you mean 'expect_column_values_to_be_between'?"),
        (expect("column_values_to_be_between", column="x", min_valu=3), "min_valu: extra fields not permitted"),
        (expect("column_values_to_be_between"), "column: field required"),
        (expect("column_values_to_be_between", column="x", min_value=0, mostly=3), "mostly"),
    ],
)
def test_a_wrong_suite_is_a_configuration_fault(frame, one, words):
    with pytest.raises(ConfigError) as caught:
        judge(frame, [one])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_it_says_nothing_and_calls_nobody(frame, capfd, monkeypatch):
    def refuse(*args):
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    suite = [
        expect("column_values_to_match_regex", column="c", regex="^(A)(A)$", mostly=0.1),
        expect("column_values_to_be_in_set", column="c", value_set=["AA"]),
        expect("column_values_to_be_between", column="x", max_value=3),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(judge(frame, suite).rows) == 8
    assert capfd.readouterr() == ("", "")


def columns(**kinds):
    return Dataset.model_validate(
        {
            "name": "d",
            "source": {"files": "{date}.csv"},
            "event_time": "at",
            "key": ["at"],
            "columns": {"at": {"type": "timestamp"}, **kinds},
        }
    )


def test_the_suite_of_a_contract_judges_as_the_contract_says(frame):
    dataset = columns(
        x={"type": "number", "min": 1, "max": 9},
        m={"type": "number", "nullable": False},
        c={"type": "category", "values": ["AA", "B6"], "pattern": "[A-Z]+|9E", "max_missing": 0},
        e={"type": "text", "max_missing": 0.25},
    )
    judged = judge(frame.assign(at=pd.Timestamp(0, tz="UTC")), suite_of(dataset))
    assert judged.rows[100] == [
        "x: expected 1 to 9, found 10.0", "m: expected a value", "c: expected one of AA, B6, found UA"
    ]  # fmt: skip
    assert sorted(judged.rows) == [20, 40, 60, 80, 100]
    assert judged.breaks == ("e: expected a value, 100.0 % of rows fail (at most 25 % may)",)


@pytest.mark.parametrize(
    ("value", "fits"), [("ab", True), ("ab\n", False), ("abc", False), ("xab", False), ("c", True)]
)
def test_a_pattern_matches_in_full(value, fits):
    suite = suite_of(columns(c={"type": "text", "pattern": "a(b)|c"}))
    assert (judge(pd.DataFrame({"c": [value]}), suite).rows == {}) is fits


def test_a_suite_that_great_expectations_saved_is_read(tmp_path, frame):
    import great_expectations as gx

    between = gx.expectations.ExpectColumnValuesToBeBetween
    suite = gx.ExpectationSuite(
        name="mine",
        expectations=[
            between(column="x", max_value=9, severity="warning", meta={"who": "me"}, notes="why"),
            between(column="x", max_value=9, severity="info"),
            gx.expectations.ExpectTableRowCountToEqual(value=11),
        ],
    )
    path = tmp_path / "suite.json"
    path.write_text(json.dumps(suite.to_json_dict()))
    read = read_suite(path)
    assert [e["severity"] for e in read] == ["warning", "info", "critical"]
    judged = judge(frame, read)
    assert (list(judged.rows), len(judged.notes), len(judged.breaks)) == ([100], 1, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ("{}", "KeyError: 'expectations'"),
        ('{"expectations": {}}', "expectations is a dict"),
        ('{"expectations": [3]}', "TypeError"),
        ('{"expectations": [{"type": "x", "kwargs": {}}]}', "type is 'x'"),
        ('{"expectations": [{"type": "expect_x", "kwargs": []}]}', "kwargs of expect_x"),
        ('{"expectations": [{"type": "expect_x", "kwargs": {}, "severity": "warn"}]}', "did you mean 'warning'?"),
        ('{"expectations": [{"type": "expect_x", "kwargs": {}, "severity": ["x"]}]}', "a severity of"),
    ],
)
def test_a_file_that_is_no_suite_is_a_configuration_fault(tmp_path, text, words):
    path = tmp_path / "suite.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_suite(path)
    assert words in str(caught.value)
