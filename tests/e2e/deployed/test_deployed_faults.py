"""Faults of the catalogue through the deployed system: a real server, a real worker, real kills."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from uuid import uuid4

import psutil
import pytest

pytestmark = pytest.mark.slow
MISSED = range(10, 17)


def moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_a_broken_model_holds_no_other_back(deployed):
    names = {d["name"] for d in deployed.server.ask("/deployments/filter", {}) if "nightly" in d["entrypoint"]}
    assert names == {"cultivars", "second", "third", "fourth"}
    assert "model broken is not deployed" in deployed.server.logs()
    assert "did you mean 'Europe/Berlin'?" in deployed.server.logs()


def test_seven_missed_nights_are_caught_up_without_a_duplicate(deployed, night):
    """Three runs at once, as after a server's sleep: the first does them all, the others find nothing to do."""
    runs = [deployed.server.trigger("nightly/cultivars") for _ in range(3)]
    for run in runs:
        deployed.server.ended(run, "Completed")
    done = deployed.kinds("cultivars", "night")
    due = [night(i) for i in MISSED]
    assert done == dict.fromkeys([night(9), *due], 1)
    assert all(n == 1 for w, n in deployed.kinds("cultivars", "decision").items())
    assert deployed.kinds("cultivars", "alarms") == dict.fromkeys(due, 1)
    assert [s.rows for s in deployed.stores.lake.many("inferences", "cultivars", due)] == [36] * len(due)


def test_a_model_file_that_breaks_is_told_and_holds_no_other_back(deployed, pager, figures):
    """After deployment: its run fails with the reason, somebody is told, the other models go on."""
    path = deployed.root / "configs/models/fourth.yaml"
    good = path.read_text()
    path.write_text(good.replace("promotion: automatic", "promotion: sometimes"))
    try:
        runs = [deployed.server.trigger(f"nightly/{name}") for name in ("fourth", "cultivars")]
        failed = deployed.server.ended(runs[0], "Failed")
        assert "fourth.yaml: promotion" in failed["state"]["message"]
        assert "'approve'" in failed["state"]["message"]
        deployed.server.ended(runs[1], "Completed")
        end = time.monotonic() + 60
        while not (told := [(at, text) for at, text in pager.came if "nightly failed" in text]):
            assert time.monotonic() < end, (pager.came, deployed.server.logs())
            time.sleep(0.1)
        figures["failed run to delivered alert, s"] = told[0][0] - moment(failed["end_time"])
        assert len(told) == 1
        assert failed["id"] in told[0][1]
        known = deployed.server.ask("/automations/filter", {"limit": 200})
        again = deployed.command("deployments", "--register")
        assert again.returncode == 2
        assert "model fourth is not deployed" in again.stderr
        assert "fourth.yaml: promotion" in again.stderr
        # What cannot be read is left as it was; so is all that has not changed.
        assert deployed.server.ask("/automations/filter", {"limit": 200}) == known
        assert deployed.server.ask("/deployments/name/nightly/fourth")["parameters"]["request"]["model"] == "fourth"
    finally:
        path.write_text(good)


def test_prefect_deploy_takes_the_file_from_any_folder(deployed, tmp_path):
    """With Prefect's own command, from another folder, to the same end as Tidegate's own registration."""

    def known():
        found = deployed.server.ask("/deployments/filter", {"limit": 200})
        return {
            d["name"]: {
                **{k: d[k] for k in ("entrypoint", "tags", "enforce_parameter_schema", "description")},
                "limit": (d["global_concurrency_limit"] or {}).get("limit"), "options": d["concurrency_options"],
                "schedules": [(s["schedule"]["cron"], s["schedule"]["timezone"]) for s in d["schedules"]],
                "env": d["job_variables"]["env"], "parameters": d["parameters"], "pool": d["work_pool_name"],
                "flow": d["flow_id"],
            } for d in found
        }  # fmt: skip

    before = known()
    assert deployed.command("deployments", "--check").returncode == 3
    # A model is wrong: the others' are written, and the exit says so.
    assert deployed.command("deployments", "--write").returncode == 2
    assert deployed.command("deployments", "--check").returncode == 2
    file = deployed.root / "deployments/prefect.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--prefect-file", str(file), "--all"],
        env=deployed.server.env | {"TIDEGATE_HOME": str(deployed.root)}, cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert known() == before
    run = deployed.server.trigger("deliver/deliver")
    deployed.server.ended(run, "Completed")


@pytest.mark.fault(1)
def test_twenty_triggers_train_once(deployed, night):
    # One after the other, in seconds: all at once would race for the lock of the server's SQLite file instead.
    runs = [deployed.server.trigger("retrain/fourth", window=night(9), reason="race") for _ in range(20)]
    found = [deployed.server.ended(run, "Completed", "Cancelled") for run in runs]
    assert len(found) == 20
    trained = deployed.stores.records.versions("fourth")
    assert [v["body"]["reason"] for v in trained] == ["race"]
    assert deployed.stores.plans.get("fourth").champion == 1
    assert sum(r["state_name"] == "Cancelled" for r in found) >= 15


