import math

import numpy as np
import pytest
from scipy.stats import t as student

from tidegate.gate.power import more_nights, power


@pytest.mark.parametrize(("blocks", "alpha"), [(6, 0.05), (10, 0.0042), (20, 0.0014)])
def test_power_is_what_it_says(blocks, alpha):
    rng = np.random.default_rng(blocks)
    for effect in (0.5, 1.0, 1.6):
        x = effect + rng.normal(0, 1, (20_000, blocks))
        z = x.mean(axis=1) / (x.std(axis=1, ddof=1) / math.sqrt(blocks))
        assert power(effect, 1 / math.sqrt(blocks), blocks, alpha) == pytest.approx(
            (z > student.isf(alpha, blocks - 1)).mean(), abs=0.015
        )


def test_power_of_huge_and_unknown_effects():
    assert power(1.0, 1e-4, 6, 0.001) == pytest.approx(1)
    assert power(-1.0, 1e-4, 6, 0.001) == pytest.approx(0)
    assert power(0.0, 0.0, 6, 0.01) == 1
    assert all(math.isnan(power(*bad)) for bad in ((math.nan, 1, 6, 0.1), (1, math.nan, 6, 0.1), (1, 1, 1, 0.1)))
    assert math.isnan(power(1, 1, 6, 0.0))


def test_the_nights_asked_for_give_the_power():
    blocks, se = 10, 0.008
    more = more_nights(0.02, se, blocks, 0.004, 3)
    total = blocks + more / 3
    assert power(0.02, se * math.sqrt(blocks / total), total, 0.004) >= 0.8
    assert power(0.02, se * math.sqrt(blocks / (total - 1)), total - 1, 0.004) < 0.8
    assert more_nights(0.02, 0.001, 10, 0.004, 3) == 0
    assert more_nights(0.0, se, blocks, 0.004, 3) == more_nights(1e-6, se, blocks, 0.004, 3) == math.inf
    assert math.isnan(more_nights(0.02, math.nan, blocks, 0.004, 3))
