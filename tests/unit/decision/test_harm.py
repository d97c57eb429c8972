"""Harm by kind: faults with bounds, the world's inputs by weights, labels; what counts when both may be."""

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tidegate.decision.effect import effect_of_drift
from tidegate.decision.harm import (
    Harm,
    Labelled,
    concept_effect,
    covariate_effect,
    kinds_of,
    not_estimable,
    row_gain,
)
from tidegate.drift.weights import density_ratio
from tidegate.performance.tally import tally_of
from tidegate.verdicts import Effect

KPI = {"unit": "EUR", "false_negative": -20, "false_positive": -5}


def world(rng, nights, rows, shift):
    """Inputs, scores, labels, nights and what each row is expected to bring; nights have shocks of their own."""
    night = np.repeat(np.arange(nights), rows)
    x = rng.normal(size=(nights * rows, 3))
    x[:, 0] += shift
    x[:, 1] += rng.normal(0, 0.3, nights)[night]
    told = -1.3 + 0.9 * x[:, 0] + 0.5 * x[:, 1] + 0.4 * x[:, 0] * x[:, 1]
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-told - rng.normal(0, 0.3, nights)[night]))).astype(float)
    at, share = np.polynomial.hermite_e.hermegauss(7)
    p = (1 / (1 + np.exp(-told[:, None] - 0.3 * at))) @ share / share.sum()
    scores = 1 / (1 + np.exp(1.3 - 0.7 * x[:, 0] - 0.4 * x[:, 1]))
    worth = np.where(scores >= 0.2, -5 * (1 - p), -20 * p)
    return pa.table({f"x{i}": x[:, i] for i in range(3)}), scores, y, night // 3, worth


@pytest.mark.slow
def test_the_interval_covers_what_a_shift_of_inputs_truly_costs(a_model):
    model, hits, off = a_model(kpi=KPI), [], []
    usual = float(world(np.random.default_rng(1000), 4000, 50, 0.0)[4].mean())
    for seed in range(100):
        rng = np.random.default_rng([71, seed])
        known, scores, y, blocks, _ = world(rng, 90, 30, 0.0)
        now, fresh, _, _, worth = world(rng, 2, 300, 0.3 + 0.3 * (seed % 2))
        weights = density_ratio(known, now, rng=rng, reference_blocks=blocks)
        found = covariate_effect(model, Labelled(scores, y, 0.2, blocks), weights, fresh, usual, 0.02)
        assert found.estimable
        truth = usual - float(worth.mean())
        hits.append(found.low <= truth <= found.high)
        off.append(found.value - truth)
    assert np.mean(hits) >= 0.9
    assert abs(np.mean(off)) < 3 * np.std(off) / 10


