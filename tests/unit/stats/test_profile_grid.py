"""Axes, buckets and the grid's identity."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import UsageError
from tidegate.profile.fit import axis_of
from tidegate.profile.grid import CODES, Axis, Grid, bucket_of, value_of

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, min_size=1), finite)
def test_buckets_sort_as_values_do_for_any_float(values, offset):
    x = np.sort(np.array(values))
    buckets = bucket_of(x, Axis("number", offset))
    assert (np.diff(buckets) >= 0).all()
    assert buckets.min() > 0
    assert buckets.max() < CODES


@given(st.lists(finite))
def test_an_axis_fits_any_sample(values):
    axis = axis_of(np.array([*values, np.nan, np.inf]))
    assert np.isfinite(axis.offset)
    assert 0 < axis.scale < np.inf
    assert not values or axis.offset in values


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_value_is_within_a_2000th_of_its_distance_from_its_bucket(x, offset):
    axis = Axis("number", offset, 4.0)
    [middle] = value_of(bucket_of(np.array([x]), axis), axis)
    assert abs(middle - x) <= abs(x - offset) / 2048 * 1.001 + 4.0 * 2**-23


@given(st.integers(1, CODES - 1))
def test_value_of_inverts_bucket_of(bucket):
    axis = Axis("number")
    assert bucket_of(value_of(np.array([bucket]), axis), axis).tolist() == [bucket]


def test_both_zeros_share_a_bucket():
    assert len(set(bucket_of(np.array([-0.0, 0.0]), Axis("number")))) == 1


def test_values_of_any_size_are_told_apart_once_fitted():
    x = np.array([1e100, 2e100, 3e100, 4e100])
    assert len(set(bucket_of(x, axis_of(x)))) == 4
    extreme = np.array([-1.7e308, 0.0, 1.7e308])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(set(bucket_of(extreme, axis_of(extreme)))) == 3


def test_values_off_the_scale_share_the_outermost_finite_bucket():
    axis = Axis("number")
    buckets = bucket_of(np.array([-1.7e308, -1.1e12, 1.1e12, 1.7e308]), axis)
    assert buckets.tolist() == [1, 1, CODES - 1, CODES - 1]
    assert np.isfinite(value_of(buckets, axis)).all()


def test_an_outlier_among_the_few_rows_away_from_an_atom_does_not_set_the_scale():
    revenue = np.array([0.0] * 90 + [10.0, 20.0, 30.0] * 3 + [1e12])
    axis = axis_of(revenue)
    assert (axis.offset, axis.scale) == (0.0, 16.0)
    assert len(set(bucket_of(revenue, axis))) == 5


def test_rounding_does_not_move_the_atom_at_the_offset():
    axis = axis_of(np.array([0.3] * 9 + [4.0]))
    assert len(set(bucket_of(np.array([0.3, 0.1 + 0.2, np.float32(0.3)]), axis))) == 1


def test_an_empty_or_useless_sample_gives_the_unit_axis():
    assert axis_of(np.array([])) == axis_of(np.array([np.nan, np.inf])) == Axis("number", 0.0, 1.0)


def test_a_grids_digest_depends_on_its_axes_not_on_their_order():
    a, b = Axis("number", 1.0, 2.0), Axis("category")
    assert Grid({"x": a, "y": b}).digest == Grid({"y": b, "x": a}).digest
    assert Grid({"x": a}).digest != Grid({"x": Axis("number", 1.5, 2.0)}).digest
    assert Grid({"x": a}).digest != Grid({"x": a}, 999).digest
    assert Grid.from_dict(Grid({"x": a, "y": b}).as_dict()) == Grid({"x": a, "y": b})


def test_a_grid_of_another_engine_or_without_room_is_refused():
    with pytest.raises(UsageError, match="another-engine"):
        Grid.from_dict({"engine": "another-engine", "axes": {}, "max_categories": 10})
    with pytest.raises(UsageError, match="at least 1"):
        Grid({}, max_categories=0)
    with pytest.raises(UsageError, match="scale above 0"):
        Axis("number", 0.0, 0.0)
