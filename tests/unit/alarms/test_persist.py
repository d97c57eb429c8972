from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.alarms.persist import alarms_from
from tidegate.verdicts import Finding

START = date(2013, 5, 1)


def day(n):
    return (START + timedelta(days=n)).isoformat()


def finding(n, outcome="fail", subject="distance", statistic="psi", monitor="feature"):
    return Finding(day(n), monitor, subject, statistic, 0.4, 0.2, outcome, 900, 50.0, "too far")


def nightly(model, failing, nights=60, **keys):
    """Alarms of night after night, each seeing what was raised before."""
    found, raised = [], []
    for n in range(nights):
        found.append(finding(n, "fail" if n in failing else "pass", **keys))
        raised += alarms_from(found, raised, day(n), model)
    return raised


@pytest.fixture(scope="module")
def model(a_model):
    return a_model(alarms={"persistence": 3, "within": 5, "cooldown": "14d"})


@pytest.mark.parametrize(
    ("failing", "alarms"),
    [
        ({4}, []),
        ({4, 5}, []),
        ({4, 5, 6}, [6]),
        ({4, 6, 8}, [8]),  # three of five
        ({4, 6, 9}, []),  # three of six
        (set(range(4, 40)), [6, 20, 34]),  # once a cooldown
    ],
)
def test_only_what_persists_alarms_and_not_again_before_the_cooldown(model, failing, alarms):
    raised = nightly(model, failing)
    assert [a.window for a in raised] == [day(n) for n in alarms]
    assert all(a.since < a.window for a in raised)


def test_the_window_itself_must_have_failed(model):
    past = [finding(n) for n in range(4)]
    assert alarms_from(past, [], day(4), model) == []


def test_statistics_of_one_subject_are_one_alarm(model):
    found = [finding(n, statistic=s) for n in range(3) for s in ("psi", "ks")]
    (alarm,) = alarms_from(found, [], day(2), model)
    assert (alarm.monitor, alarm.subject, alarm.since, alarm.severity) == ("feature", "distance", day(0), "digest")
    assert "distance psi 0.400 (limit 0.200), too far; distance ks" in alarm.text
    assert alarm.next_command == f"tidegate findings m {day(2)}"


def test_a_monitor_alarms_once_for_all_its_subjects(model):
    found = [finding(n, subject=s, monitor=m) for n in range(3) for s in "abcde" for m in ("feature", "label")]
    raised = alarms_from(found, [], day(2), model)
    assert [(a.monitor, a.subject) for a in raised] == [(m, "a, b, c and 2 more") for m in ("feature", "label")]
    later = [finding(n, subject="new") for n in range(1, 4)]
    assert alarms_from(later, raised, day(3), model) == []


def test_nights_of_different_subjects_do_not_add_up(model):
    apart = [finding(0, subject="a"), finding(1, subject="b"), finding(2, subject="a")]
    assert alarms_from(apart, [], day(2), model) == []


@pytest.mark.fault(12)
def test_missing_evidence_neither_alarms_nor_counts(model):
    assert alarms_from([], [], day(2), model) == []
    found = [finding(0), finding(1, "inconclusive"), finding(2)]
    assert alarms_from(found, [], day(2), model) == []
    assert alarms_from([finding(n, "inconclusive") for n in range(3)], [], day(2), model) == []


def test_findings_of_other_windows_do_not_count(model):
    far = [finding(-20), finding(-10), finding(2), finding(3), finding(9)]
    assert alarms_from(far, [], day(2), model) == []


@given(st.sets(st.integers(0, 40)))
def test_every_window_run_again_gives_the_same_alarms(a_model, failing):
    model = a_model(alarms={"persistence": 2, "within": 4, "cooldown": "5d"})
    raised = nightly(model, failing, 41)
    found = [finding(n, "fail" if n in failing else "pass") for n in range(41)]
    again = [a for n in range(41) for a in alarms_from(found, raised, day(n), model)]
    assert again == raised


def test_a_restated_window_does_not_alarm_again(model):
    # The alarm came on night 6; night 5 is restated afterwards, now the third failure.
    raised = nightly(model, {3, 5, 6}, 7)
    assert [a.window for a in raised] == [day(6)]
    restated = [finding(n) for n in (3, 4, 5, 6)]
    assert alarms_from(restated, raised, day(5), model) == []


@pytest.mark.parametrize(("hours", "nights"), [(36, 2), (0, 1)])
def test_a_cooldown_of_part_of_a_day_lasts_the_whole(a_model, hours, nights):
    model = a_model(alarms={"persistence": 1, "within": 1, "cooldown": timedelta(hours=hours)})
    assert [a.window for a in nightly(model, {0, 1, 2}, 3)] == [day(n) for n in range(0, 3, nights)]


def test_a_window_restated_with_other_subjects_keeps_its_alarm(model):
    found = [finding(n, subject="a") for n in range(3)]
    raised = alarms_from(found, [], day(2), model)
    restated = found + [finding(n, subject="b") for n in range(3)]
    assert alarms_from(restated, raised, day(2), model) == raised
    assert alarms_from(restated, [], day(2), model)[0].subject == "a, b"
