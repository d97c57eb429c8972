"""A switch with a gateway's workers: acknowledged, told of, or taken back; pins, and packages kept by two at once."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tidegate.adapters import ledger
from tidegate.adapters.packages import load
from tidegate.adapters.packagestore import left_over
from tidegate.adapters.registry import Registry
from tidegate.clock import evening_of
from tidegate.errors import IntegrityError
from tidegate.lineage.chain import broken_at
from tidegate.lineage.digest import folder_digest
from tidegate.steps.decide import attempts_of, decide_window
from tidegate.steps.pins import keep, pinned, prune, shelf
from tidegate.steps.promote import promote
from tidegate.steps.reconcile import reconcile, reconcile_all
from tidegate.steps.rollback import roll_back, roll_back_by
from tidegate.steps.switch import mirrored, switch, undo

LAST = 23


@pytest.fixture
def workers(cellar):
    """Starts workers that follow the plan as a gateway's do; each can load the versions that it is told."""
    over, threads = threading.Event(), []

    def follow(name, can):
        stores, at, served = cellar.stores, 0, None
        while not over.wait(0.02):
            plan = stores.plans.get(cellar.name)
            if plan.revision != at:
                at, fault = plan.revision, "" if plan.champion in can else "no module named winery"
                served = served if fault else plan.champion
                stores.acks.say(cellar.name, name, owner="cellar", revision=at, version=served,
                                package=plan.champion_digest, fault=fault)  # fmt: skip

    def start(*each):
        for i, can in enumerate(each):
            threads.append(threading.Thread(target=follow, args=(f"w{i}", can)))
            threads[-1].start()
        until = time.monotonic() + 10
        while len(cellar.stores.acks.live(cellar.name)) < len(each) and time.monotonic() < until:
            time.sleep(0.02)

    yield start
    over.set()
    for thread in threads:
        thread.join()


def evening(loop, day):
    return loop.calendar.window(day(LAST)), evening_of(loop.calendar.window(day(LAST)))


def statuses(loop):
    return [v["status"] for v in loop.stores.records.versions(loop.name)]


def kinds(loop):
    return [e["kind"] for e in ledger.entries(loop.stores.control, loop.stores.namespace, loop.name)]


def waits(loop, day):
    """Version 2's promotion taken back, so that it can be promoted once more."""
    plan = loop.stores.plans.get(loop.name)
    before = replace(plan, champion=1, champion_digest=loop.record(1)["digest"])
    undo(loop.stores, loop.model, plan, before, day(LAST), evening(loop, day)[1], "test")
    assert mirrored(loop.stores, loop.model) == ""
    assert statuses(loop) == ["champion", "challenger"]


def test_workers_acknowledge_and_the_ledger_says_who(cellar, workers, day):
    workers((1, 2), (1, 2))
    window, now = evening(cellar, day)
    done = roll_back(cellar.stores, cellar.model, window, now, why={"reason": "test"}, by="ann")
    assert [(a.worker, a.version, a.fault) for a in done.workers] == [("w0", 1, ""), ("w1", 1, "")]
    assert (done.late, done.failed, done.owed) == ((), (), "")
    [said] = ledger.entries(cellar.stores.control, cellar.stores.namespace, cellar.name, "acknowledged")
    assert [w["worker"] for w in said["body"]["workers"]] == ["w0", "w1"]


@pytest.mark.fault(5)
def test_a_promotion_that_a_worker_cannot_load_is_taken_back(cellar, workers, day):
    waits(cellar, day)
    workers((1, 2), (1,))
    window, now = evening(cellar, day)
    with pytest.raises(IntegrityError, match=r"1 of 2 that cannot, w1: no module named winery.*version 1 serves"):
        promote(cellar.stores, cellar.model, 2, window, now, why={"reason": "test"}, by="automatic")
    assert cellar.stores.plans.get(cellar.name).champion == 1
    assert statuses(cellar) == ["champion", "challenger"]
    last = ledger.entries(cellar.stores.control, cellar.stores.namespace, cellar.name, "plan")[-1]["body"]
    assert "no module named winery" in last["reason"]
    assert last["undoes"] == last["from"]["revision"]
    assert reconcile(cellar.stores, cellar.model).done == ()


