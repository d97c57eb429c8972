"""`tidegate explain` on real packages: binary with every type of column, several classes, a regression."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from tidegate.clock import evening_of
from tidegate.steps.candidate import train_and_register

TRIPS = """\
source: {files: "trips/{date}.parquet"}
event_time: left_at
key: [trip]
columns:
  trip: {type: integer, nullable: false}
  left_at: {type: timestamp, nullable: false}
  zone: {type: category, values: [hills, port, town]}
  load: {type: number, min: 0, max: 40, unit: t}
  stops: {type: integer, min: 0, max: 20}
  rain: {type: boolean}
  sex: {type: category, nullable: false, values: [f, m]}
  village: {type: category, privacy: generalise, granularity: 2}
  driver: {type: text, privacy: pseudonym}
"""
LATE = """\
dataset: trips
owner: depot
kind: binary
label: {column: late, classes: ["no", "yes"], positive: "yes", delay: 1d, source: {files: "late/{date}.csv"}}
estimator: {build: "depot:build", features: "depot:features", params: {max_iter: 30, min_samples_leaf: 10}, seed: 3}
features: [left_at, zone, load, stops, rain, sex, village]
protected: [sex]
metric: {primary: log_loss}
gate: {immutable: [rain]}
retrain: {policy: never}
"""
FUEL = """\
dataset: trips
owner: depot
kind: regression
label: {column: litres, delay: 1d, source: {files: "late/{date}.csv"}}
estimator: {build: "depot:tree", params: {max_depth: 5, min_samples_leaf: 10}, seed: 3}
features: [load, stops]
metric: {primary: mae}
retrain: {policy: never}
"""
DEPOT = """\
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeRegressor


def build(params):
    return HistGradientBoostingClassifier(categorical_features="from_dtype", early_stopping=False, **params)


def features(frame):
    return frame.drop(columns="left_at").assign(hour=frame["left_at"].dt.hour.astype("float64"))


def tree(params):
    return DecisionTreeRegressor(**params)
