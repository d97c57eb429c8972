"""Diabetes: a regression with a fixed delay, blocked windows, and a person who approves."""

import numpy as np
import pytest

from tidegate.adapters import ledger
from tidegate.errors import UsageError
from tidegate.lineage.chain import broken_at
from tidegate.steps.decide import labelled_nights


def test_the_story_goes_as_it_should(diabetes, day):
    told = diabetes.told
    assert [n for n in sorted(told) if n != "forced" and not told[n]["quality"].passed] == [day(3), day(4)]
    assert any("bmi" in reason for reason in told[day(3)]["quality"].reasons)
    assert [told[day(i)]["decision"].action for i in (3, 4)] == ["fix_data", "fix_data"]
    first = diabetes.record(1)["body"]
    assert (first["reason"], first["window"]) == ("first_model", day(8))
    assert told[day(8)]["gate"].passed
    assert told["forced"]["gate"].passed, told["forced"]["gate"].reasons
    assert [v["status"] for v in diabetes.stores.records.versions(diabetes.name)] == ["retired", "champion"]


def test_nothing_is_promoted_before_a_person_approves(diabetes, day):
    assert "scored" not in diabetes.told[day(3)]
    assert diabetes.told[day(9)]["scored"] is None
    assert diabetes.told[day(10)]["scored"] == 36
    plans = [e for e in ledger.entries(diabetes.stores.control, diabetes.stores.namespace) if e["kind"] == "plan"]
    assert [(e["window"], e["body"]["by"]) for e in plans] == [(day(9), "dr who"), (day(21), "dr who")]
    assert broken_at(ledger.entries(diabetes.stores.control, diabetes.stores.namespace)) is None


def test_a_version_that_did_not_pass_is_not_promoted(diabetes):
    for version in (2, 99):
        with pytest.raises(UsageError, match="a challenger that passed the gate"):
            diabetes.promote(version, 21, "mallory")
    assert diabetes.stores.plans.get(diabetes.name).revision == 2


def test_metrics_agree_with_scikit_learn(diabetes, day):
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    from tidegate.steps.outcomes import join, labels_of

    rows = diabetes.stores.lake.read("inferences", diabetes.name, [day(11)])
    joined = join(rows, labels_of(diabetes.stores, diabetes.model, [day(11)], diabetes.calendar.window(day(13))))
    y, guess = joined["label"].to_numpy(), joined["prediction"].to_numpy()
    table = diabetes.stores.lake.read("metrics", diabetes.name, [day(11)]).to_pylist()
    found = {r["metric"]: r for r in table if r["segment"] == "all"}
    assert found["mae"]["value"] == pytest.approx(mean_absolute_error(y, guess))
    assert found["rmse"]["value"] == pytest.approx(root_mean_squared_error(y, guess))
    assert found["r2"]["value"] == pytest.approx(r2_score(y, guess))
    assert found["kpi"]["value"] == pytest.approx(-mean_absolute_error(y, guess))
    for name in ("mae", "rmse", "r2", "kpi"):
        assert (found[name]["n"], found[name]["coverage"]) == (36, 1.0)
        assert 0 < found[name]["n_eff"] <= 36
    assert {(r["segment"], r["value_of"]) for r in table} == {("all", ""), ("sex", "f"), ("sex", "m")}


@pytest.mark.fault(16)
def test_a_night_without_labels_is_not_measured_as_good(diabetes, day):
    evening = diabetes.calendar.window(day(12))
    assert day(8) not in labelled_nights(diabetes.stores, diabetes.model, evening)
    assert max(labelled_nights(diabetes.stores, diabetes.model, evening)) == day(10)


def test_blocked_and_unlabelled_nights_are_not_learned_from(diabetes, day):
    first, second = (diabetes.package(v).spec["trained"] for v in (1, 2))
    assert first == [day(i) for i in (0, 1, 2, 4, 5, 6)]
    assert second == [day(i) for i in (0, 1, 2, 4, 5, 6, 7, *range(9, 20))]
    assert diabetes.stores.data.stored("batches", "patients", day(3)) is None


def test_the_retrained_model_has_learned_the_change(diabetes, day):
    batch = diabetes.stores.data.read("batches", "patients", [day(20)])
    old, new = (diabetes.package(v).scores(batch).mean() for v in (1, 2))
    assert new - old > 20


@pytest.mark.fault(14)
def test_running_windows_again_changes_nothing(diabetes):
    before = diabetes.digests()
    for i in (3, 10, 12, 21):
        diabetes.night(i, again=True)
    for i in (0, 4, 8):
        diabetes.ingest(i, again=True)
        diabetes.labels(i)
    assert diabetes.digests() == before


def test_scores_are_finite_and_ids_give_the_window(diabetes, day):
    import uuid

    rows = diabetes.stores.lake.read("inferences", diabetes.name, [day(15)])
    assert np.isfinite(rows["score"].to_numpy()).all()
    window = diabetes.calendar.window(day(15))
    ids = [uuid.UUID(i) for i in rows["inference_id"].to_pylist()]
    assert len(set(ids)) == 36
    assert {i.version for i in ids} == {7}
    assert {i.int >> 80 for i in ids} == {int(window.start.timestamp() * 1000)}
