"""Thresholds by group: against every pair of thresholds, and against Fairlearn's randomised optimum."""

import math

import numpy as np
import pyarrow as pa
import pytest

from tidegate.errors import SourceError
from tidegate.performance.threshold import best_threshold
from tidegate.training.thresholds import choose, crossfit, cuts, cuts_of

SPEC = {"threshold": 0.5, "group_thresholds": {"column": "sex", "by": {"a": 0.4, "b": 0.7}}}


def rows(n=8000, base=0.9, seed=1, groups="ab"):
    """Groups that differ in how often they are positive: parity has a price."""
    rng = np.random.default_rng(seed)
    g = rng.integers(0, len(groups), n)
    z = rng.normal(0, 1.2, n) + base * g - 0.5
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    return 1 / (1 + np.exp(-z)), y, np.array(list(groups), dtype=object)[g]


@pytest.fixture(scope="module")
def strict(a_model):
    def make(*criteria, aim=0.5, **keys):
        return a_model(protected=["sex"], gate={"fairness": {"criteria": list(criteria), "aim": aim}}, **keys)

    return make


def balanced(y, p):
    return (p[y == 1].mean() + 1 - p[y == 0].mean()) / 2


def outcome(found, scores, y, values):
    cut = cuts({"threshold": found.overall, "group_thresholds": found.as_spec()}, {"sex": values}, len(y))
    p = (scores >= cut).astype(float)
    rates = {g: (p[values == g].mean(), p[(values == g) & (y == 1)].mean(), p[(values == g) & (y == 0)].mean())
             for g in sorted(set(values))}  # fmt: skip
    gaps = np.ptp(np.array(list(rates.values())), axis=0)
    return p, gaps


COSTS = [
    ("demographic_parity", {}),
    ("equalized_odds", {}),
    ("demographic_parity", {"false_negative": -4, "false_positive": -1}),
    ("four_fifths", {"true_positive": 3, "false_positive": -2}),
]


@pytest.mark.parametrize(("criterion", "kpi"), COSTS)
def test_no_pair_of_thresholds_is_better(strict, criterion, kpi):
    scores, y, values = rows(4000)
    model = strict(criterion, kpi=kpi)
    found = choose(model, scores, y, values, "sex")
    grid = {}
    for g in "ab":
        quantiles = np.quantile(scores[values == g], np.linspace(0, 1, 101))
        grid[g] = np.unique(np.append(np.round(quantiles, 4), found.overall))
    stats = {g: np.array([_stats(scores[values == g] >= t, y[values == g]) for t in grid[g]]) for g in "ab"}
    a, b = stats["a"][:, None, :], stats["b"][None, :, :]
    if criterion == "demographic_parity":
        met = np.abs(a[..., 0] - b[..., 0]) <= 0.05
    elif criterion == "equalized_odds":
        met = (np.abs(a[..., 1] - b[..., 1]) <= 0.05) & (np.abs(a[..., 2] - b[..., 2]) <= 0.05)
    else:
        low, high = np.minimum(a[..., 0], b[..., 0]), np.maximum(a[..., 0], b[..., 0])
        met = (low > 0) & (low >= high * math.sqrt(0.8))
    tp, fp = a[..., 3] + b[..., 3], a[..., 4] + b[..., 4]
    k = model.kpi
    if kpi:
        worth = k.true_positive * tp + k.false_positive * fp + k.false_negative * (y.sum() - tp)
    else:
        worth = tp / y.sum() - fp / (y == 0).sum()
    at = [int(np.flatnonzero(grid[g] == found.by[g])[0]) for g in "ab"]
    assert found.stretch <= 1
    assert met[at[0], at[1]]
    assert worth[at[0], at[1]] == pytest.approx(worth[met].max(), rel=2e-3)
    free = np.unravel_index(worth.argmax(), worth.shape)
    assert not met[free], "the criterion must cost something, or this shows nothing"


def _stats(p, y):
    return p.mean(), p[y == 1].mean(), p[y == 0].mean(), p[y == 1].sum(), p[y == 0].sum()


