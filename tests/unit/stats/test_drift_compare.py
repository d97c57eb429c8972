"""Drift of columns: golden numbers through profiles, atoms, caps, missing values."""

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import ks_2samp, wasserstein_distance

from tidegate.drift.binning import deciles
from tidegate.drift.bounds import profile_bounds
from tidegate.drift.compare import column_drift, compare
from tidegate.errors import UsageError
from tidegate.profile.grid import Axis, Grid
from tidegate.profile.profile import OTHER, grid_of, profile_of

NORMAL = ndtri((np.arange(200_000) + 0.5) / 200_000)


def drift(reference, current, cap=1000):
    """The drift of one column, on the reference's grid."""
    r, c = pa.table({"x": reference}), pa.table({"x": current})
    grid = grid_of(r, cap)
    [found] = compare(profile_of(r, grid), profile_of(c, grid))
    return found


@pytest.mark.parametrize(("delta", "expected"), [(0.1, 0.009587), (0.25, 0.059816), (0.5, 0.237749), (1.0, 0.926142)])
def test_normal_deciles(delta, expected):
    d = drift(NORMAL, NORMAL + delta)
    assert d.psi == pytest.approx(expected, rel=0.01)
    assert d.ks == pytest.approx(2 * ndtr(delta / 2) - 1, abs=0.0005)
    assert d.w1_sigma == pytest.approx(delta, rel=0.01)


def test_the_offset_keeps_values_far_from_zero_apart():
    d = drift(1e6 + 10 * NORMAL, 1e6 + 5 + 10 * NORMAL)
    assert d.ks == pytest.approx(0.1974127, abs=0.0005)
    assert d.w1_sigma == pytest.approx(0.5, rel=0.01)
    rng = np.random.default_rng(0)
    sampled = drift(rng.normal(1e6, 10, 50_000), rng.normal(1e6 + 5, 10, 50_000))
    assert sampled.ks == pytest.approx(0.1963, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.lognormal(3, 1, n),
        lambda rng, n: rng.integers(0, 12, n),
        lambda rng, n: rng.exponential(5, n),
        lambda rng, n: np.where(rng.random(n) < 0.6, 250.0, rng.normal(900, 20, n)).round(1),
    ],
    ids=["lognormal", "months", "exponential", "atom"],
)
def test_ks_and_w1_are_those_of_the_samples(draw, seed):
    rng = np.random.default_rng(seed)
    x, y = draw(rng, 20_000), draw(rng, 2_000) * 1.05
    d = drift(x, y)
    assert d.ks == pytest.approx(ks_2samp(x, y, method="asymp").statistic, abs=0.005)
    assert d.w1_sigma == pytest.approx(wasserstein_distance(x, y) / x.std(), rel=0.02, abs=0.002)


def test_undrifted_windows_stay_below_the_limit():
    rng = np.random.default_rng(3)

    def night(n):
        return pa.table(
            {
                "normal": rng.normal(50, 9, n),
                "rain": np.where(rng.random(n) < 0.95, 0, rng.exponential(0.1, n)),
                "month": rng.integers(1, 13, n),
                "flag": rng.random(n) < 0.3,
                "plane": np.char.add("N", np.minimum(rng.zipf(1.3, n), 5000).astype(str)),
            }
        )

    reference = night(20_000)
    grid = grid_of(reference)
    whole = profile_of(reference, grid)
    nights = [compare(whole, profile_of(night(1000), grid), confidence=0.95) for _ in range(120)]
    for column in zip(*nights, strict=True):
        over = np.mean([d.psi > d.psi_limit for d in column])
        assert over <= 0.13, column[0].column  # 5 % of 120 nights, and four standard errors


def test_as_many_categories_as_rows_do_not_look_like_drift():
    rng = np.random.default_rng(4)
    weight = 1 / np.arange(1, 301)
    over = 0
    for _ in range(40):
        r, c = (rng.choice(300, 500, p=weight / weight.sum()).astype(str) for _ in range(2))
        d = drift(r, c)
        over += d.psi > d.psi_limit
    assert over <= 5


def test_deciles_without_atoms_are_ten_tenths():
    ref, cur = deciles(np.ones(1000), np.arange(1000.0))
    assert ref.tolist() == [100.0] * 10
    assert cur.sum() == 999 * 500


