"""Loans whose label rate shifts: a recalibration and another threshold as candidates, before the shift and after."""

import json
import shutil
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from tidegate.adapters import ledger
from tidegate.clock import evening_of
from tidegate.errors import RegistryError, SourceError, UsageError
from tidegate.gate.performance import performance
from tidegate.steps.adjust import adjust, learned_through
from tidegate.steps.candidate import judged_once, look_at, train_and_register
from tidegate.steps.case import Case
from tidegate.steps.decide import decide_window
from tidegate.steps.former import former
from tidegate.steps.holdout import HoldOut, hold_out, kept_by
from tidegate.steps.promote import promote
from tidegate.steps.score import score, scores_of
from tidegate.steps.stillfit import rollback_gain
from tidegate.steps.watch import watch
from tidegate.training.recalibration import apply_map

LEARNED, SAME, SHIFTED, ONE, ROWS = 7, 6, 8, 6, 200
CALM, LAST, GONE = LEARNED + SAME, LEARNED + SAME + SHIFTED, LEARNED + SAME + SHIFTED + ONE
"""Evenings: all nights before the shift are known, all shifted ones, all on which nobody repaid."""
pytestmark = pytest.mark.slow
FILES = {
    "configs/tidegate.yaml": """\
namespace: lab
defaults:
  gate: {block_nights: 1, min_blocks: 5, error_per_year: 0.2, ece_margin: 0.1, segment_margin: 1.0,
         robustness: {anchor_margin: 2.0, max_relabelled: 0.5}}
""",
    "configs/datasets/loans.yaml": """\
source: {files: "loans/{date}.csv"}
event_time: asked_at
key: [loan]
columns:
  loan: {type: integer, nullable: false}
  asked_at: {type: timestamp, nullable: false}
  income: {type: number, nullable: false}
  years: {type: number, nullable: false}
""",
    "configs/models/repaid.yaml": """\
dataset: loans
kind: binary
label: {column: repaid, source: {files: "repaid/{date}.csv"}, delay: 1d, classes: ["no", "yes"], positive: "yes"}
estimator: {build: "bank:build", seed: 3}
features: [income, years]
kpi: {unit: EUR, true_positive: 2, false_positive: -4}
metric: {primary: roc_auc}
decision: {nights: 6}
promotion: automatic
""",
    "bank.py": """\
from sklearn.linear_model import LogisticRegression


def build(params):
    return LogisticRegression(random_state=params["random_state"])
""",
}


@pytest.fixture(scope="module")
def loans(tmp_path_factory, loop_of, day):
    """A champion of seven nights, six nights as before, eight on which fewer repay, and six on which nobody does."""
    root = tmp_path_factory.mktemp("loans")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for folder in ("loans", "repaid"):
        (root / folder).mkdir()
    rng = np.random.default_rng(21)
    for i in range(GONE):
        income, years = rng.normal(0, 1, (2, ROWS))
        chance = 1 / (1 + np.exp(-(income + years + 0.3 - 1.6 * (i >= CALM) + rng.normal(0, 0.1))))
        keys = {"loan": np.arange(ROWS) + 1000 * (i + 1), "asked_at": f"{day(i)}T12:00:00+00:00"}
        pd.DataFrame({**keys, "income": income, "years": years}).to_csv(root / f"loans/{day(i)}.csv", index=False)
        repaid = np.where((rng.random(ROWS) < chance) & (i < LAST), "yes", "no")
        pd.DataFrame({**keys, "repaid": repaid}).to_csv(root / f"repaid/{day(i)}.csv", index=False)
    loop = loop_of(root, "repaid")
    for i in range(GONE):
        assert loop.ingest(i).passed
        loop.labels(i)
    w = loop.calendar.window(day(LEARNED))
    assert train_and_register(loop.stores, loop.model, w, evening_of(w), reason="test") == 1
    passed = {"window": w.id, "outcome": "pass", "reasons": [], "against": None}
    loop.stores.records.set_status("repaid", 1, "challenger", looks=[passed])
    loop.promote(1, LEARNED, "test")
    return loop


@pytest.fixture
def bank(loans, loop_of, tmp_path):
    """A copy of it: what a test promotes is its own."""
    shutil.copytree(loans.root, tmp_path / "bank")
    return loop_of(tmp_path / "bank", "repaid")


def adjusted(loop, i, what):
    w = loop.calendar.window(day_of(i))
    return adjust(loop.stores, loop.model, w, evening_of(w), what, reason="test")


def day_of(i):
    return (date(2024, 1, 1) + timedelta(days=i)).isoformat()


def judged(loop, version, i):
    """The hold-out of an adjustment and what the check of performance says of it."""
    champion = loop.stores.champion(loop.name)
    w = loop.calendar.window(day_of(i))
    case = Case(loop.stores, judged_once(loop.model), version, loop.package(version), champion, w, 1)
    hold = hold_out(case)
    assert isinstance(hold, HoldOut), hold
    found = performance(case.model, hold.judged, look=1, spent=(), window=w.id, same=kept_by(case))
    return hold.judged, found


