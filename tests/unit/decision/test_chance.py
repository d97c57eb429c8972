"""The chance to pass the gate, held against looks that are really taken."""

import numpy as np
import pytest
from scipy.stats import t as student

from tidegate.decision.chance import chance_to_pass
from tidegate.gate.error import share
from tidegate.performance.blocks import Estimate

NAN = float("nan")


def test_a_sure_gain_passes_and_a_sure_loss_does_not(a_model):
    model = a_model()
    assert chance_to_pass(model, {"roc_auc": Estimate(0.05, 0.002, 20)}) > 0.999
    assert chance_to_pass(model, {"roc_auc": Estimate(-0.05, 0.002, 20)}) < 0.001
    assert chance_to_pass(model, {"roc_auc": Estimate(0.0, 0.0, 20)}) == 0


def test_a_guardrail_that_is_broken_stops_it(a_model):
    model = a_model(metric={"must_hold": {"log_loss": 0.01}})
    gains = {"roc_auc": Estimate(0.05, 0.002, 20)}
    assert chance_to_pass(model, gains | {"log_loss": Estimate(-0.03, 0.002, 20)}) < 0.001
    assert chance_to_pass(model, gains | {"log_loss": Estimate(-0.001, 0.001, 20)}) > 0.99
    assert chance_to_pass(model, gains | {"log_loss": Estimate(NAN, NAN, 0)}) > 0.99


def test_without_error_left_or_anything_that_counts_there_is_no_chance(a_model):
    model = a_model()
    assert chance_to_pass(model, {"roc_auc": Estimate(0.05, 0.002, 20)}, spent=0.05) == 0
    assert chance_to_pass(model, {"brier": Estimate(0.05, 0.002, 20)}) == 0
    assert chance_to_pass(model, {}) == 0


@pytest.mark.parametrize("truth", [0.004, 0.008, 0.014])
def test_it_is_near_the_rate_at_which_looks_pass(a_model, truth):
    """Gains of blocks drawn with a known truth: 20 blocks now, at each later look some more."""
    model = a_model(gate={"looks": 2, "look_every": "15d"})
    rng, errors = np.random.default_rng(7), [share(model.gate, 6, k, 0.0) for k in (1, 2)]
    told, passed = [], []
    for _ in range(3000):
        blocks = rng.normal(truth, 0.02, 25)
        now = blocks[:20]
        told.append(chance_to_pass(model, {"roc_auc": Estimate(float(now.mean()), now.std(ddof=1) / 20**0.5, 20)}))
        seen = [blocks[:n] for n in (20, 25)]
        low = [b.mean() - student.isf(e, len(b) - 1) * b.std(ddof=1) / len(b) ** 0.5
               for b, e in zip(seen, errors, strict=True)]  # fmt: skip
        passed.append(max(low) > 0)
    assert np.mean(told) == pytest.approx(np.mean(passed), abs=0.06)