def test_an_atom_is_alone_and_its_neighbours_too():
    #             light  atom   light   atom  never seen
    reference = np.array([3, 0, 60, 4, 3, 30, 0], dtype=float)
    current = np.array([1, 2, 10, 20, 30, 40, 50], dtype=float)
    ref, cur = deciles(reference, current)
    assert ref.tolist() == [3, 60, 7, 30, 0]
    assert cur.tolist() == [3, 10, 50, 40, 50]


def test_bins_keep_every_row_and_follow_the_reference_alone():
    rng = np.random.default_rng(5)
    for _ in range(50):
        r, c = rng.integers(0, 50, (2, 40)) * (rng.random((2, 40)) < 0.3)
        ref, cur = deciles(r.astype(float), c.astype(float))
        assert (ref.sum(), cur.sum()) == (r.sum(), c.sum())
        assert np.array_equal(deciles(r.astype(float), r.astype(float))[1], ref)


def test_rain_that_leaves_the_atom_at_zero_is_seen():
    rng = np.random.default_rng(6)

    def rain(dry, n):
        return np.where(rng.random(n) < dry, 0.0, rng.exponential(0.1, n))

    same, wetter = drift(rain(0.95, 50_000), rain(0.95, 1000)), drift(rain(0.95, 50_000), rain(0.80, 1000))
    assert same.psi <= same.psi_limit
    assert wetter.psi > 3 * wetter.psi_limit
    assert wetter.psi == pytest.approx(0.15 * math.log(4) + 0.15 * math.log(0.95 / 0.80), rel=0.35)


def test_a_constant_that_moves_is_seen_and_one_that_stays_is_not():
    stays, moves, up_and_down = (
        drift([7.0] * 500, [7.0] * 100),
        drift([7.0] * 500, [7.5] * 100),
        drift([7.0] * 500, [6.0] * 50 + [8.0] * 50),
    )
    assert (stays.psi, stays.ks) == (0.0, 0.0)
    assert math.isnan(stays.psi_limit)
    assert math.isnan(stays.w1_sigma)
    assert moves.ks == 1.0
    assert moves.psi > moves.psi_limit
    assert up_and_down.psi > up_and_down.psi_limit


@pytest.mark.parametrize("to", [0, 1, 2, 3])
def test_a_swap_between_two_integers_is_seen_by_psi(to):
    months = np.repeat(np.arange(12), 1000)
    moved = np.repeat(np.arange(12), 100)
    moved[moved == to + 1] = to
    d = drift(months, moved)
    assert d.psi > d.psi_limit


@pytest.mark.parametrize(("before", "after"), [(1000.0, 1001.0), (1001.0, 1000.0)])
def test_an_atom_that_moves_within_its_bucket_is_seen(before, after):
    d = drift(np.repeat([0.0, before], [700, 300]), np.repeat([0.0, after], [70, 30]))
    assert d.ks == pytest.approx(0.3)
    assert d.psi > d.psi_limit
    assert d.w1_sigma == pytest.approx(0.3 / (before * math.sqrt(0.21)))


def test_what_was_always_missing_is_not_drift():
    def column(n):
        return pa.array([None, float("inf"), 1.0, 2.0, 3.0] * n, pa.float64())

    d = drift(column(200), column(40))
    assert d.missing == 0
    assert d.psi < d.psi_limit / 10


def test_the_same_number_in_float32_is_not_drift():
    x = np.repeat([0.1, 0.7, 1000.3], [60, 20, 20])
    assert drift(x, x.astype(np.float32).astype(np.float64)).ks == 0


def test_a_burst_of_nan_and_one_infinity_show():
    gust = np.where(np.arange(1000) % 4 > 0, np.nan, NORMAL[:1000])
    burst = drift(pa.array(gust, from_pandas=True), pa.array([None] * 95 + [1.0] * 5, pa.float64()))
    assert burst.missing == pytest.approx(0.2)
    assert burst.psi > burst.psi_limit
    half = drift(NORMAL, np.where(np.arange(len(NORMAL)) % 2, np.nan, NORMAL))
    assert half.missing == 0.5
    assert half.ks == pytest.approx(0.0, abs=1e-4)
    assert half.psi > 1
    one = drift(NORMAL[:1000], np.append(NORMAL[:999], np.inf))
    assert (one.infinite, one.missing) == (1, 0.0)


