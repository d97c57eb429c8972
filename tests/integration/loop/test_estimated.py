"""Estimates of several classes and of numbers, and labels that come one by one."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from tidegate.steps.arrival import arrivals


@pytest.mark.fault(16)
def test_the_gap_is_judged_on_nights_that_are_mature_only(wine, day):
    told = wine.stores.records.verdicts(wine.name, "gap")
    scored = [s.window for s in wine.stores.lake.many("inferences", wine.name)]
    assert list(told) == [w for w in scored if w <= day(23 - 3)]
    rows = wine.stores.lake.read("estimates", wine.name, [day(23)]).to_pylist()
    found = {r["metric"]: r for r in rows}
    assert {"roc_auc", "log_loss", "f1", "accuracy", "kpi"} <= set(found)
    assert 0 < found["log_loss"]["value"] < 2


@pytest.mark.fault(16)
def test_the_arrival_curve_of_labels_that_come_one_by_one_is_the_sources_own(wine):
    found = arrivals(wine.stores, wine.model)
    told = pd.read_csv(wine.root / "verdicts.csv", parse_dates=["tasted_at", "told_at"])
    age = (told["told_at"].dt.normalize() - told["tasted_at"].dt.normalize()).dt.days
    scored = {s.window for s in wine.stores.lake.many("inferences", wine.name)}
    mine = told["tasted_at"].dt.date.astype(str).isin(scored)
    assert found.curve.at(0) == 0.0
    assert found.curve.at(1) == pytest.approx(np.mean(age[mine] <= 1), abs=0.03)
    assert found.curve.at(3) == pytest.approx(1.0)
    assert found.verdict.numbers["until"] == {"50%": 1, "90%": found.curve.until(0.9), "99%": 3}
    # Of the late labels the third class is the latest: what came by night 2 lacks it.
    worst = next(d for d in found.early if d.what == "share of third among labels by night 2")
    assert worst.inside < worst.outside == 1.0
    assert worst.proven
    assert found.verdict.outcome == "fail"
    assert any("selective" in r for r in found.verdict.reasons)


def test_labels_of_files_came_when_their_file_did(diabetes, tidegate):
    found = arrivals(diabetes.stores, diabetes.model)
    assert (found.curve.at(1), found.curve.until(0.5)) == (0.0, 2)
    assert found.verdict.numbers["delay"] == 2
    said = tidegate("--home", diabetes.root, "labels", "progression", "--json")
    assert said.code == {"pass": 0, "fail": 3, "inconclusive": 4}[found.verdict.outcome]
    assert json.loads(said.out)["verdict"]["numbers"]["until"]["50%"] == 2


def test_a_regressions_errors_are_estimated_with_their_own_error(diabetes, day):
    rows = diabetes.stores.lake.read("estimates", diabetes.name, [day(20)]).to_pylist()
    found = {r["metric"]: r for r in rows}
    assert set(found) == {"mae", "rmse", "kpi"}, "R² has no estimate"
    assert 0 < found["mae"]["value"] <= found["rmse"]["value"]
    assert found["kpi"]["value"] == pytest.approx(-found["mae"]["value"])
    assert all(math.isfinite(r["se"]) and r["se"] > 0 for r in rows)
    # The disease went faster from night 10 on, which nothing of the inputs tells.
    came = diabetes.stores.records.verdict(diabetes.name, "gap", day(15)).numbers["night"]["mae"]
    assert came[0] > 2 * found["mae"]["se"]
    assert diabetes.stores.records.verdict(diabetes.name, "estimate", day(20)).outcome in ("fail", "inconclusive")


def test_before_there_is_a_champion_nothing_is_estimated_and_the_verb_says_so(wine_home_of, tidegate):
    said = tidegate("--home", wine_home_of, "estimates", "cultivars")
    assert said.code == 0
    assert "has no champion: nothing to estimate" in said.out
    labels = tidegate("--home", wine_home_of, "labels", "cultivars")
    assert labels.code == 4
    assert "no window is stored" in labels.out


def test_a_model_that_is_only_monitored_has_no_estimate(wine_home_of, tidegate):
    path = wine_home_of / "configs/models/cultivars.yaml"
    path.write_text(path.read_text().replace("  build: winery:build\n", ""))
    said = tidegate("--home", wine_home_of, "estimates", "cultivars", "--json")
    assert said.code == 0
    assert "only monitored" in json.loads(said.out)["words"][0]


@pytest.fixture
def wine_home_of(make_wine, tmp_path):
    return make_wine(tmp_path / "home", 2, 99)
