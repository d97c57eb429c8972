from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.alarms.incidents import Standing
from tidegate.alarms.judge import judge
from tidegate.alarms.severity import Mute
from tidegate.config.platform import Freeze
from tidegate.verdicts import Effect


def told(alarms):
    return [(a.severity, a.cause) for a in alarms]


@pytest.mark.fault(25)
def test_two_hundred_drifting_features_are_one_incident_and_one_alarm(store, make):
    def storm(n):
        return [make.drift(n, f"column_{i:03}", z=5 + i / 100, kind="sudden", since=make.day(0)) for i in range(200)]

    (alarm,) = store.night(0, *storm(0))
    assert (alarm.severity, alarm.cause, alarm.incident, len(alarm.members)) == ("page", "upstream", 1, 200)
    assert "column_199 and 199 more drifted" in alarm.text
    assert len(alarm.text) < 300
    for n in range(1, 14):
        assert store.night(n, *storm(n)) == []
    assert list(store.incidents) == [1]
    assert [e.what for e in store.events] == ["raised"]


@pytest.mark.fault(25)
def test_a_storm_that_comes_drop_by_drop_is_one_page(store, make):
    alarms = [a for n in range(10) for a in store.night(n, *(make.drift(n, f"c{i}") for i in range(20 * (n + 1))))]
    # Once more after a third of the cooldown, and only of what was not told.
    assert [(a.window, a.severity, len(a.members)) for a in alarms] == [
        (make.day(0), "page", 20), (make.day(5), "page", 100),
    ]  # fmt: skip
    assert len(store.incidents[1].members) == 200


def test_an_incident_is_told_once_and_closes_when_it_has_been_quiet(store, make):
    (alarm,) = store.night(0, make.drift(0))
    assert (alarm.severity, alarm.group, alarm.about) == ("page", "night", "model flights")
    assert (alarm.why_not_page, alarm.effect) == ("", make.effect.words)
    assert store.night(1, make.drift(1)) == store.night(2) == store.night(3) == []
    assert store.incidents[1].status == "open"  # two quiet nights of three
    assert store.night(4, make.drift(4)) == []
    assert [store.night(n) for n in (5, 6)] == [[], []]
    assert store.incidents[1].status == "open"  # the signal began the count anew
    assert store.night(7) == []
    assert (store.incidents[1].status, store.incidents[1].closed_by) == ("closed", "tidegate")
    assert [e.what for e in store.events] == ["raised", "closed"]


def test_flapping_within_the_cooldown_goes_to_the_digest(store, make):
    store.night(0, make.drift(0))
    for n in (1, 2, 3):
        store.night(n)
    (alarm,) = store.night(6, make.drift(6))
    assert (alarm.severity, alarm.incident) == ("digest", 1)
    assert alarm.why_not_page == f"cooldown: back 3 nights after it came to rest; told on {make.day(0)}"
    assert store.incidents[1].status == "open"
    for n in (7, 8, 9):
        store.night(n)
    assert told(store.night(30, make.drift(30))) == [("page", "population")]
    assert list(store.incidents) == [1, 2]


def test_what_a_person_closed_and_a_fault_are_news_when_they_come_back(store, make):
    store.night(0, make.drift(0))
    store.person(1, status="closed", closed=make.day(0), closed_by="ann")
    (alarm,) = store.night(1, make.drift(1))
    assert (alarm.severity, alarm.incident) == ("page", 2)

    store = make.Store()
    assert told(store.night(0, make.fault(0))) == [("page", "upstream")]
    assert [store.night(n) for n in (1, 2, 3)] == [[], [], []]
    (alarm,) = store.night(4, make.fault(4))
    assert (alarm.severity, alarm.incident) == ("page", 1)


def test_only_a_worsening_tells_again(store, make):
    assert told(store.night(0, make.drift(0, certified=False))) == [("ticket", "population")]
    assert store.night(1, make.drift(1, certified=False)) == []
    assert told(store.night(2, make.drift(2))) == [("page", "population")]
    assert store.night(3, make.drift(3)) == []
    assert store.night(4, make.drift(4, certified=False)) == []
    assert store.night(5, make.drift(5)) == []
    assert [e.what for e in store.events] == ["raised", "worsened"]


def test_what_nobody_acknowledges_comes_back_as_a_ticket_and_only_then(store, make):
    store.night(0, make.drift(0))
    late = [a for n in range(1, 15) for a in store.night(n, make.drift(n))]
    assert [(a.window, a.severity) for a in late] == [(make.day(14), "ticket")]
    assert late[0].why_not_page == f"reminder: told on {make.day(0)}, acknowledged by nobody"
    store.person(1, status="acknowledged")
    assert [a for n in range(15, 60) for a in store.night(n, make.drift(n))] == []


