"""A drifted column carried back: the reference's distribution, the rows' own order, their type."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.drift.undo import undone
from tidegate.profile.profile import grid_of, profile_of

N = 4000


def reference(values):
    table = pa.table({"x": pa.array(values)})
    return profile_of(table, grid_of(table)).columns["x"]


def back(values, of, kind=None, seed=0):
    column = pa.chunked_array([pa.array(values, kind)])
    out = undone(column, of, np.random.default_rng(seed))
    assert (len(out), out.type) == (len(column), column.type)
    return out


def normal(seed, n=N, **more):
    return np.random.default_rng(seed).normal(20, 5, n, **more)


def test_numbers_keep_their_order_and_get_the_references_values():
    year = normal(1)
    night = normal(2, 500)
    found = back(night * 100 + 7, reference(year)).to_numpy()
    assert np.array_equal(np.argsort(found, kind="stable"), np.argsort(night, kind="stable"))
    for q in (0.05, 0.5, 0.95):
        assert np.quantile(found, q) == pytest.approx(np.quantile(year, q), abs=0.4)
    assert found.min() >= year.min()
    assert found.max() <= year.max()


def test_without_drift_next_to_nothing_changes():
    night = normal(1)
    found = back(night, reference(normal(2))).to_numpy()
    assert np.abs(found - night).mean() < 0.05 * night.std()
    assert np.abs(back(night, reference(night)).to_numpy() - night).max() < 0.02


def test_a_tie_is_broken_by_lot_so_that_a_default_becomes_the_whole_distribution():
    year = normal(1)
    found = back(np.zeros(2000), reference(year)).to_numpy()
    assert found.std() == pytest.approx(year.std(), rel=0.03)
    # Not in the order of the rows, which would make up a trend.
    assert abs(np.corrcoef(found, np.arange(2000))[0, 1]) < 0.1


def test_missing_rows_beyond_the_references_share_are_filled_from_it():
    year = normal(1)
    year[:400] = math.nan
    night = normal(2, 1000)
    night[:600] = math.nan
    found = back(night, reference(year)).to_numpy()
    assert np.isnan(found).sum() == 100
    assert not np.isnan(found[600:]).any()
    filled = found[:600][~np.isnan(found[:600])]
    assert (filled.mean(), filled.std()) == (pytest.approx(20, abs=0.8), pytest.approx(5, abs=0.6))


def test_missing_rows_up_to_the_references_share_stay_missing():
    year = normal(1)
    year[:400] = math.nan
    found = back([None, *normal(2, 99)], reference(year))
    assert found[0].as_py() is None
    assert found.null_count == 1


def test_infinite_values_are_values_that_are_not_there():
    found = back([math.inf] * 400 + [-math.inf] * 100 + [*normal(2, 500)], reference(normal(1))).to_numpy()
    assert np.isfinite(found).all()
    # They get any value, not the highest and the lowest.
    assert [found[part].mean() for part in (slice(400), slice(500, None))] == pytest.approx([20, 20], abs=1)


def test_integers_stay_whole_and_booleans_true_or_false():
    year = np.random.default_rng(1).poisson(4, N)
    found = back(np.random.default_rng(2).poisson(4, 900) * 10, reference(year), pa.int16()).to_numpy()
    assert found.mean() == pytest.approx(year.mean(), abs=0.15)
    assert set(found.tolist()) <= set(year.tolist())
    wide = np.random.default_rng(3).integers(0, 10**6, N)
    assert back(wide, reference(wide), pa.int64()).to_numpy() == pytest.approx(wide, abs=2000)
    assert back([1, 2, 3], reference(normal(1)), pa.int64()).to_numpy() == pytest.approx([15, 20, 25], abs=1)
    late = reference(np.arange(N) % 5 == 0)
    flags = back(np.ones(1000, bool), late).to_pylist()
    assert sum(flags) == 200
    assert set(flags) == {True, False}


def test_categories_lose_their_surplus_at_random_to_those_that_lack():
    year = reference(["web"] * 600 + ["app"] * 300 + ["mail"] * 100)
    night = ["web"] * 100 + ["new"] * 100 + ["app"] * 300
    found = back(night, year).to_pylist()
    assert {n: found.count(n) for n in set(found)} == {"web": 300, "app": 150, "mail": 50}
    assert found[:100] == ["web"] * 100
    changed = [i for i in range(200, 500) if found[i] != "app"]
    assert np.mean(changed) == pytest.approx(350, abs=15)
    assert len(changed) == 150


def test_categories_without_drift_stay():
    names = np.random.default_rng(1).choice(["web", "app", "mail"], N, p=[0.6, 0.3, 0.1])
    assert back(names, reference(names)).to_pylist() == names.tolist()
    other = np.random.default_rng(2).choice(["web", "app", "mail"], N, p=[0.6, 0.3, 0.1])
    moved = np.mean(np.array(back(other, reference(names)).to_pylist()) != other)
    assert moved < 0.03


def test_missing_categories_beyond_the_references_share_are_filled():
    year = reference(["web"] * 70 + ["app"] * 20 + [None] * 10)
    found = back([None] * 60 + ["web"] * 40, year).to_pylist()
    assert found.count(None) == 10
    assert found[60:] == ["web"] * 40
    # 90 rows are there: seven to two, of which 40 are web already.
    assert (found.count("web"), found.count("app")) == (70, 20)


def test_a_dictionary_column_comes_back_as_one():
    night = pa.chunked_array([pa.array(["b", "b"]).dictionary_encode(), pa.array(["c", None]).dictionary_encode()])
    found = undone(night, reference(["a", "b"] * 50), np.random.default_rng(0))
    assert found.type == night.type
    assert sorted(found.to_pylist()) == ["a", "a", "b", "b"]


@pytest.mark.parametrize("values", [[None, None], np.array([math.nan, math.nan])])
def test_a_reference_without_a_usable_value_changes_nothing(values):
    found = back([1.5, None], reference(values), pa.float64())
    assert found.to_pylist() == [1.5, None]
    assert back(["a"], reference(pa.nulls(3, pa.string()))).to_pylist() == ["a"]


@pytest.mark.parametrize(("kind", "year"), [(pa.float64(), [1.0, 2.0]), (pa.string(), ["a"]), (pa.bool_(), [True])])
def test_no_rows_stay_no_rows_and_nothing_but_nulls_is_filled(kind, year):
    assert len(back([], reference(year), kind)) == 0
    assert set(back([None] * 4, reference(year), kind).to_pylist()) <= set(year)


def test_times_are_left_alone():
    when = pa.array([5, 7], pa.timestamp("s"))
    assert back(when, reference(pa.array([1, 2, 3], pa.timestamp("s")))).to_pylist() == when.to_pylist()


def test_free_text_of_which_the_length_is_profiled_is_left_alone():
    year = reference([f"note {i}" for i in range(3000)])
    assert year.axis.of == "length"
    assert back(["b", "a much longer one"], year).to_pylist() == ["b", "a much longer one"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=30), st.integers(0, 99))
def test_what_comes_back_lies_within_the_reference_and_lacks_no_more_rows_than_it(values, seed):
    year = reference([-3.0, 1.0, 4.0, None])
    found = back(values, year, pa.float64(), seed)
    assert all(-3 <= v <= 4 for v in found.drop_null().to_pylist())
    assert found.null_count <= max(round(0.25 * len(values)), 0)
    assert all(v is not None for v, was in zip(found.to_pylist(), values, strict=True) if was is not None)


def test_a_turned_code_table_is_read_back_row_by_row():
    rng = np.random.default_rng(12)
    names = ["a", "b", "c", "d", "e"]
    of = reference(rng.choice(names, N, p=[0.5, 0.25, 0.15, 0.07, 0.03]).tolist())
    truth = rng.choice(names, 2000, p=[0.5, 0.25, 0.15, 0.07, 0.03])
    turned = dict(zip(names, [*names[1:], "a"], strict=True))
    found = np.array(back([turned[v] for v in truth], of).to_pylist())
    assert (found == truth).mean() > 0.95
    renamed = np.array(back([f"new {v}" for v in truth], of).to_pylist())
    assert (renamed == truth).mean() > 0.95


def test_a_default_value_and_a_small_change_are_no_turned_table():
    rng = np.random.default_rng(13)
    truth = rng.choice(["a", "b", "c"], 2000, p=[0.4, 0.35, 0.25])
    of = reference(rng.choice(["a", "b", "c"], N, p=[0.4, 0.35, 0.25]).tolist())
    hit = rng.random(2000) < 0.6
    found = np.array(back(np.where(hit, "b", truth).tolist(), of).to_pylist())
    assert (found[~hit & (truth != "b")] == truth[~hit & (truth != "b")]).all()
    slightly = rng.choice(["a", "b", "c"], 2000, p=[0.35, 0.4, 0.25])
    assert (np.array(back(slightly.tolist(), of).to_pylist()) == slightly).mean() > 0.9


def test_a_default_number_is_lost_and_leaves_the_others_as_they_are():
    rng = np.random.default_rng(14)
    of, truth = reference(normal(15)), normal(16, 2000)
    hit = rng.random(2000) < 0.4
    found = np.array(back(np.where(hit, 0.0, truth), of).to_pylist())
    assert np.abs(found[~hit] - truth[~hit]).mean() < 0.5
    assert abs(found[hit].mean() - 20) < 0.7
    assert abs(found[hit].std() - 5) < 0.7
    # A number that the reference has as often is none.
    zero = np.where(hit, 0.0, truth)
    assert np.abs(np.array(back(zero, reference(zero)).to_pylist()) - zero).mean() < 0.2
