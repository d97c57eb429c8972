"""From a night's rows to alarms: limits, findings, signals, incidents, and what people do about limits."""

import shutil

import numpy as np
import pytest

from tidegate.adapters import ledger
from tidegate.alarms.calibration import Calibration
from tidegate.clock import evening_of
from tidegate.errors import UsageError
from tidegate.steps.calibrate import calibrated
from tidegate.steps.scores import findings_of
from tidegate.steps.watch import watch
from tidegate.steps.whatif import whatif


def unit_change(frame, rng):
    return frame.assign(price=frame["price"] * 100)


def nulls(frame, rng):
    return frame.assign(price=frame["price"].where(rng.random(len(frame)) < 0.5))


def certify(loop):
    """Put a set in force that claims half a year of reference: the shop has not been open for so long."""
    [first] = loop.stores.detectors.all(loop.name)
    body = {**first.body, "days": 200, "nights": 182, "rates": [0.2, 0.9]}
    now = evening_of(loop.calendar.window("2024-02-19"))
    number = loop.stores.detectors.propose(loop.name, "shopkeepers", first.version, first.window, body, now)
    loop.stores.detectors.approve(
        loop.name, number, owner="shopkeepers", by="ada", reason="a test", window="2024-02-19", at=now
    )
    return number


def run(loop, open_shop, nights, change):
    out = []
    for i in nights:
        open_shop(loop.root, i, change)
        out.append(loop.night(i)["alarms"])
    return out


def test_limits_come_with_the_champion_and_the_ledger_says_so(quiet_shop):
    [limits] = quiet_shop.stores.detectors.all("bought")
    assert (limits.version, limits.status) == (1, "active")
    calibration = Calibration.from_dict(limits.body)
    assert not calibration.certified
    monitors = {s.monitor for s in calibration.series}
    assert monitors == {"feature", "prediction", "label", "performance", "volume"}
    assert {s.against for s in calibration.series} == {"champion", "recent", "weekday"}
    [entry] = ledger.entries(quiet_shop.stores.control, "lab", "bought", "detectors")
    assert entry["body"]["by"] == "promotion"
    assert "not certifiable" in entry["body"]["reason"]


def test_quiet_nights_tell_nobody_anything(quiet_shop):
    assert [a for t in quiet_shop.told.values() for a in t["alarms"]] == []
    found = findings_of(quiet_shop.stores, quiet_shop.model, quiet_shop.calendar.window("2024-02-19").id)
    assert {f.outcome for f in found} <= {"pass", "inconclusive"}
    assert sum(np.isfinite(f.z) for f in found) > 15


def test_before_there_are_limits_findings_are_inconclusive_and_say_why(quiet_shop):
    known = {s.window for s in quiet_shop.stores.lake.many("findings", "bought")}
    first = min(known)
    assert first == quiet_shop.record(1)["body"]["promoted"] or first > quiet_shop.record(1)["body"]["promoted"]


def test_without_certified_limits_a_broken_column_is_a_ticket_that_says_why_it_is_no_page(shop, open_shop):
    told = run(shop, open_shop, (50, 51), unit_change)
    assert [a.severity for a in told[0]] == ["digest"]
    [alarm] = told[1]
    assert alarm.severity == "ticket"
    assert "price" in alarm.subject
    assert "not certified" in alarm.why_not_page
    assert alarm.since == "2024-02-20"


def test_a_lasting_harmful_shift_pages_once_with_certified_limits(shop, open_shop):
    number = certify(shop)
    told = run(shop, open_shop, (50, 51, 52, 53), unit_change)
    pages = [(i, a) for i, alarms in enumerate(told) for a in alarms if a.severity == "page"]
    [(night, page)] = pages
    assert night == 1
    assert page.group == "shopkeepers"
    assert "of decisions differ" in page.effect
    assert "EUR" in page.effect
    assert page.runbook
    assert page.next_command.startswith("tidegate ")
    found = findings_of(shop.stores, shop.model, "2024-02-21")
    failed = [f for f in found if f.outcome == "fail"]
    assert {f.detectors for f in found} == {number}
    assert any(f.subject == "price" and f.material for f in failed)


