"""Profiles of windows: what is counted, of which type, merged and bounded."""

import datetime as dt
import tracemalloc
from decimal import Decimal
from functools import reduce

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from tidegate.drift.compare import column_drift
from tidegate.errors import SourceError, UsageError
from tidegate.lineage.digest import table_digest
from tidegate.profile.grid import Axis, Grid
from tidegate.profile.profile import OTHER, Profile, grid_of, merge_all, profile_of, resolution
from tidegate.profile.table import from_table, to_table

numbers = st.lists(
    st.one_of(
        st.none(), st.floats(-1e9, 1e9), st.just(float("nan")), st.just(float("inf")), st.integers(0, 3).map(float)
    ),
    max_size=60,
)


def one(values, axis=None, kind=None, cap=1000):
    """The profile of one column."""
    table = pa.table({"x": values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, kind)})
    grid = Grid({"x": axis}, cap) if axis else grid_of(table, cap)
    return profile_of(table, grid).columns["x"]


def night(seed, n=200):
    rng = np.random.default_rng(seed)
    gust = np.where(rng.random(n) < 0.76, np.nan, rng.normal(20, 5, n))
    return pa.table(
        {
            "delay": rng.normal(1000, 30, n),
            "gust": pa.array(gust, from_pandas=True),
            "precip": np.where(rng.random(n) < 0.95, 0, rng.exponential(0.1, n)),
            "carrier": rng.choice(["AA", "UA", "B6"], n),
            "late": rng.random(n) < 0.2,
            "hour": rng.integers(0, 24, n),
        }
    )


@given(numbers, st.randoms())
def test_row_order_does_not_change_a_bit(values, random):
    axis = Axis("number", 3.0, 2.0)
    mixed = list(values)
    random.shuffle(mixed)
    a, b = one(values, axis, pa.float64()), one(mixed, axis, pa.float64())
    assert a == b
    assert (a.total, a.squares, a.low, a.high) == (b.total, b.squares, b.low, b.high)


@given(numbers, st.integers(0, 60))
def test_merged_numbers_are_the_whole(values, cut):
    axis = Axis("number", 3.0, 2.0)
    whole = one(values, axis, pa.float64())
    merged = one(values[:cut], axis, pa.float64()).merge(one(values[cut:], axis, pa.float64()), 1000)
    for f in ("n", "missing", "infinite", "low", "high", "counts"):
        assert getattr(merged, f) == getattr(whole, f), f
    assert np.array_equal(merged.atoms, whole.atoms, equal_nan=True)
    assert merged.total == pytest.approx(whole.total, rel=1e-12, abs=1e-3)
    assert merged.squares == pytest.approx(whole.squares, rel=1e-12)


@given(st.lists(st.one_of(st.none(), st.text("ab\x00é", max_size=2)), max_size=40), st.integers(0, 40))
def test_merged_categories_are_the_whole(values, cut):
    axis = Axis("category")
    parts = [one(v, axis, pa.string()) for v in (values[:cut], values[cut:])]
    assert parts[0].merge(parts[1], 1000) == one(values, axis, pa.string())


def test_many_nights_merge_to_the_whole_and_to_the_same_bits():
    tables = [night(seed) for seed in range(12)]
    grid = grid_of(tables[0])
    nights = [profile_of(t, grid) for t in tables]
    merged, whole = merge_all(nights), profile_of(pa.concat_tables(tables), grid)
    for name, column in whole.columns.items():
        assert merged.columns[name].counts == column.counts
        if column.axis.kind == "number":
            assert merged.columns[name].mean == pytest.approx(column.mean, rel=1e-12)
            assert merged.columns[name].std == pytest.approx(column.std, rel=1e-9)
    assert merged == reduce(Profile.merge, nights) == merge_all(nights)
    assert merge_all(nights[:1]) == nights[0]


def test_an_empty_window_adds_nothing():
    table = night(1)
    grid = grid_of(table)
    full, empty = profile_of(table, grid), profile_of(table.slice(0, 0), grid)
    assert empty.n == 0
    assert full.merge(empty) == full
    assert empty.merge(empty) == empty


def test_profiles_of_different_grids_or_none_refuse_to_merge():
    a, b = (profile_of(pa.table({"x": x}), grid_of(pa.table({"x": x}))) for x in ([1.0, 2.0], [5.0, 9.0]))
    with pytest.raises(UsageError, match="one grid"):
        a.merge(b)
    with pytest.raises(UsageError, match="one grid"):
        a.columns["x"].merge(b.columns["x"], 1000)
    narrower = Profile(Grid(a.grid.axes, max_categories=2), a.columns)
    with pytest.raises(UsageError, match="one grid"):
        a.merge(narrower)
    with pytest.raises(UsageError, match="at least one"):
        merge_all([])


