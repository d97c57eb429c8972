"""Density-ratio weights: known ratios, effective rows, what lies off the reference's support, bad input."""

import math

import numpy as np
import pyarrow as pa
import pytest

from tidegate.drift.weights import FEWEST_EFFECTIVE, density_ratio
from tidegate.errors import UsageError


def table(rng, n, shift=0.0, shares=(0.6, 0.3, 0.1)):
    x = rng.normal(size=(5, n))
    x[0] += shift
    return pa.table({**{f"x{i}": x[i] for i in range(5)}, "c": rng.choice(["a", "b", "c"], n, p=shares)})


def numbers(t, column="x0"):
    return t[column].to_numpy()


def test_weights_recover_a_known_ratio():
    rng = np.random.default_rng(1)
    reference = table(rng, 5000)
    found = density_ratio(reference, table(rng, 2500, 0.7, (0.2, 0.5, 0.3)), rng=rng)
    c = np.array(reference["c"].to_pylist())
    by_category = {k: v / s for k, v, s in zip("abc", (0.2, 0.5, 0.3), (0.6, 0.3, 0.1), strict=True)}
    truth = np.exp(0.7 * numbers(reference) - 0.245) * np.array([by_category[k] for k in c])
    assert found.estimable
    assert found.weight.mean() == pytest.approx(1.0)
    assert np.corrcoef(np.log(found.weight), np.log(truth))[0, 1] > 0.95
    assert (found.weight * numbers(reference)).mean() == pytest.approx(0.7, abs=0.06)
    assert [found.weight[c == k].sum() / 5000 for k in "abc"] == pytest.approx([0.2, 0.5, 0.3], abs=0.03)


def test_effective_rows_are_kishs():
    rng = np.random.default_rng(2)
    reference = table(rng, 5000)
    found = density_ratio(reference, table(rng, 2500, 0.7), rng=rng)
    assert found.n_eff == pytest.approx(found.weight.sum() ** 2 / (found.weight**2).sum())
    # Of normal columns that moved by δ a share exp(−δ²) is left.
    assert found.n_eff == pytest.approx(5000 * math.exp(-0.49), rel=0.15)


def test_without_drift_every_row_counts():
    rng = np.random.default_rng(3)
    found = density_ratio(table(rng, 4000), table(rng, 1500), rng=rng)
    assert found.n_eff > 0.95 * 4000
    assert found.off_support < 0.005


def test_columns_that_move_together_are_seen_although_each_alone_is_as_ever():
    rng = np.random.default_rng(4)
    x, z = rng.normal(size=(2, 5000))
    reference = pa.table({"a": x, "b": z})
    u, v = rng.normal(size=(2, 2500))
    found = density_ratio(reference, pa.table({"a": u, "b": 0.7 * u + math.sqrt(0.51) * v}), rng=rng)
    assert (found.weight * x * z).mean() == pytest.approx(0.7, abs=0.12)
    assert (found.weight * x).mean() == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("change", ["category", "range", "missing"])
def test_rows_unlike_any_of_the_reference_are_off_its_support(change):
    rng = np.random.default_rng(5)
    reference, now = table(rng, 3000), table(rng, 1000)
    hit = np.arange(1000) < 30
    if change == "category":
        now = now.set_column(5, "c", pa.array(np.where(hit, "new", np.array(now["c"].to_pylist()))))
    else:
        values = np.where(hit, 40.0 if change == "range" else np.nan, numbers(now))
        now = now.set_column(0, "x0", pa.array(values, from_pandas=True))
    found = density_ratio(reference, now, rng=rng)
    assert found.off[:30].all()
    assert 0.03 <= found.off_support < 0.04
    assert not found.estimable
    assert "where the reference has none, at most 1%" in found.reason


def test_a_window_far_off_is_not_estimable_and_says_how_many_rows_are_like_it():
    rng = np.random.default_rng(6)
    now = table(rng, 1000, 1.4)
    for i in (1, 2):  # no column alone is out of the ordinary
        now = now.set_column(i, f"x{i}", pa.array(numbers(now, f"x{i}") + 1.4))
    found = density_ratio(table(rng, 3000), now, rng=rng)
    assert found.n_eff < FEWEST_EFFECTIVE
    assert "effective reference rows are like it, 200 are needed" in found.reason
    assert found.weight.max() <= found.limit / (1 - found.cut) + 1e-9


def test_missing_and_infinite_values_and_constant_columns():
    rng = np.random.default_rng(7)

    def odd(n):
        x = np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n))
        x[:5] = np.inf
        text = pa.array([None if k else "a" for k in rng.random(n) < 0.2], pa.string())
        nothing = pa.array([None] * n, pa.float64())
        return pa.table({"x": pa.array(x, from_pandas=True), "same": np.ones(n), "none": nothing, "text": text})

    found = density_ratio(odd(2000), odd(800), rng=rng)
    assert np.isfinite(found.weight).all()
    assert found.n_eff > 1800
    flat = density_ratio(pa.table({"a": np.ones(500)}), pa.table({"a": np.ones(300)}), rng=rng)
    assert flat.weight == pytest.approx(np.ones(500))


@pytest.mark.parametrize("rows", [0, 1, 49])
def test_too_few_rows_have_no_weights_and_say_so(rows):
    rng = np.random.default_rng(8)
    found = density_ratio(table(rng, 500), table(rng, rows), rng=rng)
    assert np.isnan(found.weight).all()
    assert f"{rows} rows in the window" in found.reason
    assert not found.estimable
    assert not density_ratio(table(rng, rows), table(rng, 500), rng=rng).estimable


def test_the_same_seed_gives_the_same_weights_and_blocks_are_held_out_whole():
    sides = [table(np.random.default_rng(9), n, s) for n, s in ((1500, 0.0), (600, 0.5))]
    blocks = np.repeat(np.arange(50), 30)
    a, b = (density_ratio(*sides, rng=np.random.default_rng(1), reference_blocks=blocks) for _ in range(2))
    assert (a.weight == b.weight).all()
    other = density_ratio(*sides, rng=np.random.default_rng(1))
    assert not np.array_equal(a.weight, other.weight)


def test_wrong_use_is_told():
    rng = np.random.default_rng(10)
    a, b = table(rng, 100), table(rng, 100)
    with pytest.raises(UsageError, match="no c"):
        density_ratio(a, b.drop_columns("c"), rng=rng)
    with pytest.raises(UsageError, match="one for each of 100 rows"):
        density_ratio(a, b, rng=rng, reference_blocks=np.zeros(5))
    with pytest.raises(UsageError, match="two folds"):
        density_ratio(a, b, rng=rng, folds=1)
