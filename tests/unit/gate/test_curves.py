import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from tidegate.gate.curves import curves, precision_recall, roc
from tidegate.gate.judged import Judged
from tidegate.gate.reliability import reliability
from tidegate.performance.blocks import level
from tidegate.performance.metrics import METRICS

RNG = np.random.default_rng(11)


def judged(kind="binary", nights=12, rows=200, **changes):
    n = nights * rows
    truth = RNG.normal(0, 1, n)
    night = np.repeat([f"2024-01-{d + 1:02d}" for d in range(nights)], rows)
    label = (RNG.random(n) < 1 / (1 + np.exp(-truth))).astype(int)
    ours, theirs = (1 / (1 + np.exp(-(truth + RNG.normal(0, s, n)))) for s in (0.2, 1.5))
    if kind == "multiclass":
        label = np.digitize(truth, [-0.5, 0.7])
        ours = theirs = RNG.dirichlet([1, 1, 1], n)
    if kind == "regression":
        label, ours, theirs = truth, truth + RNG.normal(0, 0.3, n), truth + 1
    groups = {"g": RNG.choice(["a", "b"], n), "p": RNG.choice(["x", "missing"], n)}
    half = np.full(n, 0.5)
    return Judged(**{"night": night, "label": label, "ours": ours, "theirs": theirs, "our_cut": half,
                     "their_cut": half, "groups": groups} | changes)  # fmt: skip


def model(a_model, kind="binary", **keys):
    return a_model(kind, **{"segments": ["g"], "protected": ["p"], **keys})


def test_curves_agree_with_scikit_learn():
    p, y = RNG.random(3000).round(2), RNG.random(3000) < 0.3
    heights, area = roc(p, y)
    assert area == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    fpr, tpr, _ = roc_curve(y, p, drop_intermediate=False)
    assert heights == pytest.approx(np.interp(np.linspace(0, 1, len(heights)), fpr, tpr), abs=1e-3)
    heights, area = precision_recall(p, y)
    assert area == pytest.approx(average_precision_score(y, p), abs=1e-12)
    assert heights[-1] == pytest.approx(y.mean(), abs=0.01)


def test_the_area_drawn_is_the_one_judged(a_model):
    rows = judged()
    made = curves(model(a_model), rows)
    for side in ("ours", "theirs"):
        drawn = made["classes"][0][side]["roc"]
        wanted = level(METRICS["binary"]["roc_auc"], rows.blocks(model(a_model), side)).value
        assert drawn["area"] == pytest.approx(wanted, abs=1e-4)
        assert np.trapezoid(drawn["tpr"], drawn["fpr"]) == pytest.approx(wanted, abs=2e-3)
        assert made["levels"]["roc_auc"][side]["value"] == wanted
    assert made["classes"][0]["ours"]["roc"]["area"] > made["classes"][0]["theirs"]["roc"]["area"] + 0.02


def test_members_of_other_levels_do_not_bend_the_curve(a_model):
    rows = judged()
    shifted = np.where(rows.night < "2024-01-07", rows.ours * 0.1, rows.ours)
    plain, bent = (curves(model(a_model), judged_) for judged_ in (rows, judged(
        night=rows.night, label=rows.label, ours=shifted, theirs=rows.theirs)))  # fmt: skip
    assert bent["classes"][0]["ours"]["roc"]["tpr"] == plain["classes"][0]["ours"]["roc"]["tpr"]


def test_rows_of_a_short_first_block_are_left_out(a_model):
    made = curves(model(a_model), judged(nights=11))
    assert (made["blocks"], made["n"]) == (3, 9 * 200)
    assert [b["first"] for b in made["by_block"]] == ["2024-01-03", "2024-01-06", "2024-01-09"]


def test_a_perfect_model_lies_in_the_null_band():
    p = RNG.uniform(0, 1, 40_000)
    found = reliability(p, RNG.random(len(p)) < p, np.repeat(np.arange(20), 2000))
    assert len(found["bins"]) == 15
    inside = [b["null_lower"] <= b["rate"] <= b["null_upper"] for b in found["bins"]]
    assert sum(inside) >= 13
    # One that is too sure of itself does not.
    sure = reliability(np.clip(p * 1.6 - 0.3, 0, 1), RNG.random(len(p)) < p, np.repeat(np.arange(20), 2000))
    inside = [b["null_lower"] <= b["rate"] <= b["null_upper"] for b in sure["bins"]]
    assert sum(inside) < 6
    assert sure["ece"] > 5 * found["ece"]


