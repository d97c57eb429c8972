"""Wine: three classes, labels that arrive late, a champion that decays and is replaced."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from tidegate.adapters import ledger
from tidegate.adapters.registry import Registry
from tidegate.clock import evening_of
from tidegate.gate.evidence import evidence_digest
from tidegate.gate.line import NAMES
from tidegate.lineage.chain import broken_at


def metrics(loop, night, segment="all"):
    table = loop.stores.lake.read("metrics", loop.name, [night]).to_pylist()
    return {(r["value_of"], r["metric"]): r for r in table if r["segment"] == segment}


def test_the_story_goes_as_it_should(wine, day):
    told = list(wine.told.values())
    assert [t["quality"].outcome for t in told] == ["pass"] * 24
    assert [(i, t["decision"].reason) for i, t in enumerate(told) if t["decision"].action == "retrain"] == [
        (8, "first_model"), (told.index(wine.told[wine.record(2)["body"]["window"]]), "decay"),
    ]  # fmt: skip
    assert [t.get("scored") for t in told[:9]] == [None] * 9
    assert all(t["scored"] > 30 for t in told[9:])
    # Nine nights of reference calibrate nothing: drift alarms nobody. The estimates' gap is told as soon as it lasts,
    # and pages when labels prove the harm.
    (first, gap), (proven, harm) = [(i, a) for i, t in enumerate(told) for a in t.get("alarms", ())]
    assert (gap.severity, gap.cause, gap.subject) == ("ticket", "concept", "estimate gap")
    assert (harm.severity, harm.cause, harm.monitor) == ("page", "concept", "performance")
    assert gap.incident == harm.incident
    assert first < proven <= told.index(wine.told[wine.record(2)["body"]["window"]])
    # The gap names the night of the change; the harm is proven of eight nights, whose last has just matured.
    assert (gap.since, harm.since, day(proven - 3)) == (day(11), day(11), day(17))
    assert harm.next_command.startswith("tidegate retrain cultivars")
    assert [v["status"] for v in wine.stores.records.versions(wine.name)] == ["retired", "champion"]
    plan = wine.stores.plans.get(wine.name)
    assert (plan.champion, plan.revision, plan.champion_digest) == (2, 2, wine.record(2)["digest"])


def test_metrics_are_whole_per_class_and_per_segment_with_n_and_coverage(wine, day):
    found = metrics(wine, day(10))
    for name in ("roc_auc", "log_loss", "brier", "accuracy", "precision", "recall", "f1", "kpi"):
        row = found["", name]
        assert np.isfinite(row["value"])
        assert row["n"] == 36
        assert 0 < row["n_eff"] <= 36
        assert row["coverage"] == 1.0
        assert row["version"] == 1
    assert 0.5 < found["", "accuracy"]["value"] <= 1
    by_cellar = metrics(wine, day(10), "cellar")
    assert {of for of, _ in by_cellar} == {"north", "south"}
    assert sum(by_cellar[of, "accuracy"]["n"] for of in ("north", "south")) == 36


def test_macro_and_per_class_agree_with_scikit_learn(wine, day):
    from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_score, recall_score

    from tidegate.steps.outcomes import join, labels_of
    from tidegate.steps.score import scores_of

    rows = wine.stores.lake.read("inferences", wine.name, [day(16)])
    known = labels_of(wine.stores, wine.model, [day(16)], wine.calendar.window(day(19)))
    joined = join(rows, known)
    y, p = joined["label"].to_numpy().astype(int), scores_of(joined)
    guess = p.argmax(axis=1)
    found = metrics(wine, day(16))
    assert found["", "accuracy"]["value"] == pytest.approx(accuracy_score(y, guess))
    assert found["", "log_loss"]["value"] == pytest.approx(log_loss(y, np.clip(p, 1e-7, 1), labels=[0, 1, 2]), rel=1e-6)
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert found["", name]["value"] == pytest.approx(score(y, guess, average="macro", zero_division=0), abs=1e-9)


@pytest.mark.fault(16)
def test_late_and_selective_labels_count_only_when_all_had_time_to_come(wine, day):
    from tidegate.steps.decide import labelled_nights
    from tidegate.steps.holdout import hold_out
    from tidegate.steps.outcomes import labels_of

    told = pd.read_csv(wine.root / "verdicts.csv", parse_dates=["tasted_at", "told_at"])
    mine = told[told["tasted_at"].dt.date.astype(str) == day(10)]
    third = {}
    for evening in (11, 12, 13):
        window = wine.calendar.window(day(evening))
        known = labels_of(wine.stores, wine.model, [day(10)], window)
        assert known.num_rows == (mine["told_at"] < pd.Timestamp(window.end)).sum()
        third[evening] = np.mean(known["label"].to_numpy() == 2)
        assert max(labelled_nights(wine.stores, wine.model, window)) == day(evening - 3)
    assert third[11] < third[13] == np.mean(mine["cultivar"] == "third")
    # On the evening of 13 nights 11 and 12 have labels, none of the third class: they do not gate.
    assert hold_out(wine.case(2, 13, champion=1)).judged.nights() == [day(i) for i in range(6, 11)]
    assert metrics(wine, day(10))["", "accuracy"]["coverage"] == 1.0


@pytest.fixture
def copied(wine, loop_of, tmp_path):
    """The wine's home, where a look spends nothing of the others' error."""
    shutil.copytree(wine.root, tmp_path / "home")
    return loop_of(tmp_path / "home", wine.name)


@pytest.mark.fault(16)
def test_the_gate_is_inconclusive_while_labels_are_missing(wine, copied, day):
    """The package that passed on its night, with the evidence of earlier evenings."""
    from tidegate.steps.gate import gate

    passed = wine.record(2)["body"]["window"]
    assert wine.told[passed]["gate"].outcome == "pass"
    found = {}
    for i in (8, 12):
        case = copied.case(2, i, champion=1)
        found[i] = gate(case, evening_of(case.window))
        assert found[i].verdict.outcome == "inconclusive"
        assert [c.name for c in found[i].checks] == list(NAMES)
        # Too little to prove anything with spends nothing of the year's error.
        assert found[i].document["error"]["this_look"] == 0
    none, few = (found[i].checks[0] for i in (8, 12))
    assert none.verdict.reasons == ("no labelled night since the champion's training",)
    assert found[8].judged is None
    assert "4 hold-out blocks of 1 nights, 5 needed" in few.verdict.reasons[0]
    assert few.n == 36 * 4


@pytest.mark.fault(22)
def test_a_training_set_holds_nothing_that_was_not_known(wine):
    told = pd.read_csv(wine.root / "verdicts.csv", parse_dates=["told_at"])
    when = dict(zip(_row_ids(told["tasting"]), told["told_at"], strict=True))
    for version in (1, 2):
        package, evening = wine.package(version), wine.calendar.window(wine.record(version)["body"]["window"])
        rows = package.reference("outcomes")["row_id"].to_pylist()
        assert len(rows) == package.spec["rows"] > 200
        assert max(when[r] for r in rows) < evening.end
        assert package.spec["as_of"] == evening.id
        assert max(package.spec["trained"]) == wine.calendar.shift(evening, -3).id


def _row_ids(keys):
    from tidegate.contract.admit import row_ids

    return row_ids([keys.astype("Int64")])


@pytest.mark.fault(14)
def test_running_windows_again_changes_nothing(wine):
    before, plan = wine.digests(), wine.stores.plans.get(wine.name)
    chain = ledger.entries(wine.stores.control, wine.stores.namespace)
    decisions, versions = (
        wine.stores.records.verdicts(wine.name, "decision"),
        wine.stores.records.versions(wine.name),
    )
    acted = [i for i, t in enumerate(wine.told.values()) if t["decision"].action == "retrain"]
    for i in (*acted[1:], 9, 16, 23):
        assert "version" not in wine.night(i, again=True)
    assert wine.digests() == before
    # Nights before there was a champion: ingest and labels write nothing, no retrain starts.
    for i in (0, acted[0]):
        wine.ingest(i, again=True)
        wine.labels(i)
        wine.decide(i)
    assert wine.digests() == before
    assert wine.stores.plans.get(wine.name) == plan
    assert wine.stores.records.versions(wine.name) == versions
    assert ledger.entries(wine.stores.control, wine.stores.namespace) == chain
    assert {w: v.numbers["action"] for w, v in wine.stores.records.verdicts(wine.name, "decision").items()} == {
        w: v.numbers["action"] for w, v in decisions.items()
    }


def test_the_registry_has_the_lineage_and_mirrors_the_alias(wine):
    client = Registry(wine.stores.home.state).client
    for version in (1, 2):
        record, found = wine.record(version), client.get_model_version(wine.name, str(version))
        spec = wine.package(version).spec
        assert found.tags["tidegate.package"] == record["digest"]
        assert found.tags["tidegate.windows"] == f"{spec['trained'][0]}..{spec['trained'][-1]}"
        assert found.tags["tidegate.config"] == spec["config"]["model"]
        assert found.tags["tidegate.user_code"] == spec["user"]["digest"]
        assert {"tidegate.batches", "tidegate.labels", "tidegate.revision", "tidegate.lock"} <= set(found.tags)
        names = {a.path for a in client.list_artifacts(record["body"]["run_id"])}
        assert {"spec.json", "gate_1.json", "gate_1.html", "model_card.md"} <= names
        evidence = json.loads(
            Registry(wine.stores.home.state).evidence(record["body"]["run_id"], "gate_1.json").read_text()
        )
        assert [c["name"] for c in evidence["checks"]] == list(NAMES)
        [look] = record["body"]["looks"]
        assert evidence_digest(evidence) == look["evidence"]
        assert (evidence["verdict"]["outcome"], look["failed_roles"]) == ("pass", [])
        assert found.tags["tidegate.status"] == "champion"
    assert client.get_model_version_by_alias(wine.name, "champion").version == 2
    batches = {s.window: s.digest for s in wine.stores.data.many("batches", "tastings", spec["trained"])}
    assert spec["batches"] == batches


def test_the_registered_model_has_a_signature_and_loads_elsewhere(wine, tmp_path):
    from mlflow.models import get_model_info

    copy = Registry(wine.stores.home.state).fetch(wine.name, 2, tmp_path / "copy")
    signature = get_model_info(str(copy)).signature
    assert {i.name for i in signature.inputs.inputs} == {*wine.model.features, "depth"}
    from tidegate.adapters.packages import load

    probe = wine.package(2).reference("probe")
    again = load(copy, wine.record(2)["digest"]).scores(probe)
    assert np.abs(again - np.array(probe["expected"].to_pylist())).max() < 1e-12


def test_the_ledger_is_unbroken_and_tells_why(wine):
    chain = ledger.entries(wine.stores.control, wine.stores.namespace)
    assert broken_at(chain) is None
    kinds = [e["kind"] for e in chain]
    # What was weighed is there, too, also where nothing came of it.
    assert [k for k in kinds if k != "decision"] == ["intent", "plan"] * 2
    chosen = [e["body"]["numbers"]["action"] for e in chain if e["kind"] == "decision"]
    assert [a for a in chosen if a != "nothing"] == ["retrain", "retrain"]
    weighed = [e["body"]["numbers"]["options"] for e in chain if e["kind"] == "decision"][-1]
    assert {o["action"] for o in weighed} >= {"nothing", "retrain"}
    plans = [e["body"] for e in chain if e["kind"] == "plan"]
    assert [(p["from"]["champion"], p["to"]["champion"], p["by"]) for p in plans] == [
        (None, 1, "automatic"), (1, 2, "automatic"),
    ]  # fmt: skip


@pytest.mark.fault(22)
def test_columns_known_later_never_reach_a_batch(wine, day):
    assert "price" not in wine.stores.data.read("batches", "tastings", [day(0)]).column_names
