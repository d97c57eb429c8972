import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.alarms.budget import allot, budget_of, group_of
from tidegate.config.platform import OnCall, Platform
from tidegate.errors import ConfigError, UsageError

weights = st.dictionaries(st.text(max_size=3), st.floats(1e-6, 1e6), min_size=1, max_size=30)


@given(st.floats(0, 1e4).map(lambda x: round(x, 6)), weights)
def test_the_shares_are_the_budget_to_the_last_bit_and_in_proportion(budget, materiality):
    shares = allot(budget, materiality)
    assert list(shares) == list(materiality)
    assert math.fsum(shares.values()) == budget
    total = math.fsum(materiality.values())
    assert all(shares[m] == pytest.approx(budget * w / total, rel=1e-9, abs=1e-9) for m, w in materiality.items())
    assert all(share >= 0 for share in shares.values())


def test_nothing_to_share_and_nobody_to_share_it_with():
    assert allot(0.0, {"a": 1.0, "b": 9.0}) == {"a": 0.0, "b": 0.0}
    assert allot(1.0, {}) == {}
    assert allot(1.0, {"a": 1e308, "b": 1e308}) == {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize(("budget", "weight"), [(-1.0, 1.0), (math.nan, 1.0), (1.0, 0.0), (1.0, -2.0), (1.0, math.inf)])
def test_what_cannot_be_shared_is_refused(budget, weight):
    with pytest.raises(UsageError, match="expected a number"):
        allot(budget, {"a": weight})


def test_a_group_is_declared_or_the_owner(a_model):
    platform = Platform(on_call={"night": OnCall(budget=3.0), "ops": OnCall(budget=0.0)})
    assert group_of(a_model(owner="Ann & Co"), platform) == ("Ann & Co", OnCall(budget=1.0))
    assert group_of(a_model(owner="ops"), platform)[1].budget == 0
    assert group_of(a_model(owner="ops", alarms={"group": "night"}), platform)[0] == "night"
    with pytest.raises(ConfigError, match=r"model m: alarms\.group: expected one of the on_call groups night, ops, "
                                          r"found 'nigth'\. Next: did you mean 'night'"):  # fmt: skip
        group_of(a_model(alarms={"group": "nigth"}), platform)
    with pytest.raises(ConfigError, match=r"Next: declare on_call\.night in configs/tidegate\.yaml"):
        group_of(a_model(alarms={"group": "night"}), Platform())


def test_a_model_gets_its_share_of_its_own_group_only(a_model):
    platform = Platform(on_call={"night": OnCall(budget=3.0)})
    models = {
        name: a_model(name=name, alarms={"materiality": weight, "group": group})
        for name, weight, group in (("a", 2.0, "night"), ("b", 1.0, "night"), ("c", 9.0, None))
    }
    assert [budget_of(m, models, platform) for m in models.values()] == [2.0, 1.0, 1.0]
