"""`tidegate rollback`, `packages` and `reconcile`: what they print, and each way of having nothing to go back to."""

import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tidegate.adapters import ledger
from tidegate.adapters.registry import Registry
from tidegate.clock import evening_of
from tidegate.clock import now as wall
from tidegate.config.project import load_project
from tidegate.errors import PlanConflict
from tidegate.steps import rollback as rolling
from tidegate.steps.freeze import freeze
from tidegate.steps.promote import promote
from tidegate.steps.stillfit import look_ahead
from tidegate.steps.stores import open_stores

LAST = 23


@pytest.fixture
def third(cellar, day):
    """A third version, of the second's bytes but for a note, and promoted after it."""
    window = cellar.calendar.window(day(LAST))
    with cellar.stores.staging(cellar.name) as staging:
        shutil.copytree(cellar.package(2).folder, staging / "package")
        (staging / "package" / "note").write_text("third")
        _, digest = cellar.stores.keep(cellar.name, staging / "package")
    looks = [{"window": window.id, "against": 2, "outcome": "pass", "reasons": []}]
    cellar.stores.records.put_version(
        cellar.name, 3, owner="cellar", digest=digest, status="challenger", known_at=evening_of(window),
        body={**cellar.record(2)["body"], "looks": looks, "run_id": "", "window": window.id},
    )  # fmt: skip
    promote(cellar.stores, cellar.model, 3, window, evening_of(window), why={"reason": "test"}, by="automatic")
    assert cellar.stores.plans.get(cellar.name).champion == 3
    return cellar


@pytest.fixture
def back(tidegate, cellar):
    return lambda *words: tidegate("--home", cellar.root, "rollback", cellar.name, "--by", "ann", *words)


def champion(loop):
    return loop.stores.plans.get(loop.name).champion


def edit(loop, name, old, new):
    """Change a configuration file, as seen by the next command."""
    path = loop.root / "configs" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    load_project.cache_clear()
    open_stores.cache_clear()


def plan_entry(loop):
    return ledger.entries(loop.stores.control, loop.stores.namespace, loop.name, "plan")[-1]["body"]


def test_it_is_checked_made_and_told(cellar, back):
    said = back("--reason", "too many complaints")
    assert (said.code, said.err) == (0, "")
    assert "version 1 is champion again, version 2 is rolled back (plan revision 3)" in said.out
    assert "version 1 scores the 36 rows of 2024-01-24" in said.out
    assert "no gateway is running" in said.out
    assert "owed" not in said.out
    assert champion(cellar) == 1
    entry = plan_entry(cellar)
    assert (entry["by"], entry["reason"], entry["checked"]["outcome"]) == ("ann", "too many complaints", "pass")
    assert Registry(cellar.stores.home.state).client.get_model_version_by_alias(cellar.name, "champion").version == 1


def test_a_person_goes_back_also_where_people_promote_and_the_model_is_frozen(cellar, back):
    freeze(cellar.stores, cellar.model, wall(), by="ann", why="audit")
    edit(cellar, "models/cultivars.yaml", "promotion: automatic", "promotion: approve")
    said = back("--now", "--json")
    told = json.loads(said.out)
    assert (said.code, told["to"], told["alias"], told["workers"]) == (0, 1, "mirrored", [])
    assert "--now" in told["checked"]["reasons"][0]
    assert "audit" in told["notes"][0]
    assert "audit" in plan_entry(cellar)["notes"][0]


def test_twice_asks_which_one_is_meant(cellar, back, monkeypatch):
    assert back("--now").code == 0
    said = back("--now")
    assert (said.code, champion(cellar)) == (2, 1)
    assert "or --to VERSION, found one to version 1 by ann" in said.one_line()
    later = wall() + timedelta(hours=1)
    monkeypatch.setattr("tidegate.clock.now", lambda: later)
    # What was found wanting is nothing to go back to by itself, but a person may name it.
    assert "expected a former champion, found none" in back("--now").one_line()
    said = back("--now", "--to", 2)
    assert (said.code, champion(cellar)) == (0, 2)
    assert "version 2 was rolled back itself on" in said.out


@pytest.mark.parametrize(
    ("version", "status", "words"),
    [
        (9, None, "found no such version"),
        (2, None, "found the champion of today"),
        (3, "rejected", "found rejected, never champion"),
        (3, "candidate", "found candidate, never champion"),
    ],
)
def test_a_version_that_was_never_champion_is_refused(cellar, back, version, status, words):
    if status:
        cellar.stores.records.put_version(
            cellar.name, 3, owner="cellar", digest="d" * 64, status=status, body={"window": "2024-01-24", "looks": []},
            known_at=wall(),
        )  # fmt: skip
    said = back("--to", version)
    assert said.code == 2
    line = said.one_line()
    assert words in line
    assert "Next: " in line
    assert champion(cellar) == 2


def test_a_model_without_a_champion_has_nothing_to_go_back_to(make_wine, tidegate, tmp_path):
    (tmp_path / "new").mkdir()
    make_wine(tmp_path / "new", 1, 1)
    said = tidegate("--home", tmp_path / "new", "rollback", "cultivars")
    assert said.code == 2
    assert "expected a former champion, found none. Next: tidegate retrain cultivars" in said.one_line()
    assert "has no packages yet" in tidegate("--home", tmp_path / "new", "packages", "cultivars").out


