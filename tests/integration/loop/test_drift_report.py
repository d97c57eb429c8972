"""The page of a window: against what it was drawn, what is in it, where it is kept."""

import dataclasses
import re

import pytest

from tidegate.adapters.registry import Registry
from tidegate.clock import evening_of
from tidegate.errors import StoreError, UsageError
from tidegate.steps import drift_report as step
from tidegate.steps.drift_report import LABEL, PREDICTION, drift_report


def report(loop, day, i, known=None):
    w = loop.calendar.window(day(i))
    return drift_report(loop.stores, loop.model, w, evening_of(loop.calendar.window(day(known or i))))


def test_changed_instruments_are_seen_and_the_page_is_evidence(wine, day):
    drawn = report(wine, day, 15, known=20)
    version = wine.record(drawn.version)
    assert {"proline", "flavanoids"} <= set(drawn.drifted) <= set(drawn.compared)
    assert set(drawn.compared) == {*wine.model.features, PREDICTION, LABEL}
    assert (drawn.rows, drawn.reference_rows) == (36, version["body"]["rows"])
    assert not drawn.left_out
    run = Registry(wine.stores.home.state).client.get_run(version["body"]["run_id"])
    assert drawn.uri == f"{run.info.artifact_uri}/drift_reports/{day(15)}.html"
    page = drawn.path.read_text()
    assert "At most 5,000 rows a side" in page
    import mlflow

    assert mlflow.artifacts.load_text(drawn.uri) == page


def test_a_night_like_the_training_has_no_drift(wine, day):
    assert report(wine, day, 10).drifted == ()


def test_labels_not_known_yet_are_left_out_and_said_so(wine, day):
    now = evening_of(wine.calendar.window(day(15)))
    late = drift_report(wine.stores, wine.model, wine.calendar.window(day(15)), now)
    assert LABEL not in late.compared
    assert late.left_out == {LABEL: "none known yet; due 3 nights after the window"}
    assert "none known yet" in late.path.read_text()


def test_samples_are_capped_and_the_same_again(wine, day, monkeypatch):
    monkeypatch.setattr(step, "ROWS", 30)
    monkeypatch.setattr(step, "NIGHTS", 3)
    first = report(wine, day, 15, known=20)
    scores = re.findall(r"Drift score is [\d.]+", first.path.read_text())
    assert len(scores) >= len(first.compared)
    assert report(wine, day, 15, known=20) == first
    assert re.findall(r"Drift score is [\d.]+", first.path.read_text()) == scores
    assert (first.rows, first.reference_rows) == (30, 30)
    assert re.search(r"30 of the window's 36 rows against 30 of the\s+\d{3} rows", first.path.read_text())
    assert "; 3 of" in first.path.read_text()


@pytest.mark.fault(39)
def test_columns_with_a_privacy_rule_are_not_in_the_page(wine, day, monkeypatch):
    dataset = wine.dataset
    private = {
        name: c.model_copy(update={"privacy": "pseudonym"}) if name in ("cellar", "proline") else c
        for name, c in dataset.columns.items()
    }
    monkeypatch.setattr(wine.stores.project, "dataset", lambda _: dataset.model_copy(update={"columns": private}))
    drawn = report(wine, day, 15)
    assert {"cellar", "proline"}.isdisjoint(drawn.compared)
    assert drawn.left_out["cellar"] == "privacy: pseudonym"
    assert '"south"' not in drawn.path.read_text()
    monkeypatch.undo()
    assert '"south"' in report(wine, day, 15).path.read_text()


def test_the_reference_is_what_was_known_at_training(wine, day, monkeypatch):
    asked = []
    read = wine.stores.data.read

    def noted(table, owner, wanted=None, **more):
        asked.append((wanted, more.get("as_of")))
        return read(table, owner, wanted, **more)

    stores = dataclasses.replace(wine.stores, data=_Noting(wine.stores.data, noted))
    drawn = drift_report(stores, wine.model, wine.calendar.window(day(15)), evening_of(wine.calendar.window(day(15))))
    spec = wine.package(drawn.version).spec
    trained = [(w[0], then.isoformat()) for w, then in asked if then]
    assert trained == [(n, spec["trained_at"]) for n in spec["trained"]]


class _Noting:
    def __init__(self, lake, read):
        self.many, self.stored, self.read = lake.many, lake.stored, read


def test_what_cannot_be_drawn_says_what_to_do(wine, diabetes, make_wine, loop_of, tmp_path, day, monkeypatch):
    with pytest.raises(UsageError, match="tidegate ingest tastings --window 2024-02-20"):
        report(wine, day, 50)
    with pytest.raises(UsageError, match=r"rows of 2024-01-04.*none that passed"):
        report(diabetes, day, 3)
    empty = loop_of(make_wine(tmp_path / "home", 2, 99), "cultivars")
    with pytest.raises(UsageError, match="tidegate retrain cultivars"):
        report(empty, day, 0)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StoreError, match="a file that can be written"):
        step._write(blocked / "page.html", "")


def test_a_regression_is_compared_by_its_numbers(diabetes, day):
    drawn = report(diabetes, day, 15, known=20)
    assert {PREDICTION, LABEL} <= set(drawn.compared)
    assert LABEL in drawn.drifted
