import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import UsageError
from tidegate.performance.blocks import (
    Estimate,
    blocks_of,
    carried,
    cut,
    design_effect,
    difference,
    effective_rows,
    level,
    paired_difference,
    paired_nights,
    weighted,
    widened,
    widening,
)
from tidegate.performance.metrics import METRICS, roc_auc
from tidegate.performance.tally import EMPTY, NO_CONFUSION, NO_HIST, Tally, tally_of

LOSS = METRICS["binary"]["log_loss"]


def losses(means, n=100):
    """Blocks of n rows with these mean losses."""
    return [Tally({"n": float(n), "log_loss": n * float(m)}, NO_HIST, NO_CONFUSION) for m in means]


@given(st.integers(0, 40), st.integers(1, 7))
def test_blocks_are_whole_neighbouring_and_end_with_the_newest(n, block):
    nights = [f"{i:03}" for i in range(n)]
    found = cut(nights, block)
    assert all(len(b) == block for b in found)
    assert [night for b in found for night in b] == nights[n % block :]


def test_nights_without_a_tally_count_nothing():
    one, two = losses([1, 3])
    assert [t.n for t in blocks_of({"a": one, "c": two}, [("a", "b"), ("c",), ("d",)])] == [100, 100]
    assert blocks_of({}, [("a",)]) == []


def test_of_equal_blocks_the_jackknife_is_the_error_of_their_mean():
    means = np.array([1.0, 2.0, 4.0, 4.5])
    found = level(LOSS, losses(means))
    assert found.value == pytest.approx(means.mean())
    assert found.se == pytest.approx(means.std(ddof=1) / 2)
    # Student's t with three degrees of freedom leaves 5 % above 2.353.
    assert found.lower(0.05) == pytest.approx(found.value - 2.3534 * found.se, rel=1e-4)


def test_paired_blocks_share_their_shocks():
    shared = np.array([1.0, 5.0, 2.0, 9.0, 3.0])
    ours, theirs = losses(shared - 0.1), losses(shared)
    paired, apart = paired_difference(LOSS, ours, theirs), difference(LOSS, ours, theirs)
    assert paired.value == pytest.approx(apart.value) == pytest.approx(-0.1)
    assert paired.se == pytest.approx(0, abs=1e-12)
    assert apart.se > 1


def test_unpaired_blocks_are_refused():
    with pytest.raises(UsageError, match="paired blocks"):
        paired_difference(LOSS, losses([1, 2]), losses([1, 2, 3]))
    with pytest.raises(UsageError, match="paired blocks"):
        paired_difference(LOSS, losses([1, 2], 99), losses([1, 2]))


@pytest.mark.parametrize("blocks", [[], losses([1.0])])
def test_too_few_blocks_bound_nothing(blocks):
    for found in (level(LOSS, blocks), paired_difference(LOSS, blocks, blocks), difference(LOSS, blocks, blocks)):
        assert (found.blocks, math.isnan(found.se)) == (len(blocks), True)
        assert not found.lower(0.05) > -math.inf
        assert not found.upper(0.05) < math.inf
    assert math.isnan(design_effect(LOSS, blocks, 1.0))


def test_a_metric_that_hangs_on_one_block_has_no_bound(a_model):
    p = np.array([0.1, 0.4, 0.6])
    blocks = [tally_of(a_model(), p, np.array(y)) for y in ([0, 0, 1], [0, 0, 0], [0, 0, 0])]
    found = level(roc_auc, blocks)
    assert (found.value, found.blocks) == (1.0, 1)
    assert found.lower(0.05) == -math.inf


def test_the_fewer_blocks_of_a_difference_count():
    found = difference(LOSS, losses([1, 2, 3]), losses([1, 2, 3, 4, 5, 6]))
    assert found == Estimate(found.value, found.se, 3)


def test_the_design_effect_is_one_of_independent_rows_and_more_of_shocks():
    rng = np.random.default_rng(2)
    row = rng.normal(0, 1, (400, 50))
    assert design_effect(LOSS, losses(row.mean(axis=1), 50), 1.0) == pytest.approx(1, abs=0.2)
    shocked = row + rng.normal(0, 0.5, (400, 1))
    assert design_effect(LOSS, losses(shocked.mean(axis=1), 50), 1.25) == pytest.approx((1 + 50 * 0.25) / 1.25, rel=0.2)
    assert math.isnan(design_effect(LOSS, losses([1, 2]), 0.0))


@pytest.mark.fault(12)
def test_blocks_without_rows_count_nothing():
    some = losses([1, 2, 4])
    assert level(LOSS, [some[0], EMPTY, *some[1:]]) == level(LOSS, some)
    assert paired_difference(LOSS, [*some, EMPTY], [*some, EMPTY]) == paired_difference(LOSS, some, some)


