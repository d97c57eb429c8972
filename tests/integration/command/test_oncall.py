"""What those who are on call see and do."""

import datetime as dt
import json
from dataclasses import replace

import pytest

from tidegate.adapters.incidents import Incidents
from tidegate.alarms.incidents import rules_of
from tidegate.config.home import Home
from tidegate.rollout.plan import ServingPlan
from tidegate.steps.stores import open_stores
from tidegate.verdicts import Effect, Signal

AT = dt.datetime(2024, 1, 5, 6, tzinfo=dt.UTC)
EFFECT = Effect(0.11, "log_loss", "log_loss rises by 0.11 (0.06 to 0.17), about 40 EUR a day", True)


def signal(window, subject="alcohol", monitor="feature", **more):
    values = {"statistic": "ks", "kind": "gradual", "value": 0.31, "low": 0.24, "high": 0.39, "z": 6.0,
              "since": "2024-01-02", "persistent": True, "worse": True, "effect": EFFECT, "certified": True,
              "reason": "above its threshold on 3 of 5 nights"}  # fmt: skip
    return Signal(window, monitor, subject, **{**values, **more})


@pytest.fixture
def night(wine_home):
    stores = open_stores(Home.at(wine_home))

    def run(window, *signals, model="cultivars"):
        settings = stores.project.model(model)
        rules = rules_of(settings, stores.project.dataset(settings.dataset), stores.project.platform)
        incidents = Incidents(stores.control, stores.namespace)
        return incidents.night(signals, rules, window, owner=settings.owner, known_at=AT)

    return run


@pytest.fixture
def call(tidegate, wine_home):
    return lambda *words: tidegate("--home", wine_home, *words)


def test_at_three_in_the_morning(call, night):
    night("2024-01-04", signal("2024-01-04"), signal("2024-01-04", "hue", z=4.0))
    said = call("alarms", "cultivars")
    assert said.code == 0
    assert said.out == (
        "PAGE  incident 1, open  model cultivars  2024-01-04  for cellar\n"
        "  alcohol and 1 more drifted: KS 0.31 (0.24 to 0.39); above its threshold on 3 of 5 nights, since 2024-01-02, "
        "3 nights. Suspected cause: other cases come in than the model learned from.\n"
        "  effect    log_loss rises by 0.11 (0.06 to 0.17), about 40 EUR a day\n"
        "  runbook   docs/runbooks/population.md\n"
        "  next      tidegate findings cultivars 2024-01-04\n\n"
    )


def test_what_is_shown_and_what_takes_all(call, night):
    night("2024-01-02", signal("2024-01-02", certified=False))
    night("2024-01-03", signal("2024-01-03"))
    night("2024-01-04", signal("2024-01-04"), signal("2024-01-04", "hue", worse=False))
    rows = json.loads(call("alarms", "cultivars", "--json").out)
    assert [(r["window"], r["severity"]) for r in rows] == [("2024-01-03", "page")]
    rows = json.loads(call("alarms", "cultivars", "--all", "--json").out)
    assert [(r["window"], r["severity"]) for r in rows] == [
        ("2024-01-03", "page"), ("2024-01-02", "ticket"), ("2024-01-04", "digest"),
    ]  # fmt: skip
    assert "no page   an improvement never pages" in call("alarms", "cultivars", "--all").out
    rows = json.loads(call("alarms", "cultivars", "--all", "--since", "2024-01-04", "--json").out)
    assert [r["window"] for r in rows] == ["2024-01-04"]
    call("close", "1", "--by", "ann")
    assert call("alarms", "cultivars").out == "nothing is wrong with cultivars; tidegate alarms cultivars --all: all\n"


def test_the_way_of_an_incident_through_the_hands_of_people(call, night):
    night("2024-01-03", signal("2024-01-03"))
    assert call("ack", "1", "--by", "ann", "--note", "new vines?").out == "incident 1 is acknowledged\n"
    assert call("snooze", "1", "--until", "2024-01-09", "--by", "ann").out == "incident 1 is snoozed until 2024-01-09\n"
    (row,) = json.loads(call("incidents", "--json").out)
    assert (row["number"], row["status"], row["until"]) == (1, "snoozed", "2024-01-09")
    said = json.loads(call("close", "1", "--by", "bob", "--note", "retrained", "--json").out)
    assert (said[0]["status"], said[0]["closed_by"]) == ("closed", "bob")
    assert call("incidents").out == "no incidents\n"
    assert "closed" in call("incidents", "--all").out
    (found,) = json.loads(call("incident", "show", "1", "--json").out)
    assert [(e["what"], e["by"]) for e in found["events"]] == [
        ("raised", "tidegate"), ("acknowledged", "ann"), ("snoozed", "ann"), ("closed", "bob"),
    ]  # fmt: skip
    text = call("incident", "show", "1").out
    for word in ("population", "alcohol", "new vines?", "closed by  bob", "retrained"):
        assert word in text


