import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from tidegate.errors import UsageError
from tidegate.gate.judged import Judged
from tidegate.gate.performance import first_performance, guardrails, performance

KPI = {"false_negative": -20, "false_positive": -5}
LATER = "2013-06-01"


def judge(model, rows, look=1, spent=()):
    return performance(model, rows, look=look, spent=spent, window=LATER)


def lines(check):
    return {(line.name, line.role): line.outcome for line in check.lines}


def swapped(rows):
    return replace(rows, ours=rows.theirs, theirs=rows.ours)


def copied(rows):
    return replace(rows, theirs=rows.ours)


@pytest.fixture(scope="module")
def good(judged):
    return judged((0.1,), (2.0,))


def test_a_better_candidate_passes_and_a_worse_one_fails(a_model, good):
    model = a_model(metric={"must_hold": {"log_loss": 0.01, "brier": 0.005}}, kpi=KPI)
    found = judge(model, good)
    assert found.verdict.outcome == "pass"
    assert (found.n, found.extra["blocks"], found.extra["look"]) == (24 * 84, 8, 1)
    assert lines(found)["roc_auc", "better"] == lines(found)["brier", "guardrail"] == "pass"
    assert found.verdict.numbers["roc_auc"] > 0.05
    back = judge(model, swapped(good))
    assert back.verdict.outcome == "fail"
    assert any("log_loss" in reason for reason in back.verdict.reasons)


def test_lines_say_what_is_behind_them(a_model, good):
    found = judge(a_model(kpi=KPI), good)
    better, guard = found.lines[0], next(line for line in found.lines if line.role == "guardrail")
    assert better.lower < better.observed < better.upper
    for line in (better, guard):
        assert line.n == found.n
        assert 0 < line.n_eff <= line.n
        assert 0 <= line.power <= 1
        assert line.more_nights >= 0
    # A gain of useful_gain is asked about, not the one that was seen.
    assert better.power < 0.8
    assert better.more_nights > 0


def test_a_copy_of_the_champion_never_passes(a_model, judged):
    model = a_model(metric={"must_hold": {"log_loss": 0.0}}, kpi=KPI)
    found = judge(model, copied(judged()))
    assert found.verdict.outcome == "inconclusive"
    assert lines(found)["roc_auc", "better"] == "inconclusive"
    assert lines(found)["log_loss", "guardrail"] == "pass"
    assert all("the same on every block" in reason for reason in found.verdict.reasons)


def test_an_equally_good_candidate_does_not_pass(a_model, judged):
    rows = judged((0.3,), (0.3,))
    for sides in (rows, swapped(rows)):
        found = judge(a_model(), sides)
        assert lines(found)["roc_auc", "better"] == "inconclusive"
        assert not found.verdict.passed


def test_a_gain_does_not_pay_for_a_broken_guardrail(a_model, judged):
    # Ranks better, but its probabilities are off.
    found = judge(a_model(metric={"must_hold": {"log_loss": 0.01}}), judged((0.1, 2.0), (1.5,)), look=3)
    assert lines(found)["roc_auc", "better"] == "pass"
    assert lines(found)["log_loss", "guardrail"] == "fail"
    assert found.verdict.outcome == "fail"


def test_log_loss_and_brier_are_guarded_where_nothing_is_declared(a_model, judged):
    model = a_model(gate={"brier_margin": 0.007})
    assert guardrails(model) == {"log_loss": 0.01, "brier": 0.007}
    assert guardrails(a_model(metric={"must_hold": {"recall": 0.1}})) == {"recall": 0.1}
    assert guardrails(a_model("regression")) == {}
    found = judge(model, judged((0.1, 2.0), (1.5,)), look=3)
    assert lines(found)["log_loss", "guardrail"] == "fail"
    assert found.verdict.outcome == "fail"


def test_what_is_not_guarded_fails_only_when_proven_worse(a_model, judged):
    model = a_model(metric={"must_hold": {"precision": 1.0}})
    found = judge(model, judged((0.1, 2.0), (1.5,)), look=3)
    assert lines(found)["log_loss", "other"] == "fail"
    assert found.verdict.outcome == "fail"
    mild = judge(model, judged((0.1, 0.05), (1.5,)), look=3)
    assert mild.verdict.outcome == "pass"


def test_with_a_kpi_what_a_threshold_trades_is_shown_and_does_not_decide(a_model, judged):
    rows = judged((0.1,), (2.0,))
    never = replace(rows, our_cut=np.full(len(rows), 0.999))
    found = judge(a_model(kpi={"false_positive": -100, "false_negative": -1}), never)
    assert lines(found)["recall", "priced"] == "fail"
    assert not any("recall" in reason for reason in found.verdict.reasons)
    unpriced = judge(a_model(), never)
    assert lines(unpriced)["recall", "other"] == "fail"
    assert unpriced.verdict.outcome == "fail"