@pytest.mark.fault(19)
def test_half_a_column_missing_is_told_on_its_first_night_and_lasts_on_its_second(shop, open_shop):
    told = run(shop, open_shop, (50, 51), nulls)
    assert any("price" in a.subject for a in told[0])
    assert any(a.severity == "ticket" and a.cause == "upstream" for a in told[1])


@pytest.mark.fault(19)
def test_one_infinite_value_is_quarantined_and_said(shop, open_shop):
    run(shop, open_shop, (50,), lambda frame, rng: frame.assign(price=frame["price"].where(frame.index != 3, np.inf)))
    quarantined = shop.stores.data.read("quarantine", "visits", ["2024-02-20"]).to_pylist()
    assert len(quarantined) == 1
    assert "price" in str(quarantined[0])


def test_a_blocked_window_pages_as_a_fault(shop, open_shop):
    [alarms] = run(shop, open_shop, (50,), lambda frame, rng: frame.drop(columns="price"))
    [page] = alarms
    assert (page.severity, page.cause, page.about) == ("page", "upstream", "dataset visits")


def test_a_restated_window_pages_nobody_and_keeps_what_was_told(shop, open_shop):
    certify(shop)
    quiet = run(shop, open_shop, (50, 51, 52), None)
    assert quiet == [[], [], []]
    for i in (51, 52):
        open_shop(shop.root, i, unit_change)
        restated = shop.night(i, again=True)["alarms"]
        assert all(a.severity == "digest" for a in restated)
    assert [a for a in shop.stores.records.alarms("bought") if a.severity != "digest"] == []


def test_running_a_night_again_tells_the_same_and_writes_nothing(shop, open_shop):
    certify(shop)
    first = run(shop, open_shop, (50, 51), unit_change)
    before = shop.digests()
    assert shop.night(51, again=True)["alarms"] == first[1]
    assert shop.digests() == before
    assert len(shop.stores.incidents.listed()) == 1


def test_an_empty_an_all_missing_and_a_one_row_window_end_without_a_fault(shop, open_shop):
    changes = (
        lambda frame, rng: frame.iloc[:0],
        lambda frame, rng: frame.assign(price=np.nan),
        lambda frame, rng: frame.iloc[:1],
        lambda frame, rng: frame.assign(price=20.0, pages=4),
    )
    for i, change in enumerate(changes, start=50):
        told = run(shop, open_shop, (i,), change)
        assert all(a.text for a in told[0])


def test_a_proposed_set_runs_beside_the_other_and_pages_nobody(shop, open_shop):
    champion = shop.stores.champion("bought")
    loose = calibrated(shop.stores, shop.model, champion[1], 20.0)
    number = shop.stores.detectors.propose(
        "bought", "shopkeepers", 1, "2024-02-19", loose.as_dict(), evening_of(shop.calendar.window("2024-02-19"))
    )
    told = run(shop, open_shop, (50, 51), unit_change)
    found = findings_of(shop.stores, shop.model, "2024-02-21")
    assert {f.detectors for f in found} == {1, number}
    assert len(told[1]) == 1
    at = evening_of(shop.calendar.window("2024-02-21"))
    shop.stores.detectors.approve("bought", number, owner="s", by="ada", reason="", window="2024-02-21", at=at)
    assert [d.status for d in shop.stores.detectors.all("bought")] == ["retired", "active"]
    entry = ledger.entries(shop.stores.control, "lab", "bought", "detectors")[-1]["body"]
    assert (entry["by"], entry["from"], entry["to"]) == ("ada", 1, number)
    with pytest.raises(UsageError, match="retired"):
        shop.stores.detectors.approve("bought", 1, owner="s", by="ada", reason="", window="2024-02-21", at=at)


def test_what_if_judges_the_stored_nights_under_another_budget(shop, open_shop):
    certify(shop)
    run(shop, open_shop, (50, 51, 52), unit_change)
    same, none = whatif(shop.stores, shop.model), whatif(shop.stores, shop.model, 0.0)
    assert (same.pages, none.pages) == (1, 0)
    assert same.budget == 1.0
    assert whatif(shop.stores, shop.model, 8.0).pages >= 1


def test_watching_a_night_that_was_never_ingested_tells_nothing(shop):
    window = shop.calendar.window("2024-03-30")
    assert watch(shop.stores, shop.model, window, evening_of(window)) == []


