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