def test_a_category_never_seen_shows():
    d = drift(["a"] * 60 + ["b"] * 40, ["a"] * 50 + ["b"] * 30 + ["new"] * 20)
    assert d.unseen == pytest.approx(0.2)
    assert d.psi > d.psi_limit
    assert math.isnan(d.ks)
    assert math.isnan(d.w1_sigma)


def test_unseen_is_a_share_of_all_rows():
    assert drift(["a"] * 4, ["new", None, "a", "a"]).unseen == 0.25


def test_unseen_mass_is_noticed_after_the_reference_hit_its_cap():
    rng = np.random.default_rng(7)

    def names(n):
        return np.char.add("t", rng.integers(0, 200, n).astype(str))

    reference = names(50_000)
    same = drift(reference, names(5000), cap=51)
    other = profile_of(pa.table({"x": reference}), grid_of(pa.table({"x": reference}), 51)).columns["x"].counts[OTHER]
    assert other > 30_000
    assert same.unseen < 0.03
    flood = drift(reference, np.append(names(500), [f"fresh{i}" for i in range(4500)]), cap=51)
    assert flood.unseen > 0.2  # all that room below 1 - 0.75 leaves
    assert flood.psi > flood.psi_limit
    uncapped = drift(reference, np.append(names(2500), [f"fresh{i}" for i in range(2500)]))
    assert uncapped.unseen == pytest.approx(0.5, abs=0.01)


def test_a_window_over_the_cap_is_not_drift_by_itself_but_an_explosion_is():
    rng = np.random.default_rng(8)

    def names(n):
        return np.char.add("t", rng.integers(0, 400, n).astype(str))

    same = drift(names(80_000), names(40_000), cap=100)
    assert same.unseen < 0.02
    assert same.psi < 0.02
    known = np.repeat(["a", "b", "c"], [500, 300, 200])
    explosion = drift(known, [f"id{i}" for i in range(5000)], cap=100)
    assert explosion.unseen > 0.99
    assert explosion.psi > 1


def test_compare_follows_the_grid_and_refuses_another():
    table = pa.table({"b": [1.0, 2.0], "a": ["x", "y"]})
    profile = profile_of(table, grid_of(table))
    assert [d.column for d in compare(profile, profile)] == ["b", "a"]
    other = profile_of(table, Grid({"b": Axis("number", 9.0), "a": Axis("category")}))
    with pytest.raises(UsageError, match="one grid"):
        compare(profile, other)
    with pytest.raises(UsageError, match="drift of b"):
        column_drift("b", profile.columns["b"], other.columns["b"])


def test_columns_do_not_see_their_neighbours():
    rng = np.random.default_rng(9)

    def night(n):
        gone = pa.array([None] * n, pa.float64())
        return pa.table({"a": rng.normal(1e9, 5, n), "c": rng.choice(["x", "y", "z"], n), "gone": gone,
                         "b": rng.exponential(1, n), "d": rng.integers(-3, 3, n)})  # fmt: skip

    reference = night(3000)
    grid = grid_of(reference)
    whole, part = profile_of(reference, grid), profile_of(night(400), grid)
    together = compare(whole, part)
    alone = [column_drift(name, whole.columns[name], part.columns[name]) for name in grid.axes]
    assert repr(together) == repr(alone)  # NaN is not equal to itself
    assert together[0].w1_sigma < 0.5


EXTREME = {
    "usual": NORMAL[::100],
    "not finite": np.repeat([np.nan, np.inf, -np.inf, 1.0, 2.0], 400),
    "both ends": np.repeat([1.7e308, -1.7e308, 0.0, 1.0], 500),
    "one end": np.repeat([1.7e308, 1.0, 2.0, 3.0], 500),
    "all at one end": np.full(2000, 1.7e308),
}


@pytest.mark.parametrize("reference", EXTREME)
@pytest.mark.parametrize("current", EXTREME)
def test_no_value_is_too_large_to_compare(reference, current):
    """Warnings are errors here: NumPy says nothing, and what is told of counts is in its range."""
    a, b = EXTREME[reference], EXTREME[current]
    grid = grid_of(pa.table({"x": a}))
    sides = [profile_of(pa.table({"x": x}), grid) for x in (a, b)]
    [d] = compare(*sides)
    column_drift("x", *(s.columns["x"] for s in sides))
    found = profile_bounds(*sides)["x"]
    assert 0 <= d.ks <= 1
    assert d.ks == 0 if reference == current else d.psi > 0
    assert not found["ks"].low > d.ks
    assert not d.w1_sigma < 0
