"""Permutation importance: against a rise that is known, with nights that hang together, and on bad input."""

from functools import partial

import numpy as np
import pyarrow as pa
import pytest

from tidegate.errors import SourceError
from tidegate.explain.importance import block_mean, permutation_importance
from tidegate.explain.ranks import agreement, keeps_place
from tidegate.performance.loss import row_loss


def absolute(scores, labels):
    return np.abs(scores - labels)


def nights_of(count, each):
    return np.repeat([f"2024-01-{i + 1:02}" for i in range(count)], each)


def test_the_rise_of_the_loss_is_what_it_must_be():
    # A perfect model of y = ±1: shuffled, half the rows get the other value, off by 2.
    rng = np.random.default_rng(0)
    y = rng.choice([-1.0, 1.0], 4000)
    rows = pa.table({"idle": rng.normal(size=4000), "sign": y})
    found = permutation_importance(
        lambda t: t["sign"].to_numpy(), rows, y, absolute, rng, repeats=4, nights=nights_of(20, 200)
    )
    assert [i.name for i in found] == ["sign", "idle"]
    assert found[0].mean == pytest.approx(1.0, abs=0.02)
    assert found[0].low < 1 < found[0].high
    assert 0 < found[0].sd < 0.05
    assert (found[1].mean, found[1].sd, found[1].low, found[1].high) == (0, 0, 0, 0)
    assert found[0].stable


def test_categories_times_and_nulls_are_shuffled_as_they_are():
    seen = []

    def score(t):
        seen.append(t)
        return np.array([0.9 if w == "a" else 0.1 for w in t["word"].to_pylist()])

    word = (["a", "b", None] * 100)[:240]
    rows = pa.table({"word": word, "at": pa.array(range(240), pa.timestamp("us", tz="UTC"))})
    label = np.array([float(w == "a") for w in word])
    found = permutation_importance(
        score, rows, label, partial(row_loss, "binary"), np.random.default_rng(1), repeats=2, nights=nights_of(8, 30)
    )
    assert found[0].name == "word"
    assert len(seen) == 3
    assert all(t.schema.equals(rows.schema) for t in seen)
    for t in seen[1:]:
        shuffled, other = t.slice(0, 240), t.slice(240)
        assert sorted(map(str, shuffled["word"].to_pylist())) == sorted(map(str, word))
        assert shuffled["word"].to_pylist() != word
        assert shuffled["at"].equals(rows["at"])
        assert other["word"].to_pylist() == word


def test_the_interval_is_of_nights_not_of_rows():
    # The column only tells on half of the nights: rows are many, nights are few.
    rng = np.random.default_rng(2)
    nights = nights_of(8, 500)
    on = np.isin(nights, sorted(set(nights))[::2])
    x = rng.choice([-1.0, 1.0], 4000)
    rows, y = pa.table({"x": x}), np.where(on, x, 0.0)

    def width(nights, block=1):
        (i,) = permutation_importance(
            lambda t: t["x"].to_numpy() * on, rows, y, absolute, np.random.default_rng(3), nights=nights, block=block
        )
        return i.high - i.low

    by_row = width(np.arange(4000).astype(str))
    assert width(nights) > 5 * by_row
    # A block of an on and an off night is alike to the next one.
    assert width(nights, block=2) < width(nights) / 5


def test_a_short_rest_of_nights_counts_with_the_first_block():
    rng = np.random.default_rng(0)
    x = rng.normal(size=70)
    (i,) = permutation_importance(
        lambda t: t["x"].to_numpy(), pa.table({"x": x}), x, absolute, rng, nights=nights_of(7, 10), block=3
    )
    assert np.isfinite([i.mean, i.low, i.high]).all()


def test_bad_input_is_told():
    rng = np.random.default_rng(0)
    rows = pa.table({"x": [1.0, 2.0, 3.0]})
    nights = np.array(["a", "a", "a"])

    def score(t):
        return t["x"].to_numpy()

    assert permutation_importance(score, rows.slice(0, 0), np.zeros(0), absolute, rng, nights=nights[:0]) == ()
    assert permutation_importance(score, rows, np.full(3, np.nan), absolute, rng, nights=nights) == ()
    (one,) = permutation_importance(score, rows, np.array([1.0, 2.0, np.nan]), absolute, rng, nights=nights, repeats=1)
    assert np.isnan([one.low, one.high, one.sd]).all()
    assert not one.stable
    same = pa.table({"x": [1.0] * 6})
    (still,) = permutation_importance(score, same, np.zeros(6), absolute, rng, nights=nights_of(3, 2))
    assert (still.mean, still.low, still.high) == (0, 0, 0)

    def broken(t):
        raise SourceError("user code", "scores", "none", "mend it")

    with pytest.raises(SourceError):
        permutation_importance(broken, rows, np.zeros(3), absolute, rng, nights=nights)


def test_an_order_by_chance_is_not_called_stable():
    rng = np.random.default_rng(4)
    rows = pa.table({f"c{i}": rng.normal(size=300) for i in range(8)})
    y = rng.normal(size=300)
    found = permutation_importance(
        lambda t: 0.01 * sum(c.to_numpy() for c in t.columns), rows, y, absolute, rng, nights=nights_of(10, 30)
    )
    assert sum(i.stable for i in found) < 4


def test_the_block_error_is_the_jackknife_of_means():
    rng = np.random.default_rng(0)
    values, groups = rng.normal(size=60), np.repeat(np.arange(6), 10)
    means = values.reshape(6, 10).mean(axis=1)
    assert block_mean(values, groups).se == pytest.approx(means.std(ddof=1) / np.sqrt(6))
    assert np.isnan(block_mean(values, np.zeros(60, dtype=int)).se)


def test_places_that_are_shared_and_draws_that_are_not_numbers():
    whole = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    assert keeps_place(np.array([whole, [np.nan] * 5]), whole).tolist() == [1.0] * 5
    assert np.isnan(keeps_place(np.full((2, 5), np.nan), whole)).all()
    assert agreement(np.arange(5.0), -np.arange(5.0)) == pytest.approx(-1)
    assert np.isnan(agreement(np.ones(1), np.ones(1)))
