"""Behavioural tests: what they count, what they say, and what they do with rows and models that are no good."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.behaviour import Behaviour, load_behaviour
from tidegate.config.dataset import Dataset
from tidegate.config.model import Model
from tidegate.errors import ConfigError, SourceError
from tidegate.gate.behaviour import Subject, judge_behaviour, sample, typical

COLUMNS = {
    "at": {"type": "timestamp", "nullable": False},
    "id": {"type": "integer", "nullable": False},
    "heat": {"type": "number", "min": 0, "max": 10},
    "count": {"type": "integer", "min": 0, "max": 5},
    "shop": {"type": "category", "values": ["north", "south", "west"], "nullable": False},
    "open": {"type": "boolean"},
    "back": {"type": "boolean", "known": "later"},
}
DATASET = Dataset.model_validate(
    {"name": "d", "source": {"files": "{date}.csv"}, "event_time": "at", "key": ["id"], "columns": COLUMNS}
)
LABEL = {"column": "y", "source": {"files": "{date}.csv"}}


def model_of(kind="binary", features=("heat", "count", "shop", "open")):
    classes = {"binary": {"classes": ["no", "yes"], "positive": "yes"}, "multiclass": {"classes": ["a", "b", "c"]}}
    metric = {"primary": "mae" if kind == "regression" else "log_loss"}
    label = {**LABEL, **classes.get(kind, {})}
    return Model.model_validate(
        {"name": "m", "dataset": "d", "kind": kind, "features": list(features), "label": label, "metric": metric}
    )


def rows_of(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return pa.table({
        "row_id": [f"row{i}" for i in range(n)],
        "heat": pa.array(rng.uniform(0, 8, n)),
        "count": pa.array(rng.integers(0, 5, n)),
        "shop": pa.array(rng.choice(["north", "south"], n).tolist(), pa.string()),
        "open": pa.array([bool(v) for v in rng.integers(0, 2, n)]),
    })  # fmt: skip


def heat(table):
    return table["heat"].to_numpy() / 20


def by_shop(table):
    return np.array([0.2 if s == "north" else 0.7 for s in table["shop"].to_pylist()])


def subject(score=heat, kind="binary", rows=None, held=None, held_scores=None, **more):
    rows = rows_of() if rows is None else rows
    classes = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}[kind]
    held = rows.append_column("label", pa.array(np.arange(rows.num_rows) % 2.0)) if held is None else held
    scores = np.full(held.num_rows, 0.5) if held_scores is None else held_scores
    return Subject(model_of(kind, **more), score, DATASET.columns, classes, 0.4, rows, held, scores)


def line(tests, about):
    check = judge_behaviour(Behaviour.model_validate(tests), about, np.random.default_rng(0))
    assert len(check.lines) == 1
    assert check.verdict.outcome == check.lines[0].outcome
    return check.lines[0]


def invariant(**test):
    return {"invariance": [{"name": "same", **test}]}


def directed(**test):
    return {"direction": [{"name": "way", "expect": "not_lower", **test}]}


def minimal(**test):
    return {"minimum": [{"name": "case", **test}]}


def sliced(**test):
    return {"slices": [{"name": "part", "metric": "log_loss", "at_most": 1.0, "rows": 1, **test}]}


def test_a_column_that_matters_is_not_invariant_and_the_worst_row_is_told():
    found = line({"min_rows": 1, **invariant(column="shop", to=["south"])}, subject(by_shop))
    north = by_shop(rows_of()).tolist().count(0.2)
    assert (found.outcome, found.n, found.observed) == ("fail", north, 0.0)
    assert found.reason.startswith(f"same: {north} of {north} rows change (0 allowed); worst: row row")
    assert "shop north → south, score 0.2 → 0.7" in found.reason


def test_any_observed_value_is_tried_where_none_is_given():
    assert line(invariant(column="shop"), subject(by_shop)).outcome == "fail"
    assert line(invariant(column="shop"), subject(heat)).outcome == "pass"
    assert line(invariant(column="shop", tolerance=0.5), subject(by_shop)).outcome == "pass"


def test_a_small_change_is_both_up_and_down_and_within_the_contract():
    seen = []

    def spy(table):
        seen.extend(table["heat"].to_pylist())
        return heat(table)

    found = line(invariant(column="heat", by=3, tolerance=0.2), subject(spy))
    assert (found.outcome, found.n) == ("pass", 60)
    assert (min(seen), max(seen)) == (0, 10)
    assert line(invariant(column="heat", by=3, tolerance=0.1), subject(heat)).outcome == "fail"


def test_a_column_that_is_no_feature_is_said_to_be_none():
    about = subject(by_shop, features=("heat",))
    assert "shop is no feature today" in line(invariant(column="shop", tolerance=1), about).reason


@pytest.mark.parametrize(("expect", "outcome"), [("not_lower", "pass"), ("not_higher", "fail")])
def test_direction_holds_one_way_only(expect, outcome):
    found = line(directed(column="heat", by=1, expect=expect), subject())
    assert (found.outcome, found.n) == (outcome, 60)
    assert ("go up" in found.reason) == (expect == "not_higher")


def test_the_share_of_rows_decides_and_rows_that_cannot_change_do_not_count():
    def dips(table):
        # One row in ten goes down.
        low = np.array([int(r[3:]) % 10 == 0 for r in table["row_id"].to_pylist()])
        return np.where(low, 10 - table["heat"].to_numpy(), table["heat"].to_numpy()) / 20

    assert line(directed(column="heat", by=1, share=0.9), subject(dips)).outcome == "pass"
    strict = line(directed(column="heat", by=1, share=0.91), subject(dips))
    assert (strict.outcome, strict.n, round(strict.observed, 3)) == ("fail", 60, 0.9)
    assert "6 of 60 rows go down (5 allowed)" in strict.reason
    full = rows_of().set_column(1, "heat", pa.array([10.0] * 30 + [5.0] * 30))
    assert line(directed(column="heat", by=1), subject(rows=full)).n == 30


def test_from_and_to_are_given_to_every_row():
    found = line(directed(column="heat", to=1, expect="not_higher", **{"from": 9}), subject())
    assert (found.outcome, found.n) == ("pass", 60)
    back = line(directed(column="heat", to=9, expect="not_higher", **{"from": 1}), subject())
    assert "heat 1 → 9, score 0.05 → 0.45" in back.reason


def test_where_picks_rows():
    rows = rows_of()
    north = rows["shop"].to_pylist().count("north")
    tests = {"min_rows": 1, **directed(column="heat", by=1, where={"shop": "north"})}
    assert line(tests, subject(rows=rows)).n == north
    tests["direction"][0]["where"] = {"shop": "west"}
    nothing = line(tests, subject(rows=rows))
    assert (nothing.outcome, nothing.n) == ("inconclusive", 0)
    assert nothing.reason == "way: 0 rows could be changed, 1 needed"


def test_of_several_classes_the_named_one_is_meant():
    def three(table):
        a = heat(table)
        return np.column_stack([a, (1 - a) / 2, (1 - a) / 2])

    assert line(directed(column="heat", by=1, of="a"), subject(three, "multiclass")).outcome == "pass"
    assert line(directed(column="heat", by=1, of="b"), subject(three, "multiclass")).outcome == "fail"
    assert line(invariant(column="heat", by=1), subject(three, "multiclass")).outcome == "fail"
    assert line(minimal(row={"heat": 10}, expect="a"), subject(three, "multiclass")).outcome == "pass"


def test_of_a_binary_model_the_negative_class_may_be_meant():
    assert line(directed(column="heat", by=1, of="no"), subject()).outcome == "fail"
    assert line(minimal(row={"heat": 0}, of="no", at_least=1), subject()).outcome == "pass"


def test_a_minimum_case_is_judged_by_class_and_by_score():
    # The threshold is 0.4, that is a heat of 8.
    assert line(minimal(row={"heat": 9}, expect="yes"), subject()).outcome == "pass"
    wrong = line(minimal(row={"heat": 7}, expect="yes"), subject())
    assert (wrong.outcome, wrong.reason) == ("fail", "case: predicted no, score 0.35, yes expected")
    assert line(minimal(row={"heat": 9}, at_least=0.4, at_most=0.5), subject()).outcome == "pass"
    assert line(minimal(row={"heat": 9}, at_most=0.4), subject()).outcome == "fail"


def test_a_full_row_needs_no_rows_and_others_are_typical():
    row = {"heat": 9.0, "count": 1, "shop": "west", "open": None}
    none = rows_of().slice(0, 0)
    assert line(minimal(row=row, full=True, at_least=0.4), subject(rows=none)).outcome == "pass"
    assert line(minimal(row={"heat": 9}, at_least=0.4), subject(rows=none)).outcome == "inconclusive"


def test_a_slice_is_judged_on_its_own_rows():
    rows = rows_of()
    label = np.array([float(s == "north") for s in rows["shop"].to_pylist()])
    held = rows.append_column("label", pa.array(label))
    sharp = np.where(label == 1, 0.9, 0.8)
    n = int(label.sum())
    good = line(sliced(where={"shop": "north"}), subject(held=held, held_scores=sharp))
    assert (good.outcome, good.n, round(good.observed, 4)) == ("pass", n, round(-np.log(0.9), 4))
    assert line(sliced(where={"shop": "south"}), subject(held=held, held_scores=sharp)).outcome == "fail"
    few = line(sliced(where={"shop": "north"}, rows=n + 1), subject(held=held, held_scores=sharp))
    assert (few.outcome, few.reason) == ("inconclusive", f"part: {n} held-out rows with shop=north, {n + 1} needed")
    assert line(sliced(where={"shop": "west"}), subject(held=held, held_scores=sharp)).outcome == "inconclusive"
    one_class = line(
        sliced(where={"shop": "north"}, metric="roc_auc", at_least=0.5), subject(held=held, held_scores=sharp)
    )
    assert (one_class.outcome, "not defined" in one_class.reason) == ("inconclusive", True)


def nan(table):
    return np.full(table.num_rows, np.nan)


def short(table):
    return np.zeros(max(table.num_rows - 1, 0))


def raises(table):
    raise SourceError("the estimator", "scores", "ValueError: no", "mend the user code")


@pytest.mark.parametrize("score", [nan, short, raises])
@pytest.mark.parametrize(
    "tests", [invariant(column="shop"), directed(column="heat", by=1), minimal(row={"heat": 1}, at_least=0.0)]
)
def test_a_model_that_cannot_answer_fails(score, tests):
    assert line(tests, subject(score)).outcome == "fail"


def test_nulls_and_rows_all_the_same_are_inconclusive():
    rows = rows_of()
    empty = rows.set_column(1, "heat", pa.array([None] * 60, pa.float64()))
    assert line(directed(column="heat", by=1), subject(lambda t: np.full(t.num_rows, 0.5), rows=empty)).n == 0
    same = rows.set_column(3, "shop", pa.array(["north"] * 60))
    found = line(invariant(column="shop"), subject(by_shop, rows=same))
    assert (found.outcome, found.n) == ("inconclusive", 0)


def test_no_tests_are_not_asked():
    check = judge_behaviour(Behaviour(), subject(), np.random.default_rng(0))
    assert (check.asked, check.verdict.outcome) == (False, "inconclusive")


def test_the_typical_row_is_one_that_was_observed():
    table = pa.table({"x": [4.0, 1.0, None, 9.0, 2.0], "n": [3, 1, 2, 2, 5], "b": [True, None, True, False, None],
                      "none": pa.array([None] * 5, pa.float64())})  # fmt: skip
    assert typical(table) == {"x": 2.0, "n": 2, "b": True, "none": None}


@given(st.integers(0, 80), st.integers(1, 80), st.integers(0, 2**32 - 1))
def test_a_draw_is_of_different_rows_in_their_order_and_the_same_each_time(have, want, seed):
    table = pa.table({"i": pa.array(range(have), pa.int64())})
    first = sample(table, want, np.random.default_rng(seed))["i"].to_pylist()
    assert first == sample(table, want, np.random.default_rng(seed))["i"].to_pylist()
    assert len(first) == min(have, want)
    assert first == sorted(set(first))


GOOD = {"name": "t", "column": "heat", "by": 1}


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        ({"invariance": [{**GOOD, "tolerence": 0.1}]}, "did you mean 'tolerance'?"),
        ({"invariance": [{**GOOD, "column": "heet"}]}, "invariance.0.column: expected a column of dataset d"),
        ({"invariance": [{**GOOD, "column": "back", "by": None}]}, "expected a column known at the event"),
        ({"invariance": [{**GOOD, "to": [1]}]}, "expected `to` or `by`, not both"),
        ({"invariance": [{**GOOD, "by": 0}]}, "expected a number other than 0"),
        ({"invariance": [{**GOOD, "share": 0}]}, "share: expected more than 0"),
        ({"invariance": [{**GOOD, "column": "shop"}]}, "by: expected a column of numbers, found shop, category"),
        ({"invariance": [{**GOOD, "column": "count", "by": 0.5}]}, "by: expected a whole number"),
        ({"invariance": [{"name": "t", "column": "heat", "to": [11]}]}, "to: expected at most 10, the contract's max"),
        ({"invariance": [{"name": "t", "column": "heat", "to": [True]}]}, "to: expected a number, as column heat has"),
        ({"invariance": [{"name": "t", "column": "shop", "to": ["nort"]}]}, "did you mean 'north'?"),
        ({"invariance": [{"name": "t", "column": "shop", "to": []}]}, "to: expected at least 1"),
        ({"invariance": [GOOD, GOOD]}, "expected every name once, found 't' twice"),
        ({"invariance": [{**GOOD, "where": {"shop": 3}}]}, "where.shop: expected text"),
        ({"direction": [{"name": "t", "column": "heat", "expect": "not_lower"}]}, "expected one of `by` and `to`"),
        ({"direction": [{**GOOD, "expect": "lower"}]}, "expect: expected one of"),
        ({"direction": [{**GOOD, "expect": "not_lower", "from": 1}]}, "from: expected `to` with it"),
        ({"direction": [{**GOOD, "expect": "not_lower", "of": "maybe"}]}, "of: expected one of ['no', 'yes']"),
        ({"minimum": [{"name": "t", "row": {"heat": 1}}]}, "expected one of expect, at_least and at_most"),
        ({"minimum": [{"name": "t", "row": {"heat": 1}, "at_least": 1, "at_most": 0}]}, "expected at least at_least"),
        ({"minimum": [{"name": "t", "row": {"heat": 1}, "full": True, "at_least": 0}]}, "found no count"),
        ({"minimum": [{"name": "t", "row": {"shop": None}, "at_least": 0}]}, "the contract allows no null"),
        ({"minimum": [{"name": "t", "row": {"at": "noon"}, "at_least": 0}]}, "row.at: expected an instant"),
        ({"slices": [{"name": "t", "where": {"shop": "north"}, "metric": "mae", "at_most": 1}]}, "metric: expected"),
        ({"slices": [{"name": "t", "where": {"shop": "north"}, "metric": "roc_auc"}]}, "expected at_least or at_most"),
    ],
)
def test_a_file_that_is_wrong_is_one_line(tests, words, tmp_path):
    import yaml

    path = tmp_path / "configs/models/m/behaviour.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(tests))
    with pytest.raises(ConfigError) as caught:
        load_behaviour(tmp_path, model_of(), DATASET)
    text = str(caught.value)
    assert text.startswith("configs/models/m/behaviour.yaml: ")
    assert words in text
    assert "\n" not in text


def test_several_classes_need_to_be_told_apart(tmp_path):
    path = tmp_path / "configs/models/m/behaviour.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("direction:\n  - {name: t, column: heat, by: 1, expect: not_lower}\n")
    with pytest.raises(ConfigError, match=r"direction\.0\.of: expected one of \['a', 'b', 'c'\], found none"):
        load_behaviour(tmp_path, model_of("multiclass"), DATASET)
    assert load_behaviour(tmp_path / "nowhere", model_of(), DATASET) is None