def test_a_rollback_stays_while_one_worker_can_load_it(cellar, workers, day):
    workers((2,), (1, 2))
    done = roll_back_by(cellar.stores, cellar.model, evening(cellar, day)[1], by="ann", check=False)
    assert [a.worker for a in done.switched.failed] == ["w0"]
    assert statuses(cellar) == ["champion", "rolled_back"]


def test_a_rollback_that_no_worker_can_load_is_taken_back(cellar, workers, day):
    workers((2,), (2,))
    with pytest.raises(IntegrityError, match="2 of 2 that cannot"):
        roll_back_by(cellar.stores, cellar.model, evening(cellar, day)[1], by="ann", check=False)
    assert cellar.stores.plans.get(cellar.name).champion == 2
    assert statuses(cellar) == ["retired", "champion"]
    # It was no rollback: nothing is cooling down, and there still is a former champion.
    assert "roll_back" not in [a.action for a in attempts_of(cellar.stores, cellar.model)]


class Killed(BaseException):
    pass


def kill(*_args, **_named):
    raise Killed


@pytest.mark.fault(5)
def test_a_kill_while_waiting_for_a_gateway_that_cannot_load_is_taken_back(cellar, workers, day, monkeypatch):
    waits(cellar, day)
    workers((1,), (1,))
    window, now = evening(cellar, day)
    with monkeypatch.context() as patch:
        patch.setattr(type(cellar.stores.acks), "wait", kill)
        with pytest.raises(Killed):
            promote(cellar.stores, cellar.model, 2, window, now, why={"reason": "test"}, by="automatic")
    plan = cellar.stores.plans.get(cellar.name)
    assert plan.champion == 2
    cellar.stores.acks.wait(cellar.name, plan.revision, 10)
    assert "is undone" in reconcile(cellar.stores, cellar.model, now).done[0]
    assert cellar.stores.plans.get(cellar.name).champion == 1
    assert statuses(cellar) == ["champion", "challenger"]


def test_a_kill_between_switch_and_status_keeps_the_cooldown(cellar, day, monkeypatch):
    window, now = evening(cellar, day)
    with monkeypatch.context() as patch:
        patch.setattr("tidegate.steps.switch.align", kill)
        with pytest.raises(Killed):
            roll_back(cellar.stores, cellar.model, window, now, why={"reason": "test"}, by="ann")
    assert statuses(cellar) == ["retired", "champion"]
    [tried] = [a for a in attempts_of(cellar.stores, cellar.model) if a.action == "roll_back"]
    assert tried.window.isoformat() == day(LAST)


def test_a_switch_that_comes_to_nothing_is_said_to(cellar, day):
    folder = cellar.package(1).folder
    (folder / "MLmodel").write_text("{}")
    window, now = evening(cellar, day)
    record, plan = cellar.record(1), cellar.stores.plans.get(cellar.name)
    with pytest.raises(IntegrityError, match="expected digest"):
        switch(cellar.stores, cellar.model, plan, record, window, now, intent={"by": "ann"}, why={"by": "ann"})
    assert kinds(cellar)[-2:] == ["intent", "abandoned"]
    assert cellar.stores.plans.get(cellar.name) == plan
    assert broken_at(ledger.entries(cellar.stores.control, cellar.stores.namespace)) is None


def test_a_decision_that_a_kill_kept_from_the_ledger_is_entered_once(cellar, day):
    entries = ledger.entries(cellar.stores.control, cellar.stores.namespace, cellar.name, "decision")
    night = entries[-1]["window"]
    window = cellar.calendar.window(night)
    known = cellar.stores.records.verdict(cellar.name, "decision", night)
    with cellar.stores.control.engine.begin() as c:
        c.exec_driver_sql("drop trigger ledger_refuses_delete")
        c.exec_driver_sql("delete from ledger where seq = ?", (entries[-1]["seq"],))
    for _ in range(2):
        decide_window(cellar.stores, cellar.model, window, evening_of(window))
    found = ledger.entries(cellar.stores.control, cellar.stores.namespace, cellar.name, "decision")
    assert [e["body"]["numbers"]["action"] for e in found if e["window"] == night] == [known.numbers["action"]]


