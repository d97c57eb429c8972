"""One night as series, past nights as a history, the model's own scores and losses, and the A/A trial's arithmetic."""

import math
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tidegate.alarms.aa import Rate, permuted, rate, together
from tidegate.alarms.history import (
    drift_history,
    later_history,
    leave_block_out,
    matrix,
    rows_history,
    yardsticks,
)
from tidegate.alarms.own import (
    FEW,
    SEGMENTS,
    Own,
    losses,
    own_grid,
    own_profile,
    segment_masks,
    usual_losses,
    watched_segments,
)
from tidegate.alarms.series import SMALL, Series, drift_series, loss_series, rows_series
from tidegate.drift.compare import compare
from tidegate.profile.profile import grid_of, profile_of

START = date(2024, 1, 1)


def day(i):
    return (START + timedelta(days=i)).isoformat()


def rows(seed, n=400, shift=0.0, names=("a", "b")):
    rng = np.random.default_rng(seed)
    return pa.table({"x": rng.normal(shift, 2, n), "c": rng.choice(list(names), n)})


GRID = grid_of(rows(0, 5000))
YEAR = profile_of(rows(0, 5000), GRID)


def night(seed, **more):
    return profile_of(rows(seed, **more), GRID)


def nights(count):
    return {day(i): night(i + 1, n=60) for i in range(count)}


def told(values):
    return {(s.subject, s.statistic): v for s, v in values.items()}


def test_a_night_has_a_number_for_each_column_and_statistic():
    other = night(1, shift=1.0, names=("a", "b", "new"))
    found = told(drift_series("feature", YEAR, other, ["x", "c"]))
    assert set(found) == {(c, s) for c in "xc" for s in ("shape", "missing")} | {("x", "centre"), ("c", "unseen")}
    by_column = {d.column: d for d in compare(YEAR, other)}
    assert found["x", "shape"] == math.log(SMALL + by_column["x"].psi)
    assert found["x", "centre"] == pytest.approx(0.5, abs=0.15)
    assert found["c", "unseen"] == by_column["c"].unseen == pytest.approx(1 / 3, abs=0.08)
    assert set(told(drift_series("feature", YEAR, other, ["x"]))) == {("x", "shape"), ("x", "missing"), ("x", "centre")}


def test_against_recent_nights_only_the_shape_is_told():
    found = drift_series("feature", YEAR, night(1), ["x", "c"], "recent")
    assert {s.as_list()[2] for s in found} == {"shape"}
    assert {(s.against, s.gradual) for s in found} == {("recent", False)}


def test_a_comparison_that_is_known_already_is_used():
    assert drift_series("feature", YEAR, night(1), ["x", "c"], drifts=[]) == {}
    drifts = compare(YEAR, night(1))
    assert drift_series("feature", YEAR, night(1), ["x"], drifts=drifts) == drift_series(
        "feature", YEAR, night(1), ["x"]
    )


def test_an_empty_night_and_a_constant_reference_say_nothing_instead_of_zero():
    empty = told(drift_series("feature", YEAR, night(1, n=0), ["x", "c"]))
    assert all(math.isnan(v) for v in empty.values())
    constant = pa.table({"k": [7.0] * 50})
    profile = profile_of(constant, grid_of(constant))
    assert math.isnan(told(drift_series("feature", profile, profile, ["k"]))["k", "centre"])


def test_which_series_are_watched_both_ways():
    assert {s: Series("m", "x", s).signed for s in ("shape", "centre", "missing", "unseen", "rows", "loss")} == {
        "shape": False, "centre": True, "missing": False, "unseen": False, "rows": True, "loss": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("n", "usual", "value"),
    [(200, [100, 100, 400], math.log(2)), (50, [100], math.log(0.5)), (0, [100], math.log(0.005)),
     (9, [0, 0], math.nan), (9, [], math.nan)],
)  # fmt: skip
def test_rows_against_the_median_weekday(n, usual, value):
    [(series, found)] = rows_series(n, usual).items()
    assert (series.monitor, series.against) == ("volume", "weekday")
    assert found == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(("usual", "value"), [(0.4, 0.5), (0.0, math.nan), (math.nan, math.nan)])