# -- what it costs ---------------------------------------------------------------------------


@pytest.fixture
def easy_shop(quiet_shop, tmp_path, loop_of):
    """A copy of the quiet shop whose owner is woken for half of the usual KPI only."""
    root = tmp_path / "easy"
    shutil.copytree(quiet_shop.root, root)
    path = root / "configs" / "models" / "bought.yaml"
    path.write_text(path.read_text().replace("{group: shopkeepers}", "{group: shopkeepers, min_effect: 0.5}"))
    return loop_of(root, "bought")


def harms(loop, night):
    return loop.stores.records.verdict(loop.name, "harm", night)


def new_channel(frame, rng):
    return frame.assign(channel=frame["channel"].where(rng.random(len(frame)) < 0.6, "kiosk"))


def other_mix(frame, rng):
    return frame.assign(channel=rng.choice(["web", "app", "mail"], len(frame), p=[0.15, 0.45, 0.4]))


def unheard_of(frame, rng):
    """Both occur, but hardly ever together."""
    return frame.assign(channel="mail", pages=9)


def test_what_a_page_costs_is_told_by_kind_and_kept_for_the_decision(shop, open_shop):
    certify(shop)
    told = run(shop, open_shop, (50, 51), unit_change)
    [page] = told[1]
    assert "if this is a fault" in page.effect
    assert "EUR a night" in page.effect
    assert "if the world's inputs moved: not estimable" in page.effect
    assert harms(shop, "2024-02-20") is None  # nothing had lasted yet
    kept = harms(shop, "2024-02-21")
    assert kept.outcome == "fail"
    fault = next(h for h in kept.numbers["harms"] if h["subject"] == "price" and h["kind"] == "fault")
    assert fault["low"] <= fault["value"] <= fault["high"]
    assert fault["per_night"] == pytest.approx(120 * fault["value"])
    assert fault["horizon"] == pytest.approx(28 * fault["per_night"])
    assert fault["estimable"]
    assert fault["material"]
    assert fault["counts"]
    world = next(h for h in kept.numbers["harms"] if h["subject"] == "price" and h["kind"] == "covariate")
    assert not world["estimable"]
    assert world["value"] is None


@pytest.mark.parametrize("certified", [True, False])
def test_drift_of_a_column_that_the_model_hardly_uses_is_a_line_in_the_digest(shop, open_shop, certified):
    if certified:
        certify(shop)
    told = run(shop, open_shop, (50, 51, 52), new_channel)
    assert {a.severity for alarms in told for a in alarms} == {"digest"}
    found = [a for alarms in told[1:] for a in alarms]
    assert any(a.why_not_page.startswith("benign: if this is a fault") for a in found), found
    assert harms(shop, "2024-02-22").outcome == "pass"
    assert all(h["benign"] for h in harms(shop, "2024-02-22").numbers["harms"] if h["subject"] == "channel")


def test_other_customers_are_benign_when_neither_reading_leaves_room_for_harm(easy_shop, open_shop):
    certify(easy_shop)
    told = run(easy_shop, open_shop, (50, 51, 52), other_mix)
    assert {a.severity for alarms in told for a in alarms} == {"digest"}
    kinds = {h["kind"] for h in harms(easy_shop, "2024-02-22").numbers["harms"] if h["subject"] == "channel"}
    assert kinds == {"fault", "covariate"}


def test_what_is_not_estimable_is_a_ticket_with_its_reason(easy_shop, open_shop):
    certify(easy_shop)
    told = run(easy_shop, open_shop, (50, 51), unheard_of)
    [ticket] = [a for a in told[1] if a.severity != "digest"]
    assert ticket.severity == "ticket"
    assert "not estimable" in ticket.effect
    assert "of its rows are where the reference has none" in ticket.effect or "effective" in ticket.effect
    assert harms(easy_shop, "2024-02-21").outcome != "fail"


def test_a_restated_night_gives_the_same_harms(shop, open_shop):
    certify(shop)
    run(shop, open_shop, (50, 51), unit_change)
    before = harms(shop, "2024-02-21")
    shop.night(51, again=True)
    assert harms(shop, "2024-02-21") == before
