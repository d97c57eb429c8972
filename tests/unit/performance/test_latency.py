import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.performance.latency import RESOLUTION, Latencies

SECONDS = st.lists(st.floats(1e-7, 1e5), min_size=1, max_size=60)


@given(SECONDS, st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99]))
def test_a_quantile_is_within_its_resolution_of_numpys(seconds, q):
    wanted = np.quantile(seconds, q, method="inverted_cdf")
    found = Latencies.of(seconds).quantile(q)
    assert abs(found.value - wanted) <= RESOLUTION * wanted * (1 + 1e-9)
    assert found.low <= wanted * (1 + 1e-9)
    assert found.high >= wanted * (1 - 1e-9)


@pytest.mark.parametrize("seed", [3, 4])
def test_quantiles_of_a_long_tail_are_numpys(seed):
    seconds = np.random.default_rng(seed).lognormal(-6, 1.5, 50_000)
    found = Latencies.of(seconds)
    for q in (0.5, 0.95, 0.99, 0.999):
        assert found.quantile(q).value == pytest.approx(np.quantile(seconds, q, method="inverted_cdf"), rel=RESOLUTION)


@given(SECONDS, SECONDS, SECONDS)
def test_parts_in_whichever_order_make_the_whole(a, b, c):
    one, two, three = map(Latencies.of, (a, b, c))
    assert (one + two) + three == three + (two + one) == Latencies.of([*a, *b, *c])
    assert (one + two).n == len(a) + len(b)


def test_means_of_quantiles_would_be_wrong():
    quiet, busy = Latencies.of([0.001] * 1000), Latencies.of([0.001] * 90_000 + [1.0] * 10_000)
    mean = (quiet.quantile(0.95).value + busy.quantile(0.95).value) / 2
    assert (quiet + busy).quantile(0.95).value == pytest.approx(1.0, rel=RESOLUTION)
    assert mean == pytest.approx(0.5, rel=0.02)


def test_bounds_hold_as_often_as_they_say():
    rng, held = np.random.default_rng(8), 0
    for _ in range(300):
        found = Latencies.of(rng.exponential(0.01, 400)).quantile(0.9, confidence=0.9)
        held += found.low <= 0.01 * math.log(10) <= found.high
    # Binomial, 300 tries at 0.9 or a little more: five standard errors below.
    assert held >= 300 * (0.9 - 5 * 0.0173)


def test_bounds_of_what_hangs_together_are_wider():
    found = Latencies.of(np.random.default_rng(1).exponential(0.01, 4000))
    alone, together = found.quantile(0.5), found.quantile(0.5, design_effect=20)
    assert together.value == alone.value
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_odd_values_neither_count_nor_break():
    found = Latencies.of([math.nan, math.inf, -1.0, 0.0, 1e9, 0.5])
    assert found.n == 3
    assert found.above(0.4) == 2
    assert math.isnan(Latencies.of([]).quantile(0.5).value)
