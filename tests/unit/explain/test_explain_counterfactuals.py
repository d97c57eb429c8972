"""Counterfactuals flip when they are scored again, keep what must be kept, and say so when there is none."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.explain import counterfactuals as room
from tidegate.explain.counterfactuals import counterfactuals
from tidegate.gate.feasible import Choices, Range
from tidegate.gate.flips import Flip

FEASIBLE = {
    "age": Range(18.0, 90.0, 12.0),
    "visits": Range(0.0, 9.0, 2.0, tuple(range(10))),
    "ward": Choices(("north", "south", "east")),
    "night": Choices((True, False)),
}


def patients(n, seed=0):
    rng = np.random.default_rng(seed)
    return pa.table({
        "age": rng.uniform(18, 90, n),
        "visits": pa.array(rng.integers(0, 10, n), pa.int64()),
        "ward": pa.array(rng.choice(["north", "south", "east"], n)),
        "night": pa.array(rng.choice([True, False], n)),
        "seen": pa.array(rng.integers(0, 10**9, n), pa.timestamp("us", tz="UTC")),
    })  # fmt: skip


def score(t):
    ward = np.array([{"north": 0.0, "south": 1.0, "east": 2.0}.get(w, 0.5) for w in t["ward"].to_pylist()])
    age, visits = t["age"].to_numpy(), t["visits"].to_numpy()
    z = (age - 60) / 12 + (visits - 4) / 2 + ward - 1 + t["night"].to_numpy(zero_copy_only=False)
    return 1 / (1 + np.exp(-z))


def apply(rows, found):
    made = rows.slice(found.row, 1).to_pylist()[0] | {c: new for c, (_, new) in found.changes.items()}
    return pa.Table.from_pylist([made], schema=rows.schema)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([(), ("age",), ("ward", "visits"), ("age", "visits", "ward")]))
def test_what_is_told_flips_and_keeps_what_must_be_kept(seed, immutable):
    rows = patients(2, seed)
    for c in counterfactuals(score, rows, FEASIBLE, immutable, 0.5, np.random.default_rng(seed)):
        before = score(rows.slice(c.row, 1))[0]
        assert c.before == pytest.approx(before)
        if not c.flipped:
            assert (c.changes, c.after, c.decisions[0]) == ({}, c.before, c.decisions[1])
            continue
        made = apply(rows, c)
        assert (score(made)[0] >= 0.5) != (before >= 0.5)
        assert c.after == pytest.approx(score(made)[0])
        assert c.decisions == (int(before >= 0.5), int(c.after >= 0.5))
        assert not set(c.changes) & {*immutable, "seen"}
        assert c.distance > 0
        for name, (old, new) in c.changes.items():
            rule = FEASIBLE[name]
            assert old == rows[name][c.row].as_py() != new
            assert new in rule.values if isinstance(rule, Choices) else rule.low <= new <= rule.high
            assert type(new) is type(old)


def test_several_ways_out_share_no_column_and_the_nearest_is_first():
    row = pa.table({"age": [57.0], "visits": [4], "ward": ["south"], "night": [False],
                    "seen": pa.array([0], pa.timestamp("us", tz="UTC"))})  # fmt: skip
    found = counterfactuals(score, row, FEASIBLE, (), 0.5, np.random.default_rng(0))
    assert len(found) == 3
    used = [c for f in found for c in f.changes]
    assert len(used) == len(set(used))
    assert [len(f.changes) for f in found] == sorted(len(f.changes) for f in found)
    assert found[0].distance == min(f.distance for f in found)
    assert len(counterfactuals(score, row, FEASIBLE, (), 0.5, np.random.default_rng(0), most=1)) == 1


def test_none_found_is_an_answer():
    rows = patients(2)
    for found in (
        counterfactuals(lambda t: np.full(t.num_rows, 0.9), rows, FEASIBLE, (), 0.5, np.random.default_rng(0)),
        counterfactuals(score, rows, FEASIBLE, tuple(FEASIBLE), 0.5, np.random.default_rng(0)),
        counterfactuals(score, rows, {}, (), 0.5, np.random.default_rng(0)),
    ):
        assert [(c.row, c.flipped, dict(c.changes)) for c in found] == [(0, False, {}), (1, False, {})]
        assert all(np.isnan(c.distance) for c in found)
    assert counterfactuals(score, rows.slice(0, 0), FEASIBLE, (), 0.5, np.random.default_rng(0)) == ()


def test_several_classes_flip_to_another_one():
    def three(t):
        z = np.column_stack([np.zeros(t.num_rows), (t["age"].to_numpy() - 50) / 10, t["visits"].to_numpy() - 5.0])
        e = np.exp(z)
        return e / e.sum(axis=1, keepdims=True)

    rows = patients(3, 4)
    found = counterfactuals(three, rows, FEASIBLE, ("ward",), 0.5, np.random.default_rng(0), most=1)
    assert all(c.flipped for c in found)
    for c in found:
        assert c.decisions == (three(rows.slice(c.row, 1)).argmax(), three(apply(rows, c)).argmax())


@pytest.mark.parametrize(
    "changes",
    [
        {"age": (57.0, 58.0)},  # does not flip
        {"ward": ("south", "moon"), "age": (57.0, 90.0)},  # not among the choices
        {"age": (57.0, 130.0)},  # beyond the range
        {"visits": (4, 9)},  # immutable
    ],
)
def test_a_search_that_is_wrong_is_not_believed(monkeypatch, changes):
    row = pa.table({"age": [57.0], "visits": [4], "ward": ["south"], "night": [False]})
    monkeypatch.setattr(room, "nearest_flip", lambda *a, **k: Flip(changes, 1.0, 0.4, 0.9, (0, 1)))
    found = counterfactuals(score, row, FEASIBLE, ["visits"], 0.5, np.random.default_rng(0))
    assert [c.flipped for c in found] == [False]
    # The same, where it is right.
    monkeypatch.setattr(room, "nearest_flip", lambda *a, **k: Flip({"age": (57.0, 80.0)}, 1.0, 0.4, 0.9, (0, 1)))
    assert counterfactuals(score, row, FEASIBLE, ["visits"], 0.5, np.random.default_rng(0), most=1)[0].flipped
