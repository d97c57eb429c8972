"""The screen for leaks: what is planted is found, what is strong and honest passes, bad input is no pass."""

import numpy as np
import pyarrow as pa
import pytest

from tidegate.config.dataset import Column, Dataset, Source
from tidegate.config.gating import Robustness
from tidegate.gate.leakage import leakage
from tidegate.gate.ranking import auc, ranked

NIGHTS = np.repeat([f"2024-01-{i + 1:02d}" for i in range(20)], 100)
TYPES = {"string": "category", "double": "number", "int64": "integer"}


def dataset_of(rows, **more):
    columns = {n: Column(type=TYPES[str(rows[n].type)], **more.get(n, {})) for n in rows.column_names}
    return Dataset(name="d", source=Source(files="{date}.csv"), event_time="at", key=("at",),
                   columns={"at": Column(type="timestamp"), **columns})  # fmt: skip


def said(features, y, kind="binary", settings=None, night=NIGHTS, **more):
    rows = pa.table(features)
    return leakage(dataset_of(rows, **more), rows.column_names, "y", kind, rows, y, night, settings or Robustness())[0]


def outcomes(lines):
    return {line.name: line.outcome for line in lines}


@pytest.fixture(params=[0.15, 0.5])
def drawn(request):
    rng = np.random.default_rng(5)
    return rng, (rng.random(2000) < request.param).astype(int)


def test_a_noisy_copy_a_category_and_a_hole_are_suspected(drawn):
    rng, y = drawn
    noise = rng.normal(size=2000)
    found = outcomes(said({
        "noisy": y + 0.2 * noise,
        "word": np.where(y == 1, rng.choice(["a", "b"], 2000), rng.choice(["c", "d", "e"], 2000)),
        "hole": pa.array(noise, mask=y == 1),
        "half a hole": pa.array(noise, mask=(y == 1) & (rng.random(2000) < 0.5)),
        "came late": pa.array(y.astype(float), mask=NIGHTS > "2024-01-12"),
        "a third": np.where(rng.random(2000) < 0.3, y, 0.5 + noise),
        "honest": noise,
    }, y))  # fmt: skip
    assert found.pop("alone") == "pass"
    assert found == dict.fromkeys(["noisy", "word", "hole", "half a hole", "came late", "a third"], "fail") | {
        "known at the event": "pass"
    }


def test_a_strong_honest_feature_passes(drawn):
    rng, y = drawn
    score = 2.0 * y + rng.normal(size=2000)
    lines = said({"normal": score, "heavy": np.exp(2 * score), "rough": np.clip(np.rint(3 + 2 * score), 1, 12),
                  "bent": np.where(y == 1, 2.2, 0.7) * rng.normal(size=2000)}, y)  # fmt: skip
    assert outcomes(lines) == {"alone": "pass", "known at the event": "pass"}
    assert 0.9 < next(line for line in lines if line.name == "alone").observed < 0.95


def test_a_leak_that_is_declared_as_strong_passes_and_says_so(drawn):
    _, y = drawn
    lines = said({"x": y.astype(float)}, y, settings=Robustness(strong=("x",)))
    assert [(line.role, line.outcome) for line in lines if line.name == "x"] == [("leakage", "pass")]


def test_of_several_classes_one_is_enough():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, 2000)
    found = outcomes(said({"knows": (y == 2) + 0.1 * rng.normal(size=2000), "dull": rng.normal(size=2000)}, y,
                          "multiclass"))  # fmt: skip
    assert found["knows"] == "fail"
    assert found["alone"] == "pass"


def test_a_regression_leaks_by_rank_and_by_copy():
    rng = np.random.default_rng(3)
    y = rng.normal(100, 20, 2000)
    found = outcomes(said({
        "noisy": -y + rng.normal(0, 1, 2000), "bent": (y - 100) ** 2 * np.sign(y - 100),
        "strong": y + rng.normal(0, 12, 2000),
        "some": np.where(rng.random(2000) < 0.1, y, rng.normal(100, 20, 2000)),
    }, y, "regression"))  # fmt: skip
    assert found == {"noisy": "fail", "bent": "fail", "some": "fail", "alone": "pass", "known at the event": "pass"}


