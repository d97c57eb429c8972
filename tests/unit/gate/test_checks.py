import math

import pytest

from tidegate.gate.checks import gain_of, holds, nights_for, not_worse, superior
from tidegate.performance.blocks import Estimate, cut
from tidegate.performance.tally import NO_CONFUSION, NO_HIST, Tally

UNKNOWN = {
    "not defined": Estimate(math.nan, math.nan, 7),
    "no error": Estimate(0.5, math.nan, 7),
    "one block": Estimate(0.5, math.nan, 1),
}


def nights(means, n=100):
    every = [Tally({"n": float(n), "log_loss": n * float(m)}, NO_HIST, NO_CONFUSION) for m in means]
    return dict(zip("abcdefgh", every, strict=False))


@pytest.mark.parametrize("what", UNKNOWN)
def test_missing_evidence_is_inconclusive_everywhere(what):
    gain = UNKNOWN[what]
    found = (superior("m", gain, 0.05, block=3), holds("m", gain, 0.05, block=3, margin=9), not_worse("m", gain, 0.05))
    assert [c.outcome for c in found] == ["inconclusive"] * 3
    assert not any("nan" in c.reason or "inf" in c.reason for c in found)


@pytest.mark.parametrize(
    ("value", "superiority", "guard", "other"),
    [
        (0.05, "pass", "pass", "pass"),
        (0.01, "inconclusive", "pass", "pass"),
        (0.0, "inconclusive", "inconclusive", "pass"),
        (-0.03, "fail", "inconclusive", "fail"),
        (-0.09, "fail", "fail", "fail"),
    ],
)
def test_each_check_has_its_own_threshold(value, superiority, guard, other):
    gain = Estimate(value, 0.0125, 7)  # the bound reaches 0.0243 to either side
    assert superior("m", gain, 0.05, block=3).outcome == superiority
    assert holds("m", gain, 0.05, block=3, margin=0.02).outcome == guard
    assert not_worse("m", gain, 0.05).outcome == other


def test_two_of_the_same_are_never_better_and_hold_any_margin():
    gain = Estimate(0.0, 0.0, 7)
    found = superior("m", gain, 0.05, block=3)
    assert found.outcome == "inconclusive"
    assert "the same on every block" in found.reason
    assert holds("m", gain, 0.05, block=3, margin=0).outcome == "pass"
    assert not_worse("m", gain, 0.05).outcome == "pass"


def test_a_gain_is_positive_when_a_loss_falls():
    gain = gain_of("binary", "log_loss", nights([0.4, 0.5, 0.45]), nights([0.5, 0.62, 0.55]), cut("abc", 1))
    assert gain.value == pytest.approx(0.32 / 3)
    assert gain.se > 0


def test_rounding_is_no_gain():
    theirs = nights([0.4, 0.5, 0.45])
    ours = {
        n: Tally({**t.sums, "log_loss": t.sums["log_loss"] * (1 - 1e-15)}, t.hist, t.confusion)
        for n, t in theirs.items()
    }
    assert gain_of("binary", "log_loss", ours, theirs, cut("abc", 1)) == Estimate(0.0, 0.0, 3)
    assert math.isnan(gain_of("binary", "log_loss", {}, {}, []).value)


def test_an_open_check_says_how_many_nights_would_settle_it():
    gain = Estimate(0.02, 0.01, 10)
    found = superior("m", gain, 0.01, block=3)
    assert found.outcome == "inconclusive"
    more = int(found.reason.split("about ")[1].split()[0])
    settled = Estimate(0.02, 0.01 / math.sqrt((10 + more / 3) / 10), 10)
    assert superior("m", settled, 0.01, block=3).lower == pytest.approx(0, abs=0.0005)
    assert "more than another year" in superior("m", Estimate(0.001, 0.02, 10), 0.05, block=3).reason
    assert "between" in superior("m", Estimate(-0.001, 0.02, 10), 0.05, block=3).reason
    assert nights_for(2, 3) == "about 6 more nights"


def test_a_margin_is_wanted_beyond_the_other():
    gain = Estimate(0.05, 0.001, 7)
    assert superior("m", gain, 0.05, block=3, margin=0.04).outcome == "pass"
    assert superior("m", gain, 0.05, block=3, margin=0.06).outcome == "fail"
    assert "0.06 wanted" in superior("m", gain, 0.05, block=3, margin=0.06).reason


def test_worse_by_less_than_the_margin_is_not_worse():
    gain = Estimate(-0.05, 0.001, 7)
    assert not_worse("m", gain, 0.05, margin=0.06).outcome == "pass"
    assert not_worse("m", gain, 0.05, margin=0.04).outcome == "fail"
