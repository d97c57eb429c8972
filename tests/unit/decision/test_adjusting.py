"""What an adjustment would gain: below zero where nothing changed, close to the truth where something did."""

import math

import numpy as np
import pytest

from tidegate.config.gating import Gate
from tidegate.config.model import Kpi, Label, Model
from tidegate.decision.adjusting import paired_gain, recalibration_gain, threshold_gain
from tidegate.performance.worth import cost_threshold, row_worth

MONEY = Kpi(true_positive=6, false_positive=-2, false_negative=-1)
DAY = 0.3
"""Standard deviation of a day's shock on the logit."""
POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(9)


def model(kpi=MONEY, kind="binary", classes=("no", "yes")):
    label = Label.model_construct(classes=classes)
    return Model.model_construct(name="m", kind=kind, kpi=kpi, gate=Gate(), label=label)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def draw(seed, *, nights=24, rows=50, shift=0.0, carried=0.3):
    """Scores that are the true probabilities over all days, labels of days with shocks, from `shift` off."""
    rng = np.random.default_rng([55, seed])
    shocks = np.empty(nights)
    shocks[0] = rng.normal(0, DAY)
    for i in range(1, nights):
        shocks[i] = carried * shocks[i - 1] + rng.normal(0, DAY * math.sqrt(1 - carried**2))
    logit = rng.normal(-1.2, 0.8, nights * rows)
    scores = sigmoid(logit[:, None] + DAY * POINTS) @ WEIGHTS / WEIGHTS.sum()
    labels = (rng.random(len(logit)) < sigmoid(logit + shift + np.repeat(shocks, rows))).astype(float)
    return scores, labels, np.repeat([f"n{i:03}" for i in range(nights)], rows)


@pytest.mark.slow
def test_where_nothing_changed_the_mean_gain_is_not_above_zero_and_is_seldom_believed():
    settings = model()
    best = cost_threshold(settings)
    for gain, seeds in ((recalibration_gain, 200), (threshold_gain, 200)):
        found = [gain(settings, *draw(seed), best) for seed in range(seeds)]
        assert np.mean([g.value for g in found]) <= 0
        # At a one-sided level of .2: a fifth, and what 200 seeds may add (three standard errors).
        assert np.mean([g.lower(0.2) > 0 for g in found]) <= 0.2 + 3 * math.sqrt(0.16 / seeds)


def test_a_shift_is_seen_and_its_gain_is_near_the_truth():
    settings, best = model(), cost_threshold(model())
    scores, labels, _ = draw(10**6, nights=4000, shift=1.0)
    mapped = sigmoid(np.log(scores / (1 - scores)) + 1.0)
    truth = (row_worth(settings, mapped, labels, best) - row_worth(settings, scores, labels, best)).mean()
    assert truth > 0.2
    for gain in (recalibration_gain, threshold_gain):
        found = [gain(settings, *draw(1000 + seed, nights=28, shift=1.0), best) for seed in range(20)]
        assert np.mean([g.value for g in found]) == pytest.approx(truth, rel=0.25)
        assert np.mean([g.lower(0.2) > 0 for g in found]) >= 0.9


def test_without_a_kpi_the_loss_is_gained_and_the_threshold_has_no_better():
    scores, labels, nights = draw(7, shift=1.0)
    found = recalibration_gain(model(Kpi()), scores, labels, nights, 0.5)
    assert found.lower(0.05) > 0.02
    moved = threshold_gain(model(Kpi()), scores, labels, nights, 0.5)
    assert math.isnan(moved.value)
    assert moved.why == "without a KPI no threshold is better than another"


def test_several_classes_and_numbers_are_recalibrated_too():
    rng = np.random.default_rng(8)
    nights = np.repeat([f"n{i:02}" for i in range(24)], 40)
    p = rng.dirichlet([2, 2, 2], len(nights))
    tilted = p * np.array([3.0, 1.0, 0.3])
    tilted /= tilted.sum(axis=1, keepdims=True)
    y = (rng.random(len(p))[:, None] > tilted.cumsum(axis=1)).sum(axis=1).astype(float)
    settings = model(Kpi(correct=1, wrong=-4), "multiclass", ("a", "b", "c"))
    assert recalibration_gain(settings, p, y, nights, 0.5).lower(0.05) > 0.1
    x = rng.normal(0, 1, len(nights))
    off = recalibration_gain(model(Kpi(per_unit_error=-2), "regression", None), x, x + 3, nights, 0.5)
    # The prior weighs one of eight blocks, so a ninth or so of the way is left.
    assert off.value == pytest.approx(6.0, abs=1.3)
    assert threshold_gain(model(Kpi(), "regression", None), x, x, nights, 0.5).why == (
        "a regression model has no threshold"
    )


@pytest.mark.parametrize("gain", [recalibration_gain, threshold_gain])
def test_what_cannot_be_told_is_nan_with_its_reason(gain):
    scores, labels, nights = draw(9, nights=17)
    few = gain(model(), scores, labels, nights, 0.3)
    assert (math.isnan(few.value), few.blocks, few.why) == (True, 5, "5 blocks of 3 matured nights, 6 needed")
    scores, labels, nights = draw(9)
    one = gain(model(), scores, np.zeros(len(labels)), nights, 0.3)
    assert (math.isnan(one.value), one.why) == (True, "labels of one class only")
    spoiled = gain(model(), np.where(nights == nights[0], np.nan, scores), labels, nights, 0.3)
    assert (math.isnan(spoiled.value), spoiled.why) == (True, "scores or labels that are not finite")
    none = gain(model(), np.zeros(0), np.zeros(0), np.zeros(0, dtype=str), 0.3)
    assert math.isnan(none.value)
    assert not none.lower(0.2) > 0


def test_one_class_on_most_nights_is_told_too():
    scores, labels, nights = draw(10)
    labels[nights < "n018"] = 0
    found = threshold_gain(model(), scores, labels, nights, 0.3)
    assert math.isnan(found.value)
    assert found.why.startswith("labels of one class only on the nights away from n021")


def test_thresholds_by_group_go_through_the_map_and_decide_as_before():
    scores, labels, nights = draw(11, shift=1.0)
    by_row = np.where(np.arange(len(scores)) % 2, 0.2, 0.4)
    found = recalibration_gain(model(), scores, labels, nights, by_row)
    assert (found.value, found.se) == (0.0, 0.0)
    assert (
        threshold_gain(model(), scores, labels, nights, by_row).why == "thresholds by group were approved as they are"
    )


def test_two_sides_are_paired_on_the_same_whole_blocks():
    scores, labels, nights = draw(12, nights=20)
    same = paired_gain(model(), nights, labels, (scores, 0.3), (scores, 0.3))
    assert (same.value, same.se, same.blocks) == (0.0, 0.0, 6)
    order = np.random.default_rng(13).permutation(len(nights))
    a = paired_gain(model(), nights, labels, (scores, 0.2), (scores, 0.5))
    b = paired_gain(model(), nights[order], labels[order], (scores[order], 0.2), (scores[order], 0.5))
    assert (a.value, a.se) == pytest.approx((b.value, b.se))
