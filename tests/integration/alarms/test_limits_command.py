"""What the command says of limits, and what people do about them with it."""

import json
import math

import pytest

from tidegate.clock import evening_of


def strict(text):
    """JSON as the standard has it: no NaN, no Infinity."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def say(tidegate, shop):
    """Calls the command on a copy of the shop, and wants this exit code."""

    def call(*words, code=0):
        said = tidegate("--home", shop.root, *words)
        assert said.code == code, said
        return strict(said.out) if "--json" in words else said.one_line() if code in (1, 2) else said.out

    return call


def unit_change(frame, rng):
    return frame.assign(price=frame["price"] * 100)


def test_the_list_says_what_is_in_force_and_what_it_promises(say):
    [row] = say("detectors", "list", "bought", "--json")
    assert (row["number"], row["status"], row["version"], row["certified"]) == (1, "active", 1, False)
    assert row["budget"] == 1.0
    assert "not certifiable" in row["promise"]
    table = say("detectors", "list", "bought").splitlines()
    assert table[0].split()[:3] == ["number", "status", "version"]
    assert table[1].split()[:3] == ["1", "active", "1"]
    assert "expected" in say("detectors", "list", "nothing", code=2)


def test_a_set_is_proposed_approved_and_the_other_cannot_come_back(say):
    [row] = say("detectors", "propose", "bought", "--budget", "8", "--json")
    again = say("detectors", "propose", "bought", "--budget", "8")
    assert f"tidegate detectors approve bought {row['number']}" in again
    first, second = say("detectors", "list", "bought", "--json")
    assert (second["number"], second["status"], second["budget"], second["since"]) == (
        row["number"],
        "beside",
        8.0,
        None,
    )
    assert second["sudden"] == row["sudden"] < first["sudden"]
    number = row["number"]
    [done] = say("detectors", "approve", "bought", number, "--by", "ann", "--reason", "too quiet", "--json")
    assert done == {"in_force": number, "after": "2024-02-19", "by": "ann"}
    rows = say("detectors", "list", "bought", "--json")
    assert [(r["status"], r["since"]) for r in rows] == [("retired", rows[0]["since"]), ("active", "2024-02-19")]
    assert "found a retired one" in say("detectors", "approve", "bought", 1, "--by", "ann", code=2)
    assert f"limits 1 -> {number} by ann: too quiet" in say("lineage", "bought")
    [last] = [e for e in say("lineage", "bought", "--json") if "too quiet" in e["what"]]
    assert last["kind"] == "detectors"
    [by_promotion] = [e for e in say("lineage", "bought", "--json") if e["what"].startswith("limits none -> 1 by ")]
    assert "not certifiable" in by_promotion["what"]


@pytest.mark.slow
def test_a_budget_of_nothing_has_limits_without_an_end_that_json_can_carry(say):
    [row] = say("detectors", "propose", "bought", "--budget", "0", "--json")
    assert (row["sudden"], row["gradual"]) == (None, None)
    assert say("detectors", "list", "bought", "--json")[1]["sudden"] is None
    assert "no page for drift" in say("detectors", "list", "bought")
    text = say("detectors", "propose", "bought", "--budget", "0")
    assert f"tidegate detectors approve bought {row['number']}" in text
    assert (
        say("detectors", "retire", "bought", row["number"]).strip()
        == f"detectors {row['number']} of bought are retired"
    )
    assert "found none" in say("detectors", "retire", "bought", row["number"], code=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("propose", "bought", "--budget", "-1"), "--budget: expected false pages in 30 days, 0 or more, found -1"),
        (("propose", "bought", "--budget", "nan"), "found nan"),
        (("approve", "bought", 99, "--by", "ann"), "detectors 99 of bought: expected a set that runs beside"),
        (("retire", "bought", 1), "detectors 1 of bought: expected a set that runs beside"),
        (("retire", "bought", 99), "detectors 99 of bought"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(say, words, message):
    before = say("detectors", "list", "bought", "--json")
    assert message in say("detectors", *words, code=2)
    assert say("detectors", "list", "bought", "--json") == before


def test_an_approval_needs_a_name(tidegate, shop):
    said = tidegate("--home", shop.root, "detectors", "approve", "bought", "1")
    assert said.code == 2
    assert "--by" in said.err


def test_limits_of_another_champion_are_not_approved(say, shop):
    body = {**shop.stores.detectors.all("bought")[0].body, "budget": 3.0}
    at = evening_of(shop.calendar.window("2024-02-19"))
    number = shop.stores.detectors.propose("bought", "shopkeepers", 2, "2024-02-19", body, at)
    said = say("detectors", "approve", "bought", number, "--by", "ann", code=2)
    assert "expected limits for the champion, version 1, found limits for version 2" in said


def test_what_if_there_were_another_budget(say, shop, open_shop):
    for i in (50, 51, 52):
        open_shop(shop.root, i, unit_change)
        shop.night(i)
    same, none, more = (say("whatif", "bought", *b, "--json") for b in ((), ("--budget", "0"), ("--budget", "8")))
    assert (same["budget"], none["budget"], more["budget"]) == (1.0, 0.0, 8.0)
    assert (same["pages"], none["pages"], same["certified_nights"]) == (0, 0, 0)
    assert same["tickets"] >= 1
    assert none["tickets"] == none["perhaps"] == 0
    assert more["tickets"] >= same["tickets"]
    assert {a["severity"] for a in same["alarms"]} <= {"ticket", "digest"}
    text = say("whatif", "bought", "--budget", "0")
    assert "with a budget of 0 in 30 days" in text
    assert text.splitlines()[-1] == "no page and no ticket"
    assert "price" in say("whatif", "bought")
    for bad in ("-1", "inf"):
        assert "--budget: expected false pages in 30 days, 0 or more" in say(
            "whatif", "bought", "--budget", bad, code=2
        )


def test_findings_are_json_where_nothing_could_be_told(say, shop, open_shop):
    open_shop(shop.root, 50, lambda frame, rng: frame.assign(price=math.nan))
    shop.night(50)
    rows = say("findings", "bought", "2024-02-20", "--json")
    assert {r["subject"] for r in rows} >= {"price", "pages", "channel"}
    assert any(r["value"] is None for r in rows if r["subject"] == "price")
    only = say("findings", "bought", "2024-02-20", "--subject", "pages", "--json")
    assert only == [r for r in rows if r["subject"] == "pages"]
    assert say("findings", "bought", "2024-03-30", "--json") == []
    assert say("findings", "bought", "2024-03-30").strip() == "no findings on 2024-03-30"


@pytest.mark.slow
@pytest.mark.parametrize("budget", [(), ("--budget", "0")])
def test_a_trial_of_three_nights_is_not_certifiable_and_says_so(say, budget):
    words = ("aa", "bought", "--from", "2024-01-01", "--to", "2024-01-03", *budget)
    told = say(*words, "--json", code=4)
    assert (told["model"], told["nights"], told["calibrated_on"], told["certified"]) == ("bought", 3, 0, False)
    assert told["budget"] == (0.0 if budget else 1.0)
    assert (told["measured"], told["upper95"], told["power"]) == (None, None, None)
    assert "not certifiable, range unknown" in told["words"]
    assert f"a budget of {0 if budget else 1} a month on 3 nights" in say(*words, code=4)


def test_a_trial_refuses_what_is_no_date_and_no_budget(say):
    assert "--from" in say("aa", "bought", "--from", "yesterday", code=2)
    assert "--budget" in say("aa", "bought", "--budget", "-1", code=2)
