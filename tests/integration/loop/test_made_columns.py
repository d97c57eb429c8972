"""What the user's `features` makes of honest columns is screened for leaks, too."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tidegate.config.dataset import Column, Dataset, Source
from tidegate.config.gating import Robustness
from tidegate.gate.leakage import leakage
from tidegate.steps.bearing import MADE, _made


@dataclass
class Code:
    """The part of a package that makes the estimator's input."""

    features: Any
    spec: dict[str, Any] = field(
        default_factory=lambda: {"features": {"a": "number", "b": "number"}, "user": {"features": "m:features"}}
    )


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    y = (rng.random(4000) < 0.3).astype(int)
    a = rng.normal(size=4000)
    return pa.table({"a": a, "b": a + 0.3 * y}), y, np.repeat([f"2024-01-{i + 1:02d}" for i in range(20)], 200)


def screened(rows, features):
    table, y, night = rows
    columns = {"at": Column(type="timestamp"), "a": Column(type="number"), "b": Column(type="number")}
    dataset = Dataset(name="d", source=Source(files="{date}.csv"), event_time="at", key=("at",), columns=columns)
    made = _made(Code(features), table)
    lines = leakage(dataset, ["a", "b"], "y", "binary", table, y, night, Robustness(), made)[0]
    return {line.name: line.outcome for line in lines if line.outcome != "pass"}


def test_the_difference_of_two_honest_columns_may_be_the_label(rows):
    assert screened(rows, None) == {}
    assert screened(rows, lambda f: f.assign(half=f["a"] / 2)) == {}
    assert screened(rows, lambda f: f.assign(gap=f["b"] - f["a"])) == {"gap, made by features (column 3)": "fail"}


def test_a_column_that_is_overwritten_is_another_one(rows):
    found = screened(rows, lambda f: f.assign(b=f["b"] - f["a"]))
    assert found == {"b, made by features (column 2)": "fail"}


def test_categories_twins_and_moments_are_columns_like_others(rows):
    def features(frame):
        words = pd.Series(np.where(frame["b"] - frame["a"] > 0.1, "late", "on time"), index=frame.index)
        days = pd.Series(pd.Timestamp("2024-01-01"), index=frame.index)
        out = pd.concat([frame, words.astype("category").rename("word"), days.rename("day")], axis=1)
        return pd.concat([out, frame[["a"]] * 2], axis=1)

    assert screened(rows, features) == {"word, made by features (column 3)": "fail"}


def test_a_thousand_made_columns_cost_no_more_than_the_first(rows):
    wide = lambda f: pd.concat([f, *[(f["a"] + i).rename(f"c{i}") for i in range(200)]], axis=1)  # noqa: E731
    assert len(_made(Code(wide), rows[0].slice(0, 50))) == MADE - 2
