import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from tidegate.errors import SourceError
from tidegate.training.members import folds, train
from tidegate.training.scoring import score

USER = {"build": "shop.model:build", "features": "shop.model:features"}
SPECS = {
    "binary": {"kind": "binary", "classes": ["no", "yes"], "user": USER},
    "multiclass": {"kind": "multiclass", "classes": ["a", "b", "c"], "user": USER},
    "regression": {"kind": "regression", "classes": [], "user": USER},
}
RNG = np.random.default_rng(4)
FRAME = pd.DataFrame({"x": RNG.normal(size=240), "z": RNG.normal(size=240)})
FOLD = np.arange(240) // 20 % 3
TARGET = {
    "binary": (FRAME["x"] > 0).to_numpy().astype(int),
    "multiclass": np.digitize(FRAME["x"], [-0.5, 0.5]),
    "regression": FRAME["x"].to_numpy() * 3 + 1,
}


def logistic(params):
    return LogisticRegression(random_state=params["random_state"])


def linear(params):
    return LinearRegression()


def trained(kind, build=None, target=None, fold=FOLD, seed=7):
    build = build or (linear if kind == "regression" else logistic)
    return train(build, {}, seed, FRAME, TARGET[kind] if target is None else target, fold, SPECS[kind])


@given(st.integers(1, 60), st.integers(1, 5), st.integers(2, 5))
def test_each_night_is_hidden_from_one_member_and_the_newest_block_from_the_first(n, block, members):
    nights = [f"{i:03}" for i in range(n)]
    found = folds(nights, block, members)
    assert list(found) == nights
    assert set(found.values()) <= set(range(members))
    assert [found[night] for night in nights[-block:]] == [0] * min(block, n)
    # A full turn later it is the same member's turn.
    turn = block * members
    assert all(found[a] == found[b] for a, b in zip(nights, nights[turn:], strict=False))


@given(st.integers(0, 30))
def test_a_new_block_leaves_whole_blocks_together(more):
    nights = [f"{i:03}" for i in range(30 + more)]
    found = folds(nights, 3)
    whole = nights[len(nights) % 3 :]
    assert all(len({found[n] for n in whole[i : i + 3]}) == 1 for i in range(0, len(whole), 3))


class Memory:
    """Remembers the rows it was fitted on; its prediction is whether it has seen a row."""

    def __init__(self, params):
        self.params = params

    def fit(self, frame, target):
        self.seen = set(frame.index)
        return self

    def predict(self, frame):
        return np.array([float(i in self.seen) for i in frame.index])


def test_a_member_never_saw_the_rows_that_it_scores():
    found = trained("regression", Memory)
    assert found.scores.tolist() == [0.0] * len(FRAME)
    members = found.estimator.estimators_
    assert len(members) == len(set(FOLD.tolist()))
    for k, member in enumerate(members):
        assert member.seen == set(np.flatnonzero(k != FOLD))
    assert [m.params for m in members] == [{"random_state": 7 + k} for k in range(3)]


def test_the_seed_stays_in_the_range_that_scikit_learn_takes():
    found = trained("regression", Memory, seed=2**32 - 1)
    assert [m.params["random_state"] for m in found.estimator.estimators_] == [2**32 - 1, 0, 1]


@pytest.mark.parametrize("kind", SPECS)
def test_what_is_promoted_is_the_mean_of_its_members(kind):
    found = trained(kind)
    each = [score(m, FRAME, SPECS[kind]) for m in found.estimator.estimators_]
    np.testing.assert_allclose(score(found.estimator, FRAME, SPECS[kind]), np.mean(each, axis=0), atol=1e-12)
    assert found.scores.shape == ((240, 3) if kind == "multiclass" else (240,))
    for k in range(3):
        np.testing.assert_array_equal(found.scores[k == FOLD], each[k][k == FOLD])


def test_the_mean_loses_no_more_than_its_members():
    def deep(params):
        return DecisionTreeClassifier(min_samples_leaf=5, random_state=params["random_state"])

    y = (RNG.random(240) < 1 / (1 + np.exp(-FRAME["x"]))).to_numpy().astype(int)
    found = trained("binary", deep, target=y)
    each = [score(m, FRAME, SPECS["binary"]) for m in found.estimator.estimators_]
    brier = [((p - y) ** 2).mean() for p in each]
    assert ((np.mean(each, axis=0) - y) ** 2).mean() <= np.mean(brier)


@pytest.mark.parametrize("kind", SPECS)
def test_training_again_gives_the_same_bits(kind):
    np.testing.assert_array_equal(trained(kind).scores, trained(kind).scores)


def test_one_block_of_nights_is_not_enough():
    with pytest.raises(SourceError, match="two blocks or more, found 1"):
        trained("regression", fold=np.zeros(240, dtype=int))


def test_a_class_that_one_member_would_never_see_is_a_fault():
    target = np.where(FOLD == 1, 1, 0)  # every positive is in fold 1
    with pytest.raises(SourceError, match="all 2 classes in every fold, found 1"):
        trained("binary", target=target)


def broken_build(params):
    raise KeyError("depth")


class Broken:
    def fit(self, frame, target):
        raise MemoryError("too large")


@pytest.mark.parametrize(("build", "found"), [(broken_build, "KeyError"), (lambda params: Broken(), "MemoryError")])
def test_user_code_that_raises_is_named(build, found):
    with pytest.raises(SourceError, match=rf"shop.model:build.*{found}.*mend the user code"):
        trained("binary", build)


def test_members_with_categories_score_what_one_of_them_never_saw():
    frame = pd.DataFrame({"c": pd.Categorical(["a", "b", "only here"] * 80)})
    frame.loc[FOLD != 0, "c"] = "a"

    def trees(params):
        return HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=5, **params)

    found = train(trees, {}, 0, frame, TARGET["binary"], FOLD, SPECS["binary"])
    assert np.isfinite(found.scores).all()
