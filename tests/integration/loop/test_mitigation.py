"""Loans: a model that is stricter with one group fails fairness, and a mitigation of it does not."""

import json

import numpy as np
import pandas as pd
import pytest

from tidegate.clock import evening_of
from tidegate.errors import UsageError
from tidegate.gate.fairness import fairness
from tidegate.gate.judged import Judged
from tidegate.gate.mitigation import offered
from tidegate.steps.candidate import train_and_register
from tidegate.steps.case import Case
from tidegate.steps.holdout import hold_out
from tidegate.steps.mitigate import judged_blind, mitigate
from tidegate.steps.outcomes import join, labels_of
from tidegate.steps.score import score
from tidegate.training.thresholds import cuts_of

NIGHTS, LATER, ROWS = 12, 9, 600
FILES = {
    "configs/tidegate.yaml": """\
namespace: lab
defaults:
  gate: {block_nights: 1, min_blocks: 5, fairness: {criteria: [demographic_parity], max_gap: 0.12}}
""",
    "configs/datasets/loans.yaml": """\
source: {files: "loans/{date}.csv"}
event_time: asked_at
key: [loan]
columns:
  loan: {type: integer, nullable: false}
  asked_at: {type: timestamp, nullable: false}
  region: {type: category, max_missing: 0.5}
  income: {type: number}
  years: {type: number}
""",
    "configs/models/repaid.yaml": """\
dataset: loans
kind: binary
label: {column: repaid, source: {files: "repaid/{date}.csv"}, delay: 1d, classes: [no, yes], positive: yes}
estimator: {build: "bank:build", seed: 3}
features: [income, years]
protected: [region]
metric: {primary: log_loss}
kpi: {unit: EUR, true_positive: 2, false_positive: -2}
promotion: approve
""".replace("[no, yes], positive: yes", '["no", "yes"], positive: "yes"'),
    "bank.py": """\
from sklearn.linear_model import LogisticRegression


def build(params):
    return LogisticRegression(random_state=params["random_state"])
""",
}


@pytest.fixture(scope="module")
def bank(tmp_path_factory, loop_of, day):
    """Twelve nights of training and nine later ones; the east has less income and repays less often, not by as much."""
    root = tmp_path_factory.mktemp("bank")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for folder in ("loans", "repaid"):
        (root / folder).mkdir()
    rng = np.random.default_rng(8)
    for i in range(NIGHTS + LATER):
        region = rng.choice(["east", "west", ""], ROWS, p=[0.4, 0.59, 0.01])
        east, years = region == "east", rng.normal(0, 1, ROWS)
        income = rng.normal(0, 1, ROWS) - 1.2 * east
        chance = 1 / (1 + np.exp(-(income + 0.4 * east + years + rng.normal(0, 0.3))))
        keys = {"loan": np.arange(ROWS) + 1000 * (i + 1), "asked_at": f"{day(i)}T12:00:00+00:00"}
        frame = pd.DataFrame({**keys, "region": region, "income": income, "years": years})
        frame.to_csv(root / f"loans/{day(i)}.csv", index=False)
        repaid = np.where(rng.random(ROWS) < chance, "yes", "no")
        pd.DataFrame({**keys, "repaid": repaid}).to_csv(root / f"repaid/{day(i)}.csv", index=False)
    loop = loop_of(root, "repaid")
    for i in range(NIGHTS + LATER):
        assert loop.ingest(i).passed
        loop.labels(i)
    w = loop.calendar.window(day(NIGHTS))
    assert train_and_register(loop.stores, loop.model, w, evening_of(w), reason="test") == 1
    return loop


def later(loop, day, version):
    """The nights after the training, decided by a version as it is packaged."""
    package, nights = loop.package(version), [day(i) for i in range(NIGHTS, NIGHTS + LATER - 1)]
    batches = loop.stores.data.read("batches", "loans", nights)
    rows = join(batches, labels_of(loop.stores, loop.model, nights, loop.calendar.window(day(NIGHTS + LATER))))
    scores, cut = package.scores(rows), cuts_of(package.spec, rows)
    region = rows["region"].cast("string").fill_null("missing").to_numpy(zero_copy_only=False)
    night = rows["window"].to_numpy(zero_copy_only=False)
    other = np.full(len(scores), np.nan)
    return Judged(night, rows["label"].to_numpy(), scores, other, cut, cut, {"region": region})


def test_the_unfair_candidate_fails_and_is_offered_a_mitigation_with_its_price(bank, day):
    judged, fold = judged_blind(bank.model, bank.package(1))
    assert set(fold.tolist()) == {0, 1, 2, 3, 4}
    check = offered(bank.model, judged)
    assert check.verdict.outcome == "fail"
    parity = next(line for line in check.lines if line.name == "demographic_parity [region]")
    assert (parity.outcome, parity.role) == ("fail", "fairness")
    assert parity.lower > 0.12
    # Nulls are a group of their own: told, and too small to decide.
    assert any(line.name == "demographic_parity [region=missing]" and line.role == "shown" for line in check.lines)
    offer = check.extra["offer"]
    assert (offer["offered"], offer["column"], offer["verdict"]) == (True, "region", "pass")
    assert set(offer["by"]) == {"east", "west"}
    assert offer["by"]["east"] < offer["by"]["west"]
    price = offer["price"]
    assert price["unit"] == "EUR a row"
    assert price["a_row"] == pytest.approx(price["before"] - price["after"])
    assert price["lower"] < price["a_row"] < price["upper"]
    assert price["a_row"] > 0
    assert "unlawful" in offer["caution"]
    json.dumps(offer, allow_nan=False)
    assert fairness(bank.model, later(bank, day, 1)).verdict.outcome == "fail"