def test_a_guarded_primary_may_fall_within_its_margin_for_the_kpi(a_model, judged):
    # The primary is proven worse, but by less than the user allows; the KPI is proven better.
    rows = judged((1.8, 0.2), (0.1, -2.5))
    for margin, want in ((0.5, "pass"), (None, "fail")):
        hold = {"precision": 1.0, "accuracy": 1.0} | ({"roc_auc": margin} if margin else {})
        found = judge(a_model(metric={"primary": "roc_auc", "must_hold": hold}, kpi=KPI), rows, look=3)
        assert lines(found)["roc_auc", "better"] == "fail"
        assert lines(found)["kpi", "better"] == "pass"
        assert found.verdict.outcome == want


def test_an_unproven_guardrail_is_inconclusive(a_model, judged):
    model = a_model(metric={"must_hold": {"log_loss": 0.0, "recall": 0.0}})
    found = judge(model, judged((0.1, -0.5), (1.5,)), look=3)
    assert lines(found)["recall", "guardrail"] == "inconclusive"
    assert found.verdict.outcome == "inconclusive"
    assert "recall" in found.verdict.reasons[0]


@pytest.mark.fault(16)
@pytest.mark.parametrize("nights", [3, 17])
def test_too_few_nights_are_inconclusive(a_model, judged, nights):
    model = a_model()
    rows = judged((0.1,), (2.0,), nights=nights)
    for found in (judge(model, rows), first_performance(model, rows)):
        assert found.verdict.outcome == "inconclusive"
        assert (found.extra["blocks"], found.extra["error"], found.lines) == (nights // 3, 0, ())
        assert f"about {18 - nights} more nights" in found.verdict.reasons[0]


@pytest.mark.fault(12)
def test_no_rows_are_inconclusive(a_model, judged):
    rows = judged()
    none = rows.where(np.zeros(len(rows), bool))
    for found in (judge(a_model(), none), first_performance(a_model(), none)):
        assert found.verdict.outcome == "inconclusive"
        assert "no labelled rows" in found.verdict.reasons[0]
        assert found.extra["error"] == 0


def test_one_class_only_is_inconclusive(a_model, judged):
    rows = judged()
    for value in (0, 1):
        one = replace(rows, label=np.full(len(rows), value))
        for found in (judge(a_model(), one), first_performance(a_model(), one)):
            assert found.verdict.outcome == "inconclusive"
            assert "one class only" in found.verdict.reasons[0]


def test_nights_of_one_class_leave_no_area(a_model, judged):
    rows = judged()
    # Every night has one class: the rows have both, no block of one night does.
    label = (np.unique(rows.night, return_inverse=True)[1] % 2).astype(np.int64)
    found = judge(a_model(gate={"block_nights": 1}), replace(rows, label=label))
    assert not found.verdict.passed
    assert lines(found)["roc_auc", "better"] == "inconclusive"
    assert "not defined" in found.lines[0].reason


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1.5])
def test_a_candidate_without_scores_fails_and_a_champion_without_them_is_inconclusive(a_model, judged, bad):
    rows = judged((0.1,), (2.0,))
    scores = rows.ours.copy()
    scores[5] = bad
    for found in (
        judge(a_model(), replace(rows, ours=scores)),
        first_performance(a_model(), replace(rows, ours=scores)),
    ):
        assert found.verdict.outcome == "fail"
        assert "the candidate" in found.verdict.reasons[0]
    assert judge(a_model(), replace(rows, theirs=scores)).verdict.outcome == "inconclusive"


def test_a_regression_that_answers_nan_fails(a_model, judged):
    rows = numbers(judged(), (1, 5))
    gap = np.where(np.arange(len(rows)) == 7, math.nan, rows.ours)
    found = judge(a_model("regression"), replace(rows, ours=gap))
    assert found.verdict.outcome == "fail"
    assert "no finite score on 1 of 2,016 rows" in found.verdict.reasons[0]
    assert judge(a_model("regression"), replace(rows, theirs=gap)).verdict.outcome == "inconclusive"


def three(rows, classes_of_theirs=3):
    rng = np.random.default_rng(1)
    label = np.arange(len(rows)) % 3
    sure = np.eye(3)[label] + 0.3 * rng.random((len(rows), 3))
    vague = np.eye(3)[label][:, :classes_of_theirs] + 3 * rng.random((len(rows), classes_of_theirs))
    sides = (p / p.sum(axis=1, keepdims=True) for p in (sure, vague))
    return replace(rows, label=label, **dict(zip(("ours", "theirs"), sides, strict=True)))


