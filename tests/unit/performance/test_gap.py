"""The gap between realised and estimated: its yardstick, its chart, and what a year of nights comes to."""

import math
from datetime import date, timedelta

import numpy as np
import pytest

from tidegate.performance.blocks import carried, widening
from tidegate.performance.chances import Chances
from tidegate.performance.expected import expected_outcomes
from tidegate.performance.gap import (
    ALLOWANCE,
    CAP,
    NightGap,
    Yardstick,
    advantage,
    chart,
    in_blocks,
    limit_for,
    loudest,
    yardstick,
)
from tidegate.performance.metrics import METRICS
from tidegate.performance.tally import EMPTY, tally_of

FIRST = date(2024, 1, 1)
WATCHED = ("roc_auc", "log_loss")


def night_id(i):
    return (FIRST + timedelta(days=i)).isoformat()


def simulated(model, nights, rng, *, concept=0.0, shift=0.0, rows=300):
    """Realised and estimated tallies of nights: chances are known, each night has a shock of its own.

    `concept` is the share of rows whose outcome no longer depends on their inputs, `shift` moves the inputs and leaves
    P(y|x) as it is.
    """
    realised, estimated = {}, {}
    for i in nights:
        x = rng.normal(shift, 1, rows)
        p = 1 / (1 + np.exp(-1.2 * x))
        shocked = 1 / (1 + np.exp(-1.2 * x - rng.normal(0, 0.3)))
        chance = np.where(rng.random(rows) < concept, 0.5, shocked)
        y = (rng.random(rows) < chance).astype(int)
        realised[night_id(i)] = tally_of(model, p, y)
        estimated[night_id(i)] = expected_outcomes(model, p, Chances().of(p))
    return realised, estimated


def charts(model, yard, limit, realised, estimated, through):
    out = []
    for name in WATCHED:
        metric = METRICS["binary"][name]
        gaps = {n: NightGap(metric(realised[n]) - metric(estimated[n]), 0.0, realised[n].n) for n in realised}
        out.append(chart(name, gaps, yard[name], 3, limit, night_id(through)))
    return out


def test_a_concept_that_estimates_cannot_see_is_called_and_moving_inputs_are_not(a_model):
    model, flagged, quiet = a_model(), [], []
    for seed in range(3):
        rng = np.random.default_rng([31, seed])
        realised, estimated = simulated(model, range(72), rng)
        yard = {n: yardstick(METRICS["binary"][n], realised, estimated, 3) for n in WATCHED}
        limit = limit_for(yard["log_loss"].blocks, 3, 0.025, np.random.default_rng(0))
        drifted = simulated(model, range(72, 180), rng, concept=0.4)
        moved = simulated(model, range(72, 180), rng, shift=0.5)
        assert (
            abs(
                METRICS["binary"]["roc_auc"](drifted[1][night_id(80)])
                - METRICS["binary"]["roc_auc"](estimated[night_id(8)])
            )
            < 0.08
        )
        flagged.append(any(c.persistent for c in charts(model, yard, limit, *drifted, 179)))
        quiet.append(any(c.persistent for c in charts(model, yard, limit, *moved, 179)))
    assert flagged == [True] * 3
    assert quiet == [False] * 3