def test_weights_carry_what_the_scores_do_not_explain(a_model):
    """A column that the model does not use decides over the outcome: only the weights can know."""
    model, rng = a_model(kpi=KPI), np.random.default_rng(3)

    def side(n, share):
        hidden = (rng.random(n) < share).astype(float)
        y = (rng.random(n) < np.where(hidden == 1, 0.8, 0.1)).astype(float)
        return pa.table({"hidden": hidden, "x": rng.normal(size=n)}), y

    known, y = side(6000, 0.2)
    now, later = side(3000, 0.8)
    same = np.full(6000, 0.1)
    weights = density_ratio(known, now, rng=rng)
    found = covariate_effect(model, Labelled(same, y, 0.2, np.arange(6000) // 100), weights, same[:3000], -4.8, 0.02)
    assert found.value == pytest.approx(20 * (later.mean() - y.mean()), rel=0.1)
    assert found.material
    assert "a loss of" in found.words


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_other_kinds_of_model_without_a_kpi(a_model, kind):
    model, rng = a_model(kind), np.random.default_rng(4)

    def side(n, shift):
        x = rng.normal(shift, 1, n)
        if kind == "regression":
            return pa.table({"x": x}), x, x + rng.normal(0, np.exp(0.5 * x))
        p = np.exp(np.column_stack([x, -x, np.zeros(n)]))
        p /= p.sum(axis=1, keepdims=True)
        return pa.table({"x": x}), p, (rng.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1).astype(float)

    def cost(a, b):
        return row_gain(model, a[1], a[2], 0.5).mean() - row_gain(model, b[1], b[2], 0.5).mean()

    truth, told = cost(side(60_000, 0.0), side(60_000, 0.8)), []
    for _ in range(6):
        known, scores, y = side(4000, 0.0)
        now, fresh, _ = side(2000, 0.8)
        weights = density_ratio(known, now, rng=rng)
        told.append(covariate_effect(model, Labelled(scores, y, 0.5, np.arange(4000) // 50), weights, fresh, 1.0, 0.02))
    assert np.mean([e.value for e in told]) == pytest.approx(truth, rel=0.12)
    assert sum(e.low <= truth <= e.high for e in told) >= 5


def test_what_weights_cannot_say_is_not_estimable_with_the_reason(a_model):
    model, rng = a_model(kpi=KPI), np.random.default_rng(5)
    known, scores, y, blocks, _ = world(rng, 30, 50, 0.0)
    far, fresh, *_ = world(rng, 2, 100, 3.0)
    weights = density_ratio(known, far, rng=rng)
    found = covariate_effect(model, Labelled(scores, y, 0.2, blocks), weights, fresh, -3.0, 0.02)
    assert (found.estimable, found.material, found.benign) == (False, False, False)
    assert math.isnan(found.value)
    assert "not estimable" in found.words
    assert "where the reference has none" in found.words
    near = density_ratio(known, known, rng=rng)
    few = covariate_effect(model, Labelled(scores, y, 0.2, blocks // 5), near, scores, -3.0, 0.02)
    assert "effective blocks, 5 are needed" in few.words


def test_a_fault_is_bounded_by_stretches_of_rows_and_by_draws(a_model):
    model, rng = a_model(kpi={"unit": "EUR", "true_positive": 10, "false_positive": -2}), np.random.default_rng(6)
    now, draws = np.full(400, 0.1), [np.where(rng.random(400) < 0.5, 0.9, 0.1) for _ in range(4)]
    one = effect_of_drift(model, now, draws[0], 0.5, 4.0, 0.1)
    many = effect_of_drift(model, now, draws[0], 0.5, 4.0, 0.1, draws=draws[1:])
    for found in (one, many):
        assert found.low < 0.5 * (9 - 0.2) < found.high
        assert (found.kind, found.material, found.benign) == ("fault", True, False)
    assert many.high - many.low < one.high - one.low
    nothing = effect_of_drift(model, now, now, 0.5, 4.0, 0.1)
    assert (nothing.value, nothing.low, nothing.high, nothing.benign) == (0.0, 0.0, 0.0, True)


def test_what_a_scrambled_column_could_cost_is_never_called_benign(a_model):
    model = a_model(kpi={"unit": "EUR", "true_positive": 10, "false_positive": -2})
    now, mixed = np.full(200, 0.1), np.full(200, 0.9)
    found = effect_of_drift(model, now, now, 0.5, 4.0, 0.1, scrambled=mixed)
    assert (found.value, found.material, found.benign) == (0.0, False, False)
    assert found.high == pytest.approx(0.9 * 10 - 0.1 * 2)


def test_the_error_of_a_regression_rises_less_than_its_prediction_moves(a_model):
    model, rng = a_model("regression"), np.random.default_rng(7)
    noise = rng.normal(0, 10, 3000)
    now, back = np.zeros(100), np.full(100, 5.0)
    found = effect_of_drift(model, now, back, 0.5, 8.0, 0.1, residuals=noise)
    assert found.value == pytest.approx(float((np.abs(noise + 5) - np.abs(noise)).mean()), rel=0.15)
    assert effect_of_drift(model, now, back, 0.5, 8.0, 0.1).value == 5.0


@pytest.mark.parametrize("rows", [0, 1])
def test_no_row_and_one_row_have_no_error(a_model, rows):
    found = effect_of_drift(a_model(kpi=KPI), np.full(rows, 0.9), np.full(rows, 0.1), 0.5, -3.0, 0.02)
    assert not found.benign
    assert math.isnan(found.high)


def reading(value, kind="fault", **more):
    return Effect(value, "EUR a row", f"as a {kind}", **{"material": False, "kind": kind, **more})


def test_the_larger_reading_counts_but_one_that_is_material_before_all(a_model):
    small, large = reading(0.1, material=True), reading(0.5, "covariate", low=-0.2, high=1.2)
    assert Harm((small, large)).effect.kind == "fault"
    assert Harm((large, small)).effect.kind == "fault"
    assert Harm((replace(small, material=False), large)).effect.kind == "covariate"
    words = Harm((small, large), rows=100, nights=28).effect.words
    assert "as a fault; 10 EUR a night, 280 in 28 nights" in words
    assert "as a covariate" in words
    assert "the larger counts" in words


def test_nothing_is_benign_while_a_reading_is_open(a_model):
    nothing = reading(0.0, benign=True)
    unknown = not_estimable(a_model(kpi=KPI), "covariate", "why")
    assert Harm((nothing,)).effect.benign
    assert Harm((nothing, reading(0.0, "covariate", benign=True))).effect.benign
    assert not Harm((nothing, unknown)).effect.benign
    assert not Harm((nothing, reading(0.0, "covariate"))).effect.benign
    both = Harm((nothing, unknown)).effect
    assert (both.kind, both.estimable) == ("fault", True)
    assert "not estimable, why" in both.words
    assert not Harm((unknown,)).effect.estimable


def test_only_what_is_surely_upstream_has_one_reading():
    assert kinds_of("upstream") == ("fault",)
    for cause in ("population", "model", "concept", ""):
        assert kinds_of(cause) == ("fault", "covariate")


def test_the_concepts_harm_is_bounded_by_what_blocks_of_the_reference_do(a_model):
    model, rng = a_model(kpi=KPI), np.random.default_rng(8)

    def tally(share):
        y = (rng.random(300) < share).astype(float)
        return tally_of(model, np.full(300, 0.1), y, 0.2)

    reference = [tally(0.2 + rng.normal(0, 0.02)) for _ in range(30)]
    same = concept_effect(model, [tally(0.2) for _ in range(3)], reference, -4.0, 0.02)
    worse = concept_effect(model, [tally(0.5) for _ in range(3)], reference, -4.0, 0.02)
    assert same.low < 0 < same.high
    assert worse.low > 0
    assert worse.material
    assert worse.kind == "concept"
    before = concept_effect(model, [], reference, -4.0, 0.02)
    assert not before.estimable
    assert "before labels" in before.words