def test_a_champion_that_does_not_know_a_class_is_inconclusive(a_model, judged):
    found = judge(a_model("multiclass"), three(judged(), 2))
    assert found.verdict.outcome == "inconclusive"
    assert "2 classes, 3 are declared" in found.verdict.reasons[0]
    turned = three(judged(), 2)
    assert judge(a_model("multiclass"), swapped(turned)).verdict.outcome == "fail"
    unknown = replace(three(judged()), label=np.full(24 * 84, 7))
    assert "no declared class" in judge(a_model("multiclass"), unknown).verdict.reasons[0]


def test_different_rows_are_refused(a_model, judged):
    rows = judged()
    with pytest.raises(UsageError, match="same rows"):
        judge(a_model(), replace(rows, theirs=rows.theirs[:-1]))


def test_no_look_beyond_the_last(a_model, good):
    model = a_model(gate={"looks": 2})
    assert judge(model, good, look=2).verdict.passed
    over = judge(model, good, look=3)
    assert over.verdict.outcome == "inconclusive"
    assert "looks" in over.verdict.reasons[0]
    with pytest.raises(UsageError, match="1 or more"):
        judge(model, good, look=0)


def test_when_the_years_error_is_spent_nothing_passes_and_a_broken_guardrail_still_fails(a_model, judged, good):
    spent = [("2013-05-01", 0.03), ("2013-05-09", 0.02)]
    found = judge(a_model(), good, spent=spent)
    assert found.verdict.outcome == "inconclusive"
    assert "0.03 comes back on 2014-05-01" in found.verdict.reasons[0]
    assert found.extra["error"] == 0
    assert judge(a_model(), good, spent=[("2012-05-01", 0.05)]).verdict.passed
    broken = judge(a_model(), judged((0.1, 2.0), (1.5,)), look=3, spent=spent)
    assert broken.verdict.outcome == "fail"


def reach(model, rows, **keys):
    found = judge(model, rows, **keys)
    return {(c.name, c.role): (c.observed - c.lower) / c.se for c in found.lines if c.role != "shown"}


def test_the_error_is_shared_over_attempts_looks_and_what_counts(a_model, judged):
    rows = judged()
    hold = {"must_hold": {"log_loss": 0.01}}
    alone = a_model(gate={"error_per_year": 0.1, "looks": 1}, metric=hold, retrain={"max_per_year": 1})
    assert reach(alone, rows)["roc_auc", "better"] == pytest.approx(student.isf(0.1, 7))
    assert ("kpi", "better") not in reach(alone, rows)
    model = a_model(metric=hold, kpi=KPI)
    for look in (1, 2, 3):
        both = reach(model, rows, look=look)
        error = 0.05 / 6 * look / 6
        assert judge(model, rows, look=look).extra["error"] == pytest.approx(error)
        assert both["roc_auc", "better"] == pytest.approx(student.isf(error / 2, 7))
        assert both["kpi", "better"] == pytest.approx(both["roc_auc", "better"])
        # Every guardrail must hold, so none needs a share; of the others any one may fail.
        assert both["log_loss", "guardrail"] == pytest.approx(student.isf(0.05 * look / 6, 7))
        assert both["brier", "other"] == pytest.approx(student.isf(0.05 * look / 6 / 5, 7))


def test_a_kpi_without_values_of_its_kind_does_not_count(a_model, judged):
    assert "kpi" not in {line.name for line in judge(a_model(kpi={"correct": 5}), judged()).lines}
    found = judge(a_model(metric={"primary": "kpi"}), judged((0.1,), (2.0,)))
    assert found.verdict.outcome == "inconclusive"


def test_row_tests_are_shown_and_never_decide(a_model, good):
    found = judge(a_model(), good)
    shown = {line.name: line for line in found.lines if line.role == "shown"}
    assert set(shown) == {"delong", "mcnemar"}
    assert shown["delong"].observed > 0
    assert all("does not decide" in line.reason for line in shown.values())
    assert not set(shown) & set(found.verdict.numbers)


def numbers(rows, noise):
    """A regression's rows: the target and two predictions of it."""
    rng = np.random.default_rng(2)
    label = rng.normal(50, 10, len(rows))
    ours, theirs = (label + s * rng.standard_normal(len(rows)) for s in noise)
    return replace(rows, label=label, ours=ours, theirs=theirs)


def test_every_kind_can_be_judged(a_model, judged):
    for kind, rows in (("multiclass", three(judged())), ("regression", numbers(judged(), (1, 5)))):
        assert judge(a_model(kind), rows).verdict.passed
        assert judge(a_model(kind), swapped(rows)).verdict.outcome == "fail"


def dummy(rows):
    return replace(rows, theirs=np.full(len(rows), rows.label.mean()))