def test_a_loss_as_a_share_of_its_reference(usual, value):
    assert list(loss_series("loss", 0.6, usual).values()) == [pytest.approx(value, nan_ok=True)]


def test_yardsticks_are_the_week_before_and_the_same_weekdays():
    past = nights(30)
    found = yardsticks(day(29), past)
    assert {n: p.n for n, p in found.items()} == {"recent": 7 * 60, "weekday": 4 * 60}
    wanted = profile_of(pa.concat_tables([rows(i + 1, 60) for i in (1, 8, 15, 22)]), GRID)
    assert found["weekday"].columns["c"].counts == wanted.columns["c"].counts
    # The night itself is in none, and too few windows are no yardstick.
    assert yardsticks(day(0), past) == {}
    assert set(yardsticks(day(3), past)) == {"recent"}
    assert yardsticks(day(2), past) == {}
    assert set(yardsticks(day(34), past)) == {"recent", "weekday"}
    assert set(yardsticks(day(35), past)) == {"weekday"}


def test_a_nights_reference_holds_neither_it_nor_its_neighbours():
    past = nights(16)
    found = leave_block_out(past)
    assert set(found) == set(past)
    assert [found[day(i)].n for i in (0, 6, 7, 15)] == [9 * 60, 9 * 60, 9 * 60, 14 * 60]
    rest = profile_of(pa.concat_tables([rows(i + 1, 60) for i in range(14)]), GRID)
    assert found[day(15)].columns["c"].counts == rest.columns["c"].counts
    assert leave_block_out(nights(7)) == {}
    assert leave_block_out({}) == {}


def test_a_history_has_the_yardsticks_that_it_is_asked_for():
    past = nights(16)
    plain, more = drift_history("feature", past, ["x"]), drift_history("feature", past, ["x"], yardstick=True)
    assert {s.against for v in plain.values() for s in v} == {"champion"}
    assert {s.against for s in more[day(15)]} == {"champion", "recent", "weekday"}
    assert {s.against for s in more[day(0)]} == {"champion"}
    assert all(more[n].items() >= plain[n].items() for n in past)
    want = drift_series("feature", leave_block_out(past)[day(15)], past[day(15)], ["x"])
    assert plain[day(15)] == want


def test_later_nights_are_compared_with_the_reference_as_it_is():
    past = nights(12)
    found = later_history("feature", YEAR, past, [day(11), day(10), day(99)], ["x"], yardstick=True)
    assert list(found) == [day(10), day(11)]
    assert {s.against for s in found[day(11)]} == {"champion", "recent"}
    assert found[day(11)].items() >= drift_series("feature", YEAR, past[day(11)], ["x"]).items()


def test_rows_are_compared_with_weekdays_before_them_only():
    found = rows_history({day(0): 100, day(1): 70, day(7): 200, day(14): 400})
    values = [v for night in found.values() for v in night.values()]
    assert values == [pytest.approx(v, nan_ok=True) for v in (math.nan, math.nan, math.log(2), math.log(400 / 200))]


def test_a_matrix_has_every_series_and_nan_where_there_is_none():
    a, b = Series("feature", "x", "shape"), Series("feature", "x", "centre")
    series, values = matrix(["d1", "d2", "d3"], {"d1": {a: 1.0}, "d3": {a: 3.0, b: 4.0}})
    assert series == [b, a]
    np.testing.assert_array_equal(values, [[np.nan, 1], [np.nan, np.nan], [4, 3]])
    assert matrix(["d1"], {})[1].shape == (1, 0)