def test_a_snooze_holds_until_it_is_over_or_things_get_worse(store, make):
    store.night(0, make.drift(0, certified=False))
    store.person(1, status="snoozed", until=make.day(3))
    assert [store.night(n, make.drift(n, certified=False)) for n in (1, 2, 3)] == [[], [], []]
    (alarm,) = store.night(4, make.drift(4, certified=False))
    assert (alarm.severity, store.incidents[1].status) == ("ticket", "open")
    store.person(1, status="snoozed", until=make.day(4))
    # A blip on the first night after the snooze does not use up what is to be told.
    assert store.night(5, make.drift(5, certified=False, persistent=False)) == []
    assert told(store.night(6, make.drift(6, certified=False))) == [("ticket", "population")]
    store.person(1, status="snoozed", until=make.day(19))
    assert told(store.night(7, make.drift(7))) == [("page", "population")]


def test_freezes_lower_with_their_reason_and_hold_nothing_back_for_good(store, make):
    store.freezes = (Freeze.model_validate({"from": date(2013, 5, 1), "to": date(2013, 5, 3), "reason": "migration"}),)
    (alarm,) = store.night(0, make.harm(0))
    assert alarm.severity == "digest"
    assert alarm.why_not_page == "freeze from 2013-05-01 to 2013-05-03: migration"
    assert store.night(1, make.harm(1)) == store.night(2, make.harm(2)) == []
    assert store.incidents == {}
    assert told(store.night(3, make.harm(3))) == [("page", "concept")]


def test_a_mute_covers_its_subject_with_its_segments_and_no_other(store, make):
    store.mutes = (Mute("flights", "distance", make.day(9), "ann", "new airports"),)
    (alarm,) = store.night(0, make.drift(0), make.drift(0, "distance [origin=JFK]"))
    assert alarm.severity == "digest"
    assert alarm.why_not_page == f"distance muted by ann until {make.day(9)}: new airports"
    assert told(store.night(1, make.drift(1), make.drift(1, "air_time"))) == [("page", "population")]
    assert told(make.Store().night(0, make.drift(0))) == [("page", "population")]
    store = make.Store()
    store.mutes = (Mute("flights", "distance", make.day(9), "ann", "new airports"),)
    assert told(store.night(10, make.drift(10))) == [("page", "population")]  # it is over


def test_pages_above_the_cap_are_tickets_that_say_so_and_page_on_the_next_night(store, make):
    store.rules = replace(make.rules, caps={"night": 2})
    store.paged = {"night": 1}
    found = store.night(0, make.drift(0), make.fault(0), make.harm(0, since=make.day(-9)))
    assert [(a.severity, a.cause) for a in found] == [("page", "upstream"), ("ticket", "population")]
    assert found[1].why_not_page == "night had 2 pages on this night, its cap"
    store.paged = {}
    found = store.night(1, make.drift(1), make.fault(1), make.harm(1, since=make.day(-9)))
    assert told(found) == [("page", "population")]


def test_a_restated_window_is_given_as_it_was_and_never_pages(store, make):
    before = store.night(0, make.drift(0))
    store.night(1)
    assert store.night(0, make.drift(0)) == before
    assert store.night(0) == before
    (alarm,) = store.night(1, make.harm(1))
    assert alarm.severity == "digest"
    assert alarm.why_not_page == f"restated: {make.day(1)} was judged before"
    assert store.night(1, make.harm(1)) == [alarm]
    assert list(store.incidents) == [1]


def test_an_improvement_is_at_most_a_line_in_the_digest(store, make):
    better = make.harm(0, worse=False, certified=True)
    (alarm,) = store.night(0, better)
    assert (alarm.severity, alarm.cause, alarm.incident) == ("digest", "improvement", None)
    assert "improved" in alarm.text
    assert store.night(1, make.harm(1, worse=False)) == []  # said within the cooldown
    assert told(store.night(14, make.harm(14, worse=False))) == [("digest", "improvement")]


def test_a_dataset_has_one_incident_however_many_models_use_it(make):
    one = make.Store()
    first = one.night(0, make.fault(0))
    other = make.Store(replace(make.rules, model="delays"))
    other.incidents = dict(one.incidents)
    assert (first[0].about, other.night(0, make.fault(0))) == ("dataset days", [])
    assert set(other.incidents[1].quiet) == {"flights", "delays"}
    # It is quiet only when every model that saw it is.
    assert [other.night(n) for n in (1, 2, 3, 4)] == [[]] * 4
    assert other.incidents[1].status == "open"


