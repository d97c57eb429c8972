"""The classifier two-sample test: size with and without night shocks, power on what margins do not show."""

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from tidegate.drift.classifier import classifier_test
from tidegate.drift.compare import compare
from tidegate.drift.crossfit import Sides, _placements, crossfit, folds_of
from tidegate.drift.encode import encoded
from tidegate.errors import SourceError, UsageError
from tidegate.profile.profile import grid_of, profile_of


def table(x):
    return pa.table({f"x{i}": column for i, column in enumerate(x.T)})


def pair(rng, n, sign):
    a, b = rng.normal(size=(2, n))
    return pa.table({"wind": a, "other": rng.normal(size=n), "delay": sign * 0.9 * a + math.sqrt(1 - 0.81) * b})


def size(rng, runs, nights, rows, shock, blocked):
    """How often the test rejects at 5 % when nothing but the nights' own shocks differs."""
    found = 0
    for _ in range(runs):
        night = np.repeat(np.arange(2 * nights), rows)
        x = rng.normal(size=(len(night), 2)) + rng.normal(0, shock, (2 * nights, 2))[night]
        blocks = night if blocked else np.arange(len(night))
        sides = Sides(x, np.zeros(2, dtype=bool), night >= nights, blocks)
        found += crossfit(sides, folds_of(sides, 3, blocked, rng), (), rng).bounds(0.5, 0.05)[2] <= 0.05
    return found / runs


def test_without_drift_the_auc_is_a_half_and_passes():
    rng = np.random.default_rng(1)
    test = classifier_test(pair(rng, 2000, 1), pair(rng, 2000, 1), rng=rng)
    assert test.auc == pytest.approx(0.5, abs=0.03)
    assert (test.outcome, test.n, test.n_reference, test.blocks) == ("pass", 2000, 2000, 0)
    assert test.low <= test.auc <= test.high
    assert test.p > 0.9


def test_a_correlation_that_flips_is_seen_although_no_margin_moves():
    rng = np.random.default_rng(2)
    reference, current = pair(rng, 3000, 1), pair(rng, 3000, -1)
    grid = grid_of(reference)
    assert all(d.psi < 1.5 * d.psi_limit for d in compare(profile_of(reference, grid), profile_of(current, grid)))
    test = classifier_test(reference, current, rng=rng)
    assert test.auc >= 0.9
    assert (test.outcome, test.p) == ("fail", pytest.approx(0, abs=1e-12))
    assert {name for name, _ in test.importance[:2]} == {"wind", "delay"}
    assert test.importance[2][1] < 0.02 < test.importance[1][1]


def test_rows_alone_are_called_different_as_rarely_as_asked():
    assert size(np.random.default_rng(3), 50, 1, 120, 0.0, blocked=False) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 50)


@pytest.mark.slow
def test_night_shocks_need_blocks():
    rng = np.random.default_rng(4)
    assert size(rng, 15, 8, 40, 0.8, blocked=False) > 0.3
    assert size(rng, 40, 8, 40, 0.8, blocked=True) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 40)


def test_blocks_do_not_hide_a_great_shift():
    rng = np.random.default_rng(5)
    night = np.repeat(np.arange(8), 60)
    x, y = (rng.normal(m, 1, (480, 2)) + rng.normal(0, 0.2, (8, 2))[night] for m in (0, 1.5))
    test = classifier_test(table(x), table(y), rng=rng, reference_blocks=night, current_blocks=night)
    assert (test.outcome, test.blocks) == ("fail", 8)
    assert test.auc == pytest.approx(norm.cdf(1.5), abs=0.06)


def test_one_night_needs_permutations_of_nights():
    rng = np.random.default_rng(6)
    nights, one = np.repeat(np.arange(19), 10), np.zeros(60)
    reference = table(rng.normal(size=(190, 2)) + rng.normal(0, 0.3, (19, 2))[nights])
    far = table(rng.normal(3, 1, (60, 2)))
    blocks = {"reference_blocks": nights, "current_blocks": one}
    alone = classifier_test(reference, far, rng=rng, **blocks)
    assert alone.outcome == "inconclusive"
    assert "blocks" in alone.reason
    dealt = classifier_test(reference, far, rng=rng, **blocks, permutations=19, alpha=0.05, folds=2)
    assert (dealt.p, dealt.outcome) == (1 / 20, "fail")
    too_few = classifier_test(reference, far, rng=rng, **blocks, permutations=3, alpha=0.05, folds=2)
    assert (too_few.p, too_few.outcome) == (0.25, "inconclusive")


