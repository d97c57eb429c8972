"""A version waits for a person: asked, answered, late, overridden, frozen; without Prefect."""

import json
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tidegate.adapters import ledger
from tidegate.adapters.approvals import Approvals
from tidegate.clock import evening_of, now
from tidegate.errors import PlanConflict, UsageError
from tidegate.gate.approval import standing
from tidegate.lineage.chain import broken_at
from tidegate.steps import approval
from tidegate.steps.candidate import look_at
from tidegate.steps.freeze import freeze, frozen, unfreeze
from tidegate.steps.promote import promote
from tidegate.steps.reconcile import reconcile

LAPSE = timedelta(days=7)
FINE = {"performance": "fail", "segments": "pass", "robustness": "pass", "servability": "pass"}


@pytest.fixture(scope="module")
def trained(make_diabetes, loop_of, tmp_path_factory):
    """Ten nights of patients, one version that passed and waits."""
    loop = loop_of(make_diabetes(tmp_path_factory.mktemp("asked"), 10, 99), "progression")
    for i in range(10):
        loop.ingest(i)
        loop.labels(i)
    assert loop.retrain(9, "first_model")["gate"].passed
    # MLflow remembers a run's folder for as long as the process lives, so a copy may write into this home.
    shutil.copytree(loop.root, loop.root.with_name("untouched"))
    return loop


@pytest.fixture
def clinic(trained, loop_of, tmp_path):
    """A copy, so that each test answers for itself."""
    root = tmp_path / "clinic"
    shutil.copytree(trained.root.with_name("untouched"), root)
    _moved(root / "var" / "mlflow.db", trained.root, root)
    return loop_of(root, "progression")


def _moved(registry, old, new):
    """MLflow keeps whole addresses: without this, a copy would show the original's evidence."""
    places = {
        "experiments": "artifact_location", "runs": "artifact_uri", "model_versions": "source",
        "logged_models": "artifact_location",
    }  # fmt: skip
    with closing(sqlite3.connect(registry)) as c, c:
        for table, column in places.items():
            changed = c.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(old), str(new)))
            assert changed.rowcount > 0


@pytest.fixture
def at(clinic, day):
    return evening_of(clinic.calendar.window(day(9)))


def asked_of(loop):
    return loop.stores, loop.model, 1


def entries(loop, kind):
    return ledger.entries(loop.stores.control, loop.stores.namespace, loop.name, kind)


def failed(loop, **more):
    """The version's look, as if it had failed."""
    [look] = loop.record(1)["body"]["looks"]
    look = {**look, "outcome": "fail", "reasons": ["mae: worse"], "checks": FINE, "failed_roles": ["better"]}
    loop.stores.records.set_status(loop.name, 1, "rejected", looks=[{**look, **more}])


def test_nobody_promotes_what_a_person_has_to_approve(clinic, at, day):
    with pytest.raises(UsageError, match=r"that a person approved, found nobody has approved it"):
        promote(clinic.stores, clinic.model, 1, clinic.calendar.window(day(9)), at, why={}, by="automatic")
    assert clinic.stores.plans.get(clinic.name).revision == 0


def test_asked_once_approved_and_live(clinic, at):
    asked = approval.ask(*asked_of(clinic), at)
    assert (asked.until, asked.command) == (at + LAPSE, "tidegate approve progression 1 --by NAME")
    assert approval.ask(*asked_of(clinic), at + timedelta(days=1)) == asked
    plan = approval.approve(*asked_of(clinic), at + timedelta(days=2), by=" ann ", reason="looks right")
    assert (plan.champion, plan.revision) == (1, 1)
    assert clinic.record(1)["status"] == "champion"
    request, answer = entries(clinic, "approval")
    assert request["body"]["body"] == answer["body"]["body"]
    assert request["body"]["body"]["against"] is None
    assert len(request["body"]["body"]["evidence"]) == 64
    [live] = entries(clinic, "plan")
    assert (live["body"]["by"], live["body"]["approval"]) == ("ann", "looks right")
    assert approval.ask(*asked_of(clinic), at + 2 * LAPSE) is None
    for act in (approval.approve, approval.reject):
        with pytest.raises(UsageError, match="found ann approved it on"):
            act(*asked_of(clinic), at + timedelta(days=3), by="bob", reason="no")
    assert clinic.stores.plans.get(clinic.name).revision == 1
    assert broken_at(ledger.entries(clinic.stores.control, clinic.stores.namespace)) is None


def test_rejected_is_never_live_and_stays(clinic, at, day):
    approval.ask(*asked_of(clinic), at)
    with pytest.raises(UsageError, match="--why"):
        approval.reject(*asked_of(clinic), at, by="ann", reason=" ")
    approval.reject(*asked_of(clinic), at, by="ann", reason="too slow")
    assert clinic.record(1)["status"] == "rejected"
    with pytest.raises(UsageError, match="found ann rejected it on"):
        approval.approve(*asked_of(clinic), at, by="bob")
    with pytest.raises(UsageError, match="found ann rejected it on"):
        approval.override(*asked_of(clinic), at, by="bob", reason="please", until=day(30))
    assert clinic.stores.plans.get(clinic.name).revision == 0


