"""Contributions against Shapley values by their definition, and what the library must not do to its callers."""

import subprocess
import sys
from datetime import UTC, datetime
from itertools import combinations
from math import factorial

import numpy as np
import pyarrow as pa
import pytest

from tidegate.errors import SourceError, UsageError
from tidegate.explain.attribution import attribution, shares, with_spread
from tidegate.explain.codes import MOST_ROWS, encode

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def mixed(n, seed):
    """Every type a contract has, with nulls."""
    rng = np.random.default_rng(seed)
    words = np.array(["a", "b", "c", None], dtype=object)
    return pa.table({
        "x": pa.array([None if v < -1 else v for v in rng.normal(size=n)], pa.float64()),
        "big": pa.array((2**60 + rng.integers(0, 9, n)).tolist(), pa.int64()),
        "word": pa.array(rng.choice(words, n).tolist(), pa.string()),
        "yes": pa.array(rng.choice(np.array([True, False, None], dtype=object), n).tolist(), pa.bool_()),
        "at": pa.array([NOON.replace(day=int(d)) for d in rng.integers(1, 28, n)], pa.timestamp("us", tz="UTC")),
    })  # fmt: skip


def pairwise(t):
    """A score with interactions of two columns at most: of those the explainer is exact."""
    x = np.nan_to_num(t["x"].to_numpy(), nan=-3.0)
    big = (t["big"].to_numpy() - 2**60).astype(float)
    word = np.array([{"a": 1.0, "b": 5.0, "c": -2.0, None: 0.5}[w] for w in t["word"].to_pylist()])
    yes = np.array([{True: 2.0, False: -1.0, None: 0.0}[v] for v in t["yes"].to_pylist()])
    day = np.array([v.day for v in t["at"].to_pylist()], dtype=float)
    return x * word + big * yes + np.sin(day) * x + day


def shapley(score, row, background):
    """By definition: over every set of the other columns."""
    names = row.column_names
    n, m = len(names), background.num_rows

    def value(inside):
        cells = {c: row[c].take(pa.array([0] * m)) if c in inside else background[c] for c in names}
        return score(pa.table(cells, schema=background.schema)).mean(axis=0)

    out = []
    for c in names:
        others = [o for o in names if o != c]
        out.append(sum(
            factorial(k) * factorial(n - k - 1) / factorial(n) * (value({*s, c}) - value(set(s)))
            for k in range(n) for s in combinations(others, k)
        ))  # fmt: skip
    return np.array(out)


def test_contributions_are_shapley_values_whatever_the_type():
    rows, background = mixed(3, 0), mixed(12, 1)
    found = attribution(pairwise, rows, background, np.random.default_rng(2))
    for i in range(3):
        assert found.values[i] == pytest.approx(shapley(pairwise, rows.slice(i, 1), background), abs=1e-9)
    assert found.error < 1e-9
    assert found.base == pytest.approx(pairwise(background).mean())


def test_higher_interactions_come_near_with_more_orders():
    def score(t):
        return pairwise(t) * np.array([1.0 if w == "a" else 0.0 for w in t["word"].to_pylist()])

    row, background = mixed(3, 0).slice(1, 1), mixed(12, 1)
    exact = shapley(score, row, background)
    once, often = (
        attribution(score, row, background, np.random.default_rng(2), permutations=k).values[0] for k in (1, 60)
    )
    assert np.abs(often - exact).max() < 0.25 * np.abs(exact).max()
    assert np.abs(often - exact).max() < np.abs(once - exact).max()


def test_several_classes_are_explained_each():
    def score(t):
        p = 1 / (1 + np.exp(-np.nan_to_num(t["x"].to_numpy())))
        return np.column_stack([p, 0.3 * (1 - p), 0.7 * (1 - p)])

    found = attribution(score, mixed(4, 0), mixed(10, 1), np.random.default_rng(0))
    assert found.values.shape == (4, 5, 3)
    assert found.base.shape == (3,)
    assert found.base + found.values.sum(axis=1) == pytest.approx(found.scores)
    assert found.values.sum(axis=2) == pytest.approx(0, abs=1e-12)
    assert np.abs(found.values[:, 1:]).max() == 0


def test_a_model_that_answers_by_the_company_a_row_keeps_is_found_out():
    def score(t):
        x = np.nan_to_num(t["x"].to_numpy())
        return x - x.mean()

    assert attribution(score, mixed(5, 0), mixed(10, 1), np.random.default_rng(0)).error > 0.01


