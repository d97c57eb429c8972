"""`tidegate doctor` names each fault and its mending; `tidegate status` says how each model is and what is next."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tidegate.config.home import Home
from tidegate.config.project import load_project
from tidegate.steps.doctor import examine
from tidegate.steps.flowmetrics import exposition
from tidegate.steps.health import health
from tidegate.steps.stores import open_stores, stores_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def home(make_wine, tmp_path):
    return Home.at(make_wine(tmp_path / "home", 3, 99))


def faults(home: Home) -> dict[str, tuple[str, str, str]]:
    load_project.cache_clear()
    return {c.name: (c.found, c.words, c.mend) for c in examine(home, NOW) if c.found != "ok"}


def test_a_new_home_is_well_and_stays_untouched_by_looking(home, tidegate):
    assert set(faults(home)) <= {"alerts"}
    said = tidegate("--home", home.root, "doctor")
    assert said.code == 0, said
    assert "every file loads" in said.out


def test_every_fault_has_a_line_and_a_mending(home):
    (home.root / "configs/models/broken.yaml").write_text("name: broken\ndataset: nowhere\n")
    open_stores(home)
    private = home.state / "private"
    private.mkdir(mode=0o755)
    (private / "key").write_text("secret")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)
        port = sock.getsockname()[1]
        file = home.root / "configs/tidegate.yaml"
        file.write_text(file.read_text() + f"operations: {{prefect_port: {port}}}\n")
        found = faults(home)
    assert found["model broken"][0] == "fail"
    assert found["model broken"][2] == "mend configs/models/broken.yaml"
    assert found["private files"][0] == "fail"
    assert found["private files"][2].startswith("chmod -R go-rwx ")
    assert found[f"port {port}"][0] == "warn"
    assert "operations.prefect_port" in found[f"port {port}"][2]
    subprocess.run(found["private files"][2].split(), check=True)
    assert "private files" not in faults(home)


@pytest.mark.parametrize(
    ("revision", "found"), [("9999", "fail"), ("0001", "warn")], ids=["a newer schema", "an older schema"]
)
def test_a_schema_of_another_version_is_told_and_not_changed(home, revision, found):
    stores = open_stores(home)
    stores.control.engine.dispose()
    with sqlite3.connect(home.state / "control.db") as c:
        c.execute("update alembic_version set version_num = ?", (revision,))
    c.close()
    if found == "fail":
        assert faults(home)["schema"][0] == found
    else:
        from tidegate.steps.doctor import _schema

        assert [x.found for x in _schema(home)] == [found]
    c = sqlite3.connect(home.state / "control.db")
    assert c.execute("select version_num from alembic_version").fetchone() == (revision,)
    c.close()


def test_a_damaged_control_database_is_told(home):
    home.state.mkdir(parents=True, exist_ok=True)
    (home.state / "control.db").write_bytes(b"this is no database" * 500)
    assert faults(home)["control"][0] == "fail"


def test_a_clock_behind_the_records_is_told(home):
    stores = stores_of(home)
    from tidegate.verdicts import Verdict

    stores.records.put_verdict("cultivars", "night", "2024-01-01", Verdict("pass"), datetime(2031, 1, 1, tzinfo=UTC))
    assert "behind the newest record" in faults(home)["clock"][1]


def test_configuration_that_does_not_load_leaves_the_other_checks(home, tidegate):
    (home.root / "configs/tidegate.yaml").write_text("namespace: [\n")
    load_project.cache_clear()
    said = tidegate("--home", home.root, "doctor")
    assert said.code == 3
    assert "packages as required" in said.out
    assert "mend configs/tidegate.yaml" in said.out


def test_status_of_all_models_also_of_a_broken_one(home, tidegate):
    good = (home.root / "configs/models/cultivars.yaml").read_text()
    (home.root / "configs/models/broken.yaml").write_text(good.replace("dataset: tastings", "dataset: nowhere"))
    load_project.cache_clear()
    said = tidegate("--home", home.root, "status", "--json")
    assert said.code == 3
    found = {h["model"]: h for h in json.loads(said.out)}
    assert found["broken"]["state"] == "act"
    assert "nowhere" in found["broken"]["fault"]
    assert (found["cultivars"]["state"], found["cultivars"]["next"]) == ("look", "tidegate retrain cultivars")
    assert "Next: tidegate retrain cultivars" in tidegate("--home", home.root, "status").out


def test_metrics_are_what_prometheus_reads_and_say_the_same_as_status(home):
    stores = stores_of(home)
    families = {f.name: f for f in text_string_to_metric_families(exposition(stores, NOW))}
    states = {s.labels["state"]: s.value for s in families["tidegate_model_state"].samples}
    assert states == {"fine": 0, "look": 1, "act": 0}
    assert [h.state for h in health(stores, NOW)] == ["look"]
    assert families["tidegate_champion_version"].samples[0].value == 0


def test_status_imports_neither_prefect_nor_mlflow(home):
    code = (
        "import sys; sys.argv = ['tidegate', '--home', sys.argv[1], 'status']\n"
        "from tidegate.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'prefect', 'mlflow', 'sklearn', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(home.root)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
