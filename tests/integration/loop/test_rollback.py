"""The way back to a former champion, and from there a recalibration of several classes and of a number."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from tidegate.adapters import ledger
from tidegate.adapters.registry import Registry
from tidegate.clock import evening_of
from tidegate.errors import IntegrityError, PlanConflict, RegistryError, UsageError
from tidegate.gate.performance import performance
from tidegate.lineage.chain import broken_at
from tidegate.steps.adjust import adjust
from tidegate.steps.candidate import judged_once
from tidegate.steps.former import former
from tidegate.steps.freeze import freeze
from tidegate.steps.holdout import hold_out, kept_by
from tidegate.steps.reconcile import Reconciled, reconcile
from tidegate.steps.rollback import roll_back, rolled_back_on
from tidegate.steps.stillfit import rollback_gain

LAST = 23


@pytest.fixture
def cellar(wine, loop_of, tmp_path):
    """A copy of the wine's home: version 1 was champion before version 2."""
    shutil.copytree(wine.root, tmp_path / "home")
    return loop_of(tmp_path / "home", wine.name)


def back(loop, day, last=LAST):
    w = loop.calendar.window(day(last))
    return roll_back(loop.stores, loop.model, w, evening_of(w), why={"reason": "test"}, by="ann").plan


def statuses(loop):
    return [v["status"] for v in loop.stores.records.versions(loop.name)]


def test_a_rollback_swaps_is_in_the_ledger_and_stays(cellar, day):
    promoted = cellar.record(1)["body"]["promoted"]
    plan = back(cellar, day)
    assert (plan.champion, plan.champion_digest, plan.revision) == (1, cellar.record(1)["digest"], 3)
    assert statuses(cellar) == ["champion", "rolled_back"]
    assert (cellar.record(1)["body"]["promoted"], cellar.record(1)["body"]["restored"]) == (promoted, day(LAST))
    assert Registry(cellar.stores.home.state).client.get_model_version_by_alias(cellar.name, "champion").version == 1
    entries = ledger.entries(cellar.stores.control, cellar.stores.namespace)
    assert broken_at(entries) is None
    body = entries[-1]["body"]
    assert (entries[-1]["kind"], body["by"], body["reason"]) == ("plan", "ann", "test")
    assert body["rolls_back"] == {"from": 2, "to": 1}
    assert "5 needed" in body["evidence"]["why"]
    assert entries[-2]["kind"] == "intent"
    reconcile(cellar.stores, cellar.model)
    assert cellar.stores.plans.get(cellar.name) == plan
    assert statuses(cellar) == ["champion", "rolled_back"]
    assert rolled_back_on(cellar.stores, cellar.model, day(LAST)) == 1
    assert rolled_back_on(cellar.stores, cellar.model, day(LAST - 1)) is None
    # What was found wanting is nothing to go back to.
    assert former(cellar.stores, cellar.model) is None
    with pytest.raises(UsageError, match=r"expected a former champion, found none\. Next: "):
        back(cellar, day)


def test_what_it_would_gain_is_told_on_nights_after_both_trainings(cellar, day):
    w = cellar.calendar.window(day(LAST))
    few = rollback_gain(cellar.stores, cellar.model, w)
    assert np.isnan(few.value)
    assert "blocks of 1 matured nights, 5 needed" in few.why
    gate = cellar.model.gate.model_copy(update={"min_blocks": 2})
    found = rollback_gain(cellar.stores, cellar.model.model_copy(update={"gate": gate}), w)
    # Version 1 does not know what the instruments read now.
    assert (found.blocks, found.why) == (2, "")
    assert found.value < -0.5


def test_the_switch_is_made_while_the_registry_is_down_and_mirrored_later(cellar, day, monkeypatch):
    def down(*_args, **_named):
        raise RegistryError("alias", "an answer", "connection refused", "mend it")

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "mirror", down)
        assert back(cellar, day).champion == 1
        assert "connection refused" in reconcile(cellar.stores, cellar.model).owed[0]
    assert cellar.stores.plans.get(cellar.name).champion == 1
    assert Registry(cellar.stores.home.state).client.get_model_version_by_alias(cellar.name, "champion").version == 2
    assert reconcile(cellar.stores, cellar.model).done == ("the registry's alias is mirrored",)
    assert reconcile(cellar.stores, cellar.model) == Reconciled()
    assert statuses(cellar) == ["champion", "rolled_back"]
    assert Registry(cellar.stores.home.state).client.get_model_version_by_alias(cellar.name, "champion").version == 1


