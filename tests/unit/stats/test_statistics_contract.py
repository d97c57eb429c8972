"""What every registered statistic and every bound owes its callers, whatever the data."""

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest

from tidegate.drift.bounds import BOUNDED, bounds, margin_tests
from tidegate.drift.registry import STATISTICS
from tidegate.profile.grid import Axis, Grid
from tidegate.profile.profile import profile_of

KINDS = {"number": (Axis("number", 50.0, 8.0), pa.float64()), "category": (Axis("category"), pa.string())}
NUMBERS_ONLY = {"ks", "w1_sigma"}
RNG = np.random.default_rng(11)
ROWS = {"number": RNG.normal(50, 10, 3000).tolist(), "category": RNG.choice(["a", "b", "c", "d"], 3000).tolist()}
FAR = {"number": 95.0, "category": "unseen"}

every = pytest.mark.parametrize("name", STATISTICS)
bounded = pytest.mark.parametrize("name", BOUNDED)
both = pytest.mark.parametrize("kind", KINDS)


def column(kind, values):
    axis, arrow = KINDS[kind]
    return profile_of(pa.table({"x": pa.array(values, arrow)}), Grid({"x": axis})).columns["x"]


def applies(name, kind):
    return kind == "number" or name not in NUMBERS_ONLY


def test_the_registry_is_complete():
    assert set(STATISTICS) == {"psi", "kl", "js", "ks", "w1_sigma", "missing", "unseen", "infinite"}


@every
@both
def test_an_empty_side_is_nan_never_zero(name, kind):
    full, empty = column(kind, ROWS[kind]), column(kind, [])
    for reference, current in ((full, empty), (empty, full), (empty, empty)):
        assert math.isnan(STATISTICS[name](reference, current))


@every
@both
def test_no_difference_is_zero(name, kind):
    full = column(kind, ROWS[kind])
    value = STATISTICS[name](full, full)
    assert value == 0 if applies(name, kind) else math.isnan(value)


@every
@both
def test_the_order_of_rows_does_not_matter(name, kind):
    reference, rows = column(kind, ROWS[kind]), [*ROWS[kind][:500], FAR[kind], None]
    a, b = (STATISTICS[name](reference, column(kind, r)) for r in (rows, [rows[i] for i in RNG.permutation(len(rows))]))
    assert a == b or (math.isnan(a) and math.isnan(b))


@every
@both
def test_merged_is_whole(name, kind):
    rows = [*ROWS[kind][:1500], *[FAR[kind]] * 40, *[None] * 30]
    reference = column(kind, ROWS[kind])
    halves = column(kind, rows[:700]).merge(column(kind, rows[700:]), 1000)
    pieces = column(kind, ROWS[kind][:999]).merge(column(kind, ROWS[kind][999:]), 1000)
    whole = STATISTICS[name](reference, column(kind, rows))
    assert STATISTICS[name](reference, halves) == pytest.approx(whole, rel=1e-12, nan_ok=True)
    assert STATISTICS[name](pieces, halves) == pytest.approx(whole, rel=1e-12, nan_ok=True)


@every
@both
def test_a_constant_one_row_or_all_missing_gives_a_number_or_nan_and_never_inf(name, kind):
    value = ROWS[kind][0]
    columns = [column(kind, v) for v in (ROWS[kind], [value] * 300, [value], [FAR[kind]], [None] * 300)]
    for reference in columns:
        for current in columns:
            assert not math.isinf(STATISTICS[name](reference, current))


SEES = {
    # what happens to a window        which statistics must move
    "shift": {"psi", "kl", "js", "ks", "w1_sigma"},
    "all nan": {"psi", "kl", "js", "missing"},
    "some inf": {"psi", "kl", "js", "infinite"},
    "unseen category": {"psi", "kl", "js", "unseen"},
    "category shift": {"psi", "kl", "js"},
}


@every
@pytest.mark.parametrize("change", SEES)
def test_a_change_moves_exactly_the_statistics_that_are_for_it(name, change):
    kind = "category" if "category" in change else "number"
    rows = ROWS[kind][:1000]
    changed = {
        "shift": lambda: [v + 10 for v in rows],
        "all nan": lambda: [math.nan] * 1000,
        "some inf": lambda: [*rows[:500], *[math.inf] * 500],
        "unseen category": lambda: [*rows[:500], *["new"] * 500],
        "category shift": lambda: ["a" if v == "b" else v for v in rows],
    }[change]()
    reference = column(kind, ROWS[kind])
    before, after = (STATISTICS[name](reference, column(kind, r)) for r in (rows, changed))
    if name in SEES[change]:
        assert after > before + 0.1
    elif change == "all nan" and name in NUMBERS_ONLY:
        assert math.isnan(after)
    elif applies(name, kind):
        assert after == pytest.approx(before, abs=0.05)


def ends(interval):
    return interval.low, interval.high


