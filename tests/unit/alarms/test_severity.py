from dataclasses import replace
from itertools import product

import pytest

from tidegate.alarms.severity import Mute, graded, severity_of


@pytest.mark.parametrize("kind", ["sudden", "gradual", "harm", "fault"])
def test_the_table_of_severities(make, kind):
    for certified, persistent, worse, effect in product(*[[True, False]] * 3, ["material", "small", None]):
        found = None if effect is None else replace(make.effect, material=effect == "material")
        signal = make.drift(kind=kind, certified=certified, persistent=persistent, worse=worse, effect=found)
        proven = certified and persistent and effect == "material"
        expected = "digest"
        if worse and (kind in ("harm", "fault") or proven):
            expected = "page"
        elif worse and persistent:
            expected = "ticket"
        assert severity_of(signal) == expected


@pytest.mark.parametrize(
    ("lacks", "why"),
    [
        ({"certified": False}, "its threshold is not certified for the budget"),
        ({"effect": None}, "no effect on the model is known"),
        ({"small": True}, "its effect is too small to matter"),
        ({"worse": False}, "an improvement never pages"),
        ({"persistent": False}, "it has not lasted"),
    ],
)
def test_what_is_no_page_says_what_it_lacks(make, lacks, why):
    small = lacks.pop("small", False)
    signal = make.drift(**(lacks | ({"effect": replace(make.effect, material=False)} if small else {})))
    assert graded(signal, (), ()).why == why


def test_a_mute_holds_up_to_and_including_its_last_night(make):
    mute = Mute("flights", "distance", make.day(3), "ann", "x")
    assert [mute.covers(make.drift(n)) for n in (2, 3, 4)] == [True, True, False]
    assert not mute.covers(make.drift(2, "distances"))


@pytest.mark.parametrize("certified", [True, False])
def test_what_surely_costs_too_little_is_a_line_in_the_digest_and_says_so(make, certified):
    effect = replace(make.effect, material=False, benign=True)
    signal = make.drift(certified=certified, effect=effect)
    found = graded(signal, (), ())
    assert (found.severity, found.why) == ("digest", f"benign: {effect.words}")
    # What may be nothing and may be much is not benign.
    assert severity_of(make.drift(certified=certified, effect=replace(effect, benign=False))) == "ticket"


@pytest.mark.parametrize("kind", ["fault", "harm"])
def test_a_fault_and_proven_harm_are_never_benign(make, kind):
    effect = replace(make.effect, material=False, benign=True)
    assert severity_of(make.drift(kind=kind, effect=effect)) == "page"


def test_what_is_not_estimable_is_a_ticket_even_if_called_benign(make):
    effect = replace(make.effect, value=float("nan"), material=False, estimable=False, benign=True)
    found = graded(make.drift(effect=effect), (), ())
    assert (found.severity, found.why) == ("ticket", "its effect is not estimable")


def test_harm_that_is_not_surely_above_zero_is_a_ticket_that_says_so(make):
    effect = replace(make.effect, material=False, low=-0.01, high=0.07)
    found = graded(make.drift(effect=effect), (), ())
    assert (found.severity, found.why) == ("ticket", "its effect is not proven: it may be nothing")
