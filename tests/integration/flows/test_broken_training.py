"""A training that the user's code breaks off is an attempt like any other: told, kept, counted."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

FIRST = date(2024, 1, 1)
NIGHTS = 10


@pytest.fixture
def clinic(prefect, make_diabetes, tmp_path):
    """Ten nights of patients with their labels, and a build that raises."""
    from tidegate.clock import evening_of
    from tidegate.config.home import Home
    from tidegate.steps.ingest import ingest
    from tidegate.steps.labels import collect_labels
    from tidegate.steps.stores import open_stores

    root = make_diabetes(tmp_path / "clinic", NIGHTS, 99)
    code = root / "clinic.py"
    whole = code.read_text()
    code.write_text(whole.replace("    ridge =", "    raise ZeroDivisionError('alpha')\n    ridge ="))
    assert code.read_text() != whole
    stores = open_stores(Home.at(root))
    dataset, model = stores.project.dataset("patients"), stores.project.model("progression")
    for window in stores.project.calendar(dataset).range(FIRST, FIRST + timedelta(days=NIGHTS - 1)):
        ingest(stores, dataset, window, evening_of(window))
        collect_labels(stores, model, window, evening_of(window))
    return stores, whole


def test_it_fails_registers_nothing_and_the_cooldown_counts_it(clinic):
    from flows.bodies import retrain
    from tidegate.adapters.registry import Registry
    from tidegate.clock import evening_of
    from tidegate.steps.decide import decide_window

    stores, whole = clinic
    model = stores.project.model("progression")
    calendar = stores.project.calendar(stores.project.dataset("patients"))
    before, after = (calendar.window((FIRST + timedelta(days=i)).isoformat()) for i in (8, 9))

    tried = retrain(stores.home, "progression", before.id, evening_of(before), "first_model")
    assert (tried.version, tried.gate.outcome, tried.promoted, tried.asked) == (None, "fail", False, None)
    [reason] = tried.gate.reasons
    assert "clinic:build" in reason
    assert "alpha" in reason
    assert stores.records.versions("progression") == []
    assert Registry(stores.home.state).client.search_registered_models() == []
    assert list((stores.home.state / "packages/progression").iterdir()) == []
    assert stores.records.verdict("progression", "attempt", before.id).reasons == (reason,)

    # Four days of cooldown: the next night does not try again, and says until when.
    decision = decide_window(stores, model, after, evening_of(after))
    assert (decision.action, decision.reason) == ("nothing", "cooldown until 2024-01-13")

    # The lease was given back: once the code is mended a person need not wait.
    (stores.home.root / "clinic.py").write_text(whole)
    mended = retrain(stores.home, "progression", after.id, evening_of(after), "by hand")
    assert mended.version == 1
    assert mended.gate.passed, mended.gate.reasons


def test_a_night_whose_training_breaks_off_is_a_night_like_any_other(clinic):
    from flows.bodies import night
    from tidegate.clock import evening_of

    stores, _ = clinic
    calendar = stores.project.calendar(stores.project.dataset("patients"))
    first, again = (calendar.window((FIRST + timedelta(days=i)).isoformat()) for i in (8, 9))
    done = night(stores.home, "progression", first.id, evening_of(first))
    assert (done.quality.outcome, done.decision.action, done.decision.reason) == ("pass", "retrain", "first_model")
    assert (done.version, done.gate.outcome, done.promoted) == (None, "fail", False)
    next_ = night(stores.home, "progression", again.id, evening_of(again))
    assert (next_.decision.action, next_.decision.reason, next_.gate) == ("nothing", "cooldown until 2024-01-13", None)
