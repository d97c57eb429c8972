"""Evidently behind its adapter: what surprises in it, beside what the adapter makes of the same columns."""

from __future__ import annotations

import socket
import warnings

import numpy as np
import pandas as pd
import pytest

from tidegate.adapters.evidently import draw
from tidegate.config.model import Monitors
from tidegate.errors import CheckBroke
from tidegate.report.drift import Field, comparison


def bare(reference, current, kind=None, **settings):
    """Evidently on its own: whether it calls the column drifted, and by which method."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        kinds = DataDefinition(**{kind: ["x"]}) if kind else None
        sides = [Dataset.from_pandas(pd.DataFrame({"x": x}), data_definition=kinds) for x in (current, reference)]
        made = Report([DataDriftPreset(**settings)], include_tests=True).run(*sides)
        [test] = [t for t in made.dict()["tests"] if t["id"] == "drift"]
        return str(test["status"]).endswith("FAIL"), test["description"], made


def ours(kind, reference, current):
    frames = [pd.DataFrame({"x": x}) for x in (reference, current)]
    found = comparison([("x", kind)], *frames, Monitors())
    return draw(found.fields, "x", lambda drifted: ""), found


def normal(n, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, n)


@pytest.mark.fault(19)
def test_half_of_a_column_missing():
    current = np.where(np.arange(900) % 2, np.nan, normal(900, 1))
    drifted, _, _ = bare(normal(3000), current)
    assert not drifted
    assert ours("number", normal(3000), current)[0].drifted == ("x (without a value)",)


@pytest.mark.fault(19)
def test_infinite_values():
    current = np.where(np.arange(900) % 2, np.inf, normal(900, 1))
    drifted, _, _ = bare(normal(3000), current)
    assert not drifted
    page, _ = ours("number", normal(3000), current)
    assert page.drifted == ("x (without a value)",)
    assert '"infinite"' in page.html


@pytest.mark.parametrize("dead", [np.full(900, np.nan), np.empty(0)])
def test_a_column_that_is_all_missing_or_empty(dead):
    with pytest.raises(ValueError, match="empty column"):
        bare(normal(3000), dead, "numerical_columns")
    frames = [
        pd.DataFrame({"x": normal(3000), "y": normal(3000)}),
        pd.DataFrame({"x": pd.Series(dead), "y": 1.0}).head(len(dead)),
    ]
    found = comparison([("x", "number"), ("y", "number")], *frames, Monitors())
    assert found.left_out["x"] == "no usable value of it in the window"
    if len(dead):
        assert "x (without a value)" in draw(found.fields, "x", lambda drifted: "").drifted


def test_many_unique_strings_are_categories_because_the_contract_says_so():
    reference, current = [f"r{i}" for i in range(2000)], [f"c{i}" for i in range(2000)]
    _, said, _ = bare(reference, current)
    assert "text" in said.lower()
    assert ours("category", reference, current)[0].drifted == ("x",)


def test_the_method_does_not_change_at_a_thousand_rows():
    methods = [bare(normal(n), normal(900, 1))[1].split("method is")[1].split(".")[0] for n in (1000, 1001)]
    assert methods[0] != methods[1]
    for n in (1000, 1001):
        page, _ = ours("number", normal(n), normal(900, 1))
        assert "PSI on the reference" in page.html
        assert page.drifted == ()


def test_the_yardstick_is_the_references():
    current = np.append(normal(900, 1, shift=0.6), 1e5)
    drifted, _, _ = bare(normal(3000), current, method="psi", threshold=0.2)
    assert not drifted
    assert ours("number", normal(3000), current)[0].drifted == ("x",)


@pytest.mark.fault(36)
def test_values_and_names_from_outside_are_not_live():
    evil = "</script><script>alert(1)</script>"
    column = ["a", evil] * 500
    _, _, made = bare(column, column, "categorical_columns")
    assert evil in made.get_html_str(as_iframe=False)
    frames = [pd.DataFrame({evil: x}) for x in (column, column)]
    found = comparison([(evil, "category")], *frames, Monitors())
    page = draw(found.fields, evil, lambda drifted: "").html
    assert "<script>alert" not in page
    harmless, _ = ours("category", ["a"], ["a"])
    assert page.count("</script") == harmless.html.count("</script")
    assert "script›alert(1)" in page.replace("\\u203a", "›").replace("\\u2039", "‹")


def test_nothing_is_sent(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    page, _ = ours("number", normal(300), normal(300, 1))
    assert "default-src 'none'" in page.html


@pytest.mark.parametrize("kind", ["number", "integer", "category", "boolean", "text"])
@pytest.mark.parametrize(
    ("reference", "current"), [([1], [1]), ([1] * 50, [1] * 50), ([1] * 50, [0]), ([0, 1, None] * 9, [1, None])]
)
def test_small_and_constant_columns_are_drawn(kind, reference, current):
    cast = {"category": str, "text": str, "boolean": bool}.get(kind, float)
    sides = [[None if v is None else cast(v) for v in side] for side in (reference, current)]
    page, found = ours(kind, *sides)
    assert found.fields
    assert "drawDashboard" in page.html


def test_one_drifted_column_is_enough():
    rng = np.random.default_rng(5)
    names = [f"c{i}" for i in range(20)]
    reference, current = (pd.DataFrame(rng.normal(size=(n, 20)), columns=names) for n in (2000, 500))
    current["c7"] += 3
    found = comparison([(n, "number") for n in names], reference, current, Monitors())
    page = draw(found.fields, "x", lambda drifted: f"<i>{drifted}</i>")
    assert page.drifted == ("c7",)
    assert "<i>['c7']</i>" in page.html
    assert "Dataset Drift is detected" in page.html


def test_a_fault_of_evidently_says_nothing_about_the_data():
    odd = Field("x", "number", pd.Series([1.0]), pd.Series(["a"]), 0.1)
    with pytest.raises(CheckBroke, match="a page from Evidently"):
        draw([odd], "x", lambda drifted: "")
