"""The flows as Prefect runs them: from Python and by entrypoint, with their parameters and artifacts."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.parameters import DatasetNight, ModelNight, Nights, ReplayRequest, RetrainRequest

FLOWS = (
    "approval",
    "compact",
    "deliver",
    "drift_report",
    "drill",
    "failure",
    "ingest",
    "nightly",
    "recalibrate",
    "replay",
    "retrain",
    "rollback",
    "score",
)
FIRST = date(2024, 1, 1)
NEW = 10


@pytest.fixture(scope="module")
def home(prefect, make_wine, tmp_path_factory):
    """A home whose first nights are ingested, with their labels, and that has no model yet."""
    from tidegate.clock import evening_of
    from tidegate.config.home import Home
    from tidegate.steps.ingest import ingest
    from tidegate.steps.labels import collect_labels
    from tidegate.steps.stores import open_stores

    root = make_wine(tmp_path_factory.mktemp("flows"), NEW + 2, 99)
    stores = open_stores(Home.at(root))
    dataset, model = stores.project.dataset("tastings"), stores.project.model("cultivars")
    for window in stores.project.calendar(dataset).range(FIRST, FIRST + timedelta(days=NEW - 1)):
        ingest(stores, dataset, window, evening_of(window))
        collect_labels(stores, model, window, evening_of(window))
    return root


def asked(home, model="cultivars", night=NEW):
    return {"home": str(home), "model": model, "window": FIRST + timedelta(days=night)}


def artifacts():
    from prefect import get_client

    with get_client(sync_client=True) as client:
        found = client.read_artifacts()
    return {a.key: a for a in sorted(found, key=lambda a: a.created)}


def test_ingest_lands_a_window_and_leaves_its_verdict(home):
    from flows.ingest import ingest

    verdict = ingest(DatasetNight(home=str(home), dataset="tastings", window=FIRST + timedelta(days=NEW)))
    assert verdict.passed
    page = artifacts()["quality-tastings"]
    assert page.type == "markdown"
    assert "2024-01-11" in page.data
    assert "pass" in page.data


def test_retrain_registers_a_champion_and_leaves_the_gates_verdict(home):
    from flows.retrain import retrain
    from flows.score import score

    assert score(ModelNight(**asked(home))) is None
    verdict = retrain(RetrainRequest(**asked(home, night=NEW - 1), reason="by hand"))
    assert verdict.passed
    page = artifacts()["gate-cultivars"]
    assert "version 1" in page.data
    assert "promoted" in page.data
    assert score(ModelNight(**asked(home))) == 36


def test_nightly_scores_and_leaves_decision_and_alarms(home):
    from flows.nightly import nightly
    from tidegate.config.home import Home
    from tidegate.steps.stores import open_stores

    [done] = nightly(Nights(**asked(home, night=NEW + 1)))
    assert done.quality.passed
    assert done.scored == 36
    assert done.decision.action == "nothing"
    left = artifacts()
    assert "nothing" in left["decision-cultivars"].data
    assert left["alarms-cultivars"].type == "table"
    assert json.loads(left["alarms-cultivars"].data) == []
    stores = open_stores(Home.at(home))
    assert stores.lake.stored("findings", "cultivars", done.window).rows > 5
    before = stores.lake.stored("inferences", "cultivars", done.window)
    assert nightly(Nights(**asked(home, night=NEW + 1)))[0].scored == 36
    assert stores.lake.stored("inferences", "cultivars", done.window) == before


def test_a_drift_report_is_linked_from_its_run(home):
    from flows.drift_report import drift_report

    drawn = drift_report(ModelNight(**asked(home, night=NEW)))
    assert drawn.path.is_file()
    link = artifacts()["drift-report-cultivars"]
    assert link.type == "markdown"
    assert drawn.uri in link.data
    assert f"{len(drawn.drifted)} of {len(drawn.compared)}" in link.data


def test_replay_takes_nights_through_the_steps_in_a_home_of_its_own(home):
    from flows.replay import replay

    start = FIRST + timedelta(days=NEW)
    replay(ReplayRequest(home=str(home), model="cultivars", start=start, end=start + timedelta(days=1),
                         history=FIRST, policy="never", replay_id="two"))  # fmt: skip
    folder = home / "var/replay/two/never"
    lines = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    assert [line["phase"] for line in lines] == ["history"] * NEW + ["night", "night", "done"]
    assert [line["window"] for line in lines[-3:-1]] == ["2024-01-11", "2024-01-12"]
    assert not any(line["blocked"] for line in lines[-3:-1])
    assert (folder / "control.db").is_file()
    assert (home / "var/replay/two/shared/control.db").is_file()


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (DatasetNight, {"dataset": "../etc"}),
        (DatasetNight, {"dataset": "tastings", "windw": "2024-01-01"}),
        (ModelNight, {"model": "cultivars", "window": "yesterday"}),
        (ModelNight, {}),
        (RetrainRequest, {"model": "cultivars", "reason": "x" * 201}),
        (ReplayRequest, {"model": "cultivars", "start": "2024-01-01", "end": "2024-01-02", "policy": "sometimes"}),
        (ReplayRequest, {"model": "cultivars", "start": "2024-01-01", "end": "2024-01-02", "replay_id": "../x"}),
    ],
)
def test_parameters_are_checked(kind, wrong):
    with pytest.raises(ValidationError):
        kind(**wrong)


def test_every_entrypoint_loads_from_any_directory_and_knows_its_parameters(tmp_path):
    """In a process of its own, as a worker would."""
    code = (
        "import json\n"
        "from prefect.flows import load_flow_from_entrypoint as load\n"
        f"loaded = {{n: load(f'flows.{{n}}.{{n}}', use_placeholder_flow=False) for n in {FLOWS}}}\n"
        "found = {n: [f.name, f.fn.__module__, sorted(f.parameters.properties)] for n, f in loaded.items()}\n"
        "print(json.dumps(found))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {n: [n, f"flows.{n}", ["request"]] for n in FLOWS}
    assert list(tmp_path.iterdir()) == []


def test_no_flow_file_shadows_a_module_that_can_be_imported():
    """Prefect may leave `flows/` at the front of `sys.path`."""
    folder = Path(importlib.util.find_spec("flows").origin).parent
    elsewhere = [p for p in sys.path if p and Path(p).resolve() != folder]
    for file in folder.glob("[!_]*.py"):
        assert file.stem not in sys.stdlib_module_names
        assert importlib.machinery.PathFinder.find_spec(file.stem, elsewhere) is None, file.stem
