"""An incident in people's hands: its timeline, notes, taking it on, resolving it, the postmortem."""

import datetime as dt
import json

import pytest

from tidegate.alarms.incidents import rules_of
from tidegate.clock import evening_of
from tidegate.config.home import Home
from tidegate.config.project import load_project
from tidegate.rollout.plan import ServingPlan
from tidegate.steps.ingest import ingest
from tidegate.steps.stores import open_stores, stores_of
from tidegate.steps.surroundings import note_surroundings
from tidegate.verdicts import Effect, Signal

AT = dt.datetime(2024, 1, 3, 6, tzinfo=dt.UTC)


@pytest.fixture
def troubled(wine_home):
    """Three nights: on the second somebody changed the model's file and its code; the third opens an incident."""
    home = Home.at(wine_home)

    def night(i, change=None):
        if change:
            change()
        load_project.cache_clear()
        open_stores.cache_clear()
        stores = stores_of(home)
        model = stores.project.model("cultivars")
        dataset = stores.project.dataset(model.dataset)
        window = stores.project.calendar(dataset).window(f"2024-01-0{i}")
        ingest(stores, dataset, window, evening_of(window))
        note_surroundings(stores, model, window, evening_of(window))
        return stores, model, window

    def edit():
        for name, old, new in (
            ("configs/models/cultivars.yaml", "seed: 3", "seed: 4"),
            ("winery.py", "color", "colour"),
        ):
            file = wine_home / name
            file.write_text(file.read_text().replace(old, new, 1))

    night(1)
    stores, model, window = night(2, edit)
    stores.plans.swap(
        ServingPlan("cultivars"),
        ServingPlan("cultivars", 1, 1, "d" * 64),
        owner="cellar",
        window=window.id,
        at=evening_of(window),
        why={"by": "ann", "reason": "new | <b>year</b>"},
    )
    stores, model, window = night(3)
    rules = rules_of(model, stores.project.dataset(model.dataset), stores.project.platform)
    effect = Effect(0.1, "EUR/row", "about 40 EUR a day", True)
    one = Signal(
        window.id, "feature", "hue", "ks", "gradual", 0.3, 0.2, 0.4, 6.0, "2024-01-02", True, True, effect, True
    )
    stores.incidents.night([one], rules, window.id, owner="cellar", known_at=AT)
    return wine_home


@pytest.fixture
def call(tidegate, troubled):
    return lambda *words: tidegate("--home", troubled, *words)


def test_the_timeline_says_what_changed_around_it(call):
    said = call("incident", "show", 1)
    assert said.code == 0
    lines = said.out.splitlines()
    for start in (
        "2024-01-02  config  configs/models/cultivars.yaml: ",
        "2024-01-02  code    winery.py: ",
        "2024-01-02  model   champion of cultivars by ann (new | <b>year</b>): version None → version 1",
    ):
        assert sum(line.startswith(start) for line in lines) == 1, said.out
    changed = json.loads(call("incident", "show", 1, "--json").out)[0]["changed"]
    assert {c["matter"] for c in changed} == {"config", "code", "model"}
    assert all(set(c) == {"window", "matter", "what", "before", "after", "reference", "at"} for c in changed)


def test_notes_are_kept_with_who_and_when(call):
    assert call("incident", "note", 1, "the probe was replaced", "--by", "ann").out == "noted on incident 1\n"
    said = json.loads(call("incident", "show", 1, "--json").out)[0]
    assert [(e["what"], e["by"], e["note"]) for e in said["events"]][-1] == ("noted", "ann", "the probe was replaced")
    assert said["status"] == "open"
    assert call("incident", "note", 9, "x", "--by", "ann").code == 2


def test_two_people_do_not_overwrite_each_other(call):
    seen = json.loads(call("incident", "show", 1, "--json").out)[0]["revision"]
    assert call("incident", "ack", 1, "--by", "ann", "--revision", seen).code == 0
    late = call("incident", "resolve", 1, "--by", "bob", "--reason", "gone", "--revision", seen)
    assert late.code == 1
    assert late.one_line().startswith(
        f"incident 1: expected revision {seen}, found {seen + 1}, acknowledged. Next: look"
    )


def test_resolving_takes_a_reason(call):
    assert call("incident", "resolve", 1, "--by", "ann").code == 2
    assert (
        "--reason: expected 1 to 1000 characters" in call("incident", "resolve", 1, "--by", "ann", "--reason", " ").err
    )
    assert call("incident", "resolve", 1, "--by", "ann", "--reason", "new year").out == "incident 1 is closed\n"
    assert call("incident", "list").out == "no incidents\n"
    assert json.loads(call("incident", "list", "--all", "--json").out)[0]["status"] == "closed"


def test_a_postmortem_is_written_once(call, tmp_path):
    file = tmp_path / "pm.md"
    assert call("incident", "postmortem", 1, "--out", file).out == f"wrote {file}\n"
    text = file.read_text()
    assert "configs/models/cultivars.yaml" in text
    assert "new \\| &lt;b&gt;year&lt;/b&gt;" in text
    assert "tidegate findings cultivars 2024-01-03" in text
    again = call("incident", "postmortem", 1, "--out", file)
    assert (again.code, file.read_text()) == (2, text)
    assert call("incident", "postmortem", 1, "--out", tmp_path / "no" / "pm.md").one_line().endswith("can be written")
    assert call("incident", "postmortem", 1).out.startswith("# Postmortem of incident 1: model cultivars\n")
    assert call("incident", "postmortem", 2).code == 2
