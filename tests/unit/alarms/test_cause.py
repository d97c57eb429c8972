from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.alarms.cause import GAP, by_cause
from tidegate.alarms.severity import graded


def causes(signals, standing=None, features=10):
    found = by_cause([graded(s, (), ()) for s in signals], features, standing or {})
    return {cause: {g.signal.subject for g in group} for cause, group in found.items()}


@pytest.fixture
def moved(make):
    """The prediction's own drift."""
    return make.drift(0, "prediction", "prediction")


def test_features_that_drift_with_what_follows_are_the_population(make, moved):
    assert causes([make.drift(), moved]) == {"population": {"distance", "prediction"}}
    assert causes([make.drift(), make.harm()]) == {"population": {"distance", "roc_auc"}}


def test_performance_or_labels_without_features_are_the_concept(make, moved):
    assert causes([make.harm(), moved]) == {"concept": {"roc_auc", "prediction"}}
    assert causes([make.drift(0, "label", "label")]) == {"concept": {"label"}}


def test_outcomes_that_stay_worse_than_estimated_are_the_concept_although_features_drift(make, moved):
    gap = replace(make.harm(), subject=GAP)
    assert causes([make.drift(), gap]) == {"population": {"distance"}, "concept": {GAP}}
    gap = replace(gap, since=make.fault().since)
    assert causes([make.fault(), gap])["upstream"] == {"batch", GAP}, "what is fed with broken data tells nothing"


def test_predictions_alone_are_the_model(moved):
    assert causes([moved]) == {"model": {"prediction"}}


@pytest.mark.parametrize("statistic", ["missing", "unseen", "infinite"])
def test_values_that_are_not_there_or_new_are_upstream(make, statistic):
    assert causes([make.drift(statistic=statistic)]) == {"upstream": {"distance"}}
    assert causes([make.drift(0, "rows", "volume")]) == {"upstream": {"rows"}}
    assert causes([make.fault()]) == {"upstream": {"batch"}}


def test_many_columns_on_one_night_are_the_source_and_few_or_slow_ones_are_not(make):
    def at_once(count, **more):
        return [make.drift(0, f"c{i}", kind="sudden", **more) for i in range(count)]

    assert set(causes(at_once(5))) == {"upstream"}
    assert set(causes(at_once(4))) == {"population"}
    assert set(causes(at_once(2), features=2)) == {"population"}
    assert set(causes([make.drift(0, f"c{i}") for i in range(9)])) == {"population"}
    apart = [make.drift(0, f"c{i}", kind="sudden", since=make.day(-i)) for i in range(9)]
    assert set(causes(apart)) == {"population"}


def test_what_may_follow_from_the_source_goes_with_it_and_what_began_before_does_not(make, moved):
    gone = make.drift(0, "temp", statistic="missing", since=make.day(-2))
    of_it = make.drift(0, "temp [origin=JFK]")
    found = causes([gone, of_it, moved, make.harm(since=make.day(-1)), make.drift(0, "distance")])
    assert found == {"upstream": {"temp", "temp [origin=JFK]", "prediction", "roc_auc"}, "population": {"distance"}}
    assert causes([gone, make.harm(since=make.day(-3))]) == {"upstream": {"temp"}, "concept": {"roc_auc"}}


def test_a_signal_stays_with_the_incident_that_has_it(make, moved):
    assert causes([moved], {moved.key: "population"}) == {"population": {"prediction"}}
    assert causes([make.drift(worse=False)], {make.drift().key: "population"}) == {"improvement": {"distance"}}


@given(st.data())
def test_every_signal_has_exactly_one_cause(make, data):
    signals = [
        make.drift(
            0, f"s{i}", data.draw(st.sampled_from(["feature", "prediction", "label", "performance", "volume"])),
            kind=data.draw(st.sampled_from(["sudden", "gradual", "harm", "fault"])), worse=data.draw(st.booleans()),
            statistic=data.draw(st.sampled_from(["ks", "missing"])), since=make.day(-data.draw(st.integers(0, 3))),
        )
        for i in range(data.draw(st.integers(0, 6)))
    ]  # fmt: skip
    found = causes(signals, features=4)
    assert sorted(s for group in found.values() for s in group) == [s.subject for s in signals]
    assert all(found.values())


def test_the_service_is_a_trouble_of_its_own_and_no_consequence(make, moved):
    slow = replace(make.harm(), monitor="service", subject="latency")
    assert causes([make.fault(), slow]) == {"upstream": {"batch"}, "service": {"latency"}}
    assert causes([slow, moved]) == {"service": {"latency"}, "model": {"prediction"}}