def test_a_night_without_data_is_not_a_quiet_one(store, make):
    store.night(0, make.drift(0))
    for n in range(1, 8):
        store.night(n, make.fault(n))
    assert store.incidents[1].status == "open"


def test_a_minute_between_nights_counts_no_quiet_night(store, make):
    store.night(0, make.drift(0))
    burst = replace(make.harm(1), monitor="service", subject="errors")
    found = judge([burst], store.standing(make.day(1)), make.rules, make.day(1), between=True)
    assert told(found.alarms) == [("page", "service")]
    assert [i.cause for i in found.incidents] == ["service"], "the other incident is left as it is"
    assert len(judge([burst], store.standing(make.day(1)), make.rules, make.day(1)).incidents) == 2


@given(st.permutations(range(6)), st.data())
def test_the_order_of_signals_does_not_matter(make, order, data):
    some = [make.drift(0), make.drift(0, "air_time"), make.harm(0), make.fault(0), make.drift(0, "score", "prediction"),
            make.drift(0, "temp", worse=False)]  # fmt: skip
    found = judge(some, Standing(), make.rules, make.day(0))
    assert judge([some[i] for i in order], Standing(), make.rules, make.day(0)) == found
    subset = data.draw(st.sets(st.integers(0, 5)))
    alarms = judge([some[i] for i in subset], Standing(), make.rules, make.day(0)).alarms
    assert {m for a in alarms for m in a.members} == {some[i].subject for i in subset}  # nothing is dropped


def test_signals_of_other_windows_are_left_out(make):
    assert judge([make.drift(1)], Standing(), make.rules, make.day(0)).alarms == ()


def test_a_model_that_does_not_see_its_datasets_trouble_leaves_it_alone(make):
    one = make.Store()
    one.night(0, make.drift(0, "temp", statistic="missing"))
    other = make.Store(replace(make.rules, model="delays"))
    other.incidents = dict(one.incidents)
    assert [other.night(n) for n in range(9)] == [[]] * 9
    assert other.incidents == one.incidents


def test_a_ticket_whose_page_the_cap_took_stays_silent_until_it_may_page(store, make):
    store.night(0, make.drift(0, certified=False))
    store.rules = replace(make.rules, caps={"night": 1})
    store.paged = {"night": 1}
    assert store.night(1, make.drift(1)) == []
    store.paged = {}
    assert told(store.night(2, make.drift(2))) == [("page", "population")]


def test_the_digest_says_each_cause_once_a_cooldown(store, make):
    blip = {"persistent": False}
    assert told(store.night(0, make.drift(0, worse=False))) == [("digest", "improvement")]
    assert told(store.night(1, make.drift(1, **blip))) == [("digest", "population")]
    assert store.night(2, make.drift(2, **blip)) == []
    assert [a.members for a in store.night(3, make.drift(3, **blip), make.drift(3, "temp", **blip))] == [
        ("distance", "temp")
    ]
    assert told(store.night(20, make.drift(20, **blip))) == [("digest", "population")]


def test_a_closed_incident_claims_no_signals(store, make):
    score = make.drift(0, "prediction", "prediction")
    store.night(0, make.drift(0), score)
    store.person(1, status="closed", closed=make.day(0), closed_by="ann")
    assert told(store.night(1, make.drift(1, "prediction", "prediction"))) == [("page", "model")]


def test_a_restated_night_keeps_trifles_to_itself(store, make):
    store.night(0)
    assert store.night(0, make.drift(0, persistent=False), make.drift(0, "temp", worse=False)) == []


def test_the_loudest_signal_gives_the_alarm_its_words(store, make):
    store.mutes = (Mute("flights", "batch", make.day(0), "ann", "known"),)
    (alarm,) = store.night(0, make.fault(0), make.harm(0, since=make.day(0)))
    assert (alarm.severity, alarm.monitor, alarm.members) == ("page", "performance", ("roc_auc", "batch"))
    assert told(make.Store().night(0, make.fault(0), make.harm(0, since=make.day(0)))) == [("page", "upstream")]


def missing(make, n, column="humid"):
    return make.drift(n, column, statistic="missing", since=make.day(n))


