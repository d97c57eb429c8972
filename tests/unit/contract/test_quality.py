from dataclasses import dataclass, field

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.contract.admit import admit
from tidegate.contract.quality import judge_batch
from tidegate.contract.volume import judge_volume
from tidegate.lineage.digest import table_digest
from tidegate.verdicts import Verdict

FINE = Verdict("pass")
FAR = "km: expected 0 to 6000"


@dataclass(frozen=True)
class Found:
    rows: dict[int, list[str]] = field(default_factory=dict)
    breaks: tuple[str, ...] = ()


@pytest.fixture
def many() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "carrier": "AA",
            "number": range(100),
            "at": "2013-01-05T10:00:00Z",
            "km": [float(i) for i in range(100)],
        }
    )


def run(frame, trips, window, found=None, volume=FINE, released=None):
    return judge_batch(frame, admit(frame, trips, window), found, volume, trips, released)


def test_a_clean_batch_passes_and_is_whole(many, trips, window):
    verdict, good, bad = run(many, trips, window, Found())
    assert verdict == Verdict(
        "pass", (), {"rows": 100, "quarantined": 0, "released": 0, "share": 0.0, "reasons": {}, "volume": {}}
    )
    assert good.column_names == ["row_id", *trips.columns]
    assert good["row_id"].to_pylist() == sorted(good["row_id"].to_pylist())
    assert bad.num_rows == 0
    assert bad.column_names == ["row_id", "row", "reasons"]


@pytest.mark.parametrize(("n", "outcome"), [(5, "pass"), (6, "fail")])
def test_the_share_blocks_above_its_limit_only(many, trips, window, n, outcome):
    found = Found({i: [f"{FAR}, found {7000 + i}"] for i in range(n)})
    verdict, good, bad = run(many, trips, window, found)
    assert verdict.outcome == outcome
    assert verdict.numbers["reasons"] == {FAR: n}
    assert verdict.numbers["share"] == n / 100
    assert verdict.reasons[-1] == f"{FAR}, {n} of 100 rows fail"
    assert (good.num_rows, bad.num_rows) == (100 - n, n)
    if outcome == "fail":
        assert verdict.reasons[0] == "quarantined: expected at most 5 % of rows, found 6 % (6 of 100)"


def test_reasons_of_admit_and_of_the_suite_are_one_list_a_row(many, trips, window):
    many["km"] = many["km"].astype("object")
    many.loc[3, "km"] = "far"
    verdict, _, bad = run(many, trips, window, Found({4: [FAR, "note: expected a value"]}))
    assert verdict.numbers["quarantined"] == 2
    assert sorted(bad["reasons"].to_pylist()) == [f"{FAR}; note: expected a value", "km: expected number, found 'far'"]
    assert '"number": 4' in "".join(bad["row"].to_pylist())


@pytest.mark.fault(13)
def test_a_partial_batch_is_blocked_by_its_row_count(many, trips, window):
    volume = judge_volume(40, [100, 98, 103], trips.quality)
    verdict, good, _ = run(many.head(40), trips, window, Found(), volume)
    assert verdict.outcome == "fail"
    assert verdict.reasons == ("row count: expected 50 to 150 (same weekday's median 100), found 40",)
    assert verdict.numbers["volume"]["low"] == 50
    assert good.num_rows == 40


@pytest.mark.fault(12)
@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame(columns=["carrier", "number", "at", "km"])])
def test_an_empty_batch_is_no_data_unless_expected(frame, trips, window):
    verdict, good, bad = run(frame, trips, window, None, judge_volume(0, [], trips.quality))
    assert verdict.outcome == "fail"
    assert verdict.reasons == ("NO_DATA: expected at least 1 rows, found 0",)
    assert (good.num_rows, bad.num_rows) == (0, 0)
    calm = judge_volume(0, [], trips.quality, expected_empty=True)
    assert run(frame, trips, window, None, calm)[0].outcome == "pass"


def test_a_short_history_does_not_block_but_is_told(many, trips, window):
    verdict, _, _ = run(many, trips, window, Found(), judge_volume(100, [100], trips.quality))
    assert verdict.outcome == "pass"
    assert verdict.reasons == ("row count: 1 earlier same weekdays, 3 needed",)


def test_a_critical_expectation_blocks(many, trips, window):
    verdict, _, _ = run(many, trips, window, Found(breaks=("km: expected a value, 40 % of rows fail",)))
    assert verdict.outcome == "fail"
    assert verdict.reasons == ("km: expected a value, 40 % of rows fail",)


@pytest.mark.fault(18)
def test_a_missing_column_blocks_even_a_released_batch(many, trips, window):
    for released in ({}, {"batch": True}):
        verdict, good, bad = run(many.drop(columns="km"), trips, window, None, FINE, released)
        assert verdict.outcome == "fail"
        assert verdict.reasons == ("column 'km': expected to be present, found missing",)
        assert (good.num_rows, bad.num_rows) == (0, 0)


def test_a_person_releases_rows_but_not_what_cannot_be_read(many, trips, window):
    many["km"] = many["km"].astype("object")
    many.loc[3, "km"] = "far"
    found = Found({i: [FAR] for i in range(10, 20)})
    _, _, bad = run(many, trips, window, found)
    ids = bad["row_id"].to_pylist()
    verdict, good, bad = run(many, trips, window, found, FINE, {"rows": ids})
    assert verdict.outcome == "pass"
    assert verdict.numbers["released"] == 10
    assert good.num_rows == 99
    assert bad["reasons"].to_pylist() == ["km: expected number, found 'far'"]
    assert bad["row_id"][0].as_py() in ids


def test_a_person_releases_a_batch_and_its_bad_rows_stay_out(many, trips, window):
    found = Found({i: [FAR] for i in range(60)}, ("km: expected mean 0 to 10, found 50",))
    verdict, good, bad = run(many, trips, window, found, Verdict("fail", ("row count: low",)), {"batch": True})
    assert verdict.outcome == "pass"
    assert verdict.reasons[:3] == ("released by a person", "row count: low", "km: expected mean 0 to 10, found 50")
    assert (good.num_rows, bad.num_rows) == (40, 60)


def test_rows_without_a_key_are_named_by_their_content(many, trips, window):
    many["number"] = many["number"].astype("object")
    many.loc[[3, 4], "number"] = ["x", None]
    _, _, bad = run(many, trips, window)
    ids = bad["row_id"].to_pylist()
    assert len(set(ids)) == 2
    assert all(len(i) == 32 for i in ids)


def test_only_the_most_frequent_reasons_are_told(many, trips, window):
    found = Found({i: [f"rule {i}"] for i in range(13)})
    verdict, _, _ = run(many, trips, window, found)
    assert len(verdict.reasons) == 12
    assert verdict.reasons[-1] == "and 3 reasons more"


@pytest.mark.fault(15)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_both_tables_are_the_same_for_any_order_of_arrival(many, trips, window, random):
    batch = pd.concat([many.head(30), many.iloc[[2]], many.iloc[[5]].assign(km=1.5), many.iloc[[7]].assign(number="x")])
    batch = batch.reset_index(drop=True)
    order = list(range(len(batch)))
    random.shuffle(order)
    digests = []
    for at in (range(len(batch)), order):
        permuted = batch.iloc[list(at)].reset_index(drop=True)
        rows = permuted.index[permuted["km"] > 25]
        _, good, bad = run(permuted, trips, window, Found({int(i): [FAR] for i in rows}))
        digests.append((table_digest(good), table_digest(bad)))
    assert digests[0] == digests[1]