def test_missing_values_and_categories_are_information():
    rng = np.random.default_rng(7)
    n = 600

    def rows(gone, names):
        x = np.where(rng.random(n) < gone, np.nan, rng.normal(size=n))
        return pa.table(
            {"x": pa.array(x, from_pandas=True), "carrier": rng.choice(names, n), "late": rng.random(n) < 0.2}
        )

    base = rows(0.1, ["AA", "UA"])
    holes, names = rows(0.7, ["AA", "UA"]), rows(0.1, ["AA", "AA", "AA", "B6"])
    assert classifier_test(base, holes, rng=rng).importance[0][0] == "x"
    assert classifier_test(base, names, rng=rng).importance[0][0] == "carrier"


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        (np.empty((0, 1)), np.zeros((500, 1))),
        (np.zeros((500, 1)), np.zeros((1, 1))),
        (np.ones((500, 2)), np.ones((500, 2))),
        (np.full((500, 1), np.nan), np.full((500, 1), np.nan)),
    ],
    ids=["empty", "one row", "constant", "all missing"],
)
def test_what_cannot_be_told_is_inconclusive(reference, current):
    test = classifier_test(table(reference), table(current), rng=np.random.default_rng(8))
    assert test.outcome == "inconclusive"
    assert test.reason
    assert all(math.isnan(v) for v in (test.auc, test.low, test.high, test.p))


def test_the_sample_is_capped_and_the_same_seed_gives_the_same_answer():
    rng = np.random.default_rng(9)
    x, y = table(rng.normal(size=(900, 2))), table(rng.normal(size=(700, 2)))
    first, again = (classifier_test(x, y, rng=np.random.default_rng(1), rows=200) for _ in range(2))
    assert first == again
    assert (first.n, first.n_reference) == (200, 200)


def test_placements_average_to_the_area():
    rng = np.random.default_rng(10)
    scores, current = rng.integers(0, 6, 80).astype(float), rng.random(80) < 0.4
    placed, area = _placements(scores, current), roc_auc_score(current, scores)
    assert placed[current].mean() == pytest.approx(area)
    assert placed[~current].mean() == pytest.approx(area)


def test_columns_become_numbers():
    rows = pa.table({"t": pa.array([0, 5], pa.timestamp("us")), "c": pa.array(["b", None]).dictionary_encode(),
                     "x": [math.inf, 1.0]})  # fmt: skip
    x, categorical = encoded(rows)
    assert categorical.tolist() == [False, True, False]
    assert x[:, 0].tolist() == [0.0, 5.0]
    assert x[0, 1] == 0
    assert np.isnan(x[1, 1])
    assert np.isfinite(x[0, 2])
    many, _ = encoded(pa.table({"c": [f"k{i}" for i in range(400)] + ["k7"] * 3}))
    assert many.max() == 250
    with pytest.raises(SourceError, match="column l"):
        encoded(pa.table({"l": [[1], [2]]}))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"columns": ["absent"]}, "no absent"),
        ({"columns": []}, "columns"),
        ({"reference_blocks": [0] * 60}, "both sides"),
        ({"reference_blocks": [0] * 60, "current_blocks": [0]}, "one for each of 60"),
        ({"margin": 0.4}, "margin"),
        ({"alpha": 0.7}, "alpha"),
        ({"folds": 1}, "folds"),
    ],
)
def test_settings_without_sense_are_refused(change, word):
    rows = table(np.random.default_rng(0).normal(size=(60, 1)))
    with pytest.raises(UsageError, match=word):
        classifier_test(rows, rows, rng=np.random.default_rng(0), **change)


@pytest.mark.parametrize("empty", [pa.nulls(400, pa.float64()), pa.nulls(400, pa.string()), pa.nulls(400)])
def test_a_column_without_any_value_changes_nothing(empty):
    rows = [table(np.random.default_rng(s).normal(s, 1, (400, 1))) for s in (0, 1)]
    holed = [t.append_column("never", empty) for t in rows]
    plain, told = (classifier_test(*sides, rng=np.random.default_rng(5)) for sides in (rows, holed))
    assert (told.auc, told.low, told.high) == (plain.auc, plain.low, plain.high)
    assert dict(told.importance)["never"] == 0


def test_a_column_with_a_single_value_does_not_break_the_fold_that_holds_it():
    rng = np.random.default_rng(3)
    once = pa.array([1.0] + [None] * 399)
    sides = [table(rng.normal(s, 1, (400, 1))).append_column("once", once) for s in (0, 0)]
    assert classifier_test(*sides, rng=rng).outcome != "fail"
