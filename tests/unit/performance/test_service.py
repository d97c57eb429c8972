import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tidegate.performance.latency import Latencies
from tidegate.performance.service import (
    ALPHA,
    LEAST,
    LastMinute,
    Service,
    clustered,
    judge_minute,
    judge_service,
    share_above,
)
from tidegate.performance.skew import Replay, judge_skew, replay_lines


def night(seconds, failed=0, answered=None, **more):
    n = len(seconds) if answered is None else answered
    return Service(n, failed, 0, 0, n, 1, 86_400, Latencies.of(seconds), more)


def failed(verdict):
    return {(line["what"], line["against"]) for line in verdict.numbers["lines"] if line["outcome"] == "fail"}


@given(st.integers(0, 50), st.integers(0, 500))
def test_the_bound_of_a_share_is_scipys(count, more):
    n = count + more
    wanted = binomtest(count, n).proportion_ci(0.99, "exact").low if n else 0.0
    assert share_above(count, n, 0.005) == pytest.approx(wanted, abs=1e-12)


def test_what_is_only_the_limit_is_hardly_ever_called_above_it():
    rng, calls = np.random.default_rng(21), 0
    for n in (25, 200, 3000):
        for errors in rng.binomial(n, 0.02, 4000):
            calls += bool(judge_minute(LastMinute(n, int(errors)), max_error_share=0.02, max_p99=None))
    # 12,000 looks at one in a million.
    assert calls == 0


@pytest.mark.parametrize(("requests", "errors"), [(LEAST, LEAST), (60, 20), (5000, 200)])
def test_a_burst_is_seen_in_its_minute(requests, errors):
    (line,) = judge_minute(LastMinute(requests, errors), max_error_share=0.02, max_p99=None)
    assert line["low"] > 0.02
    assert share_above(errors, requests, ALPHA) == line["low"]


def test_callers_mistakes_and_those_turned_away_hide_nothing_and_blame_nobody():
    assert judge_minute(LastMinute(1000, 0, throttled=500, refused=500), max_error_share=0.02, max_p99=None) == []
    hidden = LastMinute(10_000, 30, throttled=5000, refused=4970)
    assert judge_minute(hidden, max_error_share=0.02, max_p99=None)


def test_a_minute_is_slow_only_where_slow_answers_are_counted():
    slow = LastMinute(1000, 0, p99=0.5, slow=60)
    assert [line["what"] for line in judge_minute(slow, max_error_share=0.02, max_p99=0.1)] == ["p99"]
    assert judge_minute(slow, max_error_share=0.02, max_p99=None) == []
    assert judge_minute(LastMinute(1000, 0, p99=0.5), max_error_share=0.02, max_p99=0.1) == []
    assert judge_minute(LastMinute(1000, 0, p99=0.1, slow=11), max_error_share=0.02, max_p99=0.1) == []


def usual(rng, level):
    """Nights differ, as machines' neighbours do."""
    return night(rng.lognormal(math.log(0.003 * level), 0.5, 600))


def test_nights_that_only_differ_are_seldom_called_slower():
    rng, calls, tried = np.random.default_rng(31), 0, 0
    for _ in range(12):
        nights = {str(i): usual(rng, level) for i, level in enumerate(rng.lognormal(0, 0.15, 29))}
        for last in range(14, 29):
            before = {n: s for n, s in nights.items() if int(n) < last}
            tried += 1
            calls += bool(failed(judge_service(nights[str(last)], before, max_error_share=0.02, max_p99=None)))
    # One in fifteen to one in thirty would be above the worst before; the margin leaves next to none.
    assert calls <= 0.02 * tried


def test_a_night_twice_as_slow_is_called_and_needs_nights_to_be_held_against():
    rng = np.random.default_rng(32)
    before = {str(i): usual(rng, level) for i, level in enumerate(rng.lognormal(0, 0.1, 20))}
    slow = usual(rng, 2.5)
    assert failed(judge_service(slow, before, max_error_share=0.02, max_p99=None)) >= {("p95", "before")}
    few = dict(list(before.items())[:6])
    verdict = judge_service(slow, few, max_error_share=0.02, max_p99=None)
    assert verdict.outcome == "pass"
    assert "6 nights before" in next(line["words"] for line in verdict.numbers["lines"] if line["against"] == "before")


def test_slow_requests_that_come_together_prove_less():
    took = np.full(2000, 0.002)
    took[:60] = 0.2
    effect = clustered(took > 0.1, np.arange(2000) // 20)
    assert effect == pytest.approx(20, rel=0.1)
    alone = judge_service(night(took), {}, max_error_share=0.02, max_p99=0.1)
    together = judge_service(night(took, p99=effect), {}, max_error_share=0.02, max_p99=0.1)
    assert (alone.outcome, together.outcome) == ("fail", "pass")


def test_few_requests_are_no_pass():
    verdict = judge_service(night([0.1] * 5, failed=5), {}, max_error_share=0.02, max_p99=0.01)
    assert (verdict.outcome, verdict.reasons) == ("inconclusive", ("10 requests, 20 needed",))
    assert Service.from_dict(verdict.numbers["service"]) == night([0.1] * 5, failed=5)


def replay(served, again, code="c", place="here", n=3):
    return Replay(np.asarray(served), np.asarray(again), [code] * n, ["c"] * n, [place] * n, "here")


@pytest.mark.parametrize(
    ("one", "what"),
    [
        (replay([0.1, 0.2, 0.3], [0.1, 0.2, 0.3 + 9e-10]), set()),
        (replay([0.1, 0.2, 0.3], [0.1, 0.2, 0.3 + 2e-9]), {"code"}),
        (replay([0.1, 0.2, 0.3], [0.1, 0.2, 0.3 + 2e-9], place="there"), {"environment"}),
        (replay([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], place="there"), set()),
        (replay([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], code="d"), {"code"}),
        (replay([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], code=""), set()),
        (replay([0.1, 0.2, 0.3], [0.1, 0.2, math.nan]), {"code"}),
        (replay([[0.1, 0.9]] * 3, [[0.1, 0.9]] * 2 + [[0.2, 0.8]]), {"code"}),
        # Relative above 1: a regression of millions has no more digits.
        (replay([1e6, 2e6, 3e6], [1e6, 2e6, 3e6 + 1e-4]), set()),
    ],
)
def test_kinds_of_skew_are_told_apart(one, what):
    lines = replay_lines(one)
    assert {line["what"] for line in lines if line["outcome"] == "fail"} == what
    assert judge_skew(lines, (), ()).outcome == ("fail" if what else "pass")


def test_nothing_replayed_is_no_pass():
    assert judge_skew(replay_lines(replay([], [], n=0)), (), ()).outcome == "inconclusive"