def test_a_muted_subject_is_in_the_digest_with_who_and_why(call, night):
    said = call("mute", "cultivars", "alcohol", "--until", "2099-02-01", "--by", "ann", "--reason", "new meter")
    assert said.out == "alcohol of cultivars is muted until 2099-02-01\n"
    (row,) = json.loads(call("mutes", "cultivars", "--json").out)
    assert (row["subject"], row["by"], row["reason"]) == ("alcohol", "ann", "new meter")
    assert [a.severity for a in night("2024-01-03", signal("2024-01-03"))] == ["digest"]
    assert "no page   alcohol muted by ann until 2099-02-01: new meter" in call("alarms", "cultivars", "--all").out
    assert call("unmute", "cultivars", "alcohol", "--by", "ann").code == 0
    assert call("mutes", "cultivars").out == "nothing is muted\n"
    assert [a.severity for a in night("2024-01-04", signal("2024-01-04"))] == ["page"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("alarms", "cultivar"), "did you mean 'cultivars'?"),
        (("alarms", "cultivars", "--since", "monday"), "--since: expected a date as YYYY-MM-DD, found 'monday'"),
        (("ack", "7", "--by", "ann"), "incident 7: expected one that exists, found none"),
        (("incident", "show", "7"), "incident 7: expected one that exists, found none"),
        (("ack", "1", "--by", " "), "--by: expected 1 to 120 characters of text in one line, found nothing"),
        (("ack", "1", "--by", "a\x1b[2J"), "--by: expected 1 to 120 characters"),
        (("ack", "1", "--by", "ann", "--note", "a\nb"), "--note: expected 1 to 1000 characters"),
        (("snooze", "1", "--until", "", "--by", "ann"), "--until: expected a date as YYYY-MM-DD, found nothing"),
        (("snooze", "1", "--until", "2024-01-03", "--by", "ann"), "incident 1: expected --until after 2024-01-03"),
        (("mute", "cultivars", "alcohl", "--until", "2024-02-01", "--by", "a", "--reason", "x"), "'alcohol'?"),
        (("unmute", "cultivars", "alcohol", "--by", "ann"), "alcohol of cultivars: expected a muted subject"),
        (("mute", "cultivars", "hue", "--until", "2020-02-01", "--by", "a", "--reason", "x"), "found 2020-02-01. Next"),
        (("detectors", "approve", "cultivars", "1", "--by", ""), "--by: expected 1 to 120 characters"),
        (("detectors", "approve", "cultivars", "1", "--by", "a\x1b[2J"), r"in one line, found 'a\x1b[2J'"),
        (("detectors", "approve", "cultivars", "1", "--by", "ann", "--reason", "a\nb"), "--reason: expected 1 to 1000"),
        (("aa", "cultivars", "--from", "2024-01-03", "--to", "2024-01-01"), "nights: expected --from not after --to"),
    ],
)
def test_a_wrong_call_is_one_plain_line(call, night, words, line):
    night("2024-01-03", signal("2024-01-03"))
    said = call(*words)
    assert said.code == 2, said
    assert line in said.one_line()


def test_names_from_data_cannot_steer_the_terminal(call, night):
    night("2024-01-03", signal("2024-01-03", "cellar [cellar=\x1b[2J[red]x]", reason="\x1b]0;evil\x07"))
    for words in (("alarms", "cultivars"), ("incidents",), ("incident", "show", "1")):
        out = call(*words).out
        assert "\x1b" not in out
        assert "\x07" not in out
    assert "[red]" in call("incident", "show", "1").out


def test_a_model_is_told_of_its_datasets_incident_that_another_model_saw(call, night, wine_home):
    path = wine_home / "configs/models/cultivars.yaml"
    (wine_home / "configs/models/second.yaml").write_text(path.read_text())
    night("2024-01-03", signal("2024-01-03", "batch", "quality", kind="fault", value=float("nan"), reason="NO_DATA"))
    said = call("alarms", "second").out
    assert said.startswith("PAGE  incident 1, open  dataset tastings, told to cellar\n")
    assert "NO_DATA" in said
    assert call("alarms", "cultivars").out.count("PAGE") == 1


def test_a_mute_reaches_beyond_the_newest_night_whatever_today_is(call, wine_home):
    stores = open_stores(Home.at(wine_home))
    assert call("ingest", "tastings", "--window", "2024-01-02").code == 0
    assert [s.window for s in stores.data.many("batches", "tastings")] == ["2024-01-02"]
    words = ("mute", "cultivars", "hue", "--by", "ann", "--reason", "x", "--until")
    assert "--until: expected a date from 2024-01-02 on, found 2024-01-01" in call(*words, "2024-01-01").one_line()
    assert call(*words, "2024-01-03").code == 0


def test_a_set_that_is_approved_again_already_is_in_force(call, wine_home):
    stores = open_stores(Home.at(wine_home))
    plan = ServingPlan("cultivars")
    stores.plans.swap(plan, replace(plan, champion=1), owner="cellar", window="2024-01-02", at=AT, why={})
    number = stores.detectors.propose("cultivars", "cellar", 1, "2024-01-02", {"version": "v"}, AT)
    words = ("detectors", "approve", "cultivars", number, "--by")
    assert json.loads(call(*words, " ann ", "--json").out) == [{"in_force": number, "after": "2024-01-02", "by": "ann"}]
    assert call(*words, "bob").out == f"detectors {number} of cultivars already are in force: nothing was changed\n"
    assert json.loads(call(*words, "bob", "--json").out) == [{"in_force": number, "after": "2024-01-02", "by": None}]
