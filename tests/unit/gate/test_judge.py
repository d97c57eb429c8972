import numpy as np
import pytest

from tidegate.errors import UsageError
from tidegate.gate.judge import judge_candidate, judge_first
from tidegate.performance.tally import EMPTY, tally_of

RNG = np.random.default_rng(8)
TRUTH = [RNG.normal(-1 + 0.5 * shock, 1, 250) for shock in RNG.normal(0, 1, 8)]
LATE = [(RNG.random(250) < 1 / (1 + np.exp(-z))).astype(int) for z in TRUTH]
NOISE = [[RNG.normal(0, 1, 250) for _ in TRUTH] for _ in range(2)]
KPI = {"false_negative": -20, "false_positive": -5}


def scored(model, noise=0.3, which=0, shift=0.0, blocks=8):
    """Blocks of a model that knows the truth up to noise and a shift of its log odds."""
    scores = [1 / (1 + np.exp(-(z + noise * e + shift))) for z, e in zip(TRUTH, NOISE[which], strict=True)]
    return [tally_of(model, s, y, 0.2) for s, y in zip(scores, LATE, strict=True)][:blocks]


def checks(result):
    return {(c.name, c.role): c.outcome for c in result.checks}


def test_a_better_candidate_passes_and_a_worse_one_fails(a_model):
    model = a_model(metric={"must_hold": {"log_loss": 0.01, "brier": 0.005}}, kpi=KPI)
    good, bad = scored(model, 0.1), scored(model, 2.0, which=1)
    found = judge_candidate(model, good, bad)
    assert found.verdict.outcome == "pass"
    assert (found.n, found.blocks, found.look) == (2000, 8, 1)
    assert checks(found)["roc_auc", "better"] == checks(found)["brier", "guardrail"] == "pass"
    assert found.verdict.numbers["roc_auc"] > 0.05
    back = judge_candidate(model, bad, good)
    assert back.verdict.outcome == "fail"
    assert any("log_loss" in reason for reason in back.verdict.reasons)


def test_a_copy_of_the_champion_never_passes(a_model):
    model = a_model(metric={"must_hold": {"log_loss": 0.0}}, kpi=KPI)
    found = judge_candidate(model, scored(model), scored(model))
    assert found.verdict.outcome == "inconclusive"
    assert checks(found)["roc_auc", "better"] == "inconclusive"
    assert checks(found)["log_loss", "guardrail"] == "pass"
    assert all("the same on every block" in reason for reason in found.verdict.reasons)


def test_an_equally_good_candidate_does_not_pass(a_model):
    model = a_model(gate={"looks": 3})
    for ours, theirs in ((0, 1), (1, 0)):
        found = judge_candidate(model, scored(model, 0.3, ours), scored(model, 0.3, theirs))
        assert checks(found)["roc_auc", "better"] == "inconclusive"
        assert not found.verdict.passed


def test_a_gain_does_not_pay_for_a_broken_guardrail(a_model):
    keys = {"metric": {"must_hold": {"log_loss": 0.01}}}
    model = a_model(**keys)
    # Ranks better, but its probabilities are off.
    found = judge_candidate(model, scored(model, 0.1, shift=2.0), scored(model, 1.2, 1))
    assert checks(found)["roc_auc", "better"] == "pass"
    assert checks(found)["log_loss", "guardrail"] == "fail"
    assert found.verdict.outcome == "fail"


def test_what_is_not_guarded_fails_only_when_proven_worse(a_model):
    model = a_model()
    found = judge_candidate(model, scored(model, 0.1, shift=2.0), scored(model, 1.2, 1))
    assert checks(found)["log_loss", "other"] == "fail"
    assert found.verdict.outcome == "fail"
    mild = judge_candidate(model, scored(model, 0.1, shift=0.05), scored(model, 1.2, 1))
    assert mild.verdict.outcome == "pass"


def test_a_guarded_primary_may_fall_within_its_margin_for_the_kpi(a_model):
    # The primary is proven worse, but by less than the user allows; the KPI is proven better.
    ours, theirs = {"noise": 0.3, "shift": 0.2}, {"noise": 0.1, "shift": -2.5}
    for margin, want in ((0.2, "pass"), (None, "fail")):
        hold = {"precision": 1.0, "accuracy": 1.0} | ({"roc_auc": margin} if margin else {})
        model = a_model(metric={"primary": "roc_auc", "must_hold": hold}, kpi=KPI)
        found = judge_candidate(model, scored(model, **ours), scored(model, **theirs))
        assert checks(found)["roc_auc", "better"] == "fail"
        assert checks(found)["kpi", "better"] == "pass"
        assert found.verdict.outcome == want


def test_an_unproven_guardrail_is_inconclusive(a_model):
    model = a_model(metric={"must_hold": {"log_loss": 0.0, "recall": 0.0}})
    found = judge_candidate(model, scored(model, 0.1, shift=-0.2), scored(model, 1.2, 1))
    assert checks(found)["recall", "guardrail"] == "inconclusive"
    assert found.verdict.outcome == "inconclusive"
    assert "recall" in found.verdict.reasons[0]


@pytest.mark.fault(16)
@pytest.mark.parametrize("blocks", [0, 1, 5])
def test_too_few_matured_blocks_are_inconclusive(a_model, blocks):
    model = a_model()
    # Blocks whose labels have not come are empty: they do not count.
    ours = scored(model, 0.1, blocks=blocks) + [EMPTY] * 20
    theirs = scored(model, 2.0, 1, blocks=blocks) + [EMPTY] * 20
    for found in (judge_candidate(model, ours, theirs), judge_first(model, ours, theirs)):
        assert found.verdict.outcome == "inconclusive"
        assert (found.blocks, found.checks) == (blocks, ())
        assert f"about {(6 - blocks) * 3} more nights" in found.verdict.reasons[0]