@pytest.mark.parametrize("kept", [0.0, 0.3])
def test_where_nothing_drifts_a_year_calls_no_oftener_than_declared(kept):
    """Fresh nights that keep `kept` of the last one's gap, yardsticks of 24 blocks; limits from another seed."""
    rng, years, calls = np.random.default_rng(32), 400, 0
    limit = limit_for(24, 3, 0.05, np.random.default_rng(0))
    for _ in range(years):
        noise = rng.normal(size=72 + 365)
        nights = np.empty_like(noise)
        nights[0] = noise[0]
        for t in range(1, len(noise)):
            nights[t] = kept * nights[t - 1] + math.sqrt(1 - kept**2) * noise[t]
        blocks = nights[: 3 * (len(nights) // 3)].reshape(-1, 3).mean(axis=1)
        spread = np.std(blocks[:24], ddof=1) * math.sqrt(widening(carried(nights[:72]), 3))
        up = down = most = 0.0
        for z in np.clip((blocks[24:] - blocks[:24].mean()) / spread, -CAP, CAP):
            up, down = max(0.0, up + z - ALLOWANCE), max(0.0, down - z - ALLOWANCE)
            most = max(most, up, down)
        calls += most > limit
    assert calls / years < 0.05 + 3 * math.sqrt(0.05 * 0.95 / years)


def gaps(values, n=100, start=0):
    return {night_id(start + i): NightGap(float(v), 0.0, n) for i, v in enumerate(values)}


KNOWN = Yardstick(0.7, 0.0, 1.7, 1.0, 100.0, 72, 24)


def test_the_chart_is_pages_cusum_of_whole_blocks():
    first = (-FIRST.toordinal()) % 3
    worse = gaps([2.0] * 12, start=first)
    through = night_id(first + 10)
    found = chart("log_loss", worse, KNOWN, 3, 4.0, through)
    assert found.worse == pytest.approx(3 * 1.5), "the fourth block is not over yet"
    assert (found.since, found.persistent, found.better) == (night_id(first), True, 0.0)
    assert (found.gap, found.se) == (2.0, pytest.approx(1 / math.sqrt(3)))
    assert chart("roc_auc", worse, KNOWN, 3, 4.0, through).better == found.worse, "higher is better there"
    storm = gaps([0, 0, 0, 50, 50, 50, 0, 0, 0], start=first)
    assert chart("log_loss", storm, KNOWN, 3, 4.0, night_id(first + 8)).worse == pytest.approx(CAP - 2 * ALLOWANCE)
    over = gaps([2.0] * 9 + [-1.0] * 18, start=first)
    assert chart("log_loss", over, KNOWN, 3, 4.0, night_id(first + 26)).since == night_id(first + 9)


def test_a_gap_between_none_and_the_references_own_is_no_gap():
    biased = Yardstick(0.7, -0.3, 1.7, 1.0, 100.0, 72, 24)
    assert [round(biased.beyond(g), 3) for g in (-0.5, -0.3, -0.1, 0.0, 0.4)] == [-0.2, 0.0, 0.0, 0.0, 0.4]
    assert chart("log_loss", gaps([0.0] * 30), biased, 3, 4.0, night_id(29)).since == ""


def test_few_rows_raise_the_error_and_weigh_less():
    assert KNOWN.se(100) == KNOWN.se(5000) == 1.7
    assert KNOWN.se(25) == pytest.approx(3.4)
    assert math.isnan(KNOWN.se(0))
    first = (-FIRST.toordinal()) % 3
    few = chart("log_loss", gaps([2.0] * 3, n=25, start=first), KNOWN, 3, 4.0, night_id(first + 2))
    assert few.worse == pytest.approx(2.0 / 2 - ALLOWANCE)


@pytest.mark.parametrize("known", [Yardstick(0.5, 0, 1, 1, 9, 4, 2), Yardstick(0.5, 0, 0, 0, 9, 30, 10)])
def test_a_reference_that_says_too_little_gives_no_chart(known):
    assert chart("log_loss", gaps([1.0] * 9), known, 3, 4.0, night_id(20)) is None
    assert loudest([]) is None


def test_a_yardstick_needs_two_nights_and_leaves_out_nights_of_one_class(a_model):
    model = a_model()
    p = np.linspace(0.1, 0.9, 40)
    guess = expected_outcomes(model, p, Chances().of(p))
    both, one = tally_of(model, p, np.arange(40) % 2), tally_of(model, p, np.ones(40))
    nights = {night_id(0): both, night_id(1): one, night_id(2): EMPTY}
    found = yardstick(METRICS["binary"]["roc_auc"], nights, dict.fromkeys(nights, guess), 3)
    assert (found.nights, found.blocks) == (1, 0)
    assert math.isnan(found.usual)


def test_estimates_beat_the_constant_only_where_they_follow():
    rng = np.random.default_rng(33)
    level = rng.normal(0, 1, 90)
    follows = {night_id(i): NightGap(float(rng.normal(0, 0.5)), float(v), 50) for i, v in enumerate(level)}
    blind = {n: NightGap(g.off + float(rng.normal(0, 0.2)), g.off, 50) for n, g in follows.items()}
    assert advantage(follows, 3).upper(0.2) < 0
    assert not advantage(blind, 3).upper(0.2) < 0
    assert advantage({}, 3).blocks == 0


def test_blocks_are_where_the_calendar_cuts_them():
    whole = in_blocks(gaps(range(30)), 3)
    later = in_blocks(gaps(range(30)[7:], start=7), 3)
    assert set(list(later)[1:]) <= set(whole)
    assert in_blocks(gaps([math.nan] * 6), 3) == {}
