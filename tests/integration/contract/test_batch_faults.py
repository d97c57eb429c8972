"""Files with known faults through reading, admitting, judging, to the verdict."""

import numpy as np
import pandas as pd
import pytest

from tidegate.adapters.expectations import judge, suite_of
from tidegate.adapters.source import read_window
from tidegate.config.dataset import Dataset
from tidegate.config.home import Home
from tidegate.contract.admit import admit
from tidegate.contract.quality import judge_batch
from tidegate.contract.volume import judge_volume
from tidegate.errors import SourceError
from tidegate.lineage.digest import table_digest
from tidegate.windows import Calendar

WINDOW = Calendar().window("2013-01-05")
DATASET = Dataset.model_validate(
    {
        "name": "trips",
        "source": {"files": "{date}.csv"},
        "event_time": "at",
        "key": ["id"],
        "columns": {
            "id": {"type": "integer"},
            "at": {"type": "timestamp"},
            "km": {"type": "number", "min": 0, "max": 6000, "max_missing": 0.2},
            "carrier": {"type": "category", "values": ["AA", "UA"]},
        },
    }
)


@pytest.fixture
def home(tmp_path):
    return Home.at(tmp_path)


@pytest.fixture
def batch():
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "id": range(200),
            "at": "2013-01-05T10:00:00Z",
            "km": rng.uniform(80, 5000, 200).round(1),
            "carrier": rng.choice(["AA", "UA"], 200),
        }
    )


def run(home, batch):
    path = home.root / "2013-01-05.csv"
    if isinstance(batch, pd.DataFrame):
        batch.to_csv(path, index=False)
    else:
        path.write_bytes(batch)
    frame = read_window(DATASET.source, WINDOW, home)
    admission = admit(frame, DATASET, WINDOW)
    rows = admission.rows.to_pandas().set_index("position")
    judged = judge(rows, suite_of(DATASET))
    return judge_batch(frame, admission, judged, judge_volume(len(frame), [200] * 4, DATASET.quality), DATASET)


def test_a_good_file_passes_whole(home, batch):
    verdict, good, bad = run(home, batch)
    assert (verdict.outcome, good.num_rows, bad.num_rows) == ("pass", 200, 0)
    assert sorted(good["km"].to_pylist()) == sorted(batch["km"])


@pytest.mark.fault(21)
def test_a_unit_change_is_caught_by_its_range(home, batch):
    verdict, _, bad = run(home, batch.assign(km=batch["km"] * 100))
    assert verdict.outcome == "fail"
    assert verdict.numbers["reasons"] == {"km: expected 0 to 6000": bad.num_rows}
    assert verdict.numbers["share"] > 0.9
    assert verdict.reasons[1] == f"km: expected 0 to 6000, {bad.num_rows} of 200 rows fail"


@pytest.mark.fault(13)
def test_a_file_short_of_60_percent_is_blocked(home, batch):
    verdict, _, _ = run(home, batch.head(80))
    assert verdict.outcome == "fail"
    assert "row count: expected 100 to 300" in verdict.reasons[0]


@pytest.mark.fault(12)
@pytest.mark.parametrize("data", [b"", b"id,at,km,carrier\n"])
def test_a_file_without_rows_is_no_data(home, data):
    verdict, good, _ = run(home, data)
    assert verdict.outcome == "fail"
    assert verdict.reasons == ("NO_DATA: expected at least 1 rows, found 0",)
    assert good.num_rows == 0


@pytest.mark.fault(29)
def test_a_torn_file_is_refused_as_a_whole(home, batch):
    data = batch.to_csv(index=False).encode()
    with pytest.raises(SourceError, match="cut off"):
        run(home, data[: len(data) * 9 // 10])


@pytest.mark.fault(18)
def test_a_dropped_column_is_blocked(home, batch):
    verdict, good, _ = run(home, batch.drop(columns="carrier"))
    assert verdict.outcome == "fail"
    assert verdict.reasons == ("column 'carrier': expected to be present, found missing",)
    assert good.num_rows == 0


@pytest.mark.fault(18)
def test_a_retyped_column_is_blocked(home, batch):
    verdict, good, _ = run(home, batch.assign(km=batch["km"].map(lambda v: f"{v} km")))
    assert verdict.outcome == "fail"
    assert good.num_rows == 0
    assert verdict.numbers["reasons"] == {"km: expected number": 200}


def test_missing_values_above_their_share_block(home, batch):
    batch.loc[:49, "km"] = np.nan
    verdict, _, bad = run(home, batch)
    assert verdict.reasons == ("km: expected a value, 25.0 % of rows fail (at most 20 % may)",)
    assert bad.num_rows == 0


def test_a_few_bad_rows_are_quarantined_and_the_rest_lands(home, batch):
    batch.loc[[3, 4], "carrier"] = "ZZ"
    batch.loc[4, "km"] = -1
    verdict, good, bad = run(home, batch)
    assert (verdict.outcome, good.num_rows, bad.num_rows) == ("pass", 198, 2)
    assert sorted(bad["reasons"].to_pylist(), key=len) == [
        "carrier: expected one of AA, UA, found ZZ",
        "km: expected 0 to 6000, found -1.0; carrier: expected one of AA, UA, found ZZ",
    ]


@pytest.mark.fault(15)
def test_any_order_of_arrival_lands_the_same_bytes(home, batch):
    batch.loc[3, "carrier"] = "ZZ"
    first = [table_digest(t) for t in run(home, batch)[1:]]
    assert [table_digest(t) for t in run(home, batch.sample(frac=1, random_state=1))[1:]] == first


@pytest.mark.fault(14)
def test_a_file_delivered_twice_over_is_blocked_and_lands_once_if_released(home, batch):
    verdict, good, bad = run(home, pd.concat([batch, batch]))
    assert verdict.outcome == "fail"
    assert table_digest(good) == table_digest(run(home, batch)[1])
    assert set(bad["reasons"].to_pylist()) == {"duplicate row"}
