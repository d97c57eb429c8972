"""Policies in money: costs, paired intervals, stretches."""

import numpy as np
import pytest

from tidegate.errors import UsageError
from tidegate.lab.policies import BLOCK, Nights, blocks, compared, paired, segments


def nights(count, spent=None, **value):
    values = {p: np.broadcast_to(np.asarray(v, dtype=float), count) for p, v in value.items()}
    costs = {p: np.zeros(count) for p in value}
    for p, (night, cost) in (spent or {}).items():
        costs[p][night] = cost
    return Nights(tuple(f"n{i:03d}" for i in range(count)), np.full(count, 10.0), values, costs)


def test_a_cost_is_what_was_lost_and_what_the_actions_cost():
    found = compared(nights(100, {"mine": (3, 40.0)}, never=-5.0, monthly=-3.0, mine=-4.0))
    mine = found["mine"]
    assert (mine["kpi_sum"], mine["actions_cost"], mine["cost"]) == (-400.0, 40.0, 440.0)
    assert (mine["kpi_per_row"], mine["gain"], mine["share_of_monthly"]) == (-0.4, 60.0, 0.3)
    assert mine["over_monthly"]["gain"] == -140.0
    assert found["never"]["gain"] == found["never"]["low"] == found["never"]["high"] == 0.0
    assert found["monthly"]["share_of_monthly"] == found["monthly"]["share_low"] == 1.0


def test_what_cannot_be_compared_is_none():
    alone = compared(nights(100, mine=-4.0))["mine"]
    assert alone["gain"] is alone["low"] is alone["share_of_monthly"] is None
    assert alone["cost"] == 400.0
    # Monthly gained nothing: there is no share of it.
    assert compared(nights(100, never=-1.0, monthly=-2.0, mine=-1.0))["mine"]["share_of_monthly"] is None
    few = compared(nights(6, never=-1.0, mine=-0.5))["mine"]
    assert few["gain"] == 3.0
    assert few["low"] is few["high"] is None
    none = compared(Nights((), np.zeros(0), {"never": np.zeros(0)}, {"never": np.zeros(0)}))["never"]
    assert none["kpi_per_row"] is None


def test_what_makes_a_night_bad_for_all_is_no_noise():
    shock = np.random.default_rng(2).normal(0, 1000, 280)
    found = compared(nights(280, never=shock - 1, mine=shock))["mine"]
    assert found["low"] == pytest.approx(found["high"]) == pytest.approx(280.0)


def test_the_interval_of_a_gain_covers_the_gain_of_other_years():
    """Gains that last as long as a model is in service, about a month, and nights that hang together."""
    rng, covered, years = np.random.default_rng(71), 0, 400
    for _ in range(years):
        models = np.repeat(rng.normal(1.0, 1.5, 12), 28)[rng.integers(0, 28) :][:306]
        noise = rng.normal(0, 1, 306)
        for i in range(1, 306):
            noise[i] += 0.3 * noise[i - 1]
        _, low, high = paired(models + noise)
        covered += low <= 306.0 <= high
    assert 0.88 <= covered / years <= 0.98


def test_blocks_hold_every_night_once():
    for count in (0, 1, 6, 7, 50, 224, 306, 365):
        parts = blocks(count)
        assert [n for b in parts for n in range(count)[b]] == list(range(count))
        assert not count or max(b.stop - b.start for b in parts) - min(b.stop - b.start for b in parts) <= 1
    assert max(b.stop - b.start for b in blocks(365)) <= BLOCK + 1


def test_stretches_add_up_and_begin_later_too():
    on = nights(40, {"mine": (15, 7.0)}, never=-np.arange(40.0), monthly=-5.0, mine=-10.0)
    found = segments(on, 4)
    plain, later = [s for s in found if not s["offset"]], [s for s in found if s["offset"]]
    whole = compared(on)
    for policy in ("never", "monthly", "mine"):
        assert sum(s["policies"][policy]["cost"] for s in plain) == pytest.approx(whole[policy]["cost"])
    assert [(s["from"], s["to"]) for s in later] == [("n005", "n014"), ("n015", "n024"), ("n025", "n034")]
    assert [s["policies"]["mine"]["rank"] for s in plain] == [3, 2, 2, 2]
    assert plain[1]["policies"]["mine"]["cost"] == 107.0
    assert segments(on, 1)[0]["policies"]["mine"]["gain"] == whole["mine"]["gain"]
    assert segments(on, 1)[0]["rows"] == 400


def test_equal_costs_share_a_rank():
    assert {p: v["rank"] for p, v in segments(nights(4, a=-1.0, b=-1.0, c=-2.0), 1)[0]["policies"].items()} == {
        "a": 1, "b": 1, "c": 3,
    }  # fmt: skip


@pytest.mark.parametrize("count", [0, 5])
def test_as_many_stretches_as_nights_at_most(count):
    with pytest.raises(UsageError, match="1 to 4"):
        segments(nights(4, never=-1.0), count)
