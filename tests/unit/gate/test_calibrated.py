import math
from dataclasses import replace

import numpy as np
import pytest

from tidegate.gate.calibrated import calibrated, excess_rise
from tidegate.performance.calibration import Bins, binned
from tidegate.performance.tally import tally_of


def lines(check):
    return {line.name: line.outcome for line in check.lines}


def test_a_candidate_as_calibrated_as_the_champion_passes(a_model, judged):
    found = calibrated(a_model(), judged((0.3,), (0.4,), rows=400), look=3)
    assert found.verdict.outcome == "pass"
    assert lines(found) == {"brier": "pass", "ece": "pass"}
    brier = found.lines[0]
    assert 0 < brier.n_eff <= brier.n == found.n
    assert 0 <= brier.power <= 1
    assert set(found.extra["reliability"]) == {"candidate", "champion"}


def test_a_candidate_that_is_off_fails_on_both_lines(a_model, judged):
    found = calibrated(a_model(), judged((0.3, 1.5), (0.3,), rows=400), look=3)
    assert lines(found) == {"brier": "fail", "ece": "fail"}
    assert "proven above 0.02" in found.lines[1].reason
    assert found.lines[1].observed < -0.02


def test_brier_that_is_not_proven_to_hold_is_inconclusive(a_model, judged):
    found = calibrated(a_model(gate={"brier_margin": 0.0}), judged((0.4,), (0.4,)))
    assert found.verdict.outcome == "inconclusive"
    declared = a_model(gate={"brier_margin": 0.0}, metric={"must_hold": {"brier": 0.2}})
    assert calibrated(declared, judged((0.4,), (0.4,))).lines[0].limit == -0.2


def test_a_first_model_needs_only_be_not_worse_than_a_constant(a_model, judged):
    rows = judged((0.3,), rows=400)
    constant = replace(rows, theirs=np.full(len(rows), rows.label.mean()))
    found = calibrated(a_model(), constant, first=True)
    assert found.verdict.outcome == "pass"
    assert found.extra["alpha"] == 0.05
    off = judged((0.3, 2.5), rows=400)
    assert calibrated(a_model(), replace(off, theirs=constant.theirs), first=True).verdict.outcome == "fail"


def test_several_classes_are_taken_one_against_the_rest(a_model, judged):
    rng = np.random.default_rng(0)
    rows = judged()
    p = rng.dirichlet([1, 1, 1], len(rows))
    label = (rng.random(len(rows))[:, None] > p.cumsum(axis=1)).sum(axis=1)
    sure = p**3 / (p**3).sum(axis=1, keepdims=True)
    rows = replace(rows, label=label, ours=p, theirs=p)
    assert calibrated(a_model("multiclass"), rows).verdict.outcome == "pass"
    found = calibrated(a_model("multiclass"), replace(rows, ours=sure), look=3)
    assert lines(found)["ece"] == "fail"


def test_a_regression_is_not_asked(a_model, judged):
    assert not calibrated(a_model("regression"), judged()).asked


def test_bad_rows_are_a_verdict(a_model, judged):
    rows, model = judged(), a_model()
    for bad, want in (
        (rows.where(np.zeros(len(rows), bool)), "inconclusive"),
        (replace(rows, ours=np.full(len(rows), math.nan)), "fail"),
        (replace(rows, label=np.zeros(len(rows), int)), "inconclusive"),
        (judged(nights=15), "inconclusive"),
    ):
        assert calibrated(model, bad).verdict.outcome == want
    half = replace(rows, ours=np.full(len(rows), 0.5), theirs=np.full(len(rows), 0.5))
    assert calibrated(model, half).verdict.outcome == "pass"  # a copy: nothing rose
    assert math.isnan(excess_rise([], []).value)


def perfect(model, rng, blocks, rows, shock=0.0):
    """Blocks of a perfect model whose outcomes share a shock of their block."""
    p = rng.beta(2, 2, (blocks, rows))
    off = np.log(p / (1 - p)) + shock * rng.standard_normal((blocks, 1))
    y = rng.random((blocks, rows)) < 1 / (1 + np.exp(-off))
    return Bins.joined([binned(tally_of(model, s, t)) for s, t in zip(p, y.astype(int), strict=True)])


# A perfect model, 15 bins, scores spread like Beta(2, 2).
@pytest.mark.parametrize(("n", "golden"), [(200, 0.0888), (1000, 0.0400), (5000, 0.0180)])
def test_the_null_without_dependence_is_the_golden_number(a_model, n, golden):
    rng, none = np.random.default_rng(n), np.zeros(1)
    nulls = [perfect(a_model(), rng, 10, n // 10).sums.null(none) for _ in range(30)]
    assert np.mean(nulls) == pytest.approx(golden, rel=0.03)


def test_the_null_knows_of_shocks(a_model):
    rng = np.random.default_rng(5)
    found = [perfect(a_model(), rng, 20, 300, shock=0.5) for _ in range(60)]
    ece = np.mean([b.sums.ece() for b in found])
    blind = np.mean([b.sums.null(np.zeros(1)) for b in found])
    aware = np.mean([b.sums.null(b.alike()) for b in found])
    assert ece > 1.25 * blind
    assert aware == pytest.approx(ece, rel=0.1)


def test_equal_models_are_rarely_told_apart(a_model, judged):
    model, wrong = a_model(gate={"ece_margin": 0.0}), 0
    for seed in range(30):
        rows = judged((0.3,), (0.3,), seed=seed)
        wrong += any(
            line.name == "ece" and line.outcome == "fail"
            for side in (rows, replace(rows, ours=rows.theirs, theirs=rows.ours))
            for line in calibrated(model, side, look=3).lines
        )
    assert wrong <= 4  # 2 × 30 at .025: 1.5 expected
