"""Placing a window into a reference gives what counting both over the same points gives."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidegate.drift.compare import compare
from tidegate.drift.distances import divergences, gaps
from tidegate.drift.pair import pair_of
from tidegate.errors import UsageError
from tidegate.profile.grid import Axis, Grid
from tidegate.profile.profile import merge_all, profile_of

START = np.zeros(1, dtype=np.int64)
TWO_CELLS = Axis("number", cuts=(500.0,), cells=((0.0, 1.0), (1000.0, 1.0)))
AXES = {"near": Axis("number"), "far": Axis("number", 1e6, 8.0), "cells": TWO_CELLS, "text": Axis("category")}
value = st.one_of(
    st.none(),
    st.floats(-2e3, 2e3),
    st.integers(0, 4).map(float),
    st.sampled_from([1000.0, 1000.1, 1000.2, 999.9, float("nan"), float("inf"), -float("inf"), 1e300]),
)
side = st.lists(st.tuples(value, value, value, st.sampled_from([None, "a", "b", "c", "\x00other", "z"])), max_size=80)


def profile(rows, cap=1000):
    kinds = [pa.float64(), pa.float64(), pa.float64(), pa.string()]
    columns = zip(*rows, strict=True) if rows else [[], [], [], []]
    table = pa.table({n: pa.array(list(v), k) for n, v, k in zip(AXES, columns, kinds, strict=True)})
    return profile_of(table, Grid(AXES, cap))


def plainly(name, reference, current, sigma):
    """The distances from both sides' counts over all points."""
    pair = pair_of(name, reference, current)
    out = {"bins": len(pair.ref), "psi": math.nan, "ks": math.nan, "w1_sigma": math.nan, "unseen": math.nan}
    if pair.judged:
        out["psi"] = divergences(pair.ref, pair.cur, START)[0][0]
        out["unseen"] = pair.unseen / current.n
    if pair.ordered:
        ks, w1 = gaps(pair.values, pair.r, pair.c, START)
        out |= {"ks": ks[0], "w1_sigma": float(w1[0]) / sigma if sigma > 0 else math.nan}
    return out


def check(reference, current):
    for d in compare(reference, current):
        r, c = reference.columns[d.column], current.columns[d.column]
        plain = plainly(d.column, r, c, r.std)
        for f in ("psi", "ks", "unseen"):
            assert np.array_equal(getattr(d, f), plain[f], equal_nan=True), (d.column, f)
        assert math.isnan(d.psi_limit) == (plain["bins"] < 2 or not (r.n and c.n))
        # The sums cancel, at most as far as the values reach in standard deviations.
        low, high = min(r.low, c.low), max(r.high, c.high)
        reach = (high - low) / r.std if r.present and c.present and r.std > 0 else 0.0
        assert d.w1_sigma == pytest.approx(plain["w1_sigma"], rel=1e-9, abs=1e-12 * reach, nan_ok=True)


@given(side, side)
@example([], [])
@example([(1000.0, None, 1.0, "a")], [(1000.1, 2.0, 1.0, None)])  # two atoms in one bucket
@example([(1000.1, 1.0, 1.0, "a")] * 3, [(1000.0, None, 1.0, "b")])
@example([(1000.1, 1.0, 600.0, "a"), (1.0, 2.0, 3.0, "a")], [])
def test_any_two_windows(reference, current):
    check(profile(reference), profile(current))


@given(side, side, st.integers(1, 4))
def test_categories_at_the_cap(reference, current, cap):
    check(profile(reference, cap), profile(current, cap))


@pytest.mark.parametrize("seed", range(4))
def test_a_night_against_many_rows(seed):
    rng = np.random.default_rng(seed)

    def rows(n, shift):
        zeros = np.where(rng.random(n) < 0.7, 0.0, rng.exponential(3.0, n) + shift)
        months = rng.integers(0, 12, n).astype(float)
        modes = np.where(rng.random(n) < 0.3, 1000 + rng.normal(size=n), rng.normal(size=n) + shift)
        return list(zip(zeros, 1e6 + months, modes, rng.choice(list("abcdef"), n), strict=True))

    parts = [profile(rows(700, 0.0)) for _ in range(5)]
    whole = merge_all(parts)
    for shift in (0.0, 0.3, 50.0):
        check(whole, profile(rows(200, shift)))
        check(profile(rows(60, shift)), whole)


def test_the_reference_is_worked_out_once(monkeypatch):
    from tidegate.drift import placing

    reference, current = profile([(1.0, 2.0, 3.0, "a")]), profile([(2.0, 2.0, 3.0, "a")])
    first = compare(reference, current)
    monkeypatch.setattr(placing, "_steps", None)
    assert compare(reference, current) == first


def test_some_columns_of_a_profile():
    whole, night = profile([(1.0, 2.0, 3.0, "a")] * 30), profile([(2.0, None, 3.0, "b")] * 5)
    some, other = whole.only({"text", "near"}), night.only(["near", "text"])
    assert list(some.columns) == ["near", "text"] == list(some.schema)
    assert some.grid is other.grid
    assert compare(some, other) == [d for d in compare(whole, night) if d.column in ("near", "text")]
    assert merge_all([some, other]).columns == merge_all([whole, night]).only(["near", "text"]).columns
    with pytest.raises(UsageError, match="plane"):
        whole.only(["plane"])
