"""Plans, faults and kills: what a gateway does when the world around it changes."""

import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import psutil
import pytest

from serving.follower import Follower
from serving.gauges import Gauges
from serving.lane import lanes_of
from tidegate.adapters import ledger
from tidegate.clock import evening_of
from tidegate.steps.collect import collect


class Caller(threading.Thread):
    """Asks again and again; keeps every status and version with its time."""

    def __init__(self, served, row):
        super().__init__(daemon=True)
        self.served, self.row, self.seen, self.over = served, row, [], threading.Event()

    def run(self):
        import requests

        with requests.Session() as http:
            while not self.over.is_set():
                try:
                    answer = http.post(
                        f"{self.served.url}/invocations", json={"dataframe_records": [self.row]}, timeout=30
                    )
                    body = answer.json()
                    self.seen.append(
                        (time.monotonic(), answer.status_code, body.get("version"), body.get("inference_ids"))
                    )
                except requests.ConnectionError:
                    self.seen.append((time.monotonic(), 0, None, None))

    def stop(self):
        self.over.set()
        self.join(timeout=40)
        return self.seen


def swap(loop, version, digest):
    plan = loop.stores.plans.get(loop.name)
    window = loop.calendar.window("2024-01-09")
    return loop.stores.plans.swap(
        plan, replace(plan, champion=version, champion_digest=digest), owner="me", window=window.id,
        at=evening_of(window), why={"by": "test"},
    )  # fmt: skip


def until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def two(tastings_made, again, loop_of, tmp_path_factory):
    """A home with two versions, of which the second decides."""
    root = tmp_path_factory.mktemp("two") / "home"
    shutil.copytree(tastings_made.root, root)
    loop = loop_of(root, "cultivars")
    again(loop, 8)
    return loop


@pytest.fixture
def versions(two, loop_of, tmp_path):
    shutil.copytree(two.root, tmp_path / "home")
    return loop_of(tmp_path / "home", "cultivars")


def test_a_new_plan_is_followed_and_acknowledged_without_one_failed_request(gateway, versions, row):
    served = gateway(versions.root, "--workers", "2")
    digests = {v: versions.record(v)["digest"] for v in (1, 2)}
    callers = [Caller(served, row) for _ in range(2)]
    for caller in callers:
        caller.start()
    for version in (1, 2, 1):
        plan = swap(versions, version, digests[version])
        acks = versions.stores.acks.wait("cultivars", plan.revision, 30)
        assert [(a.revision, a.version, a.fault) for a in acks] == [(plan.revision, version, "")] * 2
    seen = [s for caller in callers for s in caller.stop()]
    assert {status for _, status, _, _ in seen} == {200}
    assert {version for _, _, version, _ in seen} == {1, 2}
    assert served.stop() == 0
    assert versions.stores.acks.live("cultivars") == []
    collect(versions.stores, versions.model, datetime.now(UTC))
    taken = versions.stores.lake.read("resources", "cultivars").to_pylist()
    assert len({t["worker"] for t in taken}) == 2
    assert all(t["cpu_s"] > 0 and t["memory"] > 5e7 and t["seconds"] > 0 for t in taken)


def test_what_is_about_to_become_champion_is_made_ready_beside(versions, tmp_path):
    """From its intent on, while the old version answers."""
    stores, digest = versions.stores, versions.record(1)["digest"]
    names = ("cultivars",)
    gauges = Gauges(tmp_path / "live", names)
    lanes = lanes_of(stores.project, names, gauges, "me", tmp_path / "state")
    follower = Follower(stores.home, stores.namespace, lanes, "me", 0.1)
    try:
        follower.look()
        assert lanes["cultivars"].hosted.version == 2
        with stores.control.write() as c:
            ledger.append(c, namespace=stores.namespace, owner="me", model="cultivars", kind="intent", window=None,
                          at=evening_of(versions.calendar.window("2024-01-09")),
                          body={"version": 1, "digest": digest})  # fmt: skip
        follower.look()
        made = follower.shelf._making["cultivars", digest].result(timeout=60)
        assert lanes["cultivars"].hosted.version == 2
        swap(versions, 1, digest)
        follower.look()
        assert lanes["cultivars"].hosted.version == 1
        assert lanes["cultivars"].hosted.prepared is made.prepared
    finally:
        follower.stop()
        lanes["cultivars"].log.close()


@pytest.mark.fault(32)
def test_a_version_whose_bytes_were_changed_never_serves_and_the_old_one_goes_on(gateway, versions, row):
    served = gateway(versions.root, "--workers", "1")
    digest = versions.record(1)["digest"]
    spec = versions.stores.package_folder("cultivars", digest) / "tidegate" / "spec.json"
    spec.write_text(spec.read_text() + " ")
    plan = swap(versions, 1, digest)
    (ack,) = versions.stores.acks.wait("cultivars", plan.revision, 30)
    assert (ack.version, ack.revision) == (2, plan.revision)
    assert "expected digest" in ack.fault
    answer = served.post("/invocations", {"dataframe_records": [row]})
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert 'tidegate_switch_failed{model="cultivars"} 1.0' in served.get("/metrics").text