def test_a_kill_between_the_answer_and_the_status_is_settled(clinic, at):
    approval.reject(*asked_of(clinic), at, by="ann", reason="too slow")
    clinic.stores.records.set_status(clinic.name, 1, "challenger")
    with pytest.raises(UsageError, match="found ann rejected it"):
        approval.approve(*asked_of(clinic), at, by="bob")
    reconcile(clinic.stores, clinic.model)
    assert clinic.record(1)["status"] == "rejected"


def test_an_approval_whose_rollout_was_cut_short_is_rolled_out_again(clinic, at, monkeypatch):
    def broken(package):
        raise OSError("killed")

    monkeypatch.setattr("tidegate.steps.switch.smoke_test", broken)
    with pytest.raises(OSError, match="killed"):
        approval.approve(*asked_of(clinic), at, by="ann", reason="fine")
    monkeypatch.undo()
    assert clinic.stores.plans.get(clinic.name).champion is None
    with pytest.raises(UsageError, match="ann approved it"):
        approval.reject(*asked_of(clinic), at, by="bob", reason="no")
    assert approval.approve(*asked_of(clinic), at, by="bob").champion == 1
    assert [e["body"]["by"] for e in entries(clinic, "approval")] == ["ann"]
    assert entries(clinic, "plan")[0]["body"]["by"] == "ann"


def test_a_late_approval_starts_anew_while_the_champion_is_the_same(clinic, at):
    approval.ask(*asked_of(clinic), at)
    rows = Approvals(clinic.stores.control, clinic.stores.namespace)
    late = at + 3 * LAPSE
    assert standing(rows.of(clinic.name, 1), late) == "lapsed"
    again = approval.ask(*asked_of(clinic), late)
    assert again.until == late + LAPSE
    assert approval.approve(*asked_of(clinic), late + 2 * LAPSE, by="ann").champion == 1


def test_a_late_approval_of_what_was_judged_against_another_champion_is_refused(clinic, at):
    [look] = clinic.record(1)["body"]["looks"]
    clinic.stores.records.set_status(clinic.name, 1, "challenger", looks=[{**look, "against": 7}])
    with pytest.raises(PlanConflict, match=r"found version 7\. Next: tidegate retrain progression"):
        approval.approve(*asked_of(clinic), at, by="ann")
    assert entries(clinic, "approval") == []


def test_of_two_approvals_at_once_one_promotes_and_the_other_is_told(clinic, at):
    barrier, told, plans = threading.Barrier(2), [], []

    def act(who):
        barrier.wait()
        try:
            plans.append(approval.approve(*asked_of(clinic), at, by=who))
        except UsageError as fault:
            told.append(fault.found)

    threads = [threading.Thread(target=act, args=(who,)) for who in ("ann", "bob")]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    [row] = entries(clinic, "approval")
    assert [p.revision for p in plans] == [1]
    assert told == [f"{row['body']['by']} approved it on 2024-01-11 01:00 UTC"]


def test_an_override_goes_live_loudly_and_expires_loudly(clinic, at, day):
    failed(clinic)
    plan = approval.override(*asked_of(clinic), at, by="ann", reason="sale", until=day(19))
    expiry = datetime(2024, 1, 21, tzinfo=UTC)
    assert plan.champion == 1
    body = clinic.record(1)["body"]["override"]
    assert (body["by"], body["until"], body["skipped"]) == ("ann", expiry.isoformat(), ["performance"])
    [loud] = entries(clinic, "override")
    assert (loud["body"]["what"], loud["body"]["body"]["reasons"]) == ("OVERRIDE", ["mae: worse"])
    assert "live without performance, by ann until 2024-01-21 00:00 UTC: sale" in approval.loud(
        clinic.stores, clinic.model, at
    )
    assert "expired on 2024-01-21 00:00 UTC (ann: sale): retrain or roll back" in approval.loud(
        clinic.stores, clinic.model, expiry
    )
    with pytest.raises(UsageError, match="found ann overrode the gate"):
        approval.override(*asked_of(clinic), at, by="bob", reason="me too", until=day(19))


