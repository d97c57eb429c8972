"""What the verbs print, and what they do with a home."""

import json

import pandas as pd
import pytest

NIGHT = "2024-01-02"


def test_config_explain_says_where_each_value_comes_from(tidegate, wine_home):
    said = tidegate("--home", wine_home, "config", "explain", "cultivars", "--json")
    assert said.code == 0
    origin = {row["key"]: (row["value"], row["origin"]) for row in json.loads(said.out)}
    assert origin["kind"] == ("multiclass", "configs/models/cultivars.yaml")
    assert origin["gate.min_blocks"] == (5, "configs/tidegate.yaml defaults")
    assert origin["gate.brier_margin"][1] == "built in"
    assert "min_blocks" in tidegate("--home", wine_home, "config", "explain", "cultivars").out
    assert json.loads(tidegate("--home", wine_home, "config", "explain", "tastings", "--dataset", "--json").out)


@pytest.mark.parametrize("verb", [("lineage", "cultivars"), ("findings", "cultivars", NIGHT),
                                  ("quarantine", "list", "tastings")])  # fmt: skip
def test_verbs_that_show_give_json_before_anything_ran(tidegate, wine_home, verb):
    said = tidegate("--home", wine_home, *verb, "--json")
    assert (said.code, json.loads(said.out), said.err) == (0, [], "")
    assert tidegate("--home", wine_home, *verb).code == 0


@pytest.mark.usefixtures("prefect")
def test_a_release_lets_rows_through_and_the_ledger_keeps_who_and_why(tidegate, wine_home):
    path = wine_home / f"wine/{NIGHT}.csv"
    frame = pd.read_csv(path)
    frame.loc[3, "alcohol"] = 55.0
    frame.to_csv(path, index=False)
    verdict = json.loads(tidegate("--home", wine_home, "ingest", "tastings", "--window", NIGHT, "--json").out)
    assert (verdict["outcome"], verdict["numbers"]["quarantined"]) == ("pass", 1)
    rows = json.loads(tidegate("--home", wine_home, "quarantine", "list", "tastings", "--json").out)
    assert [r["window"] for r in rows] == [NIGHT]
    assert "alcohol" in rows[0]["reasons"]
    assert "alcohol" in tidegate("--home", wine_home, "quarantine", "list", "tastings").out

    wrong = tidegate("--home", wine_home, "quarantine", "release", "tastings", NIGHT, "--by", "ann", "--why", "x",
                     "--row", "nothing")  # fmt: skip
    assert wrong.code == 2
    assert "expected row ids among its 1, found nothing" in wrong.one_line()
    nobody = tidegate("--home", wine_home, "quarantine", "release", "tastings", NIGHT, "--by", " ", "--why", "x")
    assert nobody.code == 2
    nobody.one_line()

    release = ("--home", wine_home, "quarantine", "release", "tastings", NIGHT, "--by", "ann", "--why", "port",
               "--row", rows[0]["row_id"])  # fmt: skip
    said = tidegate(*release)
    assert said.code == 0, said
    assert "1 rows released, window now pass" in said.out
    assert json.loads(tidegate("--home", wine_home, "quarantine", "list", "tastings", "--json").out) == []

    from tidegate.adapters import ledger
    from tidegate.config.home import Home
    from tidegate.steps.stores import open_stores

    stores = open_stores(Home.at(wine_home))
    assert 55.0 in stores.data.read("batches", "tastings", [NIGHT])["alcohol"].to_pylist()
    entry = ledger.entries(stores.control, stores.namespace)[-1]
    assert (entry["kind"], entry["body"]["by"], entry["body"]["why"]) == ("release", "ann", "port")


@pytest.mark.usefixtures("prefect")
@pytest.mark.fault(13)
def test_a_corrected_file_releases_a_blocked_window(tidegate, wine_home):
    path = wine_home / f"wine/{NIGHT}.csv"
    whole = path.read_text()
    path.write_text("\n".join(line.rsplit(",", 1)[0] for line in whole.splitlines()) + "\n")
    said = tidegate("--home", wine_home, "ingest", "tastings", "--window", NIGHT)
    assert said.code == 3
    assert "column 'proline': expected to be present, found missing" in said.out
    assert "proline" in tidegate("--home", wine_home, "quarantine", "list", "tastings").out
    path.write_text(whole)
    assert tidegate("--home", wine_home, "ingest", "tastings", "--window", NIGHT).code == 0
    assert json.loads(tidegate("--home", wine_home, "quarantine", "list", "tastings", "--json").out) == []


@pytest.mark.usefixtures("prefect")
def test_score_without_a_champion_says_the_next_step(tidegate, wine_home):
    said = tidegate("--home", wine_home, "score", "cultivars", "--window", NIGHT)
    assert said.code == 4
    assert "no champion yet. Next: tidegate retrain cultivars" in said.out