def test_shared_shocks_widen_band_and_intervals():
    blocks, rows = 20, 500
    shock = np.repeat(RNG.normal(0, 1, blocks), rows)
    p = np.full(blocks * rows, 0.5)
    y = RNG.random(len(p)) < 1 / (1 + np.exp(-shock))
    (one,) = reliability(p, y, np.repeat(np.arange(blocks), rows))["bins"]
    (alone,) = reliability(p, RNG.random(len(p)) < 0.5, np.repeat(np.arange(blocks), rows))["bins"]
    assert one["null_upper"] - one["null_lower"] > 4 * (alone["null_upper"] - alone["null_lower"])
    assert one["upper"] - one["lower"] > 4 * (alone["upper"] - alone["lower"])
    assert one["null_lower"] < one["rate"] < one["null_upper"]


def test_tables_by_group(a_model):
    rows = judged()
    made = curves(model(a_model), rows)
    assert {r["column"] for r in made["segments"]} == {"g"}
    (x,) = [r for r in made["protected"] if r["value"] == "missing"]
    mine = rows.groups["p"] == "missing"
    assert x["n"] == mine.sum()
    assert x["ours"]["selected"] == (rows.ours[mine] >= 0.5).mean()
    assert x["ours"]["true_positive_rate"] == (rows.ours[mine & (rows.label == 1)] >= 0.5).mean()
    assert x["ours"]["roc_auc"] == pytest.approx(roc_auc_score(rows.label[mine], rows.ours[mine]), abs=0.02)


def test_many_groups_are_capped(a_model):
    rows = judged()
    many = judged(groups={"g": np.array([f"v{i % 50}" for i in range(len(rows))])})
    table = curves(model(a_model, protected=[]), many)["segments"]
    assert len(table) == 31
    assert table[-1]["value"] == "20 smaller groups"
    assert sum(r["n"] for r in table) == len(many)


def test_other_kinds(a_model):
    several = curves(model(a_model, "multiclass"), judged("multiclass"))
    assert sorted(c["name"] for c in several["classes"]) == ["a", "b", "c"]
    assert several["segments"][0]["ours"]["accuracy"] < 0.5
    number = curves(model(a_model, "regression"), judged("regression"))
    assert len(number["deciles"]["ours"]) == 10
    assert number["residuals"]["theirs"]["mean"] == pytest.approx(1)
    assert "classes" not in number


@pytest.mark.parametrize(
    ("changes", "where", "why"),
    [
        ({"label": np.zeros(2400, int)}, "curves of 1", "one class"),
        ({"ours": np.full(2400, math.nan)}, "all", "2400 scores of the candidate are not finite"),
        ({"theirs": np.full(2400, math.inf)}, "all", "other side"),
        ({"night": np.full(2400, "2024-01-01")}, "all", "fewer nights"),
        ({"groups": {}}, "segments", "no rows by group: g"),
    ],
)
def test_what_cannot_be_drawn_is_absent_with_its_reason(a_model, changes, where, why):
    made = curves(model(a_model), judged(**changes))
    assert why in made["absent"][where]


def test_one_class_has_no_roc_and_the_same_scores_have_the_diagonal(a_model):
    one = curves(model(a_model), judged(label=np.zeros(2400, int)))
    assert one["classes"][0]["ours"]["roc"] is None
    assert math.isnan(one["levels"]["roc_auc"]["ours"]["value"])
    same = curves(model(a_model), judged(ours=np.full(2400, 0.3)))
    assert same["classes"][0]["ours"]["roc"]["area"] == 0.5
    none = np.zeros(0)
    nothing = curves(model(a_model), Judged(none, none, none, none, none, none))
    assert nothing["absent"] == {"all": "no labelled row that neither model was trained on"}