def test_integers_that_coincide_by_chance_are_no_copy():
    rng = np.random.default_rng(4)
    y, x = rng.integers(0, 8, 2000).astype(float), rng.integers(0, 8, 2000)
    assert outcomes(said({"x": x}, y, "regression")) == {"alone": "pass", "known at the event": "pass"}


@pytest.mark.parametrize(
    ("features", "word"),
    [(["late"], "known only after"), (["y"], "the label itself"), (["unheard"], "no column of the contract")],
)
def test_what_the_contract_forbids_fails_whatever_it_ranks(features, word):
    rng = np.random.default_rng(6)
    y = rng.integers(0, 2, 2000)
    rows = pa.table({"late": rng.normal(size=2000), "y": rng.normal(size=2000)})
    lines, _ = leakage(
        dataset_of(rows, late={"known": "later"}), features, "y", "binary", rows, y, NIGHTS, Robustness()
    )
    assert any(line.outcome == "fail" and word in line.reason for line in lines)


@pytest.mark.parametrize(
    ("y", "night", "why"),
    [
        (np.zeros(2000, int), NIGHTS, "one class only"),
        (np.r_[np.ones(5, int), np.zeros(1995, int)], NIGHTS, "5 rows"),
        (np.full(2000, np.nan), NIGHTS, "no numbers"),
        (np.arange(2000) % 2, np.full(2000, "2024-01-01"), "1 nights"),
        (np.zeros(0, int), NIGHTS[:0], "0 labelled rows"),
    ],
)
def test_too_little_is_inconclusive(y, night, why):
    lines = said({"x": np.linspace(0, 1, len(y)), "empty": pa.array([None] * len(y), pa.float64())}, y, night=night)
    assert outcomes(lines)["alone"] == "inconclusive"
    assert why in next(line.reason for line in lines if line.name == "alone")


def test_columns_that_say_nothing_pass():
    y = np.arange(2000) % 2
    lines = said({"empty": pa.array([None] * 2000, pa.float64()), "same": np.ones(2000), "inf": np.full(2000, np.inf),
                  "word": pa.array(["a"] * 2000)}, y)  # fmt: skip
    assert outcomes(lines) == {"alone": "pass", "known at the event": "pass"}


def test_ranking_is_sklearns():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(7)
    y, s = rng.integers(0, 2, 300), rng.integers(0, 20, 300).astype(float)
    assert auc(s, y == 1) == pytest.approx(roc_auc_score(y, s), abs=1e-12)
    assert ranked("regression", s, y + 0.0 * s) > 0.4
    assert np.isnan(ranked("binary", s, np.ones(300)))
    assert np.isnan(ranked("regression", s[:1], s[:1]))
    several = rng.dirichlet([1, 1, 1], 300)
    three = rng.integers(0, 3, 300)
    assert ranked("multiclass", several, three) == pytest.approx(
        roc_auc_score(three, several, multi_class="ovr"), abs=1e-12
    )


def test_each_rule_says_what_it_saw(drawn):
    rng, y = drawn
    noise = rng.normal(size=2000)
    lines = said({"noisy": y + 0.2 * noise, "came late": pa.array(y.astype(float), mask=NIGHTS > "2024-01-12"),
                  "half a hole": pa.array(noise, mask=(y == 1) & (rng.random(2000) < 0.5))}, y)  # fmt: skip
    reasons = {line.name: line.reason for line in lines}
    assert "by itself, more than 0.95" in reasons["noisy"]
    assert "where it has a value (60% of the rows)" in reasons["came late"]
    assert "class 1 is all but certain" in reasons["half a hole"]


def test_the_limit_is_the_settings(drawn):
    rng, y = drawn
    features = {"x": 2.0 * y + rng.normal(size=2000)}
    assert outcomes(said(features, y))["alone"] == "pass"
    assert outcomes(said(features, y, settings=Robustness(max_alone=0.8)))["x"] == "fail"