"""
NIGHTS, ROWS = 10, 60
FREE = {"left_at", "zone", "load", "stops"}


def evening(loop, night):
    window = loop.calendar.window(night)
    return window, evening_of(window)


@pytest.fixture(scope="module")
def depot(loop_of, day, tmp_path_factory):
    """Ten nights of trips and one trained version, which nobody promoted."""
    root = tmp_path_factory.mktemp("depot")
    for name, text in {
        "configs/tidegate.yaml": "namespace: lab\ndefaults:\n  gate: {block_nights: 1, min_blocks: 5}\n",
        "configs/datasets/trips.yaml": TRIPS, "configs/models/late.yaml": LATE, "configs/models/fuel.yaml": FUEL,
        "depot.py": DEPOT,
    }.items():  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "trips").mkdir()
    (root / "late").mkdir()
    rng = np.random.default_rng(17)
    for i in range(NIGHTS):
        start = datetime.fromisoformat(day(i)).replace(tzinfo=UTC)
        frame = pd.DataFrame({
            "trip": np.arange(ROWS) + 1000 * (i + 1),
            "left_at": pd.to_datetime([start + timedelta(seconds=int(s)) for s in rng.integers(0, 86_400, ROWS)]),
            "zone": rng.choice(["hills", "port", "town"], ROWS),
            "load": np.where(rng.random(ROWS) < 0.1, np.nan, rng.uniform(0, 40, ROWS).round(2)),
            "stops": pd.array(rng.integers(0, 12, ROWS), "Int64"),
            "rain": pd.array(rng.random(ROWS) < 0.3, "boolean"),
            "sex": rng.choice(["f", "m"], ROWS),
            "village": rng.choice(["Ash", "Elm", "Oak"], ROWS),
            "driver": [f"driver{j}\x1b[31m" for j in rng.integers(0, 9, ROWS)],
        })  # fmt: skip
        z = (frame["load"].fillna(20) - 20) / 6 + (frame["zone"] == "hills") * 2 - 0.7 + rng.normal(0, 0.7, ROWS)
        frame.to_parquet(root / f"trips/{day(i)}.parquet", index=False)
        told = frame[["trip", "left_at"]].assign(left_at=[t.isoformat() for t in frame["left_at"]])
        told = told.assign(late=np.where(z > 0, "yes", "no"), litres=3 * frame["load"].fillna(20) + frame["stops"])
        told.to_csv(root / f"late/{day(i)}.csv", index=False)
    loop = loop_of(root, "late")
    for i in range(NIGHTS):
        loop.ingest(i)
        loop.labels(i)
    train_and_register(loop.stores, loop.model, *evening(loop, day(NIGHTS - 1)), reason="forced")
    return loop


@pytest.fixture
def told(tidegate, depot):
    def call(*words, root=depot.root, model="late", code=0):
        said = tidegate("--home", root, "explain", model, *words, "--json")
        assert said.code == code, said
        return json.loads(said.out)

    return call


def batch_row(loop, night, place=0):
    rows = loop.stores.data.read("batches", loop.dataset.name, [night])
    return rows.slice(place, 1)


def test_a_row_of_the_lake_is_explained_as_its_package_scores_it(told, depot, day):
    row, package = batch_row(depot, day(4), 7), depot.package(1)
    row_id = row["row_id"][0].as_py()
    found = told("--row", row_id, "--version", 1)
    assert (found["row_id"], found["window"], found["version"]) == (row_id, day(4), 1)
    score = package.scores(row)[0]
    assert found["score"] == pytest.approx(score)
    assert found["threshold"] == package.spec["threshold"]
    assert found["answer"] == ("yes" if score >= package.spec["threshold"] else "no")
    parts = found["contributions"]
    assert {c["column"] for c in parts} == set(depot.model.features)
    assert found["base"] + sum(c["contribution"] for c in parts) == pytest.approx(score, abs=1e-6)
    assert found["error"] < 1e-6
    assert parts[-1]["cumulative"] == pytest.approx(score, abs=1e-6)
    sizes = [abs(c["contribution"]) for c in parts]
    assert sizes == sorted(sizes, reverse=True)
    assert {parts[0]["column"], parts[1]["column"]} == {"load", "zone"}
    assert told("--row", row_id, "--version", 1, "--window", day(4)) == found


def test_counterfactuals_flip_the_package_and_keep_what_must_be_kept(told, depot, day):
    package, flipped = depot.package(1), 0
    for place in range(4):
        row = batch_row(depot, day(6), place)
        found = told("--row", row["row_id"][0].as_py(), "--version", 1)
        for c in found["counterfactuals"]:
            if not c["flipped"]:
                continue
            flipped += 1
            # Not rain (immutable), sex (protected), village (private).
            assert {d["column"] for d in c["changes"]} <= FREE
            made = row
            for d in c["changes"]:
                at = made.schema.get_field_index(d["column"])
                assert made[d["column"]][0].as_py() == d["from"]
                made = made.set_column(at, made.schema.field(at), [[d["to"]]])
            assert package.scores(made)[0] == pytest.approx(c["after"])
            assert (c["after"] >= found["threshold"]) != (found["score"] >= found["threshold"])
            assert {c["decision"], c["other"]} == {"yes", "no"}
    assert flipped >= 4


def test_neighbours_are_others_and_nothing_private_is_told(told, depot, day, tidegate):
    row = batch_row(depot, day(5), 3)
    row_id = row["row_id"][0].as_py()
    found = told("--row", row_id, "--version", 1)
    outcomes = {r["row_id"]: r for r in depot.package(1).reference("outcomes").to_pylist()}
    distances = [n["distance"] for n in found["neighbours"]]
    assert len(distances) == 5
    assert distances == sorted(distances)
    for n in found["neighbours"]:
        assert n["row_id"] != row_id
        assert n["score"] == outcomes[n["row_id"]]["score"]
        assert n["window"] == outcomes[n["row_id"]]["event_window"]
        assert n["label"] == ("yes" if outcomes[n["row_id"]]["label"] else "no")
        assert set(n["row"]) == {*depot.model.features} - {"village"}
    said = tidegate("--home", depot.root, "explain", "late", "--row", row_id, "--version", 1)
    assert said.code == 0
    assert "driver" not in said.out
    near = said.out.partition("Nearest of")[2]
    for village in ("Ash", "Elm", "Oak"):
        assert village not in near
    for words in ("answers ", "threshold", "contribution", "would have been", "came true"):
        assert words in said.out


def test_a_typed_row_is_explained_like_the_stored_one(told, depot, day, tmp_path):
    row = batch_row(depot, day(7), 2)
    cells = row.select(list(depot.model.features)).to_pylist()[0]
    cells["left_at"] = cells["left_at"].isoformat()
    stored = told("--row", row["row_id"][0].as_py(), "--version", 1)
    typed = told("--row", json.dumps(cells), "--version", 1)
    assert (typed["row_id"], typed["window"]) == (None, None)
    for key in ("score", "base", "contributions", "counterfactuals"):
        assert typed[key] == stored[key]
    file = tmp_path / "row.json"
    file.write_text(json.dumps(cells))
    assert told("--row", f"@{file}", "--version", 1) == typed
    # The row itself is now a neighbour like any other.
    assert typed["neighbours"][0]["distance"] == 0


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("0" * 32, "a row of dataset trips, found none in 10 windows"),
        ('{"zone": "sea"}', "expected a value, found none"),
        ('{"zone": ', "a JSON object"),
        ('{"zoned": "port"}', "columns of dataset trips"),
        ("@nowhere.json", "No such file"),
        ("\x1b[31m", "a row of dataset trips"),
    ],
)
def test_a_row_that_cannot_be_is_refused_in_one_line(tidegate, depot, row, words):
    said = tidegate("--home", depot.root, "explain", "late", "--row", row, "--version", 1)
    assert said.code == 2
    assert words in said.one_line()
    assert ". Next: " in said.one_line()
    assert "\x1b" not in said.err


def test_a_version_or_window_that_is_not_there_is_refused(tidegate, depot, day):
    def refused(*words):
        said = tidegate("--home", depot.root, "explain", "late", "--row", "{}", *words)
        assert said.code == 2
        return said.one_line()

    assert "expected a champion, found none. Next: tidegate retrain late, or name a version" in refused()
    assert "expected a version, found 7; known are 1" in refused("--version", 7)
    said = tidegate("--home", depot.root, "explain", "late", "--row", "0" * 32, "--version", 1, "--window", "soon")
    assert said.code == 2
    row_id = batch_row(depot, day(4))["row_id"][0].as_py()
    said = tidegate("--home", depot.root, "explain", "late", "--row", row_id, "--version", 1, "--window", day(5))
    assert "none in 1 windows" in said.one_line()


def test_without_the_references_batches_it_says_what_is_lacking(depot, monkeypatch):
    from tidegate.adapters.lake import Lake
    from tidegate.errors import StoreError
    from tidegate.steps.explain import reference_of

    def emptied(self, table, owner, wanted=None, columns=None, as_of=None):
        return read(self, table, owner, [], columns)

    read = Lake.read
    monkeypatch.setattr(Lake, "read", emptied)
    with pytest.raises(StoreError, match=r"found none of their rows\. Next: tidegate ingest trips --window"):
        reference_of(depot.stores, depot.model, depot.package(1))


def test_several_classes(told, wine, day):
    version = wine.stores.plans.get(wine.name).champion
    row = batch_row(wine, day(20), 5)
    found = told("--row", row["row_id"][0].as_py(), root=wine.root, model="cultivars")
    scores = wine.package(version).scores(row)[0]
    assert found["version"] == version
    assert found["answer"] == ["first", "second", "third"][scores.argmax()]
    assert found["score"] == pytest.approx(scores.max())
    assert found["threshold"] is None
    total = found["base"] + sum(c["contribution"] for c in found["contributions"])
    assert total == pytest.approx(scores.max(), abs=1e-6)
    assert all(c["decision"] == found["answer"] != c["other"] for c in found["counterfactuals"] if c["flipped"])
    assert all(len(n["score"]) == 3 and n["label"] in ("first", "second", "third") for n in found["neighbours"])


def test_a_regression_has_contributions_and_no_counterfactuals(told, tidegate, depot, loop_of, day):
    fuel = loop_of(depot.root, "fuel")
    for i in range(NIGHTS):
        fuel.labels(i)
    train_and_register(fuel.stores, fuel.model, *evening(fuel, day(NIGHTS - 1)), reason="forced")
    row = batch_row(fuel, day(4), 5)
    row_id = row["row_id"][0].as_py()
    found = told("--row", row_id, "--version", 1, model="fuel")
    assert found["answer"] == found["score"] == pytest.approx(fuel.package(1).scores(row)[0])
    assert found["base"] + sum(c["contribution"] for c in found["contributions"]) == pytest.approx(found["score"])
    assert found["contributions"][0]["column"] == "load"
    assert (found["counterfactuals"], found["threshold"]) == ([], None)
    assert all(isinstance(n["label"], float) for n in found["neighbours"])
    said = tidegate("--home", depot.root, "explain", "fuel", "--row", row_id, "--version", 1)
    assert said.code == 0
    assert "would have been" not in said.out
    assert "threshold" not in said.out


def test_the_gates_part_of_the_evidence(depot):
    from tidegate.explain.evidence import Sizes
    from tidegate.steps.explain import explanations
    from tidegate.steps.outcomes import join

    package = depot.package(1)
    outcomes = package.reference("outcomes")
    nights = sorted(set(outcomes["event_window"].to_pylist()))
    rows = join(depot.stores.data.read("batches", "trips", nights), outcomes.select(["row_id", "label"]))
    sizes = Sizes(rows=300, repeats=2, explained=12, background=12)
    found = explanations(depot.model, depot.dataset, package, rows, np.random.default_rng(0), sizes=sizes)
    assert {p["name"] for p in found["permutation"][:2]} == {"load", "zone"}
    assert {p["name"] for p in found["shap"][:2]} == {"load", "zone"}
    assert found["additive"]
    assert found["why"] == {}
    for c in found["counterfactuals"]:
        assert {d["column"] for d in c["changes"]} <= FREE
    json.dumps(found, allow_nan=False)
