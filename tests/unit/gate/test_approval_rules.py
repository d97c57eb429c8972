"""What people said of a version, and what it allows."""

from datetime import UTC, datetime, timedelta

import pytest

from tidegate.gate.approval import Said, answered, authority, not_overridable, skipped, standing
from tidegate.gate.form import plain, verdict_page

AT = datetime(2024, 3, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
FINE = {"performance": "fail", "segments": "pass", "robustness": "pass", "servability": "pass"}


def said(what, until=None, at=AT, **more):
    return Said(what, "ann", "so", until, at, more)


@pytest.mark.parametrize(
    ("rows", "after", "expected"),
    [
        ([], timedelta(0), "none"),
        ([said("request", AT + WEEK)], WEEK - timedelta(seconds=1), "requested"),
        ([said("request", AT + WEEK)], WEEK, "lapsed"),
        ([said("request", AT + WEEK), said("approve")], 99 * WEEK, "approved"),
        ([said("request", AT + WEEK), said("reject")], 99 * WEEK, "rejected"),
        ([said("override", AT + WEEK)], timedelta(0), "overridden"),
        ([said("override", AT + WEEK)], WEEK, "lapsed"),
        ([said("request", AT + WEEK), said("request", AT + 2 * WEEK)], WEEK, "requested"),
    ],
)
def test_the_newest_row_says_until_its_time_is_over(rows, after, expected):
    assert standing(rows, AT + after) == expected
    assert (answered(rows, AT + after) is not None) == (expected in ("approved", "rejected", "overridden"))


@pytest.mark.parametrize(
    ("status", "rows", "promotion", "frozen", "against"),
    [
        ("challenger", [], "automatic", "", ""),
        ("challenger", [], "approve", "", "nobody has approved it"),
        ("challenger", [said("request", AT + WEEK)], "approve", "", "nobody has approved it"),
        ("challenger", [said("request", AT)], "approve", "", "a request that lapsed"),
        ("challenger", [said("approve")], "approve", "", ""),
        ("challenger", [said("approve")], "approve", "frozen by bob", "frozen by bob"),
        ("challenger", [], "automatic", "frozen by bob", "frozen by bob"),
        ("challenger", [said("reject")], "automatic", "", "ann rejected it on 2024-03-01 00:00 UTC"),
        ("candidate", [], "automatic", "", "candidate"),
        ("rejected", [said("approve")], "automatic", "", "rejected"),
        ("rejected", [said("override", AT + WEEK)], "approve", "", ""),
        ("candidate", [said("override", AT + WEEK)], "approve", "", ""),
        ("rejected", [said("override", AT)], "automatic", "", "rejected"),
        ("champion", [said("override", AT + WEEK)], "approve", "", "champion"),
        ("retired", [said("approve")], "approve", "", "retired"),
    ],
)
def test_who_may_go_live(status, rows, promotion, frozen, against):
    assert authority(status, rows, AT, promotion=promotion, frozen=frozen) == against


@pytest.mark.parametrize("role", ["leakage", "servability", "digests"])
def test_nobody_overrides_what_must_be_proven(role):
    look = {"outcome": "fail", "checks": FINE, "failed_roles": ["better", role]}
    assert not_overridable(look) == f"{role} is not proven, and nobody may skip it"
    assert not_overridable({**look, "failed_roles": ["better", "segment", "noise"]}) == ""


@pytest.mark.parametrize(
    ("look", "found"),
    [
        (None, "has not looked"),
        ({"outcome": "fail"}, "no evidence"),
        ({"outcome": "fail", "checks": FINE}, "no evidence"),
        ({"outcome": "fail", "failed_roles": []}, "no evidence"),
        ({"outcome": "fail", "checks": {}, "failed_roles": []}, "servability, leakage are not proven"),
        ({"outcome": "fail", "checks": {**FINE, "servability": "inconclusive"}, "failed_roles": []}, "servability is"),
        ({"outcome": "fail", "checks": {**FINE, "robustness": "inconclusive"}, "failed_roles": []}, "leakage is"),
        ({"outcome": "pass", "checks": FINE, "failed_roles": []}, "approve it"),
    ],
)
def test_a_look_that_proves_nothing_is_not_overridden(look, found):
    assert found in not_overridable(look)


def test_robustness_may_be_overridden_where_leaks_were_looked_for():
    checks = {**FINE, "robustness": "fail"}
    assert not_overridable({"outcome": "fail", "checks": checks, "failed_roles": ["robustness"]}) == ""
    assert skipped({"checks": checks}) == ["performance", "robustness"]


def test_the_page_shows_the_checks_in_their_order_and_what_an_answer_meets():
    checks = {"servability": "pass", "performance": "pass"}
    look = {"window": "2024-02-29", "outcome": "pass", "reasons": ["better"], "against": 3, "checks": checks}
    record = {"version": 4, "status": "challenger", "body": {"looks": [look], "run_id": "abc"}}
    text = verdict_page("flights", record, [said("request", AT + WEEK)], 3, AT)
    assert text.index("| performance | ✅ pass |") < text.index("| servability | ✅ pass |")
    assert "lapses on 2024-03-08 00:00 UTC" in text
    assert "cannot go live" not in text
    late = verdict_page("flights", record, [said("request", AT)], 5, AT, frozen="frozen by bob: sale")
    assert "the champion is version 5 by now" in late
    assert "frozen by bob: sale" in late
    assert "lapses" not in late
    page = {**look, "page": "javascript:alert(1)"}
    assert "javascript" not in verdict_page("m", {**record, "body": {"looks": [page], "run_id": "r"}}, [], 3, AT)


@pytest.mark.fault(36)
def test_what_comes_from_data_is_dead_on_the_page():
    evil = "</script><img src=x onerror=alert(1)> [x](javascript:alert(1)) `a` | b\n# c"
    look = {"window": "2024-02-29", "outcome": "pass", "reasons": [evil], "against": None}
    record = {"version": 1, "status": "challenger", "body": {"looks": [look], "run_id": "r"}}
    text = verdict_page("m", record, [], None, AT)
    assert "<" not in text.replace("&lt;", "")
    assert "[x](" not in text
    assert "\n# c" not in text
    assert plain("a|b") == "a\\|b"