@pytest.mark.parametrize("role", ["leakage", "servability", "digests"])
def test_an_override_never_skips(clinic, at, day, role):
    failed(clinic, failed_roles=["better", role])
    with pytest.raises(UsageError, match=f"found {role} is not proven, and nobody may skip it"):
        approval.override(*asked_of(clinic), at, by="ann", reason="sale", until=day(19))
    assert clinic.stores.plans.get(clinic.name).revision == 0
    assert entries(clinic, "override") == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"by": ""}, "--by"),
        ({"reason": ""}, "--why"),
        ({"until": "2024-01-10"}, "a date to come"),
        ({"until": "soon"}, "a date as YYYY-MM-DD"),
    ],
)
def test_an_override_needs_name_reason_and_expiry(clinic, at, day, more, says):
    failed(clinic)
    with pytest.raises(UsageError, match=says):
        approval.override(*asked_of(clinic), at, **{"by": "ann", "reason": "sale", "until": day(19), **more})


def test_an_override_needs_evidence_and_a_version_that_did_not_pass(clinic, at, day):
    asked = {"by": "ann", "reason": "sale", "until": day(19)}
    with pytest.raises(UsageError, match="it passed the gate: approve it"):
        approval.override(*asked_of(clinic), at, **asked)
    failed(clinic, checks=None)
    with pytest.raises(UsageError, match="holds no evidence"):
        approval.override(*asked_of(clinic), at, **asked)
    with pytest.raises(UsageError, match="found no such version"):
        approval.override(clinic.stores, clinic.model, 9, at, **asked)


def test_an_override_that_is_over_promotes_nothing(clinic, at, day, monkeypatch):
    failed(clinic)

    def broken(package):
        raise OSError("killed")

    monkeypatch.setattr("tidegate.steps.switch.smoke_test", broken)
    with pytest.raises(OSError, match="killed"):
        approval.override(*asked_of(clinic), at, by="ann", reason="sale", until=day(19))
    monkeypatch.undo()
    with pytest.raises(UsageError, match="found rejected"):
        promote(clinic.stores, clinic.model, 1, clinic.calendar.window(day(25)), at + 3 * LAPSE, why={}, by="x")
    assert clinic.stores.plans.get(clinic.name).revision == 0


def test_an_override_cut_short_does_not_outlive_a_look_that_found_a_leak(clinic, at, day, monkeypatch):
    def broken(package):
        raise OSError("killed")

    failed(clinic)
    monkeypatch.setattr("tidegate.steps.switch.smoke_test", broken)
    with pytest.raises(OSError, match="killed"):
        approval.override(*asked_of(clinic), at, by="ann", reason="sale", until=day(19))
    monkeypatch.undo()
    failed(clinic, window=day(10), failed_roles=["leakage"])
    with pytest.raises(UsageError, match="found leakage is not proven, and nobody may skip it"):
        approval.override(*asked_of(clinic), at, by="ann", reason="sale", until=day(19))
    assert clinic.stores.plans.get(clinic.name).revision == 0


def test_a_rerun_of_the_night_of_a_look_trains_no_other_candidate(clinic, at, day, monkeypatch):
    from flows import bodies
    from tasks import retrain as tasks

    for name in ("train_and_register", "gate_candidate", "promote_version"):
        monkeypatch.setattr(bodies, name, getattr(tasks, name).fn)
    approval.approve(*asked_of(clinic), at, by="ann")
    # Decided on that night was another look; by now the candidate is champion.
    done = bodies.retrain(clinic.stores.home, clinic.name, day(9), at, "has new nights", again=True)
    assert (done.version, done.gate.reasons) == (1, (f"version 1 was already trained on {day(9)} and is champion",))
    done = bodies.retrain(clinic.stores.home, clinic.name, day(11), at, "has new nights", again=True)
    assert (done.version, done.gate.reasons) == (None, (f"no candidate is due for a look on {day(11)}",))
    assert [v["version"] for v in clinic.stores.records.versions(clinic.name)] == [1]


def test_a_look_that_was_cut_short_is_taken_again_on_its_own_evening(clinic, at, day):
    """More nights would be another look, and its evidence would be written over that of the first."""
    clinic.stores.looks.take(clinic.name, clinic.model.owner, 1, 1, day(9), 0.01, [day(7)], at)
    clinic.stores.records.set_status(clinic.name, 1, "candidate", looks=[])
    later = clinic.calendar.window(day(11))
    look_at(clinic.stores, clinic.model, 1, later, evening_of(later))
    assert [look["window"] for look in clinic.record(1)["body"]["looks"]] == [day(9)]


def test_policy_monthly_is_no_way_round_the_gate(clinic, at, day):
    approval.approve(*asked_of(clinic), at, by="ann")
    clinic.stores.records.set_status(clinic.name, 1, "candidate", looks=[])
    monthly = clinic.model.model_copy(update={"retrain": clinic.model.retrain.model_copy(update={"policy": "monthly"})})
    assert not look_at(clinic.stores, monthly, 1, clinic.calendar.window(day(9)), at).passed
    assert "performance" in clinic.record(1)["body"]["looks"][-1]["checks"]