def test_the_command_registers_a_version_whose_gap_is_within_the_limit(bank, day, tidegate):
    said = tidegate("--home", bank.root, "mitigate", "repaid", 1, "--window", day(NIGHTS), "--json")
    assert said.code == 0, said
    told = json.loads(said.out)
    assert (told["version"], told["of"], told["known"]) == (2, 1, False)
    record, source = bank.record(2), bank.record(1)
    assert (record["status"], record["body"]["looks"]) == ("candidate", [])
    assert record["body"]["reason"] == "mitigation of version 1"
    assert record["body"]["mitigation"]["price"]["unit"] == "EUR a row"
    assert record["digest"] != source["digest"]
    old, new = bank.package(1), bank.package(2)
    assert (new.folder / "model.skops").read_bytes() == (old.folder / "model.skops").read_bytes()
    assert new.spec["mitigates"] == {"version": 1, "package": source["digest"]}
    assert new.spec["threshold"] == old.spec["threshold"]
    outcomes = new.reference("outcomes")
    assert outcomes.drop(["prediction"]).equals(old.reference("outcomes").drop(["prediction"]))
    at = outcomes["segment_region"].fill_null("missing").to_pylist()
    by = new.spec["group_thresholds"]["by"]
    cut = np.array([by.get(r, new.spec["threshold"]) for r in at])
    assert outcomes["prediction"].to_numpy().tolist() == (outcomes["score"].to_numpy() >= cut).astype(int).tolist()

    check = fairness(bank.model, later(bank, day, 2))
    assert check.verdict.outcome == "pass", check.verdict
    for line in check.lines:
        if line.role == "fairness":
            assert line.upper <= 0.12 if line.name.startswith("demographic") else line.lower >= 0.8

    again = tidegate("--home", bank.root, "mitigate", "repaid", 1, "--window", day(NIGHTS))
    assert again.code == 0, again
    assert "is there already" in again.out
    assert "EUR a row" in again.out
    assert "Caution: deciding by a protected column may itself be unlawful" in again.out
    assert [v["version"] for v in bank.stores.records.versions("repaid")] == [1, 2]


def test_what_is_served_and_measured_goes_by_the_group(bank, day):
    w = bank.calendar.window(day(NIGHTS))
    version = mitigate(bank.stores, bank.model, 1, w, evening_of(w)).version
    look = {"window": w.id, "outcome": "pass", "reasons": [], "against": None}
    bank.stores.records.set_status("repaid", version, "challenger", looks=[look])
    bank.promote(version, NIGHTS, "ann")
    last = bank.calendar.window(day(NIGHTS + LATER - 2))
    assert score(bank.stores, bank.model, last, evening_of(last)) == ROWS
    spec, rows = bank.package(version).spec, bank.stores.lake.read("inferences", "repaid", [last.id])
    by = spec["group_thresholds"]["by"]
    cut = np.array([by.get(r, spec["threshold"]) for r in rows["segment_region"].to_pylist()])
    right = rows["score"].to_numpy() >= cut
    assert rows["prediction"].to_numpy().astype(bool).tolist() == right.tolist()
    assert (right != (rows["score"].to_numpy() >= spec["threshold"])).any()
    bank.labels(NIGHTS + LATER - 1)
    measured = {r["metric"]: r["value"] for r in bank.stores.lake.read("metrics", "repaid", [last.id]).to_pylist()
                if r["segment"] == "all"}  # fmt: skip
    known = join(rows, labels_of(bank.stores, bank.model, [last.id], bank.calendar.window(day(NIGHTS + LATER - 1))))
    assert known["row_id"].equals(rows["row_id"])
    assert measured["accuracy"] == pytest.approx(float((right == (known["label"].to_numpy() == 1)).mean()))


@pytest.mark.parametrize(("version", "column", "found"), [(9, None, "found none"), (1, "income", "found income")])
def test_what_cannot_be_mitigated_is_said(bank, day, version, column, found):
    w = bank.calendar.window(day(NIGHTS))
    with pytest.raises(UsageError, match=found):
        mitigate(bank.stores, bank.model, version, w, evening_of(w), column=column)


def test_a_mitigation_is_not_mitigated_again(bank, day, tidegate):
    w = bank.calendar.window(day(NIGHTS))
    version = mitigate(bank.stores, bank.model, 1, w, evening_of(w)).version
    said = tidegate("--home", bank.root, "mitigate", "repaid", version)
    assert said.code == 2
    assert "mitigate that version instead" in said.one_line()


def test_other_kinds_and_undeclared_groups_are_told(bank, day, wine):
    w = wine.calendar.window(day(9))
    with pytest.raises(UsageError, match="none declared"):
        mitigate(wine.stores, wine.model, 1, w, evening_of(w))
    with pytest.raises(UsageError, match="a multiclass one"):
        mitigate(wine.stores, wine.model.model_copy(update={"protected": ("cellar",)}), 1, w, evening_of(w))


def test_a_package_older_than_all_rows_is_judged_by_the_thresholds_that_it_ships(bank, day):
    version = mitigate(bank.stores, bank.model, 1, *_evening(bank, day)).version
    window = bank.calendar.window(day(NIGHTS + LATER - 1))
    ours, theirs = bank.package(version), bank.package(1)
    found = hold_out(Case(bank.stores, bank.model, version, ours, (1, theirs), window, 1))
    assert found.judged.our_cut.tolist() == cuts_of(ours.spec, found.rows).tolist()
    assert len(set(found.judged.our_cut.tolist())) > 1
    assert set(found.judged.their_cut.tolist()) == {theirs.spec["threshold"]}


def _evening(bank, day):
    window = bank.calendar.window(day(NIGHTS))
    return window, evening_of(window)