def test_segments_that_are_large_enough_are_watched_missing_ones_too():
    counts = {f"v{i}": 60 - i for i in range(9)} | {"rare": 3} | {None: 80}
    column = [name for name, n in counts.items() for _ in range(n)]
    table = pa.table({"segment_origin": column})
    found = watched_segments(table, ("origin", "absent"))
    assert found == {"origin": ["missing", *(f"v{i}" for i in range(SEGMENTS - 1))]}
    assert watched_segments(table.slice(0, 0), ("origin",)) == {}
    few = pa.table({"segment_origin": ["a"] * 97 + ["b"] * 2 + ["c"]})
    assert watched_segments(few, ("origin",)) == {"origin": ["a", "b"]}
    masks = segment_masks(table, {"origin": ["missing", "v3"], "absent": ["q"]})
    assert {n: int(m.sum()) for n, m in masks.items()} == {"": len(column), " [origin=missing]": 80, " [origin=v3]": 57}
    assert not masks[" [origin=v3]"][-1]


def an_own(few=FEW - 1):
    n = 100
    masks = {"": np.ones(n, bool), " [o=big]": np.arange(n) < 60, " [o=small]": np.arange(n) >= n - few}
    loss = np.where(np.arange(n) < 60, 0.2, 0.6)
    loss[0] = np.nan
    return Own("prediction", pa.chunked_array([np.linspace(0, 1, n)]), masks, loss)


def test_scores_are_profiled_whole_and_by_segment_unless_it_is_small():
    own = an_own()
    profile = own_profile(own, own_grid(own))
    assert {name: c.n for name, c in profile.columns.items()} == {
        "prediction": 100, "prediction [o=big]": 60, "prediction [o=small]": 0,
    }  # fmt: skip
    assert profile.columns["prediction [o=big]"].mean == pytest.approx(59 / 2 / 99)
    assert own_profile(an_own(FEW), own_grid(own)).columns["prediction [o=small]"].n == FEW


def test_losses_are_told_against_their_own_segments_usual_loss():
    own = an_own()
    usual = usual_losses(own)
    assert usual == {"": pytest.approx((59 * 0.2 + 40 * 0.6) / 99), " [o=big]": pytest.approx(0.2),
                     " [o=small]": pytest.approx(0.6)}  # fmt: skip
    found = losses(own, {"": 0.2, " [o=big]": 0.1, " [o=small]": 0.1}, "log_loss")
    assert {s.subject: v for s, v in found.items()} == {
        "log_loss": pytest.approx(usual[""] / 0.2 - 1), "log_loss [o=big]": pytest.approx(1.0),
    }  # fmt: skip
    assert losses(own, {}, "log_loss") == {}
    without = Own(own.monitor, own.column, own.masks)
    assert (usual_losses(without), losses(without, usual, "log_loss")) == ({}, {})


def test_nights_change_places_within_their_weekday_only():
    dates = [day(i) for i in range(28)]
    weekdays = [date.fromisoformat(d).weekday() for d in dates]
    found = permuted(dates, weekdays, np.random.default_rng(3))
    assert list(found) == dates
    assert sorted(found.values()) == dates
    assert all(date.fromisoformat(a).weekday() == date.fromisoformat(b).weekday() for a, b in found.items())
    assert found != dict(zip(dates, dates, strict=True))
    assert permuted([], [], np.random.default_rng(3)) == {}


def test_the_interval_of_a_rate():
    # Mean 1, standard deviation 1, t(2) at .975 is 4.303: ±4.303/√3.
    found = rate([0, 1, 2], [1, 1, 1])
    assert (found.measured, found.lower95, found.months) == (1.0, 0.0, 3.0)
    assert found.upper95 == pytest.approx(1 + 4.3027 / 3**0.5, abs=1e-3)
    assert rate([0, 0, 0, 0], [5, 5, 5, 5]).upper95 == pytest.approx(3.689 / 20, abs=1e-4)  # Garwood 1936
    assert (rate([3], [6]).measured, rate([3], [6]).upper95) == (0.5, math.inf)
    assert math.isnan(rate([], []).measured)


def test_together_the_worse_part_speaks():
    a, b, none = Rate(0.2, 0.1, 0.9, 10.0), Rate(0.4, 0.3, 0.5, 30.0), rate([], [])
    assert together({"a": a, "b": b, "none": none}) == a
    assert together({"none": none}).months == 0
    assert math.isnan(together({}).upper95)