@pytest.mark.fault(10)
def test_a_corrupt_newest_is_passed_over_with_the_registry_gone(third, back, tidegate):
    (third.package(2).folder / "model.skops").write_bytes(b"torn")
    (third.root / "var" / "mlflow.db").rename(third.root / "kept.db")
    began = time.monotonic()
    said = back()
    assert time.monotonic() - began < 30
    assert (said.code, champion(third)) == (0, 1)
    assert "version 2 is passed over" in said.out
    assert "found other bytes" in said.out
    assert "owed: the registry's alias" in said.out
    assert not (third.root / "var" / "mlflow.db").exists()
    shown = tidegate("--home", third.root, "packages", third.name)
    assert (shown.code, "NO" in shown.out) == (3, True)
    owing = tidegate("--home", third.root, "reconcile", third.name)
    assert (owing.code, owing.out.count("still owed")) == (4, 2)
    (third.root / "kept.db").rename(third.root / "var" / "mlflow.db")
    done = tidegate("--home", third.root, "reconcile")
    assert done.code == 0
    assert "the registry's alias is mirrored" in done.out
    assert "version 2 (former champion) is fetched" in done.out
    assert "nothing was left half-done" in tidegate("--home", third.root, "reconcile", third.name).out
    assert tidegate("--home", third.root, "packages", third.name, "--prune", "--keep-days", 0).code == 0


def test_a_package_that_is_nowhere_is_one_line(cellar, back):
    shutil.rmtree(cellar.package(1).folder)
    (cellar.root / "var" / "mlflow.db").unlink()
    said = back()
    assert (said.code, champion(cellar)) == (1, 2)
    assert "expected a former champion whose package is sound, found version 1" in said.one_line()


def test_what_does_not_fit_the_contract_any_more_is_refused_unless_now(cellar, back):
    edit(cellar, "datasets/tastings.yaml", "hue: {type: number, min: 0, max: 3}", "hue: {type: category}")
    said = back()
    assert (said.code, champion(cellar)) == (3, 2)
    assert "version 1 does not fit the contract: hue is category now, and was number" in said.out
    assert "tidegate rollback cultivars --now" in said.out
    assert json.loads(back("--json").out)["refused"] is True
    assert (back("--now").code, champion(cellar)) == (0, 1)


def test_what_is_proven_worse_is_refused(cellar, back):
    # Version 1 does not know what the instruments read now: it costs more than half a EUR a row.
    edit(cellar, "models/cultivars.yaml", "gate: {", "gate: {min_blocks: 4, ")
    said = back()
    assert (said.code, champion(cellar)) == (3, 2), said.out
    assert "it is proven worse by more than" in said.out
    assert cellar.stores.records.verdicts(cellar.name, "rollback")


def test_the_check_of_the_night_is_taken_while_it_is_about_the_same(cellar, back, monkeypatch, day):
    kept = look_ahead(cellar.stores, cellar.model, evening_of(cellar.calendar.window(day(LAST))))
    assert kept.passed

    def never(*_args):
        raise AssertionError("checked once more")

    monkeypatch.setattr("tidegate.steps.stillfit.still_fits", never)
    said = back()
    assert (said.code, champion(cellar)) == (0, 1)
    assert "as checked on the night of that batch" in said.out


def test_of_two_at_once_one_is_told_that_the_other_was_first(cellar, monkeypatch):
    both = threading.Barrier(2)
    find = rolling.target

    def together(*args, **named):
        found = find(*args, **named)
        both.wait(30)
        return found

    monkeypatch.setattr(rolling, "target", together)

    def press(who):
        try:
            return rolling.roll_back_by(cellar.stores, cellar.model, wall(), by=who, check=False).version
        except PlanConflict as fault:
            return str(fault)

    with ThreadPoolExecutor(2) as pool:
        found = sorted(pool.map(press, ("ann", "bob")), key=str)
    assert found[0] == 1
    assert found[1].startswith("serving plan of cultivars: expected revision 2, found 3 by cellar")
    assert "decide again" in found[1]
    assert champion(cellar) == 1


@pytest.mark.slow
@pytest.mark.fault(10)
def test_a_drill_measures_a_real_gateway_and_touches_nothing(cellar, back):
    look_ahead(cellar.stores, cellar.model, wall())
    before = cellar.stores.plans.get(cellar.name)
    said = back("--drill", "--json")
    told = json.loads(said.out)
    numbers = told["numbers"]
    assert (numbers["errors"], numbers["from"], numbers["to"], numbers["workers"]) == (0, 2, 1, 2)
    assert numbers["answers"] > 50
    assert 0 < numbers["seconds"] < 30
    assert (said.code, told["outcome"]) == ((0, "pass") if numbers["seconds"] <= 5 else (3, "fail"))
    assert cellar.stores.plans.get(cellar.name) == before
    assert list((cellar.root / "var" / "drill").iterdir()) == []
    [kept] = cellar.stores.records.verdicts(cellar.name, "drill").values()
    assert kept.numbers["seconds"] == numbers["seconds"]
