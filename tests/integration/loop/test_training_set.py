"""Training sets in a real training: the disease goes faster from night 10 on, so old nights mislead."""

import shutil
from dataclasses import replace

import pytest

import tidegate.steps.gate as step
from tidegate.clock import evening_of
from tidegate.steps.candidate import register
from tidegate.steps.holdout import hold_out
from tidegate.steps.retrain import build_candidate

NIGHT = 21


@pytest.fixture(scope="module")
def patients(diabetes, loop_of, tmp_path_factory):
    root = tmp_path_factory.mktemp("patients") / "home"
    shutil.copytree(diabetes.root, root)
    return loop_of(root, "progression")


def with_sets(loop, *windows):
    """The model with declared training sets, of as few nights as there are here."""
    retrain = loop.model.retrain.model_copy(update={"windows": windows, "recent_nights": 5, "first_nights": 3})
    return loop.model.model_copy(
        update={"retrain": retrain, "decision": loop.model.decision.model_copy(update={"nights": 6})}
    )


def built(loop, model):
    w = loop.calendar.window(f"2024-01-{NIGHT + 1:02}")
    folder, digest = build_candidate(loop.stores, model, w, evening_of(w))
    return folder, loop.stores.package(loop.name, 0, digest)


def test_the_set_that_is_proven_better_is_trained_on_and_the_record_says_why(patients):
    folder, package = built(patients, with_sets(patients, "all", "recent", "season", "clean"))
    record, trained = package.spec["training_set"], package.spec["trained"]
    assert (record["chosen"], record["tried"]) == ("recent", 2)
    sets = {s["name"]: s for s in record["sets"]}
    assert sets["recent"]["gain"] > 20
    assert sets["recent"]["lower"] > 0
    assert record["why"] == sets["recent"]["why"]
    assert sets["season"]["why"] == "not available: less than a year of history"
    assert sets["clean"]["why"].startswith("not available: the same")
    assert len(trained) == 5
    assert trained[-1] == "2024-01-20"
    assert record["known_rows"] > package.spec["rows"]
    # Growth counts from what was known, or a small set would look like much more data for ever.
    w = patients.calendar.window(f"2024-01-{NIGHT + 1:02}")
    version = register(patients.stores, patients.model, folder, package.digest, w, evening_of(w), reason="test")
    assert patients.record(version)["body"]["rows"] == record["known_rows"]


def test_all_history_alone_is_as_it_always_was(patients, diabetes, monkeypatch):
    import tidegate.steps.trainingset as choosing

    monkeypatch.setattr(choosing, "fitted", lambda *_: pytest.fail("trained something more"))
    _, package = built(patients, patients.model)
    before = diabetes.package(2).spec
    assert "training_set" not in package.spec
    assert list(package.spec) == list(before)
    same = [k for k in before if k not in ("labels", "config")]
    assert {k: package.spec[k] for k in same} == {k: before[k] for k in same}


def test_too_few_nights_try_nothing_and_say_so(patients):
    model = with_sets(patients, "recent")
    model = model.model_copy(update={"decision": model.decision.model_copy(update={"nights": 18})})
    _, package = built(patients, model)
    record = package.spec["training_set"]
    assert (record["chosen"], record["tried"]) == ("all", 1)
    assert "needed" in record["why"]
    assert len(package.spec["trained"]) > 15


def test_the_error_of_better_is_shared_over_the_sets_tried(patients):
    """The whole look is paid for, and each set that the choice has tried gets its part of it."""
    case = patients.case(2, NIGHT, champion=1)
    hold, now = hold_out(case), evening_of(patients.calendar.window(f"2024-01-{NIGHT + 1:02}"))
    plain = step._error(case, hold, now)
    tried = {**case.package.spec, "training_set": {"tried": 4}}
    shared = step._error(replace(case, package=replace(case.package, spec=tried)), hold, now)
    assert plain["this_look"] > 0
    assert shared["this_look"] == pytest.approx(plain["this_look"] / 4)
    assert (shared["left"], shared["spent"]) == (plain["left"], plain["spent"])
    taken = next(k for k in patients.stores.looks.of("progression") if k.version == 2)
    assert taken.error == pytest.approx(plain["this_look"])
