"""The lab's faults on rows of every type."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tidegate.errors import UsageError
from tidegate.lab.catalogue import FAULTS, SIZES, LabFault, fault_named

TYPES = {"at": "timestamp", "kind": "category", "site": "category", "km": "integer", "temp": "number", "on": "boolean"}


def night(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "at": pd.date_range("2020-01-01", periods=n, freq="min", tz="UTC")[rng.permutation(n)],
            "kind": rng.choice(["AA", "BB", "CC", "DD"], n, p=[0.5, 0.3, 0.17, 0.03]),
            "site": rng.choice(["X1", "X2"], n),
            "km": rng.integers(1, 500, n),
            "temp": np.where(rng.random(n) < 0.1, np.nan, rng.normal(50, 10, n)),
            "on": rng.random(n) < 0.5,
            "late": np.where(rng.random(n) < 0.05, np.nan, (rng.random(n) < 0.3).astype(float)),
        }
    )
    return frame.astype({"kind": "object", "site": "object"})


def changed(fault: LabFault, size: int, seed: int = 3, rows: pd.DataFrame | None = None) -> pd.DataFrame:
    rows = night() if rows is None else rows
    plan = fault.plan(night(seed=9), TYPES, "late", np.random.default_rng(seed))
    assert plan is not None
    return fault.apply(rows, plan, fault.magnitudes[size], 3, np.random.default_rng([seed, 1]))


def test_the_issue_s_twelve_and_three_benign() -> None:
    assert [f.benign for f in FAULTS] == [False] * 12 + [True] * 3
    assert len({f.name for f in FAULTS}) == 15
    assert len(SIZES) == 3
    for f in FAULTS:
        assert list(f.magnitudes) == sorted(f.magnitudes)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
@pytest.mark.parametrize("size", range(3))
def test_a_fault_changes_what_it_says_and_nothing_else(fault: LabFault, size: int) -> None:
    before = night()
    kept = before.copy()
    after = changed(fault, size, rows=before)
    pd.testing.assert_frame_equal(before, kept)  # the frame that came in is as it was
    assert list(after.columns) == list(before.columns)
    touched = [c for c in before if len(after) != len(before) or not after[c].equals(before[c])]
    assert touched
    if fault.of == "labels":
        assert touched == ["late"]
        assert after["late"].isna().equals(before["late"].isna())
    elif len(after) == len(before):
        assert "late" not in touched
    assert pd.api.types.is_integer_dtype(after["km"].dtype)
    assert after["temp"].dtype == before["temp"].dtype
    assert str(after["at"].dtype) == str(before["at"].dtype)
    pd.testing.assert_frame_equal(after, changed(fault, size, rows=before))  # the same seed, the same night


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_a_larger_magnitude_changes_more(fault: LabFault) -> None:
    def size(k: int) -> float:
        before, after = night(), changed(fault, k)
        if len(before) != len(after):
            return abs(len(after) - len(before))
        numbers = before.select_dtypes("number").columns
        amount = sum(
            float(np.nansum(np.abs(after[c].astype(float) - before[c].astype(float))))
            + float((after[c].isna() != before[c].isna()).sum())
            for c in numbers
        )
        return amount + sum(
            float((after[c].astype(str) != before[c].astype(str)).sum()) for c in ("kind", "site", "on")
        )

    small, middle, large = (np.mean([size(k)]) for k in range(3))
    assert 0 < small <= middle <= large
    assert small < large or fault.name == "category_remap"  # of two codes both always change


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_no_rows_stay_no_rows_and_nothing_to_touch_is_no_plan(fault: LabFault) -> None:
    none = night().iloc[:0]
    assert fault.plan(none, TYPES, "late", np.random.default_rng(1)) is None
    plan = fault.plan(night(), TYPES, "late", np.random.default_rng(1))
    assert plan is not None
    assert not len(fault.apply(none, plan, fault.magnitudes[2], 0, np.random.default_rng(1)))
    bare = pd.DataFrame({"note": ["a", "b"], "late": [1.0, 1.0]})
    if fault.planner.__name__ != "whole_rows":
        assert fault.plan(bare, {"note": "text"}, "late", np.random.default_rng(1)) is None


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_one_row_and_missing_columns_of_values_do_not_break_it(fault: LabFault) -> None:
    one = night().iloc[:1]
    empty = night().assign(temp=np.nan)
    plan = fault.plan(night(), TYPES, "late", np.random.default_rng(2))
    assert plan is not None
    for rows in (one, empty):
        assert len(fault.apply(rows, plan, fault.magnitudes[2], 0, np.random.default_rng(1)))


def test_the_index_tells_rows_apart() -> None:
    before = night()
    twice = changed(fault_named("duplicated_rows"), 1, rows=before)
    assert twice.index.duplicated().sum() == round(0.3 * len(before))
    fewer = changed(fault_named("partial_batch"), 1, rows=before)
    assert set(fewer.index) < set(before.index)
    lost = before.loc[~before.index.isin(fewer.index)]
    assert lost["at"].min() > fewer["at"].max()  # the latest are lost
    more = changed(fault_named("benign_more_rows"), 2, rows=before)
    assert more.index.is_unique
    assert not more.iloc[len(before) :]["at"].isin(before["at"]).any()


def test_a_concept_shift_keeps_the_base_rate_and_a_slow_one_ramps() -> None:
    before, after = night(), changed(fault_named("sudden_concept_shift"), 2)
    assert after["late"].sum() == before["late"].sum()
    fault = fault_named("slow_covariate_shift")
    plan = fault.plan(before, TYPES, "late", np.random.default_rng(3))
    assert plan is not None
    steps = [
        abs(
            float(
                np.nanmean(fault.apply(before, plan, 4.0, k, np.random.default_rng(1))["temp"]) - before["temp"].mean()
            )
        )
        for k in (0, 6, 13, 20)
    ]
    assert 0 < steps[0] < steps[1] < steps[2] == steps[3]


def test_a_new_code_has_the_form_of_the_old_ones() -> None:
    after = changed(fault_named("new_category"), 2)
    new = (set(after["kind"]) | set(after["site"])) - {"AA", "BB", "CC", "DD", "X1", "X2"}
    assert new <= {"ZZ", "Z9"}
    assert new


def test_a_benign_shift_goes_where_the_model_hardly_looks() -> None:
    weights = {"km": 0.0, "temp": 5.0}
    fault = fault_named("benign_idle_column")
    plans = [fault.plan(night(), TYPES, "late", np.random.default_rng(s), weights) for s in range(5)]
    assert {p.columns for p in plans if p} == {("km",)}


def test_an_unknown_fault_is_one_clear_line() -> None:
    with pytest.raises(UsageError, match="unit_change"):
        fault_named("gremlins")
