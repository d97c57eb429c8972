"""Policies of a replay in money, the hindsight oracle, and promotion under a fixed threshold."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from tidegate.clock import evening_of
from tidegate.config.home import Home
from tidegate.errors import UsageError
from tidegate.performance.metrics import METRICS
from tidegate.performance.tally import total
from tidegate.steps.candidate import look_at
from tidegate.steps.decide import decide_window
from tidegate.steps.outcomes import tally_table
from tidegate.steps.policies import common_outcomes, compare_policies, finished
from tidegate.steps.replaying import EVERY, policies_of, prepare_home
from tidegate.steps.score import inferences
from tidegate.steps.stores import open_stores
from tidegate.steps.thresholds import fixed_evidence

pytestmark = pytest.mark.slow
NIGHTS = [f"2024-01-{i:02}" for i in range(10, 25)]
REQUEST = {"model": "cultivars", "start": NIGHTS[0], "end": NIGHTS[-1], "history": "2024-01-01", "replay_id": "year"}


@pytest.fixture(scope="module")
def replayed(wine, tmp_path_factory):
    """A home with a finished replay: `tidegate` is the wine home as it went, with a retrain that costs 5 EUR and was
    promoted on night 21; under `never` the first model scored to the end. `monthly` was cut short."""
    root = tmp_path_factory.mktemp("replayed") / "home"
    shutil.copytree(wine.root, root, ignore=shutil.ignore_patterns("var"))
    model = root / "configs/models/cultivars.yaml"
    model.write_text(model.read_text() + "decision: {costs: {retrain: {compute: 5}}}\n")
    base = Home.at(root)
    for policy in ("shared", "tidegate", "never"):
        shutil.copytree(wine.root / "var", base.replay("year", "never").shared.parent / policy)
    for policy in ("tidegate", "never", "monthly"):
        home = prepare_home(base, "cultivars", "year", policy)
        lines = [{"phase": "night"}] if policy == "monthly" else [{"phase": "night"}, {"phase": "done"}]
        (home.state / "progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (base.replay("year", "never").shared / "request.json").write_text(json.dumps(REQUEST))
    stores = open_stores(base.replay("year", "never"))
    known, first = stores.project.model("cultivars"), wine.record(1)
    package, calendar = stores.package("cultivars", 1, first["digest"]), wine.calendar
    with stores.control.write() as c:
        c.exec_driver_sql("delete from versions where version = 2")
    for night in NIGHTS[-3:]:
        w = calendar.window(night)
        rows = inferences(known, package, 1, stores.data.read("batches", known.dataset, [night]), w)
        stores.lake.put("inferences", "cultivars", night, rows, evening_of(w))
    return base


@pytest.fixture(scope="module")
def found(replayed):
    return compare_policies(replayed, "cultivars", "year", parts=3)


def test_costs_are_those_of_the_common_rows_and_the_actions(replayed, found):
    homes, _, _ = finished(replayed, "year")
    stores = {p: open_stores(h) for p, h in homes.items()}
    model = next(iter(stores.values())).project.model("cultivars")
    calendar = stores["never"].project.calendar(stores["never"].project.dataset("tastings"))
    tables = common_outcomes(stores, model, NIGHTS, calendar.window(NIGHTS[-1]))
    assert tables["never"]["row_id"].to_pylist() == tables["tidegate"]["row_id"].to_pylist()
    for policy, table in tables.items():
        figures, tally = found["policies"][policy], tally_table(model, table, 0.5)
        assert figures["kpi_per_row"] == pytest.approx(METRICS["multiclass"]["kpi"](total([tally])))
        assert figures["kpi_sum"] == pytest.approx(tally.sums["kpi"])
        assert figures["cost"] == pytest.approx(figures["actions_cost"] - tally.sums["kpi"])
    ours, never = found["policies"]["tidegate"], found["policies"]["never"]
    assert (ours["retrains"], ours["promotions"], ours["actions_cost"]) == (1, 1, 5.0)
    assert (never["retrains"], never["promotions"], never["actions_cost"], never["gain"]) == (0, 0, 0.0, 0.0)
    assert ours["gain"] == pytest.approx(never["cost"] - ours["cost"])
    assert ours["low"] < ours["gain"] < ours["high"]
    assert ours["share_of_monthly"] is None
    assert found["rows"] == tables["never"].num_rows > 400
    assert (found["unfinished"], found["unit"]) == (["monthly"], "EUR")
    assert [len(s["policies"]) for s in found["segments"]] == [2] * 5


def test_no_policy_beats_the_oracle_of_its_own_versions(found):
    oracle = found["oracle"]
    assert oracle["pool"] == 2  # both started with the same first model
    for figures in found["policies"].values():
        assert figures["distance"] == pytest.approx(figures["cost"] - oracle["cost"])
        assert figures["distance"] >= 0
        assert oracle["cost"] <= oracle["paced"]["cost"]
    assert oracle["path"][0]["version"] == 1
    assert oracle["path"][0]["from"] == NIGHTS[0]
    assert all(s["trained"] < s["from"] for s in oracle["path"])


def test_what_a_version_earned_in_service_is_what_scoring_it_again_gives(replayed, found, monkeypatch):
    """The cache has each pool member on each night; scored anew, and without what was served, it is the same."""
    import tidegate.steps.oracle as step

    cache = replayed.state / "replay/year/oracle.parquet"
    kept = {(r["training"], r["window"]): r["value"] for r in pq.read_table(cache).to_pylist()}
    assert len(kept) == 14 + 1  # nothing is known yet of the last night
    cache.unlink()
    monkeypatch.setattr(step, "_served", lambda *_: {})
    assert compare_policies(replayed, "cultivars", "year", parts=3) == found
    again = {(r["training"], r["window"]): r["value"] for r in pq.read_table(cache).to_pylist()}
    assert again == pytest.approx(kept)
    # A cache that cannot be read costs time, not figures.
    cache.write_bytes(b"PAR1 and then nothing")
    assert compare_policies(replayed, "cultivars", "year", parts=3) == found
    monkeypatch.setattr(step, "_batches", lambda *_: pytest.fail("scored again"))
    assert compare_policies(replayed, "cultivars", "year", parts=3) == found


def test_the_verb_prints_and_the_scoreboard_keeps_what_others_wrote(replayed, found, tidegate):
    board = replayed.state / "lab/scoreboard.json"
    board.parent.mkdir(parents=True, exist_ok=True)
    board.write_text(json.dumps({"rules": {"psi": 1}, "policies": {"gone": {}}}))
    said = tidegate("--home", replayed.root, "policies", "cultivars", "--id", "year", "--segments", "3")
    assert said.code == 0
    for words in ("oracle, switching nightly", "monthly: has not come to its end", "gain over never", "EUR/row"):
        assert words in said.out
    kept = json.loads(board.read_text())
    assert kept["rules"] == {"psi": 1}
    assert set(kept["policies"]) == {"tidegate", "never", "oracle"}
    assert kept["policies"]["tidegate"]["cost"] == pytest.approx(found["policies"]["tidegate"]["cost"])
    assert {"gain", "low", "high", "retrains", "distance"} <= set(kept["policies"]["tidegate"])
    printed = json.loads(tidegate("--home", replayed.root, "policies", "cultivars", "--id", "year", "--json").out)
    assert printed["policies"]["never"]["cost"] == pytest.approx(found["policies"]["never"]["cost"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("cultivars", "--id", "nope"), "expected a replay of that id"),
        (("cultivars", "--id", "../x"), "--id"),
        (("other", "--id", "year"), "expected one of other"),
        (("cultivars", "--id", "year", "--segments", "16"), "1 to 15, the nights replayed"),
    ],
)
def test_what_cannot_be_compared_is_one_line(replayed, tidegate, words, told):
    said = tidegate("--home", replayed.root, "policies", *words)
    assert said.code == 2
    assert told in said.one_line()


def test_a_broken_scoreboard_is_not_overwritten(replayed, found, tidegate):
    board = replayed.state / "lab/scoreboard.json"
    board.parent.mkdir(parents=True, exist_ok=True)
    board.write_text("{")
    said = tidegate("--home", replayed.root, "policies", "cultivars", "--id", "year")
    assert said.code == 1
    assert "scoreboard" in said.one_line()
    assert board.read_text() == "{"
    board.unlink()


def test_a_replay_without_a_finished_policy_is_told(replayed):
    folder = replayed.replay("begun", "never").shared
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps(REQUEST))
    with pytest.raises(UsageError, match="a policy that came to its end"):
        finished(replayed, "begun")


# -- the policies by a fixed threshold ----------------------------------------------------------


def threshold_home(replayed, name, policy, **retrain):
    """A replay home under a fixed threshold, as it stood after the last night."""
    source, home = replayed.replay("year", "tidegate"), replayed.replay(name, policy)
    shutil.copytree(source.state, home.state)
    shutil.copytree(source.shared, home.shared)
    prepare_home(replayed, "cultivars", name, policy)
    file = home.state / "overrides.yaml"
    changes = yaml.safe_load(file.read_text())
    changes["models"]["cultivars"]["retrain"] |= retrain
    file.write_text(yaml.safe_dump(changes))
    return open_stores(home)


def test_drift_past_its_threshold_retrains_after_the_cooldown_and_without_a_gate(replayed, wine):
    for retrain, action, reason in (
        ({}, "nothing", "cooldown until 2024-01-26"),
        ({"cooldown": "1d"}, "retrain", "drift"),
    ):
        stores = threshold_home(replayed, f"{action}-then", "drift", **retrain)
        model, w = stores.project.model("cultivars"), wine.calendar.window(NIGHTS[-1])
        decision = decide_window(stores, model, w, evening_of(w))
        assert (decision.action, decision.reason) == (action, reason)
    # The candidate: the champion's own package once more.
    champion = wine.record(2)
    body = {"window": w.id, "reason": "drift", "looks": [], "rows": 1}
    stores.records.put_version("cultivars", 3, owner="cellar", digest=champion["digest"], status="candidate", body=body,
                               known_at=evening_of(w))  # fmt: skip
    verdict = look_at(stores, model, 3, w, evening_of(w))
    assert verdict.reasons == ("policy drift promotes without a gate",)
    assert stores.records.versions("cultivars")[-1]["status"] == "challenger"
    assert not [look for look in stores.looks.of("cultivars") if look.version == 3]


def test_the_instruments_change_is_seen_against_the_first_champion(replayed, wine):
    stores = threshold_home(replayed, "changed", "drift")
    model, w = stores.project.model("cultivars"), wine.calendar.window(NIGHTS[5])
    found = fixed_evidence(stores, model, (1, wine.package(1)), w, {})["drift"]
    assert found.outcome == "fail"
    assert max(found.numbers["psi"], key=found.numbers["psi"].get) in ("proline", "flavanoids")
    blocked = fixed_evidence(stores, model, (1, wine.package(1)), wine.calendar.window("2024-03-01"), {})["drift"]
    assert blocked.outcome == "inconclusive"


def test_a_week_of_the_first_champion_after_the_change_is_past_its_margin(replayed, wine):
    stores = threshold_home(replayed, "week", "performance")
    model, w = stores.project.model("cultivars"), wine.calendar.window(NIGHTS[-1])
    labelled = dict.fromkeys(NIGHTS[:9], 30)
    found = fixed_evidence(stores, model, (1, wine.package(1)), w, labelled)["performance"]
    assert found.outcome == "inconclusive"  # its reference has six nights: no whole week
    week = fixed_evidence(stores, model, (2, wine.package(2)), w, dict.fromkeys(NIGHTS[-3:], 30))["performance"]
    assert "needed" in week.reasons[0]


def test_all_keeps_three_policies_and_every_has_five():
    assert policies_of("all") == ["tidegate", "never", "monthly"]
    assert policies_of("every") == list(EVERY)
    assert len(EVERY) == 5
    assert policies_of("drift") == ["drift"]
    assert np.unique(EVERY).size == 5