# -- pins -----------------------------------------------------------------------------
def test_champion_and_former_champions_are_pinned_and_mended(cellar):
    assert [(p.version, p.why) for p in pinned(cellar.stores, cellar.name)] == [(2, "champion"), (1, "former champion")]
    shutil.rmtree(cellar.package(1).folder)
    (cellar.package(2).folder / "MLmodel").write_text("{}")
    found = {k.pin.version: k.state for k in keep(cellar.stores, cellar.name)}
    assert found == {1: "fetched", 2: "fetched"}
    assert all(s.intact for s in shelf(cellar.stores, cellar.name))
    assert {k.state for k in keep(cellar.stores, cellar.name)} == {"intact"}


def test_a_pin_that_cannot_be_mended_is_told(cellar):
    shutil.rmtree(cellar.package(1).folder)
    (cellar.root / "var" / "mlflow.db").unlink()
    found = reconcile_all(cellar.stores, cellar.model)
    assert "version 1 (former champion) is lost" in found.owed[0]
    assert "no such file" in found.owed[0]
    assert not (cellar.root / "var" / "mlflow.db").exists()


def test_only_what_nothing_pins_is_pruned(cellar):
    home = cellar.stores.package_folder(cellar.name, "")
    stray = home / ("0" * 64)
    stray.mkdir()
    assert prune(cellar.stores, cellar.name, 30) == []
    assert prune(cellar.stores, cellar.name, 0) == ["0" * 64]
    assert len(shelf(cellar.stores, cellar.name)) == 2
    (home / "staging-someone").mkdir()  # whose it is cannot be told, and it is not old
    assert left_over(home) == []


def test_one_package_kept_by_many_at_once_lies_there_once(cellar, tmp_path):
    source = cellar.package(1).folder

    def once(_):
        with cellar.stores.staging(cellar.name) as staging:
            shutil.copytree(source, staging / "package")
            (staging / "package" / "note").write_text("new")
            return cellar.stores.keep(cellar.name, staging / "package")

    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(once, range(8)))
    [(folder, digest)] = made
    assert folder_digest(folder) == digest == folder.name
    # A copy with other bytes makes way.
    (folder / "note").write_text("spoiled")
    once(0)
    assert folder_digest(folder) == digest
    assert [p.name for p in folder.parent.iterdir() if p.name.startswith("staging-")] == []


@pytest.mark.fault(7)
def test_mlflow_gc_under_load_takes_nothing_that_serves(cellar, day):
    """Every run and version is deleted and collected while the champion scores; then rollback works."""
    from click.testing import CliRunner
    from mlflow.cli import gc

    registry, batch = Registry(cellar.stores.home.state), cellar.stores.data.read("batches", "tastings", [day(LAST)])
    over, failed, scored = threading.Event(), [], []

    def ask():
        while not over.is_set():
            load.cache_clear()
            try:
                scored.append(len(cellar.stores.champion(cellar.name)[1].scores(batch)))
            except Exception as fault:
                failed.append(fault)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for version in registry.client.search_model_versions(f"name = '{cellar.name}'"):
            registry.client.delete_model_version(cellar.name, version.version)
            registry.client.delete_run(version.run_id)
        done = CliRunner().invoke(gc, ["--backend-store-uri", registry.uri, "--tracking-uri", registry.uri])
        assert done.exit_code == 0, done.output
        assert registry.client.search_model_versions(f"name = '{cellar.name}'") == []
    finally:
        over.set()
        asking.join()
    assert (failed, set(scored)) == ([], {batch.num_rows})
    done = roll_back_by(cellar.stores, cellar.model, evening(cellar, day)[1], by="ann", check=False)
    assert done.switched.plan.champion == 1
    assert "version 1" in done.switched.owed  # its alias has nothing left to point at
