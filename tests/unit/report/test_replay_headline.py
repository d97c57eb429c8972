"""The head of the replay report: shares and sentences, for better and for worse."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.report.gains import Measure, gain_of, measures_of, share
from tidegate.report.headline import bars, headline

MADE = {"tidegate": 3, "monthly": 10, "never": 0}


def a_summary(**metrics):
    """Metric to policy to its value in each month; 100 rows a month."""
    policies = next(iter(metrics.values()))
    length = len(next(iter(policies.values())))
    months = {
        p: {f"2013-{i + 3:02}": {"n": 100, **{k: v[p][i] for k, v in metrics.items()}} for i in range(length)}
        for p in policies
    }
    return {"policies": {p: {"retrains": MADE.get(p, 0)} for p in policies}, "months": months}


def said(summary):
    head = headline(summary)
    return head.verdict, head.sentence.replace("\N{NO-BREAK SPACE}", " ")


def test_paid():
    summary = a_summary(
        roc_auc={"tidegate": [0.70, 0.72], "monthly": [0.72, 0.72], "never": [0.70, 0.68]},
        kpi={"tidegate": [-2.0, -1.1], "monthly": [-2.0, -1.0], "never": [-2.0, -2.0]},
    )
    assert said(summary) == (
        "Looking after the model paid.",
        "Compared with never retraining, Tidegate brought 90 % of monthly's gain in KPI and 67 % in ROC AUC, "
        "with 3 retrains where monthly made 10.",
    )
    assert headline(summary | {"kpi_unit": "USD"}).details == (
        "KPI: 0.45 USD a row better than never on average over 2 months, +90 USD over the 200 rows compared. "
        "Ahead of never in 1 month, behind in 0, equal in 1.",
        "ROC AUC: 0.020 better than never on average over 2 months. "
        "Ahead of never in 1 month, behind in 0, equal in 1.",
    )
    assert [(b.label, b.text.replace("\xa0", " "), b.left, b.width) for b in bars(summary)] == [
        ("Gain in KPI", "90 %", 0.0, 90.0),
        ("Gain in ROC AUC", "67 %", 0.0, 66.67),
        ("Retrains", "3 of 10", 0.0, 30.0),
    ]


def test_worse_is_said():
    summary = a_summary(roc_auc={"tidegate": [0.60], "monthly": [0.72], "never": [0.64]})
    assert said(summary) == (
        "Looking after the model did not pay.",
        "Compared with never retraining, Tidegate's ROC AUC was 0.040 worse (monthly's 0.080 better), "
        "with 3 retrains where monthly made 10.",
    )
    gain, retrains = bars(summary)
    assert gain.text == "−50\N{NO-BREAK SPACE}%"
    assert gain.left < gain.zero == pytest.approx(gain.left + gain.width, abs=0.02)
    assert retrains.left == retrains.zero


def test_mixed_and_equal():
    summary = a_summary(
        roc_auc={"tidegate": [0.70], "monthly": [0.72], "never": [0.68]},
        kpi={"tidegate": [-3.0], "monthly": [-1.0], "never": [-2.0]},
    )
    assert headline(summary).verdict == "Looking after the model paid in ROC AUC, but did not pay in KPI."
    equal = a_summary(roc_auc={"tidegate": [0.7], "monthly": [0.7], "never": [0.7]})
    assert headline(equal).verdict == "Looking after the model made no difference."


def test_no_share_of_nothing():
    summary = a_summary(roc_auc={"tidegate": [0.70], "monthly": [0.66], "never": [0.68]})
    verdict, sentence = said(summary)
    assert verdict == "Looking after the model paid."
    assert "was 0.020 better (monthly's 0.020 worse)" in sentence
    assert "%" not in sentence
    assert bars(summary) == []


def test_lower_is_better():
    summary = a_summary(mae={"tidegate": [41.0], "monthly": [40.0], "never": [45.0]})
    assert "80 % of monthly's gain in MAE" in said(summary)[1]


def test_kpi_of_zeros_is_silent():
    flat = dict.fromkeys(MADE, (0.0,))
    summary = a_summary(roc_auc={"tidegate": [0.70], "monthly": [0.72], "never": [0.68]}, kpi=flat)
    assert headline(summary).verdict == "Looking after the model paid."
    assert "KPI" not in said(summary)[1]


def test_primary_is_named():
    summary = a_summary(
        accuracy={"tidegate": [0.7], "monthly": [0.8], "never": [0.6]},
        f1={"tidegate": [0.5], "monthly": [0.8], "never": [0.6]},
    )
    assert "accuracy" in said(summary)[1]
    assert said(summary | {"primary": "f1"})[0] == "Looking after the model did not pay."


def test_months_not_defined_for_one_are_left_out_for_all():
    nan = math.nan
    auc = {"tidegate": [0.70, nan, 0.9], "monthly": [0.72, 0.1, 0.9], "never": [0.68, 0.9, None]}
    [measure] = measures_of(a_summary(roc_auc=auc))
    assert measure.usable == [0]
    gain = gain_of(measure)
    assert (round(gain.value, 9), round(gain.share, 9), gain.ahead + gain.behind + gain.equal) == (0.02, 0.5, 1)


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        (["never"], "Only Never was replayed"),
        (["tidegate", "monthly"], "Never was not replayed"),
        (["mine", "never"], "Tidegate was not replayed"),
    ],
)
def test_nothing_to_compare(policies, words):
    head = headline(a_summary(roc_auc={p: [0.7] for p in policies}))
    assert head.verdict == "Whether looking after the model paid is open."
    assert words in head.sentence
    assert len(head.details) == len(policies)


def test_without_monthly():
    summary = a_summary(roc_auc={"tidegate": [0.70], "never": [0.68]})
    assert said(summary)[1].endswith("was 0.020 better, with 3 retrains (monthly was not replayed).")


@pytest.mark.parametrize("summary", [{}, {"policies": {}, "months": {}}, {"policies": {"never": {}}, "months": {}}])
def test_nothing_at_all(summary):
    assert headline(summary).verdict == "Nothing can be said."


values = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan), st.none()), min_size=2, max_size=2)


@given(st.fixed_dictionaries(dict.fromkeys(MADE, values)))
def test_verdict_follows_the_sign(by_policy):
    summary = a_summary(roc_auc=by_policy)
    verdict, gain = headline(summary).verdict, gain_of(measures_of(summary)[0])
    expected = {1: " paid", -1: "did not pay", 0: "no difference"}[gain.direction]
    if math.isfinite(gain.value) and not measures_of(summary)[0].says_nothing:
        assert expected in verdict
    else:
        assert verdict == "Nothing can be said."


def test_total_weights_by_rows():
    values = {"never": (1.0, 1.0), "tidegate": (2.0, 0.0)}
    gain = gain_of(Measure("kpi", ("a", "b"), (10, 30), values))
    assert (gain.value, gain.total) == (0.0, -20.0)


def test_share_needs_a_gain():
    assert share(0.5, 2.0) == 0.25
    assert math.isnan(share(1.0, 0.0))