def test_a_recalibration_after_a_shift_passes_the_gate_and_the_next_retrain_is_judged_against_it(bank, day):
    done = adjusted(bank, LAST, "recalibrate")
    assert (done.version, done.of, done.known) == (2, 1, False)
    assert done.nights == tuple(day(i) for i in range(LAST - 6, LAST))
    old, new = bank.package(1), bank.package(2)
    assert (new.folder / "model.skops").read_bytes() == (old.folder / "model.skops").read_bytes()
    assert new.spec["trained"] == old.spec["trained"]
    assert new.spec["calibration"]["offset"] < -0.8
    # The KPI alone gives the threshold on probabilities: 4 / (4 + 2).
    assert new.spec["threshold"] == pytest.approx(2 / 3)
    was, kept = old.reference("outcomes"), new.reference("outcomes")
    mapped = apply_map("binary", new.spec["adjusts"]["map"], scores_of(was))
    assert scores_of(kept).tolist() == mapped.tolist()
    assert kept["prediction"].to_numpy().tolist() == (mapped >= 2 / 3).astype(int).tolist()
    assert kept.drop(["score", "prediction"]).equals(was.drop(["score", "prediction"]))

    w = bank.calendar.window(day(LAST))
    verdict = look_at(bank.stores, bank.model, 2, w, evening_of(w))
    assert verdict.passed, verdict.reasons
    assert verdict.reasons[0].startswith("performance: kpi: gain +")
    look = bank.record(2)["body"]["looks"][0]
    assert look["checks"]["calibration"] == look["checks"]["servability"] == "pass"
    promote(bank.stores, bank.model, 2, w, evening_of(w), why={"reason": "test"}, by="automatic")
    entries = ledger.entries(bank.stores.control, bank.stores.namespace, "repaid")
    assert [e["kind"] for e in entries][-3:] == ["adjustment", "intent", "plan"]
    for entry in entries[-3:]:
        assert entry["body"]["adjusts"]["version"] == 1
        assert entry["body"]["adjusts"]["package"] == old.digest

    # In service: scored, measured and watched with the map, and a retrain is judged against it.
    later = bank.calendar.window(day(LAST + 1))
    assert score(bank.stores, bank.model, later, evening_of(later)) == ROWS
    rows = bank.stores.lake.read("inferences", "repaid", [later.id])
    batch = bank.stores.data.read("batches", "loans", [later.id])
    raw = apply_map("binary", new.spec["calibration"], old.scores(batch))
    assert rows["score"].to_numpy() == pytest.approx(raw, abs=1e-12)
    assert new.member_scores(batch, np.zeros(ROWS, int)).max() < old.member_scores(batch, np.zeros(ROWS, int)).max()
    watch(bank.stores, bank.model, later, evening_of(later))
    assert learned_through(new.spec) == day(LAST - 1)
    bank.retrain(LAST + 1, "forced")
    fold = hold_out(bank.case(3, LAST + 1, champion=2))
    assert fold.judged.nights() == [day(i) for i in range(LEARNED, LAST + 1)]
    assert former(bank.stores, bank.model)[0] == 1


def test_without_a_shift_a_recalibration_is_not_promoted_and_does_not_wait(bank, day):
    done = adjusted(bank, CALM, "recalibrate")
    again = adjusted(bank, CALM, "recalibrate")
    assert (again.version, again.known) == (done.version, True)
    w = bank.calendar.window(day(CALM))
    verdict = look_at(bank.stores, bank.model, done.version, w, evening_of(w))
    assert verdict.outcome == "inconclusive"
    assert verdict.reasons[-1].startswith("closed after its one look")
    assert bank.record(done.version)["status"] == "rejected"
    assert bank.stores.candidate("repaid") is None
    decision = decide_window(bank.stores, bank.model, w, evening_of(w))
    assert "waiting" not in decision.reason


def test_a_moved_threshold_keeps_the_scores_bit_for_bit(bank):
    version = adjusted(bank, LAST, "move_threshold").version
    old, new = bank.package(1), bank.package(version)
    assert "calibration" not in new.spec
    assert new.spec["threshold"] > old.spec["threshold"] + 0.1
    assert scores_of(new.reference("outcomes")).tolist() == scores_of(old.reference("outcomes")).tolist()
    assert new.reference("probe").equals(old.reference("probe"))
    rows, check = judged(bank, version, LAST)
    assert rows.ours.tolist() == rows.theirs.tolist()
    assert set(rows.their_cut.tolist()) == {old.spec["threshold"]}
    assert new.spec["threshold"] not in rows.our_cut[rows.night == rows.nights()[0]]
    assert check.verdict.passed, check.verdict
    lines = {line.name: line for line in check.lines}
    for name in ("roc_auc", "pr_auc", "log_loss", "brier"):
        assert (lines[name].observed, lines[name].se, lines[name].outcome) == (0.0, 0.0, "pass")
    assert [line.name for line in check.lines if line.role == "better"] == ["kpi"]
    json.dumps(new.spec, allow_nan=False)