def test_a_kill_after_the_switch_is_finished_as_a_rollback(cellar, day, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*_args, **_named):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(type(cellar.stores.records), "set_status", kill)
        with pytest.raises(Killed):
            back(cellar, day)
    assert statuses(cellar) == ["retired", "champion"]
    reconcile(cellar.stores, cellar.model)
    assert statuses(cellar) == ["champion", "rolled_back"]


def test_a_package_that_was_changed_is_passed_over_and_a_broken_one_not_served(cellar, day, monkeypatch):
    from tidegate.adapters.packages import load
    from tidegate.steps import switch

    def spoiled(package):
        raise IntegrityError("package", "the training's predictions", "others", "do not serve it")

    with monkeypatch.context() as patch:
        patch.setattr(switch, "smoke_test", spoiled)
        with pytest.raises(IntegrityError):
            back(cellar, day)
    assert cellar.stores.plans.get(cellar.name).champion == 2
    load.cache_clear()
    (cellar.package(1).folder / "tidegate" / "spec.json").write_text("{}")
    load.cache_clear()
    assert former(cellar.stores, cellar.model) is None


def test_a_frozen_model_and_a_plan_that_changed_refuse(cellar, day, monkeypatch):
    plans = cellar.stores.plans
    stale = replace(plans.get(cellar.name), revision=1)
    with monkeypatch.context() as patch:
        patch.setattr(type(plans), "get", lambda *_: stale)
        with pytest.raises(PlanConflict):
            back(cellar, day)
    w = cellar.calendar.window(day(LAST))
    freeze(cellar.stores, cellar.model, evening_of(w), by="ann", why="audit")
    with pytest.raises(UsageError, match=r"frozen.*ann"):
        back(cellar, day)
    assert plans.get(cellar.name).champion == 2


def judged(loop, i, day):
    """A recalibration on the evening of a night, its hold-out and what the check of performance says of it."""
    w = loop.calendar.window(day(i))
    done = adjust(loop.stores, loop.model, w, evening_of(w), "recalibrate", reason="test")
    case = loop.case(done.version, i, champion=done.of)
    case = replace(case, model=judged_once(case.model))
    hold = hold_out(case)
    return done, hold.judged, performance(case.model, hold.judged, look=1, spent=(), window=w.id, same=kept_by(case))


def test_several_classes_are_recalibrated_by_temperature_and_offsets(cellar, day):
    back(cellar, day)
    done, rows, check = judged(cellar, LAST, day)
    new = cellar.package(done.version)
    assert len(new.spec["calibration"]["offset"]) == 3
    # The second class came twice as often from night 11 on.
    assert int(np.argmax(new.spec["calibration"]["offset"])) == 1
    batch = cellar.stores.data.read("batches", "tastings", [day(LAST)])
    scores = new.scores(batch)
    assert scores.sum(axis=1) == pytest.approx(1.0)
    assert rows.nights()[-1] == done.nights[-1]
    log_loss = next(line for line in check.lines if line.name == "log_loss")
    assert log_loss.role == "better"
    assert log_loss.observed > 0


def test_a_number_is_recalibrated_by_a_line(diabetes, loop_of, day, tmp_path):
    shutil.copytree(diabetes.root, tmp_path / "home")
    clinic = loop_of(tmp_path / "home", diabetes.name)
    back(clinic, day, 21)
    done, rows, check = judged(clinic, 21, day)
    # The disease goes faster by 120 from night 10 on.
    assert check.verdict.passed, check.verdict
    assert rows.ours.mean() - rows.theirs.mean() == pytest.approx(100, abs=40)
    assert clinic.package(done.version).spec["calibration"]["slope"] > 0


def test_the_threshold_of_other_kinds_is_not_moved(wine, diabetes, day):
    for loop, words in ((wine, "a multiclass model has no threshold"), (diabetes, "a regression model has no thresh")):
        w = loop.calendar.window(day(LAST))
        with pytest.raises(UsageError, match=words):
            adjust(loop.stores, loop.model, w, evening_of(w), "move_threshold", reason="test")