def test_a_hold_out_of_one_class_is_inconclusive(a_model):
    model = a_model()
    one = [tally_of(model, RNG.random(50), np.zeros(50)) for _ in range(7)]
    two = [tally_of(model, RNG.random(50), np.zeros(50)) for _ in range(7)]
    found = judge_candidate(model, one, two)
    assert found.verdict.outcome == "inconclusive"
    assert checks(found)["roc_auc", "better"] == "inconclusive"
    assert "not defined" in found.verdict.reasons[0]


def test_the_guardrail_of_a_metric_that_is_not_defined_does_not_hold(a_model):
    model = a_model(metric={"primary": "log_loss", "must_hold": {"roc_auc": 0.5}})
    y = np.zeros(50)
    ours = [tally_of(model, np.full(50, p), y) for p in np.linspace(0.01, 0.05, 7)]
    theirs = [tally_of(model, np.full(50, p), y) for p in np.linspace(0.31, 0.4, 7)]
    found = judge_candidate(model, ours, theirs)
    assert checks(found)["log_loss", "better"] == "pass"
    assert found.verdict.outcome == "inconclusive"


def test_different_rows_are_refused(a_model):
    model = a_model()
    with pytest.raises(UsageError, match="same rows"):
        judge_candidate(model, scored(model), scored(model)[:7])
    with pytest.raises(UsageError, match="same rows"):
        judge_first(model, scored(model), [*scored(model)[:7], EMPTY])


def test_no_look_beyond_the_last(a_model):
    model = a_model(gate={"looks": 2})
    sides = scored(model, 0.1), scored(model, 2.0, 1)
    assert judge_candidate(model, *sides, look=2).verdict.passed
    spent = judge_candidate(model, *sides, look=3)
    assert spent.verdict.outcome == "inconclusive"
    assert "looks" in spent.verdict.reasons[0]
    with pytest.raises(UsageError, match="1 or more"):
        judge_candidate(model, *sides, look=0)


def bounds(model, **keys):
    found = judge_candidate(model, scored(model, 0.3), scored(model, 0.5, 1), **keys)
    return {(c.name, c.role): (c.gain - c.lower) / c.se for c in found.checks}


def test_alpha_is_shared_over_looks_and_what_counts(a_model):
    from scipy.stats import t

    hold = {"must_hold": {"log_loss": 0.01}}
    plain = bounds(a_model(gate={"alpha": 0.1, "looks": 1}, metric=hold))
    assert ("kpi", "better") not in plain
    assert ("kpi", "other") not in plain
    assert plain["roc_auc", "better"] == pytest.approx(t.ppf(1 - 0.1, 7))
    both = bounds(a_model(gate={"alpha": 0.1, "looks": 4}, metric=hold, kpi=KPI))
    assert both["roc_auc", "better"] == both["kpi", "better"] == pytest.approx(t.ppf(1 - 0.1 / 8, 7))
    # Every guardrail must hold, so none needs a share; of the others any one may fail.
    assert both["log_loss", "guardrail"] == pytest.approx(t.ppf(1 - 0.1 / 4, 7))
    assert both["brier", "other"] == pytest.approx(t.ppf(1 - 0.1 / 4 / 5, 7))


def test_a_kpi_without_values_of_its_kind_does_not_count(a_model):
    found = judge_candidate(*(m := a_model(kpi={"correct": 5}), scored(m), scored(m, 0.5, 1)))
    assert "kpi" not in {c.name for c in found.checks}


def test_a_primary_kpi_without_values_is_inconclusive(a_model):
    model = a_model(metric={"primary": "kpi"})
    found = judge_candidate(model, scored(model, 0.1), scored(model, 0.5, 1))
    assert found.verdict.outcome == "inconclusive"


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_every_kind_can_be_judged(a_model, kind):
    model = a_model(kind)
    rng = np.random.default_rng(1)

    def side(noise):
        y = [np.arange(60) % 3 for _ in range(7)]
        if kind == "regression":
            return [tally_of(model, t + noise * rng.normal(size=60), t) for t in y]
        p = [np.eye(3)[t] + noise * rng.random((60, 3)) for t in y]
        return [tally_of(model, q / q.sum(axis=1, keepdims=True), t) for q, t in zip(p, y, strict=True)]

    good, bad = side(0.3), side(3.0)
    assert judge_candidate(model, good, bad).verdict.passed
    assert judge_candidate(model, bad, good).verdict.outcome == "fail"


def test_a_first_model_must_beat_a_constant(a_model):
    model = a_model(gate={"min_gain_over_dummy": 0.01})
    dummy = [tally_of(model, np.full(250, np.mean(LATE)), y) for y in LATE]
    assert judge_first(model, scored(model, 0.1), dummy).verdict.passed
    found = judge_first(model, dummy, dummy)
    assert found.verdict.outcome == "fail"  # a gain of 0.01 is ruled out
    assert "a constant prediction" in found.verdict.reasons[0]
    assert judge_first(model, scored(model, 4.0, 1), dummy).verdict.outcome == "fail"
    assert judge_first(a_model(), dummy, dummy).verdict.outcome == "inconclusive"


def test_a_first_regression_must_beat_the_median(a_model):
    model = a_model("regression")
    y = [np.arange(30.0)] * 6
    good, dummy = ([tally_of(model, p, t) for t in y] for p in (np.arange(30) + 1.0, np.full(30, 14.5)))
    found = judge_first(model, good, dummy)
    assert found.verdict.passed
    assert found.checks[0].name == "mae"
