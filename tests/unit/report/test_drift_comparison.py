"""What a drift report compares, from samples of a window and of the reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.model import Monitors
from tidegate.drift.distances import psi
from tidegate.report.drift import OTHER, SHOWN, UNSEEN, comparison, counts, score, shown

LIMITS = Monitors()


def made(kind, reference, current, **more):
    frames = [pd.DataFrame({"x": pd.Series(side)}) for side in (reference, current)]
    return comparison([("x", kind)], *frames, LIMITS, **more)


def test_numbers_are_counted_on_the_references_own_deciles():
    reference = pd.Series(np.arange(1000.0))
    r, c = counts("number", reference, pd.Series([-1e9, 1e9]))
    assert r.sum() == 1000
    assert r.min() >= 99
    assert c.tolist() == [1, *[0] * 8, 1]
    r, _ = counts("number", reference, pd.Series([1e9] * 5000))
    assert r.tolist() == [100] * 10


def test_the_yardstick_does_not_move_with_the_window():
    """Evidently's own PSI lays its bins over both sides, so that one far row hides a shift of the others."""
    rng = np.random.default_rng(0)
    reference, shifted = pd.Series(rng.normal(size=3000)), pd.Series(rng.normal(1, 1, 500))
    plain = score("number", reference, shifted)
    assert plain > 0.5
    assert score("number", reference, pd.concat([shifted, pd.Series([1e6])])) == pytest.approx(plain, rel=0.02)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_no_row_is_lost_and_order_is_nothing(reference, current):
    r, c = counts("number", pd.Series(reference), pd.Series(current))
    assert (r.sum(), c.sum()) == (len(reference), len(current))
    back = counts("number", pd.Series(reference[::-1]), pd.Series(current[::-1]))
    assert [side.tolist() for side in back] == [r.tolist(), c.tolist()]
    assert score("number", pd.Series(reference), pd.Series(reference)) == 0


def test_missing_and_infinite_rows_are_a_field_of_their_own():
    found = made("number", [1.0, 2.0, 3.0, 4.0], [1.0, np.nan, np.inf, 4.0])
    state, values = found.fields
    assert (state.name, state.kind) == ("x (without a value)", "state")
    assert state.current.tolist() == ["value", "missing", "infinite", "value"]
    assert score("state", state.reference, state.current) == 0.5
    assert values.current.dropna().tolist() == [1.0, 4.0]
    assert not found.left_out


def test_what_is_not_known_yet_is_not_missing():
    assert [f.name for f in made("number", [1.0, 2.0], [1.0, None], partial=("x",)).fields] == ["x"]


@pytest.mark.parametrize("empty", [[], [None, None], [np.nan], [np.inf, -np.inf]])
def test_a_column_without_a_usable_value_is_left_out_with_why(empty):
    for sides, where in (((empty, [1.0]), "reference"), (([1.0], empty), "window")):
        found = made("number", *sides)
        assert found.left_out == {"x": f"no usable value of it in the {where}"}
        assert all(f.kind == "state" for f in found.fields)


def test_an_absent_column_is_wholly_missing():
    found = comparison([("x", "category")], pd.DataFrame({"x": ["a", "b"]}), pd.DataFrame({"y": [1, 2]}), LIMITS)
    [state] = found.fields
    assert score("state", state.reference, state.current) == 1
    assert "x" in found.left_out


def test_many_categories_are_pooled_and_none_is_lost():
    reference, current = [f"c{i:04}" for i in range(2000)] + ["often"] * 50, ["new"] * 3 + ["often"] * 7
    [field] = made("category", reference, current).fields
    assert field.kind == "category"
    assert field.reference.nunique() == SHOWN + 1
    assert (field.reference == OTHER).sum() == 2000 - (SHOWN - 1)
    assert field.current.value_counts().to_dict() == {"often": 7, UNSEEN: 3}


def test_categories_that_look_the_same_stay_apart():
    long = "a" * 80
    [field] = made("category", [long + "1", long + "2", "<b>", "‹b›", OTHER], ["x"]).fields
    assert field.reference.nunique() == 5
    assert OTHER not in set(field.reference)


def test_text_is_compared_by_its_length_and_instants_not_at_all():
    found = made("text", ["a", "bb"], ["ccc", None])
    assert [f.name for f in found.fields] == ["x (without a value)", "x (length)"]
    assert found.fields[1].current.dropna().tolist() == [3.0]
    assert "length" in found.left_out["x"]
    found = made("timestamp", [pd.Timestamp("2024-01-01")], [pd.Timestamp("2024-02-01")])
    assert found.fields == ()
    assert "instant" in found.left_out["x"]


def test_booleans_are_categories():
    [field] = made("boolean", [True, False, True], [False]).fields
    assert (field.kind, set(field.reference)) == ("category", {"True", "False"})


def test_limits_are_the_models_margin_and_what_sampling_explains():
    rng = np.random.default_rng(1)
    few, many = (made("number", rng.normal(size=n), rng.normal(size=n)).fields[0].limit for n in (50, 5000))
    assert LIMITS.psi_margin < many < LIMITS.psi_margin + 0.02 < few


@given(st.text(max_size=200))
def test_no_name_from_outside_is_markup(text):
    assert not set(shown(text)) & set("<>\n\r\t\x00")
    assert len(shown(text)) <= 60


def test_score_of_categories_is_psi():
    assert score("category", pd.Series(["a"] * 5 + ["b"] * 5), pd.Series(["a"] * 6 + ["b"] * 4)) == psi([5, 5], [6, 4])
    assert np.isnan(score("state", pd.Series([], dtype=object), pd.Series(["a"])))