def test_a_first_model_must_beat_a_constant(a_model, judged):
    model = a_model(gate={"min_gain_over_dummy": 0.01})
    rows = dummy(judged((0.1,)))
    assert first_performance(model, rows).verdict.passed
    found = first_performance(model, copied(replace(rows, ours=rows.theirs)))
    assert found.verdict.outcome == "fail"  # a gain of 0.01 is ruled out
    assert "a constant prediction" in found.verdict.reasons[0]
    assert first_performance(model, dummy(judged((4.0,)))).verdict.outcome == "fail"
    assert first_performance(a_model(), copied(rows)).verdict.outcome == "inconclusive"


def test_a_first_model_must_beat_the_declared_baseline_too(a_model, judged):
    model = a_model(gate={"baseline": "shop.model:rule"})
    rows = judged((0.1,), (2.0,))
    beaten, level = first_performance(model, dummy(rows), rows), first_performance(model, dummy(rows), copied(rows))
    assert beaten.verdict.passed
    assert len(beaten.verdict.reasons) == 2
    assert level.verdict.outcome == "inconclusive"
    assert first_performance(model, dummy(swapped(rows)), swapped(rows)).verdict.outcome == "fail"
    missing = first_performance(model, dummy(rows))
    assert missing.verdict.outcome == "inconclusive"
    assert "shop.model:rule" in missing.verdict.reasons[0]
    silent = first_performance(model, dummy(rows), replace(rows, theirs=np.full(len(rows), math.nan)))
    assert silent.verdict.outcome == "inconclusive"


def test_beating_the_baseline_is_not_enough(a_model, judged):
    rows, model = judged((0.1,), (2.0,)), a_model(gate={"baseline": "shop.model:rule"})
    assert first_performance(model, copied(rows), rows).verdict.outcome == "inconclusive"
    worse = replace(rows, theirs=judged((0.01,), (0.01,)).ours, ours=rows.theirs)
    assert first_performance(model, worse, rows).verdict.outcome == "fail"


def test_a_baseline_with_better_probabilities_is_not_beaten_by_rank_alone(a_model, judged):
    rows = judged((0.1, 2.0), (1.5,))
    found = first_performance(a_model(gate={"baseline": "shop.model:rule"}), dummy(judged((0.1,))), rows)
    assert lines(found)["roc_auc", "better"] == "pass"
    assert lines(found)["log_loss", "guardrail"] == "fail"
    assert found.verdict.outcome == "fail"


def test_a_first_regression_must_beat_the_median(a_model, judged):
    rows = numbers(judged(), (1, 5))
    found = first_performance(a_model("regression"), replace(rows, theirs=np.full(len(rows), np.median(rows.label))))
    assert found.verdict.passed
    assert found.lines[0].name == "mae over a constant"


def test_rows_that_are_all_alike_are_never_a_pass(a_model):
    n = 18 * 10
    night = np.repeat([f"2013-01-{d:02}" for d in range(1, 19)], 10)
    half, cut = np.full(n, 0.5), np.full(n, 0.5)
    rows = Judged(night, np.tile([0, 1], n // 2), half, half, cut, cut)
    assert judge(a_model(), rows).verdict.outcome == "inconclusive"
    assert first_performance(a_model(), rows).verdict.outcome == "inconclusive"


def test_a_metric_that_few_blocks_define_proves_nothing(a_model, good):
    # Two positives in 24 nights: recall is +1 in both of their blocks, without any spread between them.
    label = np.zeros(len(good), dtype=np.int64)
    label[[100, 1500]] = 1
    ours = np.where(label == 1, 0.6, 0.01)
    rows = replace(good, label=label, ours=ours, theirs=np.full(len(good), 0.01))
    found = judge(a_model(metric={"primary": "recall"}), rows)
    assert (found.lines[0].outcome, found.verdict.outcome) == ("inconclusive", "inconclusive")


def test_no_more_is_spent_than_the_ledger_has(a_model, good):
    model = a_model()
    assert judge(model, good).verdict.outcome == "pass"
    found = performance(model, good, look=1, spent=(), window=LATER, taken=1e-9)
    assert (found.verdict.outcome, found.extra["error"]) == ("inconclusive", 1e-9)


def test_a_better_ranking_does_not_pay_for_a_kpi_that_is_proven_worse(a_model, good):
    # At this threshold the KPI falls by 4.4 standard errors: not proven at the yearly error's share, but at alpha's.
    found = judge(a_model(kpi=KPI), replace(good, our_cut=np.full(len(good), 0.62)))
    assert lines(found)["roc_auc", "better"] == "pass"
    assert lines(found)["kpi", "better"] == "inconclusive"
    assert lines(found)["kpi", "other"] == found.verdict.outcome == "fail"
    assert any("kpi" in reason and "proven worse" in reason for reason in found.verdict.reasons)