def test_moments_are_exact_far_from_zero():
    x = 1e9 + np.arange(1000) * 0.001
    c = one(x)
    assert c.mean == pytest.approx(x.mean(), abs=1e-6)
    assert c.std == pytest.approx((x - 1e9).std(), rel=1e-6)
    assert (c.low, c.high) == (x[0], x[-1])


def test_one_row_constant_empty_all_nan_and_infinite():
    single = one([5.0])
    assert (single.mean, single.std, single.present) == (5.0, 0.0, 1)
    assert one([0.1] * 7, Axis("number", 5.0, 2.0)).std == 0.0
    nothing = one([], kind=pa.float64())
    assert (nothing.n, nothing.counts) == (0, {})
    assert np.isnan(nothing.mean)
    gone = one([float("nan"), None], kind=pa.float64())
    assert (gone.n, gone.missing, gone.present) == (2, 2, 0)
    wild = one([1.0, float("inf"), float("-inf"), None])
    assert (wild.present, wild.infinite, wild.missing, wild.high) == (1, 2, 1, 1.0)


def test_moments_of_huge_values_are_not_told():
    c = one([-1.7e308, 1.7e308, 1.0])
    assert np.isfinite([c.total, c.squares]).all()
    assert np.isnan([c.mean, c.std]).all()  # too far apart for a float's square: not told
    assert (c.low, c.high) == (-1.7e308, 1.7e308)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([True, None, False], pa.bool_(), [0, 1]),
        ([1, None, 3], pa.int64(), [1, 3]),
        ([2**60 + 1, None], pa.int64(), [2**60]),
        ([2**64 - 1], pa.uint64(), [2**64]),
        ([Decimal("1.50"), None], pa.decimal128(10, 2), [1.5]),
        ([dt.datetime(2013, 1, 1), None], pa.timestamp("us"), [1356998400]),
        ([1356998400_000000001, None], pa.timestamp("ns", "America/New_York"), [1356998400]),
        ([dt.date(2013, 1, 1), None], pa.date32(), [1356998400]),
        ([dt.time(0, 1), None], pa.time64("us"), [60]),
        ([dt.time(0, 1), None], pa.time32("s"), [60]),
        ([dt.timedelta(minutes=2), None], pa.duration("ns"), [120]),
    ],
)
def test_every_ordered_type_is_a_number(values, kind, expected):
    column = pa.chunked_array([pa.array(values[:1], kind), pa.array(values[1:], kind)])
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = pa.chunked_array([pa.array([1356998400_000000001, None], pa.int64())]).cast(kind)
    c = one(column)
    assert c.axis.kind == "number"
    assert c.missing == values.count(None)
    assert (c.low, c.high) == (expected[0], expected[-1])


def test_encoding_and_chunks_do_not_matter():
    plain = pa.array(["b", "a", None, "b"])
    grid = Grid({"x": Axis("category")})
    parts = pa.chunked_array([pa.array(["b", "a"]).dictionary_encode(), pa.array([None, "b"]).dictionary_encode()])
    for values in (plain, plain.dictionary_encode(), plain.cast(pa.large_string()), parts):
        assert profile_of(pa.table({"x": values}), grid).columns["x"] == one(plain)
    assert one(plain).counts == {"a": 1, "b": 2}
    coded = pa.array([1.0, 2.0, None, 1.0]).dictionary_encode()
    assert one(coded) == one([1.0, 2.0, None, 1.0])


def test_an_absent_or_null_column_is_all_missing():
    grid = Grid({"x": Axis("number"), "c": Axis("category")})
    for table in (pa.table({"other": [1, 2]}), pa.table({"x": pa.nulls(2), "c": pa.nulls(2)})):
        assert [c.missing for c in profile_of(table, grid).columns.values()] == [2, 2]


def test_text_is_not_silently_read_as_a_number():
    with pytest.raises(SourceError, match="column x: expected number"):
        one(pa.array(["12"]), Axis("number"))
    with pytest.raises(SourceError, match="column x: expected text"):
        one(pa.array([[1]]), Axis("category"))


def test_categories_beyond_the_cap_go_to_other_and_no_row_is_lost():
    values = [f"v{i:04d}" for i in range(1500)] + ["v1499"] * 3
    c = one(values, Axis("category"))
    assert len(c.counts) == 1000
    assert c.counts["v1499"] == 4
    assert "v0997" in c.counts
    assert "v0998" not in c.counts  # among equals the first names stay
    assert sum(c.counts.values()) == 1503
    assert c.counts[OTHER] == 1503 - 4 - 998
    assert one(values[::-1], Axis("category")) == c
    assert len(one(values[:1000]).counts) == 1000
    assert OTHER not in one(values[:1000]).counts
    assert one(values, Axis("category"), cap=1).counts == {OTHER: 1503}