def odd_columns(kind):
    """What a night may look like when something went wrong."""
    value = ROWS[kind][0]
    odd = [ROWS[kind], ROWS[kind][:40], [value] * 300, [value], [FAR[kind]], [FAR[kind]] * 50, [None] * 300, []]
    if kind == "number":
        odd += [
            [math.nan] * 20,
            [math.inf] * 20,
            [*ROWS[kind][:50], math.inf, -math.inf, math.nan],
            [1e308, -1e308, 0.0],
        ]
    return [column(kind, rows) for rows in odd]


def test_every_distance_has_bounds():
    assert set(BOUNDED) == set(STATISTICS) - {"infinite"}  # a count of faults, not an estimate


@bounded
@both
def test_bounds_hold_the_value_and_are_unknown_where_it_is(name, kind):
    for reference in odd_columns(kind):
        for current in odd_columns(kind):
            value, (low, high) = STATISTICS[name](reference, current), ends(bounds(reference, current)[name])
            if math.isnan(value):
                assert math.isnan(low)
                assert math.isnan(high)
            elif math.isnan(low):
                # A single bin judges nothing; without a spread there is no unit.
                assert name in {"psi", "kl", "js"}
                assert value == 0
                assert math.isnan(high)
            else:
                assert low <= value + 1e-12
                assert value <= high + 1e-12
                assert name == "missing" or low >= 0


@bounded
@both
def test_without_rows_no_margin_is_passed(name, kind):
    full, empty = column(kind, ROWS[kind]), column(kind, [])
    for reference, current in ((full, empty), (empty, full), (empty, empty)):
        [test] = margin_tests(reference, current, {name: 0.5})
        assert test.outcome == "inconclusive"
        assert math.isnan(test.p)


@bounded
@both
def test_one_row_is_never_proof_of_sameness(name, kind):
    if name == "unseen" and kind == "number":
        pytest.skip("numbers have no categories")
    [test] = margin_tests(column(kind, ROWS[kind]), column(kind, ROWS[kind][:1]), {name: 0.1})
    assert test.outcome == "inconclusive"


@bounded
@both
def test_bounds_narrow_as_rows_are_added(name, kind):
    if not applies(name, kind):
        pytest.skip("not for categories")
    rows = [*ROWS[kind][:900], *[FAR[kind]] * 50, *[None] * 50]
    widths = []
    for times in (1, 10, 100):
        reference, current = column(kind, ROWS[kind] * times), column(kind, rows * times)
        low, high = ends(bounds(reference, current)[name])
        widths.append(high - low)
    assert widths[0] > widths[1] > widths[2] > 0


@bounded
@both
def test_bounds_widen_with_confidence(name, kind):
    reference, current = column(kind, ROWS[kind]), column(kind, [*ROWS[kind][:400], FAR[kind], None])
    if not applies(name, kind):
        assert math.isnan(bounds(reference, current)[name].low)
        return
    at = [ends(bounds(reference, current, confidence=c)[name]) for c in (0.5, 0.9, 0.99, 0.9999)]
    assert all(wide[0] <= tight[0] and tight[1] <= wide[1] for tight, wide in itertools.pairwise(at))


@bounded
@both
def test_bounds_see_neither_the_order_of_rows_nor_how_they_were_merged(name, kind):
    rows = [*ROWS[kind][:1500], *[FAR[kind]] * 40, *[None] * 30]
    reference = column(kind, ROWS[kind])
    whole = ends(bounds(reference, column(kind, rows))[name])
    mixed = ends(bounds(reference, column(kind, [rows[i] for i in RNG.permutation(len(rows))]))[name])
    merged = ends(bounds(reference, column(kind, rows[:700]).merge(column(kind, rows[700:]), 1000))[name])
    assert mixed == pytest.approx(whole, rel=1e-9, nan_ok=True)
    assert merged == pytest.approx(whole, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("change", SEES)
def test_a_great_change_is_above_its_margin_and_no_change_below(change):
    kind = "category" if "category" in change else "number"
    rows = ROWS[kind][:1000]
    changed = {
        "shift": lambda: [v + 10 for v in rows],
        "all nan": lambda: [math.nan] * 1000,
        "some inf": lambda: [*rows[:500], *[math.inf] * 500],
        "unseen category": lambda: [*rows[:500], *["new"] * 500],
        "category shift": lambda: ["a" if v == "b" else v for v in rows],
    }[change]()
    margins = dict.fromkeys(SEES[change] - {"infinite"}, 0.1)
    margins |= {"psi": 0.05} if "psi" in margins else {}
    reference = column(kind, ROWS[kind])
    after = margin_tests(reference, column(kind, changed), margins)
    assert {t.statistic for t in after if t.outcome == "fail"} == set(margins)
    assert "fail" not in {t.outcome for t in margin_tests(reference, column(kind, rows), margins)}
