"""The lab through the whole chain on a small home: forks change nothing, a killed run goes on where it was."""

import json
import sqlite3

import pytest

from tidegate.clock import evening_of
from tidegate.config.home import Home
from tidegate.errors import ConfigError, UsageError
from tidegate.lab.catalogue import fault_named
from tidegate.lineage.digest import file_digest
from tidegate.steps import labchain
from tidegate.steps.labactions import carried_out
from tidegate.steps.labbase import Ground, baseline
from tidegate.steps.labbench import Bench, cell
from tidegate.steps.labchain import right_action, run_chain
from tidegate.steps.labfork import carry_on, fork

NIGHTS = 24
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ground(make_diabetes, tmp_path_factory):
    """Eight nights of history for the champions, of patients among whom nothing changes."""
    root = make_diabetes(tmp_path_factory.mktemp("lab"), NIGHTS, 99)
    return Ground(Home.at(root), "progression", "small", "2024-01-01", f"2024-01-{NIGHTS}", history=8, settle=3)


@pytest.fixture(scope="module")
def base(ground):
    return baseline(ground, 1, 2)


def digests(base):
    """Every file below a baseline, and every row of its control databases."""
    homes = (base.home.state, base.home.shared)
    files = {str(p): file_digest(p) for h in homes for p in h.rglob("*") if p.is_file() and "control.db" not in p.name}
    rows = {}
    for home in homes:
        with sqlite3.connect(home / "control.db") as database:
            for (name,) in database.execute("select name from sqlite_master where type = 'table'").fetchall():
                # Leases are taken, and given back, by whoever looks.
                if name != "leases":
                    rows[str(home), name] = database.execute(f'select * from "{name}"').fetchall()
    return files, rows


def test_a_fork_in_which_nothing_is_changed_repeats_the_baseline(base):
    before = digests(base)
    nights = [d for d in base.nights.dates if d > base.snapshots[-2]][:3]
    with fork(base, base.snapshots[-2]) as stores:
        told = [n.brief() for n in carry_on(base, stores, nights)]
        folder = stores.home.state
        assert folder.is_dir()
    assert told == [base.lived()[n] for n in nights]
    assert not folder.parent.exists()
    assert digests(base) == before


def test_what_a_fork_does_to_data_and_models_stays_in_it(base):
    before = digests(base)
    evening = base.snapshots[-2]
    nights = [d for d in base.nights.dates if d > evening][:2]
    with fork(base, evening) as stores:
        for night in nights:
            whole = base.nights.frame(night)
            base.nights.deliver(stores.home, night, whole.assign(bmi=whole["bmi"] * 100), whole)
        told = carry_on(base, stores, nights)
        packages, failed = carried_out(base, stores, base.window(nights[-1]))
        made = stores.home.state / "packages" / base.model_name
        new = {p.name for p in made.iterdir() if not p.is_symlink()}
        assert new == {packages["retrain"].digest, packages["recalibrate"].digest}
    assert [n.quality.passed for n in told] == [False, False]
    assert any(a.severity == "page" for a in told[0].alarms)
    assert told[0].decision.action == "fix_data"
    assert set(packages) == {"nothing", "fix_data", "recalibrate", "roll_back", "retrain"}
    assert "a regression model has no threshold" in failed["move_threshold"]
    assert packages["retrain"].digest not in (packages["nothing"].digest, packages["roll_back"].digest)
    assert digests(base) == before


def test_nobody_forks_from_an_evening_without_a_snapshot(base):
    with pytest.raises(UsageError, match="no snapshot"), fork(base, "2024-01-02"):
        pass


def test_a_fault_is_seen_and_its_harm_is_what_came_true(base):
    found = cell(Bench(base), fault_named("unit_change"), 2, 1)
    assert found["with"]["blocked"] == list(range(7))
    assert found["with"]["action"] == "fix_data"
    assert found["with"]["first"]["page"] == 0
    assert found["without"]["blocked"] == []
    assert found["without"]["action"] == "nothing"
    assert found["harm"] > 0.05


def test_a_killed_run_goes_on_where_it_was(ground, base, monkeypatch):
    faults, done = ["category_remap", "partial_batch"], []

    def killed(*words):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_chain(ground, [1], [2], faults, killed, workers=1)
    path = ground.folder / "chain.jsonl"
    assert len(path.read_text().splitlines()) == 1
    with path.open("a") as file:
        file.write('{"key": "partial_batch/2/2/1", "fau')  # torn by the kill
    real = labchain.cell
    monkeypatch.setattr(labchain, "cell", lambda *a: done.append(a[1].name) or real(*a))
    lines = run_chain(ground, [1], [2], faults, workers=1)
    assert done == ["partial_batch"]
    assert [line["fault"] for line in lines] == faults
    assert [json.loads(text)["key"] for text in path.read_text().splitlines()] == [line["key"] for line in lines]
    assert run_chain(ground, [1], [2], faults, workers=1) == lines
    assert done == ["partial_batch"]


def test_a_lab_that_was_begun_otherwise_is_refused(ground):
    other = Ground(ground.home, "progression", "small", "2024-01-01", "2024-01-20", history=8, settle=3)
    with pytest.raises(ConfigError, match="begun with"):
        baseline(other, 1, 2)
    short = Ground(ground.home, "progression", "short", "2024-01-01", "2024-01-09", history=8, settle=3)
    with pytest.raises(UsageError, match="longer history"):
        baseline(short, 1, 2)


def test_the_measure_counts_scenarios_that_have_a_right_action():
    lines = [{"scenario": "unchanged", "size": 0, "right": ["nothing", "fix_data"], "chosen": "nothing"},
             {"scenario": "unit_change", "size": 1, "right": ["fix_data"], "chosen": "nothing"},
             {"scenario": "unit_change", "size": 1, "right": [], "chosen": "nothing"}]  # fmt: skip
    found = right_action(lines)
    assert (found["n"], found["macro"]) == (2, 0.5)
    assert found["confusion"] == {"nothing": {"nothing": 1}, "fix_data": {"nothing": 1}}


def test_the_champions_are_on_record_as_the_labs_own(base):
    versions = {v["version"]: v for v in base.stores.records.versions(base.model_name)}
    assert [versions[v]["status"] for v in (1, 2)] == ["retired", "champion"]
    assert "without a gate" in versions[2]["body"]["looks"][0]["reasons"][0]
    assert evening_of(base.window(base.since)) == versions[2]["known_at"]
