"""What the verbs say of a model, in words and as JSON: trained, approved, looked at, drawn."""

import json
from datetime import date, timedelta

import pytest

FIRST = date(2024, 1, 1)
LAST, DAMAGED = "2024-01-10", "2024-01-05"


@pytest.fixture(scope="module")
def clinic(prefect, make_diabetes, tmp_path_factory):
    """Ten nights with their labels; one row of one night is refused. Nothing is trained."""
    import pandas as pd

    from tidegate.clock import evening_of
    from tidegate.config.home import Home
    from tidegate.steps.ingest import ingest
    from tidegate.steps.labels import collect_labels
    from tidegate.steps.stores import open_stores

    root = make_diabetes(tmp_path_factory.mktemp("clinic"), 10, 99)
    file = root / f"diabetes/{DAMAGED}.parquet"
    frame = pd.read_parquet(file)
    frame.loc[0, "bp"] = 900.0
    frame.to_parquet(file, index=False)
    stores = open_stores(Home.at(root))
    dataset, model = stores.project.dataset("patients"), stores.project.model("progression")
    for window in stores.project.calendar(dataset).range(FIRST, FIRST + timedelta(days=9)):
        ingest(stores, dataset, window, evening_of(window))
        collect_labels(stores, model, window, evening_of(window))
    return root


def test_a_model_from_its_training_to_its_report(tidegate, clinic, tmp_path):
    def told(*words, code=0):
        said = tidegate("--home", clinic, *words, "--json")
        assert said.code == code, said
        return json.loads(said.out)

    said = tidegate("--home", clinic, "report", "progression", LAST)
    assert said.code == 2
    assert said.one_line().endswith("expected a champion, found none. Next: tidegate retrain progression")

    empty = told("status", "progression")
    assert (empty["plan"]["champion"], empty["candidate"]) == (None, None)
    assert [n["window"] for n in empty["nights"]] == [f"2024-01-{i:02}" for i in range(4, 11)]
    assert told("retrain", "progression", "--window", LAST)["outcome"] == "pass"
    assert told("status", "progression")["candidate"] | {"digest": ""} == {
        "version": 1,
        "status": "challenger",
        "digest": "",
    }
    plan = told("approve", "progression", "1", "--by", "ann")
    assert (plan["champion"], plan["revision"]) == (1, 1)
    after = told("status", "progression")
    assert (after["plan"], after["candidate"]) == (plan, None)
    assert "champion 1, plan revision 1, no candidate" in tidegate("--home", clinic, "status", "progression").out

    assert told("score", "progression", "--window", LAST) == {"rows": 36}
    rows = told("digests", "progression", LAST)
    assert [r["table"] for r in rows] == ["batches", "quarantine", "profiles", "inferences", "labels"]
    assert {r["owner"] for r in rows} == {"patients", "progression"}
    assert all(len(r["digest"]) == 64 for r in rows)
    told("score", "progression", "--window", LAST)
    assert told("digests", "progression", LAST) == rows
    assert rows[0]["digest"][:16] in tidegate("--home", clinic, "digests", "progression", LAST).out

    page = tmp_path / "page.html"
    drawn = told("report", "progression", LAST, "-o", page)
    assert (drawn["window"], drawn["version"], drawn["path"]) == (LAST, 1, str(page))
    assert drawn["left_out"] == {"model: label": "none known yet; due 2 nights after the window"}
    assert page.read_text() == (clinic / f"var/reports/progression/{LAST}.html").read_text()
    said = tidegate("--home", clinic, "report", "progression", LAST)
    assert "comparisons above their limit" in said.out
    assert "not compared: model: label (none known yet" in said.out
    assert tidegate("--home", clinic, "report", "progression", LAST, "-o", tmp_path / "no/page.html").code == 1
    assert tidegate("--home", clinic, "report", "progression", "yesterday").code == 2


def test_a_release_is_told_as_json(tidegate, clinic):
    said = tidegate("--home", clinic, "quarantine", "release", "patients", DAMAGED, "--by", "ann", "--why", "a giant",
                    "--json")  # fmt: skip
    assert said.code == 0
    told = json.loads(said.out)
    assert (told["released"], told["outcome"]) == (1, "pass")