def test_swapped_bytes_are_not_approved(clinic, at):
    """The digest is checked on the way to the champion, whoever approves."""
    from tidegate.adapters.packages import load
    from tidegate.errors import IntegrityError

    folder = clinic.stores.package_folder(clinic.name, clinic.record(1)["digest"])
    load.cache_clear()
    (folder / "tidegate" / "spec.json").write_text("{}")
    with pytest.raises(IntegrityError):
        approval.approve(*asked_of(clinic), at, by="ann")
    assert clinic.stores.plans.get(clinic.name).champion is None


def test_a_frozen_model_decides_nothing_and_promotes_nothing(clinic, at, day):
    freeze(clinic.stores, clinic.model, at, by="ann", why="a sale", until=day(12))
    said = f"frozen by ann until {day(12)}: a sale"
    assert frozen(clinic.stores, clinic.model, at) == said
    found = clinic.decide(9)
    assert (found.action, found.reason) == ("nothing", said)
    assert "retrain" in found.losing
    with pytest.raises(UsageError, match="Next: tidegate unfreeze progression"):
        approval.approve(*asked_of(clinic), at, by="bob")
    automatic = clinic.model.model_copy(update={"promotion": "automatic"})
    with pytest.raises(UsageError, match="found frozen by ann"):
        promote(clinic.stores, automatic, 1, clinic.calendar.window(day(9)), at, why={}, by="automatic")
    assert frozen(clinic.stores, clinic.model, at + timedelta(days=4)) == ""
    unfreeze(clinic.stores, clinic.model, at, by="ann")
    assert frozen(clinic.stores, clinic.model, at) == ""
    assert approval.approve(*asked_of(clinic), at, by="bob").champion == 1
    with pytest.raises(UsageError, match="a date from"):
        freeze(clinic.stores, clinic.model, at, by="ann", why="x", until=day(3))


def test_what_was_decided_before_a_freeze_is_not_done_after_it(clinic, at):
    clinic.stores.records.set_status(clinic.name, 1, "candidate")
    assert clinic.decide(9).action == "regate"
    freeze(clinic.stores, clinic.model, at, by="ann", why="a sale")
    found = clinic.decide(9)
    assert (found.action, list(found.losing)) == ("nothing", ["regate"])
    unfreeze(clinic.stores, clinic.model, at, by="ann")
    assert clinic.decide(9).action == "regate"


def test_the_verbs_answer_and_the_ledger_tells(tidegate, clinic, at):
    def told(*words, code=0):
        said = tidegate("--home", clinic.root, *words)
        assert said.code == code, said
        return said.one_line() if code else said.out

    approval.ask(*asked_of(clinic), at)
    until = (now() + timedelta(days=30)).date().isoformat()
    assert "frozen by ann until it is ended: a sale" in told("freeze", "progression", "--by", "ann", "--why", "a sale")
    assert "frozen by ann" in told("status", "progression")
    assert json.loads(told("status", "progression", "--json"))["frozen"].startswith("frozen by ann")
    assert "tidegate unfreeze progression" in told("approve", "progression", "1", "--by", "bob", code=2)
    told("unfreeze", "progression", "--by", "ann")
    told("unfreeze", "progression", "--by", "ann", code=2)
    assert "--by" in told("approve", "progression", "1", "--by", " ", code=2)
    assert "no such version" in told("approve", "progression", "7", "--by", "ann", code=2)
    failed(clinic)
    words = ("override", "progression", "1", "--by", "ann", "--why", "sale", "--until", until)
    assert "OVERRIDE: version 1 is live without performance" in told(*words)
    assert "OVERRIDE: version 1 is live without performance" in told("status", "progression")
    story = told("lineage", "progression")
    for line in (
        "version 1 waits for an answer until", "freeze by ann: a sale", "unfreeze by ann",
        "OVERRIDE version 1 by ann until", "sale (skipped: performance)", "champion None -> 1 by ann: sale",
    ):  # fmt: skip
        assert line in story, line


def test_the_verb_rejects(tidegate, clinic):
    said = tidegate("--home", clinic.root, "reject", "progression", "1", "--by", "ann", "--why", "slow", "--json")
    assert (said.code, json.loads(said.out)["status"]) == (0, "rejected")
    said = tidegate("--home", clinic.root, "reject", "progression", "1", "--by", "bob", "--why", "slow")
    assert said.code == 2
    assert "found ann rejected it on" in said.one_line()


def test_the_verb_evidence_shows_checks_and_pages(tidegate, clinic):
    said = tidegate("--home", clinic.root, "evidence", "progression")
    assert said.code == 0, said
    assert "progression version 1, look 1: pass" in said.out
    assert "gain" in said.out
    [page] = [line.removeprefix("page: ") for line in said.out.splitlines() if line.startswith("page: ")]
    assert Path(page).is_relative_to(clinic.root)
    assert Path(page).name == "gate_1.html"
