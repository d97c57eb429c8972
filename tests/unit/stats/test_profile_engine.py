"""The one-pass engine: as exact as it says on shapes of data, the same bits however it is split."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import ks_2samp, wasserstein_distance

from tidegate.drift.compare import column_drift
from tidegate.errors import SourceError, UsageError
from tidegate.profile.column import UNIT, number_column
from tidegate.profile.exact import expansion
from tidegate.profile.fit import axis_of
from tidegate.profile.grid import MAX_CELLS, Axis, Grid, bucket_of
from tidegate.profile.kernel import BLOCK, Kernel
from tidegate.profile.merging import merge_columns
from tidegate.profile.profile import MISSING, OTHER, grid_of, merge_all, profile_of, resolution

N = 200_000


def modes(shift, n):
    def draw(rng):
        return np.concatenate((rng.normal(0, 1, round(0.7 * n)), rng.normal(1370 + shift, 1, n - round(0.7 * n))))

    return draw


SHAPES = {
    "normal": lambda r, s: r.normal(0, 1, N) + 0.05 * s,
    "lognormal": lambda r, s: r.lognormal(3 + 0.05 * s, 1, N),
    "exponential": lambda r, s: r.exponential(5 + 0.3 * s, N),
    "pareto": lambda r, s: (r.pareto(2.5, N) + 1) * (1 + 0.03 * s),
    "offset": lambda r, s: r.normal(1e6 + s, 10, N),
    "counts": lambda r, s: r.poisson(4 + 0.3 * s, N).astype(float),
    "cents": lambda r, s: r.normal(20 + 0.2 * s, 4, N).round(2),
    "zeros": lambda r, s: np.where(r.random(N) < 0.95 - 0.02 * s, 0.0, r.exponential(0.1, N)),
    "two modes": lambda r, s: modes(s, N)(r),
    "three modes": lambda r, s: r.choice([0.0, 5e3, -1e6], N, p=[0.6, 0.3, 0.1]) + r.normal(0.1 * s, 1, N),
    "unit roundoff": lambda r, s: r.normal(1 + 1e-9 * s, 1e-8, N),
    "huge": lambda r, s: 1e100 * r.normal(0.05 * s, 1, N),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_ks_is_within_5e_4_and_w1_within_1_percent_or_the_resolution_says_so(shape):
    rng = np.random.default_rng(11)
    x, y = SHAPES[shape](rng, 0), SHAPES[shape](rng, 1)
    axis = axis_of(x[::3])
    a, b = number_column(x, axis), number_column(y, axis)
    d = column_drift("x", a, b)
    bound = max(resolution(a), resolution(b))
    assert d.ks == pytest.approx(ks_2samp(x, y, method="asymp").statistic, abs=max(0.0005, bound) + 1e-12)
    assert bound < 0.00075
    scale = np.abs(x).max()  # scipy's sums overflow on huge values
    assert d.w1_sigma == pytest.approx(wasserstein_distance(x / scale, y / scale) / (x / scale).std(), rel=0.01)


def test_a_million_normal_rows_are_resolved_to_half_of_what_is_asked():
    x = ndtri((np.arange(1_000_000) + 0.5) / 1_000_000)
    assert resolution(number_column(x, axis_of(x[::10]))) < 0.0003


def test_a_shift_far_from_zero_is_seen():
    rng = np.random.default_rng(0)
    x, y = rng.normal(1e6, 10, 400_000), rng.normal(1e6 + 5, 10, 400_000)
    axis = axis_of(x[:60_000])
    ks = column_drift("x", number_column(x, axis), number_column(y, axis)).ks
    assert ks == pytest.approx(ks_2samp(x, y).statistic, abs=0.0005)
    assert 0.1945 < ks < 0.1995


@pytest.mark.parametrize("n", [20_000, 200_000])
def test_a_small_far_mode_that_moves_by_one_sigma_is_seen(n):
    rng = np.random.default_rng(1)
    x, y = modes(0, n)(rng), modes(1, n)(rng)
    axis = axis_of(x)
    assert len(axis.cells) >= 2
    a, b = number_column(x, axis), number_column(y, axis)
    assert column_drift("x", a, b).ks == pytest.approx(ks_2samp(x, y).statistic, abs=0.0006)
    assert ks_2samp(x, y).statistic > 0.11
    assert resolution(a) <= 0.0005
    one_cell = Axis("number", axis.offset, axis.scale)
    assert resolution(number_column(x, one_cell)) > 0.0005  # the second cell is what does it


def test_an_axis_never_has_more_than_eight_cells_and_cuts_lie_between_values():
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(10.0**k, 1e-3, 3000) for k in range(12)])
    axis = axis_of(x)
    assert len(axis.cells) == MAX_CELLS
    assert not set(axis.cuts) & set(x.tolist())
    assert resolution(number_column(x, axis)) > 0.0005


def test_a_sample_of_one_bucket_at_its_offset_ends():
    x = np.concatenate((np.full(1000, 5.0), 5.0 + np.linspace(1e-12, 2e-12, 1000), [1e9]))
    assert 1 <= len(axis_of(x).parts) <= MAX_CELLS


floats = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-3, 3).map(float)


@settings(max_examples=60)
@given(st.lists(floats, min_size=1, max_size=80), st.booleans())
def test_the_kernel_counts_what_sorting_counts(values, cells):
    axis = Axis("number", 3.0, 2.0, (0.5,), ((-1.0, 0.25), (3.0, 2.0))) if cells else Axis("number", 3.0, 2.0)
    x = np.array(values)
    slow, fast = number_column(x, axis), Kernel().count(x, axis)
    assert fast.buckets.tolist() == slow.buckets.tolist() == np.unique(bucket_of(x[np.isfinite(x)], axis)).tolist()
    assert fast.rows.tolist() == slow.rows.tolist()
    assert (fast.infinite, fast.low, fast.high) == (slow.infinite, slow.low, slow.high)
    assert fast.total == pytest.approx(slow.total, rel=1e-9, abs=1e-9 * max(1.0, np.sqrt(slow.squares)))
    assert fast.squares == pytest.approx(slow.squares, rel=1e-9)
    told = ~np.isnan(fast.atoms)
    assert fast.atoms[told].tolist() == slow.atoms[told].tolist()


def test_many_rows_are_counted_as_few_are():
    rng = np.random.default_rng(3)
    n = 2 * BLOCK + 777
    x = np.where(rng.random(n) < 0.3, 2.5, rng.normal(0, 1, n))
    x[::7], x[5], x[BLOCK + 5] = np.nan, np.inf, -np.inf
    axis = Axis("number", 0.0, 1.0)
    whole = number_column(x, axis)
    parts = merge_columns([number_column(x[i : i + UNIT], axis) for i in range(0, n, UNIT)], 10)
    assert (whole.n, whole.missing, whole.infinite) == (parts.n, parts.missing, parts.infinite)
    assert whole.counts == parts.counts
    assert (whole.low, whole.high) == (parts.low, parts.high)
    assert whole.mean == pytest.approx(parts.mean, rel=1e-12)
    assert whole.std == pytest.approx(parts.std, rel=1e-12)


def test_an_atom_is_told_only_if_every_row_proves_it():
    rng = np.random.default_rng(4)
    x = np.where(rng.random(300_000) < 0.4, 2.5, rng.normal(0, 1, 300_000))
    axis = Axis("number")
    crowded = bucket_of(np.array([2.5]), axis)[0]
    x = x[(bucket_of(x, axis) != crowded) | (x == 2.5)]
    pure = number_column(x, axis)
    assert pure.atoms[pure.buckets == crowded].tolist() == [2.5]
    x[123_457] = 2.5001  # one row among 300,000, which no sample of 16,384 needs to hold
    assert bucket_of(x[123_457:123_458], axis)[0] == crowded
    mixed = number_column(x, axis)
    assert np.isnan(mixed.atoms[mixed.buckets == crowded]).all()
    assert resolution(mixed) > 0.3


@pytest.mark.parametrize("splits", [1, 2, 7])
def test_however_units_are_grouped_the_bits_are_the_same(splits):
    rng = np.random.default_rng(5)
    grid = Grid({"x": Axis("number", 0.1, 0.5), "c": Axis("category")})
    sizes = 10.0 ** rng.integers(-6, 9, 21)
    units = [
        profile_of(pa.table({"x": rng.normal(0, size, 500), "c": rng.choice(list("abc"), 500)}), grid) for size in sizes
    ]
    whole = merge_all(units)
    size = -(-len(units) // splits)
    grouped = merge_all([merge_all(units[i : i + size]) for i in range(0, len(units), size)])
    assert grouped == whole == merge_all(units[::-1])
    assert grouped.digest == whole.digest


@given(st.lists(st.floats(-1e300, 1e300, allow_subnormal=False), max_size=12), st.randoms())
def test_exact_sums_do_not_depend_on_order_or_grouping(values, random):
    mixed = list(values)
    random.shuffle(mixed)
    cut = len(mixed) // 3
    assert expansion(values) == expansion([*expansion(mixed[:cut]), *expansion(mixed[cut:])])


def test_segments_are_the_profiles_of_their_rows():
    rng = np.random.default_rng(6)
    table = pa.table({"x": rng.normal(0, 1, 900), "origin": pa.array(rng.choice(["EWR", "JFK", None], 900))})
    grid = grid_of(table)
    whole = profile_of(table, grid, by="origin")
    assert sorted(whole.segments) == [MISSING, "EWR", "JFK"]
    for name, segment in whole.segments.items():
        rows = table.filter(pa.array([(v or MISSING) == name for v in table["origin"].to_pylist()]))
        assert segment == profile_of(rows, grid)
    halves = [profile_of(table.slice(i, 450), grid, by="origin") for i in (0, 450)]
    merged = merge_all(halves)
    for name, segment in whole.segments.items():
        assert merged.segments[name].columns["x"].counts == segment.columns["x"].counts
        assert merged.segments[name].columns["x"].mean == pytest.approx(segment.columns["x"].mean, rel=1e-12)
    with pytest.raises(UsageError, match="a column nowhere"):
        profile_of(table, grid, by="nowhere")
    with pytest.raises(UsageError, match="same column"):
        merge_all([whole, profile_of(table, grid)])


def test_a_million_segments_are_fifty_and_lose_no_row():
    keys = np.concatenate((np.arange(5000), np.repeat([7, 8], 300)))
    profile = profile_of(pa.table({"x": np.ones(len(keys)), "k": keys}), Grid({"x": Axis("number")}), by="k")
    assert len(profile.segments) == 50
    assert profile.segments["7"].n == 301
    assert sum(s.n for s in profile.segments.values()) == len(keys) == 5600
    assert profile.segments[OTHER].n == 5600 - 2 * 301 - 47


def test_free_text_is_profiled_by_length_and_categories_are_not():
    rng = np.random.default_rng(7)
    notes = ["x" * int(k) + f"{i:05d}" for i, k in enumerate(rng.integers(0, 30, 4000))]
    table = pa.table({"note": notes, "plane": np.char.add("N", rng.integers(0, 1500, 4000).astype(str))})
    grid = grid_of(table)
    assert (grid.axes["note"].of, grid.axes["note"].distinct) == ("length", 4000)
    assert grid.axes["plane"] == Axis("category")
    profile = profile_of(table, grid)
    assert (profile.columns["note"].low, profile.columns["note"].high) == (5.0, 34.0)
    coded = pa.table({n: table[n].dictionary_encode() for n in table.column_names})
    assert profile_of(coded, grid) == profile
    with pytest.raises(SourceError, match="expected text"):
        profile_of(pa.table({"note": [1.0]}), grid)


def test_a_column_of_another_kind_is_refused_and_a_wider_number_is_not():
    grid = Grid({"x": Axis("number")})

    def of(values, kind):
        return profile_of(pa.table({"x": pa.array(values, kind)}), grid)

    whole = merge_all([of([1], pa.int32()), of([None], pa.null()), of([2.5], pa.float64())])
    assert whole.schema == {"x": "double|int32"}
    for other in (pa.array([True]), pa.array([1]).cast(pa.timestamp("s"))):
        with pytest.raises(UsageError, match="column x: expected"):
            of([1], pa.int64()).merge(of(other, other.type))


@pytest.mark.parametrize("rows", [2, 70_000])
def test_moments_whose_squares_have_no_float_are_not_told(rows):
    x = np.tile([1e200, 2e200], rows // 2)
    near = number_column(np.tile([1e140, 3e140], rows // 2), Axis("number"))
    assert (near.mean, near.std) == (pytest.approx(2e140), pytest.approx(1e140))
    for offset in (0.0, 1e200, -1.7e308):
        c = number_column(x, Axis("number", offset=offset))
        assert math.isnan(c.mean)
        assert math.isnan(c.std)
        assert (c.low, c.high, c.present) == (1e200, 2e200, rows)
        assert math.isnan(near.merge(number_column(x, near.axis), 10).std)
    constant = number_column(np.full(rows, 2e200), Axis("number"))
    assert (constant.mean, constant.std) == (2e200, 0.0)