def test_nights_after_the_fit_count_with_what_the_package_ships(bank, day):
    version = adjusted(bank, LAST - 2, "recalibrate").version
    rows, check = judged(bank, version, LAST)
    # A map keeps the order of the rows: whatever the scores' bins do to it, the ranks are the same.
    ranks = [line for line in check.lines if line.name in ("roc_auc", "pr_auc")]
    assert [(line.role, line.observed, line.se, line.outcome) for line in ranks] == [("other", 0.0, 0.0, "pass")] * 2
    assert rows.nights() == [day(i) for i in range(LAST - 8, LAST)]
    late = rows.night >= day(LAST - 2)
    assert set(rows.our_cut[late].tolist()) == {bank.package(version).spec["threshold"]}
    batch = bank.stores.data.read("batches", "loans", [day(LAST - 2), day(LAST - 1)])
    assert rows.ours[late].tolist() == bank.package(version).scores(batch).tolist()
    inside = bank.stores.data.read("batches", "loans", [day(i) for i in range(LAST - 8, LAST - 2)])
    assert np.abs(rows.ours[~late] - bank.package(version).scores(inside)).max() > 1e-4


def test_an_adjusted_champion_is_adjusted_again_on_top_of_its_map(bank, day):
    first = adjusted(bank, LAST - 2, "recalibrate").version
    w = bank.calendar.window(day(LAST - 2))
    passed = {"window": w.id, "outcome": "pass", "reasons": [], "against": 1}
    bank.stores.records.set_status("repaid", first, "challenger", looks=[passed])
    promote(bank.stores, bank.model, first, w, evening_of(w), why={}, by="test")
    stale = adjusted(bank, LAST, "recalibrate").version
    new = bank.package(stale)
    batch = bank.stores.data.read("batches", "loans", [day(LAST)])
    before = bank.package(first).scores(batch)
    assert new.scores(batch) == pytest.approx(apply_map("binary", new.spec["adjusts"]["map"], before), abs=1e-9)
    gain = rollback_gain(bank.stores, bank.model, bank.calendar.window(day(LAST)))
    assert "2 blocks of 1 matured nights, 5 needed" in gain.why
    # Five nights on, three of them on which nobody repaid: who says yes less often is right more often.
    gain = rollback_gain(bank.stores, bank.model, bank.calendar.window(day(LAST + 3)))
    assert gain.blocks == 5
    assert gain.value < 0


def test_labels_of_one_class_and_too_few_nights_are_one_line(bank):
    with pytest.raises(SourceError, match=r"found labels of one class only.*Next: wait for more labelled nights"):
        adjusted(bank, GONE, "recalibrate")
    with pytest.raises(SourceError, match="labels of one class only"):
        adjusted(bank, GONE, "move_threshold")
    with pytest.raises(SourceError, match="5 blocks of 1 matured nights since the champion's training, found 2"):
        adjusted(bank, LEARNED + 2, "recalibrate")
    assert [v["version"] for v in bank.stores.records.versions("repaid")] == [1]


def test_a_monitor_only_model_is_refused(bank, day):
    w = bank.calendar.window(day(LAST))
    monitored = bank.model.model_copy(update={"estimator": bank.model.estimator.model_copy(update={"build": None})})
    with pytest.raises(UsageError, match="a monitor-only model"):
        adjust(bank.stores, monitored, w, evening_of(w), "recalibrate", reason="test")


def test_a_package_whose_map_is_no_map_is_not_loaded(bank, tmp_path):
    from tidegate.adapters.packages import load
    from tidegate.lineage.digest import folder_digest

    version = adjusted(bank, LAST, "recalibrate").version
    folder = tmp_path / "package"
    shutil.copytree(bank.package(version).folder, folder)
    path = folder / "tidegate" / "spec.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"calibration": {"slope": -1.0, "offset": 0.0}}))
    with pytest.raises(RegistryError, match="a calibration map with a slope above 0"):
        load(folder, folder_digest(folder))


@pytest.mark.usefixtures("prefect")
def test_the_command_says_what_came_of_it(bank, day, tidegate):
    said = tidegate("--home", bank.root, "recalibrate", "repaid", "--threshold-only", "--window", day(LAST), "--json")
    told = json.loads(said.out)
    assert (said.code, told["outcome"], told["promoted"], told["version"]) == (0, "pass", True, 2)
    assert told["adjusts"]["what"] == "move_threshold"
    assert bank.stores.plans.get("repaid").champion == 2
    said = tidegate("--home", bank.root, "recalibrate", "repaid", "--window", day(GONE))
    assert said.code == 3
    assert "labels of one class only" in said.out
    assert "Traceback" not in said.out + said.err