@pytest.mark.parametrize("criterion", ["demographic_parity", "equalized_odds"])
def test_it_is_near_fairlearns_optimum_which_draws_lots(strict, criterion):
    from fairlearn.postprocessing import ThresholdOptimizer
    from sklearn.base import BaseEstimator

    scores, y, values = rows(4000)

    class Scores(BaseEstimator):
        def fit(self, x, y):
            self.fitted_ = True
            return self

        def predict(self, x):
            return np.asarray(x)[:, 0]

    exact = ThresholdOptimizer(
        estimator=Scores().fit(scores, y), constraints=criterion, objective="balanced_accuracy_score", prefit=True,
        predict_method="predict",
    )  # fmt: skip
    exact.fit(scores[:, None], y, sensitive_features=values)
    theirs = exact._pmf_predict(scores[:, None], sensitive_features=values)[:, 1]
    best = balanced(y, theirs)
    p, gaps = outcome(choose(strict(criterion), scores, y, values, "sex"), scores, y, values)
    wide = gaps[0] if criterion == "demographic_parity" else gaps[1:].max()
    assert wide <= 0.05 + 1e-9
    # No lots and no exact parity: up to 0.05 apart it may be better, and must not be worse by more than a grid step.
    assert balanced(y, p) >= best - 0.01
    alike = choose(strict(criterion, aim=0.02), scores, y, values, "sex")
    assert balanced(y, outcome(alike, scores, y, values)[0]) <= best + 0.005


def test_many_groups_meet_what_is_aimed_at(strict):
    scores, y, values = rows(20_000, base=0.4, groups="abcde")
    found = choose(strict("demographic_parity"), scores, y, values, "sex")
    assert set(found.by) == set("abcde")
    assert found.stretch <= 1
    assert outcome(found, scores, y, values)[1][0] <= 0.05 + 1e-9


def test_the_last_resort_is_to_select_all_of_every_group(strict):
    """One group is told well, the other not at all: nothing else makes both rates alike."""
    rng = np.random.default_rng(2)
    y, values = rng.integers(0, 2, 4000), np.repeat(["a", "b"], 2000).astype(object)
    known = np.where(values == "a", y * 0.8 + 0.1, 0.45 + 0.1 * rng.random(4000))
    model = strict("equalized_odds", kpi={"true_positive": 1, "false_positive": -1})
    found = choose(model, known, y, values, "sex")
    decided, gaps = outcome(found, known, y, values)
    assert found.stretch <= 1
    assert gaps[1:].max() <= 0.05 + 1e-9
    assert decided.mean() > 0.95


def test_scores_that_are_all_the_same_are_alike_already(strict):
    _, y, values = rows(2000)
    assert choose(strict("demographic_parity", "four_fifths"), y * 0.0, y, values, "sex").stretch == 0


def test_small_groups_keep_the_overall_threshold(strict):
    scores, y, values = rows(3000)
    values = np.where(np.arange(3000) < 50, "c", values)
    found = choose(strict("demographic_parity"), scores, y, values, "sex")
    assert set(found.by) == {"a", "b"}
    alone = choose(strict("demographic_parity"), scores, y, np.full(3000, "a", dtype=object), "sex")
    assert alone.by == {}
    assert math.isnan(alone.stretch)


def test_a_row_is_never_decided_by_a_threshold_that_saw_it(strict):
    scores, y, values = rows(3000)
    fold = np.arange(3000) % 3
    model = strict("demographic_parity")
    cut = crossfit(model, scores, y, values, fold, "sex")
    turned = crossfit(model, scores, np.where(fold == 1, 1 - y, y), values, fold, "sex")
    assert (cut[fold == 1] == turned[fold == 1]).all()
    assert (cut[fold == 0] != turned[fold == 0]).any()
    priced = strict("demographic_parity", kpi={"false_negative": -4, "false_positive": -1})
    plain = crossfit(priced, scores, y, None, fold, "")
    assert plain[0] == best_threshold(priced, scores[fold != 0], y[fold != 0])
    assert crossfit(model, scores, y, values, fold * 0, "sex").tolist() == [0.5] * 3000


def test_the_same_rows_give_the_same_thresholds_in_any_order(strict):
    scores, y, values = rows(3000)
    at = np.random.default_rng(3).permutation(3000)
    model = strict("demographic_parity", "equalized_odds")
    assert choose(model, scores, y, values, "sex") == choose(model, scores[at], y[at], values[at], "sex")


def test_cuts_go_by_the_group_and_strangers_get_the_overall_one():
    table = pa.table({"sex": ["a", "b", None, "new"]})
    assert cuts_of(SPEC, table).tolist() == [0.4, 0.7, 0.5, 0.5]
    assert cuts_of(SPEC, table.rename_columns(["segment_sex"])).tolist() == [0.4, 0.7, 0.5, 0.5]
    assert cuts_of({"threshold": 0.3}, table).tolist() == [0.3] * 4
    assert cuts_of(SPEC, table.slice(0, 0)).tolist() == []
    own = {"threshold": 0.5, "group_thresholds": {"column": "sex", "by": {"missing": 0.9}}}
    assert cuts_of(own, table).tolist() == [0.5, 0.5, 0.9, 0.5]


def test_a_batch_without_the_column_is_refused():
    with pytest.raises(SourceError, match="expected the column sex, found age"):
        cuts_of(SPEC, pa.table({"age": [1]}))
