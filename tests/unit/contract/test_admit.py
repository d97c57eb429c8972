import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.contract.admit import admit, conform, row_ids, row_text
from tidegate.lineage.digest import table_digest

fresh = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_good_rows_are_admitted_in_the_contracts_types(frame, trips, window):
    admission = admit(frame, trips, window)
    assert admission.reasons == {}
    assert admission.breaks == ()
    rows = admission.rows.to_pylist()
    assert admission.rows.column_names == ["row_id", "position", *trips.columns]
    assert [r["row_id"] for r in rows] == sorted(r["row_id"] for r in rows)
    first = next(r for r in rows if r["position"] == 1)
    assert (first["number"], first["km"], first["note"], first["cheap"]) == (1, 2500.5, "late", False)


@pytest.mark.fault(12)
@pytest.mark.parametrize("columns", [[], ["carrier", "number", "at", "km"]])
def test_an_empty_batch_has_no_rows_no_reasons_and_the_schema(trips, window, frame, columns):
    admission = admit(pd.DataFrame(columns=columns), trips, window)
    assert (admission.reasons, admission.breaks, admission.rows.num_rows) == ({}, (), 0)
    assert admission.rows.schema == admit(frame, trips, window).rows.schema


@pytest.mark.fault(18)
@fresh
@given(st.sampled_from(["carrier", "number", "at", "km"]), st.text(min_size=1, max_size=8))
def test_a_dropped_or_renamed_column_breaks_the_batch(frame, trips, window, name, other):
    dropped = frame.drop(columns=name)
    renamed = frame.rename(columns={name: f"{name}_{other}"})
    for changed in (dropped, renamed):
        admission = admit(changed, trips, window)
        assert admission.rows.num_rows == 0
        assert len(admission.breaks) == 1
        assert repr(name) in admission.breaks[0]


def test_a_renamed_column_is_guessed_in_words_only(frame, trips, window):
    (text,) = admit(frame.rename(columns={"carrier": "carriers"}), trips, window).breaks
    assert text == "column 'carrier': expected to be present, found missing; did you mean 'carriers'?"


@pytest.mark.fault(18)
@fresh
@given(st.text(min_size=1, max_size=8), st.integers())
def test_an_added_column_changes_nothing(frame, trips, window, name, value):
    before = table_digest(admit(frame, trips, window).rows)
    assert table_digest(admit(frame.assign(**{f"x_{name}": value}), trips, window).rows) == before


def test_a_column_that_is_there_twice_breaks_the_batch(frame, trips, window):
    doubled = pd.concat([frame, frame[["km"]]], axis=1)
    assert admit(doubled, trips, window).breaks == ("column 'km': expected once, found 2 times",)


@pytest.mark.fault(18)
@fresh
@given(st.sampled_from([int, float, bool, bytes, str, lambda v: f"{v} km", lambda v: f"{v},0"]))
def test_a_retyped_column_is_admitted_equal_or_refused(frame, trips, window, retype):
    source = [100, 2500, 0, 17]
    frame["km"] = pd.Series([retype(v) for v in source], dtype="object")
    admission = admit(frame, trips, window)
    for row in admission.rows.to_pylist():
        found = frame["km"][row["position"]]
        assert float(found) == row["km"]
        assert not isinstance(found, bool)
    assert admission.rows.num_rows + len(admission.reasons) == 4


def test_reasons_say_expected_and_found(frame, trips, window):
    frame.loc[0, "km"] = "far"
    frame.loc[1, "at"] = "2013-01-05T09:00:00"
    frame.loc[2, "at"] = "2013-01-06T00:00:00Z"
    frame.loc[3, "number"] = None
    admission = admit(frame, trips, window)
    assert admission.reasons == {
        0: ["km: expected number, found 'far'"],
        1: ["at: expected timestamp with a time zone, found '2013-01-05T09:00:00'"],
        2: ["at: expected in window 2013-01-05, found 2013-01-06T00:00:00+00:00"],
        3: ["number: expected a value, found none"],
    }
    assert sorted(admission.ids) == [0, 1, 2]


@pytest.mark.parametrize("value", [np.inf, -np.inf, "inf", "NaN"])
def test_a_number_that_is_not_finite_is_refused(frame, trips, window, value):
    frame.loc[0, "km"] = value
    assert list(admit(frame, trips, window).reasons) == [0]


@pytest.mark.fault(14)
def test_of_copies_one_stays_and_rivals_all_go(frame, trips, window):
    doubled = pd.concat([frame, frame.iloc[[0]], frame.iloc[[1]].assign(km="3")])
    admission = admit(doubled, trips, window)
    assert sorted(admission.rows["position"].to_pylist()) in ([0, 2, 3], [2, 3, 4])
    assert sorted(reason for (reason,) in admission.reasons.values()) == [
        "another row has the same key and other values",
        "another row has the same key and other values",
        "duplicate row",
    ]


@pytest.mark.fault(14)
def test_none_and_the_word_none_are_not_copies(frame, trips, window):
    rival = frame.iloc[[0]].assign(note="None")
    admission = admit(pd.concat([frame, rival]), trips, window)
    assert set(admission.reasons) == {0, 4}


@pytest.mark.fault(15)
@fresh
@given(st.permutations(range(7)))
def test_the_order_of_arrival_does_not_matter(frame, trips, window, order):
    batch = pd.concat([frame, frame.iloc[[0]].assign(extra="y"), frame.iloc[[1]].assign(km="3"), frame.iloc[[3]]])
    batch = batch.reset_index(drop=True)
    permuted = batch.iloc[list(order)]
    want, got = admit(batch, trips, window), admit(permuted, trips, window)
    assert table_digest(got.rows.drop_columns("position")) == table_digest(want.rows.drop_columns("position"))
    refused = [sorted(row_text(f.reset_index(drop=True), i) for i in a.reasons) for f, a in
               ((batch, want), (permuted, got))]  # fmt: skip
    assert refused[0] == refused[1]


@pytest.mark.fault(14)
def test_the_same_batch_again_gives_the_same_bytes(frame, trips, window):
    assert len({table_digest(admit(frame.copy(), trips, window).rows) for _ in range(3)}) == 1


def test_row_ids_know_columns_apart():
    ids = row_ids([pd.Series(["a", "a\x1fb", None, "~", "None"]), pd.Series(["b\x1fc", "c", "x", "x", "x"])])
    assert len(set(ids)) == 5
    assert len(row_ids([pd.Series([], dtype="object")])) == 0


def test_a_row_id_hangs_on_the_value_not_on_its_spelling(trips):
    column = trips.columns["number"]
    texts, whole = (conform(pd.Series(v), column)[0] for v in (["1", " 2"], [1.0, 2.0]))
    assert row_ids([texts]).tolist() == row_ids([whole]).tolist()
    at = trips.columns["at"]
    new_york = conform(pd.Series(["2013-01-05T04:00:00-05:00"]), at)[0]
    assert row_ids([new_york]).tolist() == row_ids([conform(pd.Series(["2013-01-05 09:00Z"]), at)[0]]).tolist()


def test_a_row_as_text_is_json_whatever_is_in_it():
    values = [1, np.int64(2), 0.5, np.nan, np.inf, "ü\ud800", b"x", None, pd.Timestamp(0, tz="UTC"), [1], True]
    frame = pd.DataFrame([values], dtype="object")
    row = json.loads(row_text(frame, 0))
    assert list(row.values())[:5] == [1, 2, 0.5, None, "inf"]
    assert row["10"] is True
