"""What changed around an incident, and the postmortem that says so."""

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.alarms.incidents import Incident
from tidegate.alarms.postmortem import Evidence, postmortem
from tidegate.alarms.timeline import Entry, began, in_order, switched, unusual
from tidegate.verdicts import Alarm

NIGHTS = [f"2024-01-{d:02}" for d in range(1, 29)]
AT = dt.datetime(2024, 1, 20, 6, tzinfo=dt.UTC)


@given(st.lists(st.sampled_from("abc"), max_size=28))
def test_every_switch_is_told_once_and_nothing_else(values):
    found = switched("config", "file", dict(zip(NIGHTS, values, strict=False)))
    assert len(found) == sum(a != b for a, b in itertools.pairwise(values))
    assert all(e.before != e.after for e in found)


def test_digests_are_shown_short_and_other_text_whole():
    (one,) = switched("code", "shop.py", {"2024-01-01": "a" * 64, "2024-01-02": "b" * 64}, "look {window}")
    assert (one.before, one.after, one.reference) == ("a" * 12, "b" * 12, "look 2024-01-02")


@pytest.mark.parametrize("values", [{}, {"2024-01-01": 5.0}, dict.fromkeys(NIGHTS, 100.0)])
def test_nothing_is_unusual_where_nothing_differs_or_little_is_known(values):
    assert unusual("data", "rows", values) == []


def test_a_number_out_of_its_range_is_told_when_it_leaves_and_when_it_is_back():
    values = dict(zip(NIGHTS, [100, 104, 98, 101, 99, 103, 102, 40, 41, 100, 101], strict=False))
    found = unusual("data", "rows", {k: float(v) for k, v in values.items()})
    assert [(e.window[-2:], e.before, e.after) for e in found] == [
        ("08", "98 to 104", "40"),
        ("10", "41", "100, as before"),
    ]


def test_causes_come_before_what_they_may_have_caused():
    entries = [
        Entry("2024-01-02", "data", "drift"),
        Entry("2024-01-02", "config", "file"),
        Entry("2024-01-01", "incident", "raised"),
        Entry("2024-01-02", "data", "drift"),
    ]
    assert [(e.window[-1], e.matter) for e in in_order(entries)] == [
        ("1", "incident"),
        ("2", "config"),
        ("2", "data"),
    ]


def test_many_columns_that_drift_on_one_night_are_one_entry():
    (one,) = began({f"c{i}": "2024-01-02" for i in range(30)}, "data")
    assert one.words == "drift begins: c0, c1, c10, c11, c12, c13 and 24 more"


def incident(**more):
    values = {
        "number": 3,
        "scope": "model",
        "name": "bought",
        "group": "shop",
        "cause": "population",
        "severity": "page",
        "opened": "2024-01-12",
        "last": "2024-01-15",
        "told": "2024-01-12",
        "since": "2024-01-09",
        "text": "price drifted",
    }
    return Incident(**{**values, **more})


def test_a_postmortem_has_every_part_and_what_is_not_known_is_blank():
    text = postmortem(Evidence(incident(), [], []), AT)
    parts = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert parts == [
        "Summary",
        "Impact",
        "Detection",
        "Timeline",
        "What was done",
        "What changed before, or on the night",
        "Open questions",
        "See the evidence again",
        "Links",
    ]
    assert text.count("_to be filled in_") == 8
    assert "From the alarm to the first delivered message: never, or not recorded" in text


def test_a_postmortem_says_how_long_everything_took_and_who_did_what():
    timeline = [
        Entry("2024-01-08", "config", "configs/models/bought.yaml", "aaa", "bbb"),
        Entry("2024-01-12", "incident", "raised by tidegate: page", at="x"),
        Entry("2024-01-12", "incident", "acknowledged by ann: <b>mine</b> | `x`", at="x"),
        Entry("2024-01-14", "model", "champion of bought by ann", "version 2", "version 1", at="x"),
    ]
    alarm = Alarm("2024-01-12", "feature", "price", "page", "2024-01-09", "", "", effect="about 40 EUR a day")
    text = postmortem(
        Evidence(
            incident(),
            [alarm, alarm],
            timeline,
            7,
            1234,
            AT,
            AT + dt.timedelta(hours=3),
            AT + dt.timedelta(hours=3, seconds=4),
            AT + dt.timedelta(hours=3, minutes=9),
            ["tidegate alarms bought"],
        ),
        AT,
    )
    assert "From 2024-01-09 to 2024-01-15: 7 nights, 7 of them scored" in text
    assert "Rows scored in that time: 1,234" in text
    assert text.count("about 40 EUR a day") == 1
    assert "to the alarm: 3.0 hours" in text
    assert "first delivered message: 4.0 seconds" in text
    assert "taking it on: 9.0 minutes" in text
    done = text.split("## What was done")[1].split("## ")[0]
    assert "acknowledged by ann" in done
    assert "raised by tidegate" not in done
    assert "version 2 → version 1" in done
    assert "<b>" not in text
    changed = text.split("## What changed before")[1].split("## ")[0]
    assert "aaa → bbb" in changed