@pytest.mark.parametrize("status", ["open", "acknowledged"])
def test_a_blocked_window_is_news_to_an_open_page_of_the_same_cause(store, make, status):
    assert told(store.night(3, missing(make, 3))) == [("page", "upstream")]
    store.person(1, status=status)
    (alarm,) = store.night(4, make.fault(4), missing(make, 4))
    assert (alarm.severity, alarm.incident, alarm.members) == ("page", 1, ("batch",))
    assert [e.what for e in store.events] == ["raised", "worsened"]
    store.person(1, status=status)
    assert [a for n in range(5, 30) for a in store.night(n, missing(make, n)) if a.severity == "page"] == []
    store.person(1, status=status)
    assert told(store.night(31, make.fault(31))) == [("page", "upstream")]  # 27 nights later


def test_a_source_that_is_broken_for_a_week_pages_once_and_again_after_it_recovered(store, make):
    alarms = [a for n in range(7) for a in store.night(n, make.fault(n))]
    assert [(a.window, a.severity) for a in alarms] == [(make.day(0), "page")]
    assert [e.what for e in store.events] == ["raised"] + ["joined"] * 6
    assert store.night(7) == []
    (alarm,) = store.night(8, make.fault(8))
    assert (alarm.severity, alarm.incident) == ("page", 1)
    assert store.night(9, make.fault(9)) == []


def test_a_run_of_faults_goes_on_over_dates_that_have_no_window(store, make):
    store.night(0, make.fault(0))
    assert store.night(3, make.fault(3)) == []  # a weekend without data between them
    assert store.night(4, make.fault(4)) == []


def test_a_fault_above_the_cap_is_a_ticket_at_once_and_pages_when_it_lasts(store, make):
    store.night(0, missing(make, 0))
    store.rules, store.paged = replace(make.rules, caps={"night": 1}), {"night": 1}
    assert told(store.night(1, make.fault(1))) == [("ticket", "upstream")]
    store.paged = {}
    assert told(store.night(2, make.fault(2))) == [("page", "upstream")]
    assert store.night(3, make.fault(3)) == []


def test_a_muted_fault_is_told_when_the_mute_is_over(store, make):
    store.night(0, missing(make, 0))
    store.mutes = (Mute("flights", "batch", make.day(1), "ann", "known"),)
    assert store.night(1, make.fault(1)) == []
    assert told(store.night(2, make.fault(2))) == [("page", "upstream")]


def test_a_second_column_that_breaks_is_told_once_when_its_group_has_rested(store, make):
    store.night(0, missing(make, 0))
    store.person(1, status="acknowledged")
    both = [a for n in range(1, 14) for a in store.night(n, missing(make, n), missing(make, n, "temp"))]
    assert [(a.window, a.severity, a.members) for a in both] == [(make.day(5), "page", ("temp",))]
    # What was only a line before is new when it pages.
    store.night(14, missing(make, 14), make.drift(14, "dewp", statistic="missing", persistent=False))
    assert [a.members for a in store.night(15, missing(make, 15), missing(make, 15, "dewp"))] == [("dewp",)]


def test_a_rested_incident_with_a_new_signal_is_told(store, make):
    store.night(0, make.drift(0))
    for n in (1, 2, 3):
        store.night(n)
    (alarm,) = store.night(6, make.drift(6), make.drift(6, "air_time"))
    assert (alarm.severity, alarm.incident, alarm.members) == ("page", 1, ("air_time",))


def test_every_group_that_a_blocked_window_concerns_is_woken_once(store, make):
    others = replace(make.rules, model="delays", group="evening", dataset_group="evening", caps={"evening": 3})
    other = make.Store(others)

    def night(n, *signals):
        found = store.night(n, *signals)
        other.incidents = store.incidents
        found += other.night(n, *signals)
        store.incidents = other.incidents
        return [(a.severity, a.group, a.incident) for a in found]

    both = [("page", "night", 1), ("page", "evening", 1)]
    assert night(0, make.fault(0)) == both
    assert [e.note.split(":")[0] for e in other.events] == ["page for evening"]
    assert [night(n, make.fault(n)) for n in (1, 2)] == [[], []]
    assert night(3) == []
    assert night(4, make.fault(4)) == both
    assert set(store.incidents[1].groups) == {"night", "evening"}
    assert store.incidents[1].group == "night"


def test_a_group_that_was_woken_for_less_is_told_by_its_own_model(store, make):
    """What wakes one group takes nothing from another that had a ticket of it."""
    other = make.Store(replace(make.rules, model="delays", group="evening", dataset_group="evening"))
    trifle = make.drift(0, "humid", statistic="missing", certified=False)
    store.night(0, trifle)
    other.incidents = store.incidents
    assert told(other.night(0, trifle)) == [("ticket", "upstream")]
    store.incidents = other.incidents
    assert told(store.night(1, missing(make, 1))) == [("page", "upstream")]
    other.incidents = store.incidents
    assert told(other.night(1, missing(make, 1))) == [("page", "upstream")]


