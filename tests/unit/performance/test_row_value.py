"""The value of rows, held against the KPI of their tally."""

import numpy as np
import pytest

from tidegate.performance.tally import tally_of
from tidegate.performance.value import priced, row_value, unit_of

RNG = np.random.default_rng(4)


@pytest.mark.parametrize(
    ("kind", "kpi"),
    [
        ("binary", {"true_positive": 3, "false_positive": -2, "false_negative": -7, "true_negative": 0.5}),
        ("multiclass", {"correct": 1, "wrong": -4}),
        ("regression", {"per_unit_error": -2}),
    ],
)
def test_rows_add_up_to_the_tallys_kpi(a_model, kind, kpi):
    model = a_model(kind, kpi=kpi)
    n = 200
    labels = RNG.normal(size=n) if kind == "regression" else RNG.integers(0, 2 if kind == "binary" else 3, n)
    scores = RNG.dirichlet(np.ones(3), n) if kind == "multiclass" else RNG.random(n)
    cut = RNG.random(n)
    predicted = scores
    if kind != "regression":
        predicted = scores >= cut if kind == "binary" else scores.argmax(axis=1)
    values = row_value(model, scores, predicted, labels)
    assert values.shape == (n,)
    assert values.sum() == pytest.approx(tally_of(model, scores, labels, cut).sums["kpi"])
    assert priced(model)
    assert unit_of(model) == "USD"


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_without_a_priced_kpi_it_is_minus_the_loss(a_model, kind):
    # A value of another kind's outcome prices nothing.
    model = a_model(kind, kpi={"wrong": -4})
    scores, labels = np.array([0.9, 0.5]), np.array([1, 0])
    tally = tally_of(model, scores, labels)
    lost = tally.sums["absolute" if kind == "regression" else "log_loss"]
    assert row_value(model, scores, scores >= 0.5, labels).sum() == pytest.approx(-lost)
    assert unit_of(model) == ("absolute error" if kind == "regression" else "log loss")
    assert row_value(model, scores[:0], scores[:0], labels[:0]).shape == (0,)
