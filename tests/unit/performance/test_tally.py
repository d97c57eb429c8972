import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import SourceError, UsageError
from tidegate.performance.metrics import METRICS, metrics
from tidegate.performance.tally import BINS, EMPTY, Tally, tally_of, total

KINDS = ("binary", "multiclass", "regression")
KPI = {"true_positive": 3, "false_negative": -20, "false_positive": -5, "correct": 1, "wrong": -2, "per_unit_error": -1}


def rows(kind, n, seed=0):
    """Scores and labels of n rows."""
    rng = np.random.default_rng(seed)
    if kind == "regression":
        y = rng.normal(50, 10, n)
        return y + rng.normal(0, 3, n), y
    if kind == "multiclass":
        p = rng.dirichlet([2, 1, 1], n)
        return p, np.array([rng.choice(3, p=q) for q in p], dtype=int)
    p = rng.beta(2, 3, n)
    return p, (rng.random(n) < p).astype(int)


@pytest.fixture(scope="module", params=KINDS)
def model(request, a_model):
    return a_model(request.param, kpi=KPI)


def same(a, b):
    assert a.sums.keys() == b.sums.keys()
    for name in a.sums:
        assert a.sums[name] == pytest.approx(b.sums[name], rel=1e-9, abs=1e-9), name
    np.testing.assert_array_equal(a.hist, b.hist)
    np.testing.assert_array_equal(a.confusion, b.confusion)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 60), cuts=st.lists(st.integers(0, 60), max_size=4), seed=st.integers(0, 99))
def test_the_tally_of_parts_is_the_tally_of_the_whole(model, n, cuts, seed):
    scores, labels = rows(model.kind, n, seed)
    edges = [0, *sorted(min(c, n) for c in cuts), n]
    parts = [tally_of(model, scores[a:b], labels[a:b]) for a, b in pairwise(edges)]
    whole = tally_of(model, scores, labels)
    same(total(parts), whole)
    same(total(parts[::-1]), whole)
    assert whole.n == n


def test_taking_a_block_away_leaves_the_others(model):
    scores, labels = rows(model.kind, 300)
    parts = [tally_of(model, scores[i : i + 100], labels[i : i + 100]) for i in (0, 100, 200)]
    same(total(parts) - parts[1], parts[0] + parts[2])
    assert (parts[0] - parts[0]).n == 0
    assert all(np.isnan(v) for v in metrics(model.kind, parts[0] - parts[0]).values())


def test_a_tally_comes_back_from_json(model):
    tally = tally_of(model, *rows(model.kind, 50))
    for t in (tally, EMPTY):
        back = Tally.from_dict(json.loads(json.dumps(t.as_dict())))
        same(back, t)
        assert back.hist.dtype == t.hist.dtype
    assert len(tally.as_dict()["at"]) <= 50 * max(1, len(tally.hist))


@pytest.mark.fault(12)
def test_no_rows_are_an_empty_tally_and_no_number(model):
    scores, labels = rows(model.kind, 5)
    nothing = tally_of(model, scores[:0], labels[:0])
    assert nothing is EMPTY
    assert total([]) is EMPTY
    found = metrics(model.kind, nothing)
    assert set(found) == set(METRICS[model.kind])
    assert all(np.isnan(v) for v in found.values())


def test_adding_an_empty_tally_changes_nothing(model):
    tally = tally_of(model, *rows(model.kind, 5))
    same(tally + EMPTY, tally)
    same(EMPTY + tally, tally)
    same(tally - EMPTY, tally)


def test_tallies_of_different_kinds_do_not_add_up(a_model):
    # numpy would stretch a binary histogram over the classes of the other.
    some = {kind: tally_of(a_model(kind), *rows(kind, 5)) for kind in KINDS}
    for a in KINDS:
        for b in KINDS:
            if a != b:
                with pytest.raises(UsageError, match="same classes and bins"):
                    some[a] + some[b]
    old = Tally(some["binary"].sums, some["binary"].hist[:, :, : BINS // 10], some["binary"].confusion)
    with pytest.raises(UsageError, match="measure again"):
        some["binary"] - old


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.2, 1.2])
def test_a_score_that_is_no_probability_is_refused(a_model, bad):
    for kind in ("binary", "multiclass"):
        scores, labels = rows(kind, 5)
        scores.flat[3] = bad
        with pytest.raises(SourceError, match="probabilities"):
            tally_of(a_model(kind), scores, labels)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_score_or_label_is_refused(a_model, kind):
    scores, labels = rows(kind, 5)
    labels = labels.astype(float)
    labels[2] = np.nan
    with pytest.raises(SourceError, match="without a label"):
        tally_of(a_model(kind), scores, labels)
    with pytest.raises(SourceError, match="shape"):
        tally_of(a_model(kind), scores[:4], labels)


@pytest.mark.parametrize("label", [-1, 2, 0.5])
def test_a_label_that_is_no_class_is_refused(a_model, label):
    with pytest.raises(SourceError, match="class positions"):
        tally_of(a_model(), np.array([0.5, 0.5]), np.array([0, label]))


def test_scores_at_the_ends_and_rounding_beyond_them_are_counted(a_model):
    tally = tally_of(a_model(), np.array([0.0, 1.0, 1 + 1e-12, -1e-12]), np.array([0, 1, 1, 0]))
    assert (tally.hist[0, 0, 0], tally.hist[0, 1, -1]) == (2, 2)


def test_the_threshold_itself_is_positive(a_model):
    tally = tally_of(a_model(), np.array([0.2, 0.3]), np.array([1, 1]), 0.3)
    assert tally.confusion.tolist() == [[0, 0], [1, 1]]


def test_the_kpi_is_the_value_of_the_outcomes(a_model):
    scores, labels = np.array([0.9, 0.9, 0.1, 0.1, 0.1]), np.array([1, 0, 1, 1, 0])
    assert tally_of(a_model(kpi=KPI), scores, labels).sums["kpi"] == 3 - 5 - 20 - 20
    assert tally_of(a_model("multiclass", kpi=KPI), np.eye(3)[[0, 1, 2]], np.array([0, 1, 1])).sums["kpi"] == 1 + 1 - 2
    assert tally_of(a_model("regression", kpi=KPI), np.array([1.0, 5.0]), np.array([2.0, 2.0])).sums["kpi"] == -4