def test_a_night_first_judged_after_a_newer_one_pages_for_a_fault_only(store, make):
    store.night(5)
    assert told(store.night(2, make.fault(2))) == [("page", "upstream")]
    (alarm,) = store.night(3, make.harm(3))
    assert (alarm.severity, alarm.cause) == ("ticket", "concept")
    assert alarm.why_not_page == f"judged late: nights up to {make.day(5)} were judged before"
    assert store.night(3, make.harm(3)) == [alarm]  # and now it is restated
    assert store.night(4, make.fault(4)) != []  # after a night that had data


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 3, 2, 1)])
def test_a_week_of_blocked_windows_that_is_made_up_for_pages_once(store, make, order):
    store.night(0)
    store.night(9)
    late = [a for n in order for a in store.night(n, make.fault(n))]
    assert [(a.window, a.severity) for a in late] == [(make.day(order[0]), "page")]


def test_a_late_night_neither_counts_as_quiet_nor_begins_the_count_anew(store, make):
    store.night(0, make.drift(0))
    for n in (4, 5):
        store.night(n)
    store.night(1, make.drift(1))
    assert (store.incidents[1].quiet, store.incidents[1].last) == ({"flights": 2}, make.day(1))
    store.night(2)
    assert store.incidents[1].status == "open"
    store.night(6)
    assert store.incidents[1].status == "closed"
    assert store.night(3, make.drift(3)) == []  # told on night 0, at rest since
    assert store.incidents[1].status == "closed"


def test_a_late_night_of_a_run_that_was_told_and_is_over_pages_nobody(store, make):
    for n in (0, 2):
        store.night(n, make.fault(n))
    for n in (3, 4, 5):
        store.night(n)
    assert [a.severity for a in store.night(1, make.fault(1))] == []
    assert store.incidents[1].status == "closed"


def cost(value, **more):
    return Effect(value, "USD a row", f"{value:g} USD a row", **{"material": True, **more})


def test_what_costs_most_comes_first_whatever_is_the_farthest_from_its_limit(store, make):
    found = [make.drift(0, f"c{i}", z=20.0 - i, effect=cost(v)) for i, v in enumerate((0.1, 0.7, 0.3))]
    (alarm,) = store.night(0, *found)
    assert alarm.members == ("c1", "c2", "c0")
    assert alarm.effect == "0.7 USD a row"


def test_the_cap_leaves_room_for_what_costs_most_after_faults_and_proven_harm(store, make):
    cheap = make.drift(0, "humid", statistic="missing", z=30.0, effect=cost(0.1), since=make.day(0))
    dear = make.drift(0, "temp", z=4.0, effect=cost(0.9), since=make.day(-5))
    store.rules = replace(make.rules, caps={"night": 1})
    found = store.night(0, cheap, dear)
    assert [(a.severity, a.cause) for a in found] == [("page", "population"), ("ticket", "upstream")]
    other = make.Store(replace(make.rules, caps={"night": 1}))
    found = other.night(0, dear, make.harm(0, since=make.day(-9)), make.fault(0))
    assert [(a.severity, a.cause) for a in found] == [("page", "upstream"), ("ticket", "population")]


def test_an_effect_that_is_not_known_never_comes_before_one_that_is(store, make):
    unknown = cost(float("nan"), material=False, estimable=False)
    (alarm,) = store.night(0, make.drift(0, "a", z=30.0, effect=unknown), make.drift(0, "b", effect=cost(0.2)))
    assert (alarm.members, alarm.effect) == (("b", "a"), "0.2 USD a row")


def test_a_benign_drift_is_told_once_more_when_it_is_known_to_be_so(store, make):
    benign = cost(0.0, material=False, benign=True)
    assert [a.why_not_page for a in store.night(0, make.drift(0, persistent=False))] == ["it has not lasted"]
    (line,) = store.night(1, make.drift(1, effect=benign))
    assert (line.severity, line.why_not_page, line.incident) == ("digest", "benign: 0 USD a row", None)
    assert store.night(2, make.drift(2, effect=benign)) == []
    assert told(store.night(3, make.drift(3, effect=cost(0.4)))) == [("page", "population")]


def test_what_broke_comes_before_what_came_of_it(store, make):
    came = make.drift(0, "prediction", "prediction", z=30.0, effect=cost(2.0))
    (alarm,) = store.night(0, came, make.drift(0, "temp", effect=cost(0.4)))
    assert alarm.members == ("temp", "prediction")
    assert alarm.effect == "2 USD a row"
