import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from tidegate.errors import SourceError
from tidegate.training.scoring import design, score

FEATURES = {"carrier": "category", "km": "integer", "new": "boolean", "temp": "number"}
SPEC = {
    "kind": "binary",
    "classes": ["no", "yes"],
    "features": FEATURES,
    "user": {"build": "shop.model:build", "features": "shop.model:features"},
}
BATCH = pa.table(
    {
        "row_id": ["1", "2", "3"],
        "temp": [20.5, None, -1.0],
        "carrier": ["AA", None, "B6"],
        "km": pa.array([100, 200, None], pa.int64()),
        "new": [True, None, False],
        "label": [0.0, 1.0, 0.0],
    }
)


def test_the_design_has_the_declared_features_only_in_their_order():
    frame = design(BATCH, SPEC, None)
    assert list(frame) == list(FEATURES)
    assert isinstance(frame["carrier"].dtype, pd.CategoricalDtype)
    assert {str(frame[n].dtype) for n in ("km", "new", "temp")} == {"float64"}
    assert frame["new"].tolist()[::2] == [1.0, 0.0]
    assert frame.isna().sum().tolist() == [1, 1, 1, 1]


def test_the_users_features_see_the_design_and_shape_it():
    frame = design(BATCH, SPEC, lambda f: f[["km"]] * 2)
    assert frame["km"].tolist()[:2] == [200.0, 400.0]


def raising(frame):
    raise ValueError("no such column")


@pytest.mark.parametrize(
    ("features", "found"),
    [
        (raising, "ValueError: no such column"),
        (lambda f: f.head(2), "DataFrame of 2 rows"),
        (lambda f: None, "NoneType of no rows"),
        (lambda f: f.to_numpy(), "ndarray of 3 rows"),
        # Each row would get another one's score.
        (lambda f: f.sort_values("temp"), "another order"),
    ],
)
def test_features_that_do_not_keep_each_row_are_a_fault(features, found):
    with pytest.raises(SourceError, match=rf"shop.model:features.*{found}"):
        design(BATCH, SPEC, features)


@pytest.mark.fault(12)
def test_an_empty_batch_has_no_scores():
    frame = design(BATCH.slice(0, 0), SPEC, None)
    assert len(frame) == 0
    for kind, shape in (("binary", (0,)), ("regression", (0,)), ("multiclass", (0, 2))):
        assert score(None, frame, {**SPEC, "kind": kind}).shape == shape


class Fixed:
    """An estimator that answers what it was given."""

    def __init__(self, answer, classes=(0, 1)):
        self.answer, self.classes_ = np.asarray(answer), np.asarray(classes)

    def predict_proba(self, frame):
        return self.answer

    predict = predict_proba


FRAME = design(BATCH, SPEC, None)
HALVES = [[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]]


def test_scores_are_of_the_positive_class_whatever_the_estimators_order():
    assert score(Fixed(HALVES), FRAME, SPEC).tolist() == [0.8, 0.5, 0.0]
    assert score(Fixed(HALVES, (1, 0)), FRAME, SPEC).tolist() == [0.2, 0.5, 1.0]
    several = {**SPEC, "kind": "multiclass", "classes": ["a", "b", "c"]}
    found = score(Fixed([[0.1, 0.2, 0.7]] * 3, (2, 0, 1)), FRAME, several)
    assert found.tolist() == [[0.2, 0.7, 0.1]] * 3


class NoProbabilities:
    def predict(self, frame):
        return np.zeros(len(frame))


@pytest.mark.parametrize(
    ("estimator", "found"),
    [
        (Fixed([[0.2, np.nan]] * 3), "3 not finite"),
        (Fixed(HALVES[:2]), "2 scores"),
        (Fixed([[1.0]] * 3, (0,)), "ValueError"),
        (NoProbabilities(), "AttributeError"),
    ],
)
def test_an_estimator_without_good_scores_is_a_fault(estimator, found):
    with pytest.raises(SourceError, match=rf"estimator of shop.model:build.*{found}"):
        score(estimator, FRAME, SPEC)
    with pytest.raises(SourceError, match="not finite"):
        score(Fixed([1.0, np.inf, 2.0]), FRAME, {**SPEC, "kind": "regression", "classes": []})


@pytest.mark.parametrize("carriers", [[None] * 3, ["ZZ", "B6", "AA"], ["AA"] * 3])
def test_a_row_scores_alike_alone_and_among_others(carriers):
    # Categories are coded by value, not by their place in the batch.
    spec = {**SPEC, "features": {"carrier": "category"}}
    past = pa.table({"carrier": ["AA", "B6", "UA"] * 50})
    y = np.array([0, 1, 0] * 50)
    trees = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=5, min_samples_leaf=2)
    trees.fit(design(past, spec, None), y)
    batch = pa.table({"carrier": pa.array(carriers, pa.string())})
    together = score(trees, design(batch, spec, None), spec)
    alone = [score(trees, design(batch.slice(i, 1), spec, None), spec)[0] for i in range(3)]
    assert together.tolist() == alone
    if "B6" in carriers:
        assert together[1] > 0.5 > together[2]