@pytest.mark.parametrize("blocks", [6, 10, 19])
def test_two_equal_models_are_rarely_told_apart_when_days_have_shocks(blocks):
    # benchmarks/gate_figures.py is the heavy version, with areas and autocorrelation.
    rng, rounds, alpha = np.random.default_rng(blocks), 600, 0.1 / 3
    wrong = covered = 0
    for _ in range(rounds):
        days = rng.normal(0, 1, (blocks, 3))  # what a day's shock does to the difference
        found = paired_difference(LOSS, losses(5 + days.mean(axis=1)), losses(np.full(blocks, 5.0)))
        wrong += found.lower(alpha) > 0 or found.upper(alpha) < 0
        covered += found.lower(0.05) <= 0 <= found.upper(0.05)
    assert wrong / rounds / 2 == pytest.approx(alpha, abs=0.015)
    assert covered / rounds == pytest.approx(0.9, abs=0.03)


def test_an_area_is_taken_within_blocks_so_that_their_levels_do_not_mix(a_model):
    scores, labels = np.array([0.1, 0.2, 0.3]), np.array([0, 0, 1])
    low, high = (tally_of(a_model(), scores + shift, labels) for shift in (0.0, 0.5))
    assert roc_auc(low + high) < 1
    assert level(roc_auc, [low, high]).value == 1
    assert paired_difference(roc_auc, [low, high], [high, low]).value == 0


def autoregression(rng, rounds, nights, kept):
    out = rng.standard_normal((rounds, nights))
    for night in range(1, nights):
        out[:, night] = kept * out[:, night - 1] + math.sqrt(1 - kept**2) * out[:, night]
    return out


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("block", [1, 3])
def test_a_mean_varies_as_much_more_as_the_widening_says(kept, block):
    x = autoregression(np.random.default_rng(1), 4000, 240, kept)
    within = x.reshape(4000, -1, block).mean(axis=2).var(ddof=1) / (240 / block)
    assert x.mean(axis=1).var() / within == pytest.approx(widening(kept, block), rel=0.08)


def test_what_is_carried_is_an_upper_estimate():
    rng = np.random.default_rng(2)
    for kept in (0.0, 0.3):
        found = np.array([carried(x) for x in autoregression(rng, 300, 60, kept)])
        assert kept < found.mean() < kept + 0.2
    assert carried([math.nan, 1, math.inf, 2]) == 0.8
    assert carried([5.0] * 9) == 0.0


@pytest.mark.parametrize("blocks", [6, 20])
def test_nights_that_hang_together_do_not_break_the_level(blocks):
    # Without widening the rate is twice the level at .004 with 20 blocks; benchmarks/gate_figures.py has more.
    rng, rounds, alpha = np.random.default_rng(blocks), 4000, 0.0167
    wrong = {"plain": 0, "widened": 0}
    for x in autoregression(rng, rounds, 3 * blocks, 0.3):
        plain = weighted(x.reshape(-1, 3).mean(axis=1), np.full(blocks, 100))
        for name, found in (("plain", plain), ("widened", widened(plain, x, 3))):
            wrong[name] += found.lower(alpha) > 0 or found.upper(alpha) < 0
    assert wrong["widened"] / rounds / 2 < 1.2 * alpha
    assert wrong["plain"] / rounds / 2 > 1.3 * alpha


def test_nightly_tallies_are_paired_in_blocks_and_widened():
    means = np.repeat([0.1, 0.5, 0.2, 0.6], 6)
    ours = dict(zip([f"{i:02}" for i in range(24)], losses(5 + means), strict=True))
    theirs = dict(zip(ours, losses(np.full(24, 5.0)), strict=True))
    blocks = cut(sorted(ours), 3)
    plain = paired_difference(LOSS, blocks_of(ours, blocks), blocks_of(theirs, blocks))
    found = paired_nights(LOSS, ours, theirs, blocks)
    assert found.value == plain.value
    assert found.se == pytest.approx(plain.se * math.sqrt(widening(carried(means), 3)))
    assert found.se > 1.3 * plain.se
    assert math.isnan(paired_nights(LOSS, {}, {}, []).value)


def test_effective_rows_shrink_with_the_shocks():
    rng = np.random.default_rng(3)
    night = np.repeat([f"{i:03}" for i in range(300)], 40)
    rows = rng.normal(0, 1, 12_000)
    shocked = rows + np.repeat(rng.normal(0, 0.5, 300), 40)
    assert effective_rows(rows, night, 3) > 0.6 * len(rows)
    assert effective_rows(shocked, night, 3) == pytest.approx(len(rows) * 1.25 / 11, rel=0.3)
    assert math.isnan(effective_rows(np.ones(12), night[:12], 3))
    assert math.isnan(effective_rows(np.zeros(0), night[:0], 3))
