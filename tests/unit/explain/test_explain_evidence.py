"""What the gate's evidence gets: plain values, whatever comes in."""

import json

import numpy as np
import pyarrow as pa
import pytest

from tidegate.errors import SourceError
from tidegate.explain.evidence import Sizes, evidence_of_explanations
from tidegate.gate.feasible import Choices, Range

FEASIBLE = {"x": Range(-3.0, 3.0, 1.0), "ward": Choices(("north", "south"))}
SMALL = Sizes(rows=200, repeats=2, explained=12, background=10, flipped=4)


def rows_of(n, seed=0):
    rng = np.random.default_rng(seed)
    return pa.table({"x": rng.normal(size=n), "ward": rng.choice(["north", "south"], n), "idle": rng.normal(size=n)})


def score(t):
    south = np.array([w == "south" for w in t["ward"].to_pylist()], dtype=float)
    return 1 / (1 + np.exp(-2 * t["x"].to_numpy() - south))


def evidence(rows, label, *, by=score, kind="binary", immutable=(), seed=0, **more):
    n = rows.num_rows
    found = evidence_of_explanations(
        by, rows, label, np.array([f"2024-01-{1 + i % 6:02}" for i in range(n)], dtype=str),
        np.array([f"row {i}" for i in range(n)], dtype=str), kind=kind, threshold=0.5, feasible=FEASIBLE,
        immutable=immutable, rng=np.random.default_rng(seed), **{"sizes": SMALL, **more},
    )  # fmt: skip
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def test_every_part_is_there_and_says_what_is_so():
    rows = rows_of(500)
    label = (np.random.default_rng(1).random(500) < score(rows)).astype(float)
    found = evidence(rows, label)
    assert [p["name"] for p in found["permutation"]] == ["x", "ward", "idle"]
    assert found["permutation"][0]["low"] > 0
    assert (found["permutation"][2]["mean"], found["shap"][2]["mean_abs"]) == (0.0, 0.0)
    assert [p["name"] for p in found["shap"]] == ["x", "ward", "idle"]
    assert found["shap"][0]["stable"]
    assert found["additive"]
    assert found["additivity"] < 1e-9
    assert found["sizes"] == {"rows": 200, "repeats": 2, "explained": 12, "background": 10}
    assert found["why"] == {}
    assert len(found["counterfactuals"]) == 4
    # Two of each decision.
    assert sorted(c["decision"] for c in found["counterfactuals"]) == [0, 0, 1, 1]
    for c in found["counterfactuals"]:
        row = rows.slice(int(c["row_id"].removeprefix("row ")), 1)
        assert c["score"] == pytest.approx(score(row)[0])
        made = row.to_pylist()[0] | {d["column"]: d["to"] for d in c["changes"]}
        assert c["flipped"]
        assert score(pa.Table.from_pylist([made], schema=row.schema))[0] == pytest.approx(c["after"])
        assert (c["score"] >= 0.5) != (c["after"] >= 0.5)
    assert evidence(rows, label) == found
    assert evidence(rows, label, seed=5) != found


def test_immutable_columns_are_kept():
    label = np.zeros(300)
    for c in evidence(rows_of(300), label, immutable={"x"})["counterfactuals"]:
        assert {d["column"] for d in c["changes"]} <= {"ward"}
    assert not any(c["flipped"] for c in evidence(rows_of(300), label, immutable={"x", "ward"})["counterfactuals"])


def test_bad_input_leaves_parts_empty_and_says_why():
    none = evidence(rows_of(0), np.zeros(0))
    assert none["why"] == {
        "permutation": "no labelled rows", "shap": "0 rows are too few", "counterfactuals": "no rows",
    }  # fmt: skip
    assert (none["permutation"], none["shap"], none["counterfactuals"]) == ([], [], [])
    unlabelled = evidence(rows_of(100), np.full(100, np.nan))
    assert unlabelled["why"] == {"permutation": "no labelled rows"}
    assert len(unlabelled["shap"]) == 3
    one = evidence(rows_of(1), np.ones(1))
    assert one["why"] == {"shap": "1 rows are too few"}
    assert one["permutation"][0]["low"] is None
    same = evidence(rows_of(1).take(pa.array([0] * 50)), np.ones(50))
    assert {p["mean"] for p in same["permutation"]} == {0.0}
    assert same["agreement"] is None
    constant = evidence(rows_of(50), np.ones(50), by=lambda t: np.full(t.num_rows, 0.7))
    assert [c["flipped"] for c in constant["counterfactuals"]] == [False] * 4
    assert [c["distance"] for c in constant["counterfactuals"]] == [None] * 4


def test_a_regression_has_no_decision_to_flip():
    found = evidence(rows_of(200), rows_of(200)["x"].to_numpy(), by=lambda t: t["x"].to_numpy(), kind="regression")
    assert found["counterfactuals"] == []
    assert "regression" in found["why"]["counterfactuals"]
    assert found["permutation"][0]["name"] == "x"


def test_a_model_that_breaks_on_mixed_rows_is_told_and_costs_no_verdict():
    def broken(t):
        if t.num_rows > 200:
            raise SourceError("the estimator", "finite scores", "NaN", "mend the user code")
        return score(t)

    found = evidence(rows_of(300), np.zeros(300), by=broken)
    assert "mend the user code" in found["why"]["permutation"]
    assert found["permutation"] == []


def test_what_hangs_on_the_batch_is_not_called_additive():
    def by_company(t):
        return np.clip(score(t) - score(t).mean() + 0.5, 0, 1)

    found = evidence(rows_of(200), np.zeros(200), by=by_company)
    assert not found["additive"]
    assert found["additivity"] > 1e-3