def test_the_halves_of_the_background_are_pooled_and_their_distance_told():
    rows, background = mixed(2, 0), mixed(16, 1)
    found = with_spread(pairwise, rows, background, np.random.default_rng(3))
    whole = attribution(pairwise, rows, background, np.random.default_rng(4))
    assert found.values == pytest.approx(whole.values, abs=1e-9)
    assert found.base == pytest.approx(whole.base)
    assert found.error < 1e-9
    assert found.spread.min() >= 0
    assert found.spread.max() > 0
    assert with_spread(pairwise, rows, background.slice(0, 1), np.random.default_rng(3)).spread is None


def test_rows_like_their_background_have_nothing_to_explain():
    same = mixed(1, 0).take(pa.array([0, 0, 0]))
    found = attribution(pairwise, same, same, np.random.default_rng(0))
    assert np.abs(found.values).max() == 0
    assert found.error < 1e-12


def test_importance_orders_the_columns_and_says_how_sure():
    rng = np.random.default_rng(5)
    rows = pa.table({c: rng.normal(size=80) for c in ("idle", "weak", "strong")})

    def score(t):
        return 3 * t["strong"].to_numpy() + 0.5 * t["weak"].to_numpy()

    found = shares(score, rows.slice(0, 40), rows.slice(40), np.random.default_rng(0))
    assert [s.name for s in found.columns] == ["strong", "weak", "idle"]
    assert all(s.stable for s in found.columns)
    assert (found.columns[2].mean_abs, found.agreement, found.rows) == (0.0, 1.0, 40)
    assert found.error < 1e-9
    # Two columns of the same worth, and two in between: nobody can say which comes first.
    even = pa.table({c: rng.normal(size=40) for c in "abcdefgh"})
    unsure = shares(lambda t: sum(c.to_numpy() for c in t.columns), even.slice(0, 8), even.slice(8), rng)
    assert not all(s.stable for s in unsure.columns)


def test_nothing_to_explain_is_told_not_raised():
    rows, rng = mixed(4, 0), np.random.default_rng(0)
    empty = attribution(pairwise, rows.slice(0, 0), rows, rng)
    assert empty.values.shape == (0, 5)
    assert np.isnan(empty.error)
    assert shares(pairwise, rows.slice(0, 0), rows, rng).columns == ()
    one = shares(pairwise, rows.slice(0, 1), rows, rng)
    assert not any(s.stable for s in one.columns)
    assert np.isnan(one.agreement)
    with pytest.raises(UsageError, match="background"):
        attribution(pairwise, rows, rows.slice(0, 0), rng)
    with pytest.raises(UsageError, match="2 rows or more"):
        shares(pairwise, rows, rows.slice(0, 1), rng)


def test_the_same_generator_gives_the_same_and_no_other_is_touched():
    def third(t):
        return pairwise(t) * np.nan_to_num(t["x"].to_numpy())

    np.random.seed(7)
    before = np.random.get_state()[1].tolist()
    one, two, other = (
        attribution(third, mixed(3, 0), mixed(8, 1), np.random.default_rng(seed)).values for seed in (1, 1, 2)
    )
    assert np.array_equal(one, two)
    assert not np.allclose(one, other)
    assert np.random.get_state()[1].tolist() == before


def test_what_the_score_raises_is_passed_on_and_leaves_nothing_behind():
    def broken(t):
        if t.num_rows > 20:
            raise SourceError("user code", "scores", "none", "mend it")
        return pairwise(t)

    before = np.random.get_state()[1].tolist()
    with pytest.raises(SourceError, match="mend it"):
        attribution(broken, mixed(2, 0), mixed(8, 1), np.random.default_rng(0))
    assert np.random.get_state()[1].tolist() == before


def test_the_library_is_loaded_late_silently_and_without_compiling():
    code = """
import sys, warnings
warnings.simplefilter("error")
import numpy as np, pyarrow as pa
from tidegate.explain.attribution import attribution
assert "shap" not in sys.modules and "numba" not in sys.modules
t = pa.table({"x": [1.0, 2.0]})
attribution(lambda t: t["x"].to_numpy(), t, t, np.random.default_rng(0))
import numba
print(numba.config.DISABLE_JIT)
from shap.utils import _masked_model
print(type(_masked_model._build_fixed_single_output).__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["0", "function"], "")


def test_codes_give_back_every_cell():
    one, two = mixed(50, 0), mixed(30, 1)
    codes, (a, b) = encode([one, two])
    assert codes.decode(a).equals(one)
    assert codes.decode(b).equals(two)
    odd = pa.table({"x": [np.nan, None, 0.0, np.inf], "d": pa.array(["u", "v", "u", None]).dictionary_encode()})
    codes, (c,) = encode([odd])
    back = codes.decode(c)
    assert str(back["x"].to_pylist()) == str(odd["x"].to_pylist())
    assert back["d"].to_pylist() == odd["d"].to_pylist()
    with pytest.raises(UsageError, match="at most 20,000"):
        encode([pa.table({"x": np.zeros(MOST_ROWS + 1)})])