def test_merging_beyond_the_cap_loses_no_row():
    parts = [one([f"{p}-{i}" for i in range(800)] + ["common"] * 5, Axis("category")) for p in "abc"]
    merged = parts[0].merge(parts[1], 1000).merge(parts[2], 1000)
    assert len(merged.counts) == 1000
    assert merged.counts["common"] == 15
    assert sum(merged.counts.values()) == merged.n == 3 * 805


def test_merging_beyond_the_cap_does_not_depend_on_the_side():
    a, b = one(["p", "q", "z"], Axis("category")), one(["a", "b"], Axis("category"))
    assert a.merge(b, 3) == b.merge(a, 3)
    assert a.merge(b, 3).counts == {"a": 1, "b": 1, OTHER: 3}


def test_a_value_spelled_like_other_is_other():
    c = one(["a", "b", "c", OTHER, OTHER], Axis("category"), cap=2)
    assert c.counts == {"a": 1, OTHER: 4}


def test_a_million_distinct_strings_stay_in_bounds():
    table = pa.table({"x": pa.array(np.char.add("user-", np.arange(1_000_000).astype("U7")))})
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    c = profile_of(table, Grid({"x": Axis("category")})).columns["x"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(c.counts) == 1000
    assert c.counts[OTHER] == 1_000_000 - 999
    assert peak < 50e6, "the distinct values became Python objects"
    assert pa.total_allocated_bytes() - before < 100e6


@given(numbers)
def test_a_profile_survives_the_table(values):
    table = pa.table({"x": pa.array(values, pa.float64()), "c": pa.array([str(v) for v in values], pa.string())})
    grid = Grid({"x": Axis("number", 3.0, 2.0), "c": Axis("category")}, 5)
    profile = profile_of(table, grid)
    rows = to_table(profile)
    assert from_table(rows, grid) == profile
    assert table_digest(to_table(from_table(rows, grid))) == table_digest(rows)


def test_a_profile_is_read_whatever_the_lake_added():
    profile = profile_of(night(1), grid_of(night(1)))
    rows = to_table(profile)
    stored = rows.append_column("window", pa.array(["2013-01-01"] * rows.num_rows))
    stored = stored.take(list(range(rows.num_rows))[::-1])
    back = from_table(stored, profile.grid)
    assert back == profile
    assert list(back.columns) == list(profile.grid.axes)


def test_a_profile_of_another_grid_or_not_whole_is_refused():
    profile = profile_of(night(1), grid_of(night(1)))
    rows = to_table(profile)
    with pytest.raises(UsageError, match="its own grid"):
        from_table(rows, grid_of(night(2)))
    with pytest.raises(UsageError, match="one row for each of 6 columns"):
        from_table(rows.slice(1), profile.grid)
    with pytest.raises(UsageError, match="one window at a time"):
        from_table(pa.concat_tables([rows, rows]), profile.grid)


def test_profiles_differ_when_a_count_or_an_atom_differs():
    axis = Axis("number")
    assert one([1.0, 2.0], axis) != one([1.0, 1.0], axis)
    assert one([1000.0], axis) != one([1001.0], axis)
    assert one([1000.0], axis) != "a profile"


def test_resolution_is_the_largest_mixed_bucket():
    axis = Axis("number")
    assert resolution(one([1.0, 1.0, 2.0, 2.0], axis)) == 0.0
    assert resolution(one([1000.0, 1000.2, 1.0, 1.0], axis)) == 0.5
    assert resolution(one([1.0, 1.0, 1.0, 2.0], axis)) == 0.25
    assert resolution(one(["a", "b"])) == 0.0
    assert np.isnan(resolution(one([None], axis, pa.float64())))
    halves = [one([1000.0] * 2, axis), one([1000.2] * 2, axis)]
    assert resolution(halves[0].merge(halves[1], 1000)) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_resolution_bounds_the_error_of_ks(seed):
    """Two modes 1,370 apart, the small one moved by 1σ, on an axis of one cell that cannot tell."""
    rng = np.random.default_rng(seed)

    def modes(shift, n):
        return np.concatenate((rng.normal(0, 1, round(0.7 * n)), rng.normal(1370 + shift, 1, round(0.3 * n))))

    x, y = modes(0, 20_000), modes(1, 20_000)
    reference, current = (one(v, Axis("number", 0.0, 2.0)) for v in (x, y))
    exact = ks_2samp(x, y).statistic
    assert exact > 0.1
    assert resolution(reference) > 0.0005
    assert abs(column_drift("x", reference, current).ks - exact) <= resolution(reference)