@pytest.mark.fault(4)
def test_a_hundred_triggers_of_one_window_and_champion_train_at_most_once(deployed, night, figures):
    """The same event a hundred times is one run; a run against a champion of the past trains nothing."""
    before = {r["id"] for r in deployed.server.runs("retrain")}
    champion = deployed.stores.plans.get("cultivars").champion
    name = str(uuid4())
    sent = deployed.wanted("cultivars", 1, name, window=night(10), champion=champion)
    made = deployed.server.until(
        "/flow_runs/filter", lambda found: [r for r in found if r["id"] not in before],
        {"flows": {"name": {"any_": ["retrain"]}}},
    )  # fmt: skip
    figures["event to run created, s"] = time.monotonic() - sent
    [run] = [r for r in made if r["id"] not in before]
    said = {"logs": {"flow_run_id": {"any_": [run["id"]]}}}
    deployed.server.until("/logs/filter", lambda ls: any("Beginning flow run" in x["message"] for x in ls), said)
    figures["event to first line, s"] = time.monotonic() - sent
    deployed.wanted("cultivars", 99, name, window=night(10), champion=champion)
    deployed.server.ended(run, "Completed")
    assert [r["id"] for r in deployed.server.runs("retrain") if r["id"] not in before] == [run["id"]]
    versions = [v for v in deployed.stores.records.versions("cultivars") if v["body"]["window"] == night(10)]
    assert len(versions) == 1
    # Somebody else is champion by now, or a version of the window is there: it says so and trains nothing.
    late = deployed.server.trigger("retrain/cultivars", window=night(11), champion=99, reason="late")
    again = deployed.server.ended(late, "Completed", "Cancelled")
    assert again["state_name"] == "Completed"
    assert len(deployed.stores.records.versions("cultivars")) == 2
    assert figures["event to run created, s"] <= 5
    assert figures["event to first line, s"] <= 25


@pytest.mark.fault(2)
@pytest.mark.fault(26)
def test_a_killed_run_is_crashed_and_its_nights_are_finished_once(deployed, night, figures):
    """The whole runner dies with the run, amid a training: nobody is left to say so but the heartbeat that stops."""
    run = deployed.server.trigger("nightly/second")
    training = {"flow_runs": {"id": {"any_": [run["id"]]}}, "task_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    deployed.server.until(
        "/task_runs/filter", lambda found: any(t["name"].startswith("train_and_register") for t in found), training
    )
    pid = deployed.holder("retrain/second")
    assert pid in [p.pid for p in deployed.pids(run)]
    deployed.server.kill(deployed.runner)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    # The scheduler is dead and nights are due: the switch that hangs on nothing pages, and once.
    for _ in range(2):
        said = deployed.command("deadman")
        assert said.returncode == 3, said.stderr
        assert f"second: 7 nights not done, the oldest {night(10)}" in said.stdout
    pages = [a for a in deployed.stores.records.alarms("second") if a.severity == "page"]
    assert [a.subject for a in pages] == ["nightly"]
    deployed.server.ended(run, "Crashed", within=120)
    figures["kill to crashed, s"] = time.monotonic() - killed
    deployed.up()
    again = deployed.server.until(
        "/flow_runs/filter",
        lambda found: [r for r in found if "tidegate-again" in r["tags"] and r["state_name"] == "Completed"],
        {"flows": {"name": {"any_": ["nightly"]}}},
    )  # fmt: skip
    assert len([r for r in again if "tidegate-again" in r["tags"]]) == 1
    done = deployed.kinds("second", "night")
    assert set(done.values()) == {1}
    assert len(done) >= len(MISSED)
    assert [v["version"] for v in deployed.stores.records.versions("second")].count(1) == 1
    assert deployed.stores.plans.get("second").champion is not None
    # What crashed belongs to the incident that the switch had opened: one page.
    [incident] = [i for i in deployed.stores.incidents.listed(closed=True) if i.name == "second"]
    assert {"nightly", "run [nightly]"} <= set(incident.members)
    assert figures["kill to crashed, s"] <= 90


@pytest.mark.fault(3)
def test_a_zombie_writes_nothing_when_it_wakes(deployed, night):
    """A retraining is stopped past its lease, another takes its place, and the first wakes up."""
    run = deployed.server.trigger("retrain/third", window=night(9), reason="zombie")
    stopped = psutil.Process(deployed.holder("retrain/third"))
    stopped.suspend()
    try:
        time.sleep(14)
        code = (
            "from flows.retrain import retrain\nfrom flows.parameters import RetrainRequest\n"
            f"print(retrain(RetrainRequest(home={str(deployed.root)!r}, model='third', window='{night(9)}', "
            "reason='alive')).outcome)"
        )
        assert deployed.server.run(code).strip().endswith("pass")
        before = deployed.stores.plans.get("third")
    finally:
        stopped.resume()
    deployed.server.ended(run, "Completed", "Failed", "Crashed")
    after = deployed.stores.plans.get("third")
    assert (after.champion, after.revision) == (before.champion, before.revision) == (before.champion, 1)
    said = {v["version"]: v["body"]["reason"] for v in deployed.stores.records.versions("third")}
    assert said[after.champion] == "alive"


def test_the_runner_ends_in_time_and_leaves_no_orphan(deployed):
    run = deployed.server.trigger("nightly/third")
    pid = deployed.holder("nightly/third")
    below = psutil.Process(deployed.runner.pid).children(recursive=True)
    assert pid in [p.pid for p in below]
    began = time.monotonic()
    deployed.runner.send_signal(signal.SIGTERM)
    assert deployed.runner.wait(30) == 0
    assert time.monotonic() - began < 20
    assert not [p for p in below if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not (deployed.home.state / "up" / "runner.ready").exists()
    deployed.server.running.remove(deployed.runner)
    deployed.server.ended(run, "Crashed", "Completed", "Failed", within=100)