@pytest.mark.fault(30)
def test_it_starts_and_answers_with_control_and_registry_gone(gateway, versions, row):
    first = gateway(versions.root, "--workers", "1")
    until((versions.root / "var" / "serving" / "plans.json").exists)
    assert first.stop() == 0
    for name in ("control.db", "mlflow.db"):
        for path in (versions.root / "var").glob(f"{name}*"):
            path.unlink()
        (versions.root / "var" / name).write_bytes(b"no database at all, and certainly no SQLite" * 100)
    served = gateway(versions.root, "--workers", "1")
    answer = served.post("/invocations", {"dataframe_records": [row]})
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert "tidegate_control_up 0.0" in served.get("/metrics").text


@pytest.mark.fault(27)
def test_a_full_disk_of_the_log_drops_and_counts_and_fails_no_request(gateway, versions, row, tmp_path):
    import subprocess

    spool = versions.root / "var" / "spool"
    spool.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(spool)], check=False).returncode:
        pytest.skip("this user may not mount a file system")
    try:
        small = "serving: {log: {segment_bytes: 131072}}\n"
        served = gateway(versions.root, "--workers", "1", settings=small)
        logged = []
        rows = [{**row, "tasting": i} for i in range(400)]
        for _ in range(60):
            answer = served.post("/invocations", {"dataframe_records": rows})
            assert answer.status_code == 200
            logged.append(answer.json()["logged"])
        assert logged[0]
        assert not logged[-1]
        text = served.get("/metrics").text
        kept = f'tidegate_inferences_total{{model="cultivars",what="logged"}} {400.0 * sum(logged)}'
        lost = f'tidegate_inferences_total{{model="cultivars",what="dropped"}} {400.0 * (60 - sum(logged))}'
        assert kept in text
        assert lost in text
        assert served.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(spool)], check=True)


@pytest.mark.fault(41)
@pytest.mark.parametrize("durability", ["buffered", pytest.param("sync", marks=pytest.mark.slow)])
def test_what_was_answered_is_stored_after_a_kill(gateway, versions, row, durability):
    served = gateway(versions.root, "--workers", "2", settings=f"serving: {{log: {{durability: {durability}}}}}\n")
    callers = [Caller(served, row) for _ in range(3)]
    for caller in callers:
        caller.start()
    time.sleep(1.5)
    os.killpg(served.process.pid, signal.SIGKILL)
    acknowledged = {i for caller in callers for _, status, _, ids in caller.stop() if status == 200 for i in ids}
    until(lambda: not psutil.pid_exists(served.process.pid) or served.process.poll() is not None)
    done = collect(versions.stores, versions.model, evening_of(versions.calendar.window("2024-01-09")))
    windows = [s.window for s in versions.stores.lake.many("served", "cultivars")]
    stored = versions.stores.lake.read("served", "cultivars", windows, columns=["inference_id"])[
        "inference_id"
    ].to_pylist()
    assert len(acknowledged) > 50
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored)) == done.rows


@pytest.mark.slow
def test_workers_end_with_their_parent(gateway, versions):
    served = gateway(versions.root, "--workers", "2")
    workers = psutil.Process(served.process.pid).children(recursive=True)
    assert len(workers) >= 2
    served.stop(signal.SIGKILL)
    until(lambda: not any(w.is_running() and w.status() != psutil.STATUS_ZOMBIE for w in workers))


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(gateway, versions, row):
    served = gateway(versions.root, "--workers", "2")
    until(lambda: len(versions.stores.acks.live("cultivars")) == 2)
    before = {a.worker for a in versions.stores.acks.live("cultivars")}
    os.kill(int(next(iter(before)).split("-")[0]), signal.SIGKILL)
    until(lambda: len({a.worker for a in versions.stores.acks.live("cultivars")} - before) == 1, 40)
    assert served.post("/invocations", {"dataframe_records": [row]}).status_code == 200


@pytest.mark.slow
def test_latency_above_the_declared_limit_opens_an_incident_within_a_minute(gateway, versions, row):
    path = versions.root / "configs" / "models" / "cultivars.yaml"
    path.write_text(path.read_text() + "serving: {max_p99: 0.00001s}\n")
    served = gateway(versions.root, "--workers", "2")
    for _ in range(60):
        assert served.post("/invocations", {"dataframe_records": [row]}).status_code == 200

    def opened():
        served.post("/invocations", {"dataframe_records": [row]})
        return any(i.cause == "service" for i in versions.stores.incidents.listed())

    until(opened, 60)
