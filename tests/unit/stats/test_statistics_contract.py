"""What every registered statistic owes its callers, whatever the data."""

import math

import numpy as np
import pyarrow as pa
import pytest

from tidegate.drift.registry import STATISTICS
from tidegate.profile.grid import Axis, Grid
from tidegate.profile.profile import profile_of

KINDS = {"number": (Axis("number", 50.0, 8.0), pa.float64()), "category": (Axis("category"), pa.string())}
NUMBERS_ONLY = {"ks", "w1_sigma"}
RNG = np.random.default_rng(11)
ROWS = {"number": RNG.normal(50, 10, 3000).tolist(), "category": RNG.choice(["a", "b", "c", "d"], 3000).tolist()}
FAR = {"number": 95.0, "category": "unseen"}

every = pytest.mark.parametrize("name", STATISTICS)
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
