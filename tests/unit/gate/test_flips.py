"""The nearest flip: it truly flips, keeps what it must, and is near."""

import numpy as np
import pyarrow as pa
import pytest

from tidegate.config.dataset import Column
from tidegate.errors import UsageError
from tidegate.gate.feasible import Choices, Range, feasible_of
from tidegate.gate.flips import nearest_flip
from tidegate.gate.fragile import fragile, largest_move

COLUMNS = {
    "age": Column(type="integer", min=18, max=99),
    "bmi": Column(type="number", min=10, max=60),
    "sex": Column(type="category", values=("f", "m")),
    "at": Column(type="timestamp"),
}
FEASIBLE = {"age": Range(18, 99, 10.0, tuple(range(18, 100, 3))), "bmi": Range(10, 60, 5.0), "sex": Choices(("f", "m"))}


def row(age=30, bmi=20.0, sex="f"):
    return pa.table({"age": pa.array([age], pa.int64()), "bmi": pa.array([bmi], pa.float64()), "sex": pa.array([sex])})


def additive(weights, at):
    """A logistic score of age / 10, bmi / 5 and sex."""

    def score(table):
        age = table["age"].to_numpy(zero_copy_only=False).astype(float)
        bmi = table["bmi"].to_numpy(zero_copy_only=False)
        man = np.array([s == "m" for s in table["sex"].to_pylist()], dtype=float)
        z = weights[0] * np.nan_to_num(age) / 10 + weights[1] * np.nan_to_num(bmi) / 5 + weights[2] * man - at
        return 1 / (1 + np.exp(-z))

    return score


def flip(score, one, **keys):
    return nearest_flip(score, one, FEASIBLE, rng=np.random.default_rng(0), threshold=0.5, **keys)


def test_it_flips_with_the_least_change_of_one_column():
    found = flip(additive((1, 2, 0), 14), row())
    assert list(found.changes) == ["bmi"]
    assert found.changes["bmi"][1] == pytest.approx(27.5, abs=0.01)
    assert found.distance == pytest.approx(1.5, abs=0.01)
    assert found.before < 0.5 <= found.after
    assert found.decisions == (0, 1)


def test_immutable_columns_stay_and_integers_keep_to_observed_values():
    found = flip(additive((1, 2, 0), 14), row(), immutable=("bmi", "sex"))
    assert found.changes == {"age": (30, 60)}
    assert isinstance(found.changes["age"][1], int)


def test_two_columns_where_one_is_not_enough():
    score = additive((0.0, 1.0, 5.0), 16.0)
    found = flip(score, row())
    assert sorted(found.changes) == ["bmi", "sex"]
    assert found.changes["sex"] == ("f", "m")
    assert found.changes["bmi"][1] == pytest.approx(55, abs=0.05)


def test_none_is_found_where_there_is_none():
    assert flip(additive((0, 0, 0), 3), row()) is None
    assert nearest_flip(additive((1, 1, 1), 3), row(), {}, rng=np.random.default_rng(0), threshold=0.5) is None
    assert flip(lambda t: np.full(t.num_rows, np.nan), row()) is None


def test_an_empty_cell_may_be_filled():
    found = flip(additive((0, 1, 0), 5.0), row(bmi=None))
    assert found.changes["bmi"][0] is None
    assert found.distance == 1.0


def test_the_top_class_flips():
    def score(table):
        low = additive((0, 1, 0), 5)(table)
        return np.column_stack([1 - low, low * 0.7, low * 0.3])

    found = flip(score, row())
    assert found.decisions == (0, 1)
    assert found.after < found.before


@pytest.mark.parametrize("seed", range(12))
def test_every_flip_is_one_within_reach(seed):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=3) * 2
    one = row(int(rng.integers(18, 99)), float(rng.uniform(10, 60)), str(rng.choice(["f", "m"])))
    score = additive(weights, float(weights @ [5, 6, 0.5]))
    found = flip(score, one, tries=12)
    if found is None:
        return
    new = {name: pair[1] for name, pair in found.changes.items()}
    again = score(row(**{**{c: one[c][0].as_py() for c in one.column_names}, **new}))[0]
    assert again == found.after
    assert (found.before >= 0.5) != (again >= 0.5)
    assert 10 <= new.get("bmi", 10) <= 60
    assert new.get("age", 18) in FEASIBLE["age"].seen


def test_more_rows_than_one_are_refused():
    with pytest.raises(UsageError, match="one row"):
        flip(additive((1, 1, 1), 3), pa.concat_tables([row(), row()]))


def test_what_is_feasible_is_contract_and_observation():
    rng = np.random.default_rng(0)
    rows = pa.table({
        "age": pa.array(rng.integers(10, 120, 500)), "bmi": pa.array([None] * 100 + [25.0] * 400),
        "sex": pa.array(["f", "m", "x", None] * 125), "at": pa.array(np.arange(500), pa.timestamp("us")),
    })  # fmt: skip
    found = feasible_of(rows, COLUMNS, ["age", "bmi", "sex", "at", "unheard"])
    assert list(found) == ["age", "sex"]
    assert found["age"].low == 18
    assert found["age"].high == 99
    assert found["sex"].values == ("f", "m")
    assert feasible_of(rows.slice(0, 0), COLUMNS, list(COLUMNS)) == {}


def test_only_decisions_near_the_threshold_are_fragile():
    rows = pa.concat_tables([row(bmi=b) for b in (20.0, 24.9, 25.0, 26.0, None)])
    score = additive((0, 1, 0), 5)
    assert fragile(score, rows, FEASIBLE, step=0.1, threshold=0.5).tolist() == [False, True, True, False, False]
    assert largest_move(score, rows, FEASIBLE, step=0.1)[-1] == 0
    assert fragile(score, rows.slice(0, 0), FEASIBLE, step=0.1, threshold=0.5).tolist() == []
