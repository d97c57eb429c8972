"""The rows that a gate judges on, with real packages: what cannot be compared is a verdict with its reason."""

import copy
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tidegate.clock import evening_of
from tidegate.errors import ConfigError, SourceError
from tidegate.gate.performance import first_performance
from tidegate.steps.candidate import train_and_register
from tidegate.steps.gate import gate
from tidegate.steps.holdout import HoldOut, against_baseline, hold_out

LAST = 23
"""An evening on which three nights are known that version 2 of the wine was not trained on."""

BASELINES = '''

def usual(frame):
    return [150.0] * len(frame)


def oracle(frame):
    """Knows the answers: the tables that the patients were drawn from."""
    from sklearn.datasets import load_diabetes

    known = load_diabetes(as_frame=True, scaled=False).frame
    at = known.set_index(["age", "bmi", "bp", "s5"])["target"]
    return [float(at.loc[tuple(map(float, row))]) for row in frame[["age", "bmi", "bp", "s5"]].to_numpy()]


def broken(frame):
    raise KeyError("no such rule")


def three(frame):
    return [150.0] * 3


def silent(frame):
    return [float("nan")] * len(frame)
'''


@pytest.fixture
def later(wine):
    """Version 2 against version 1, on nights that both were trained on and on later ones."""
    return wine.case(2, LAST, champion=1)


def test_each_row_was_unseen_by_both_and_later_nights_count(later, wine, day):
    found = hold_out(later)
    trained, champion = (wine.package(v).spec["trained"][-1] for v in (2, 1))
    assert found.judged.nights() == [day(i) for i in range(6, LAST - 2)]
    assert champion < found.judged.nights()[0]
    late = found.judged.night > trained
    assert 0 < late.sum() < len(late)
    rows = found.rows.filter(pa.array(late))
    assert np.array_equal(found.judged.ours[late], wine.package(2).scores(rows))
    assert np.array_equal(found.judged.theirs[late], wine.package(1).scores(rows))
    # On nights that the candidate learned from it counts with the members that did not see the night.
    outcomes = wine.package(2).reference("outcomes")
    known = dict(zip(outcomes["row_id"].to_pylist(), outcomes["score_2"].to_pylist(), strict=True))
    early = [known[r] for r in found.judged.row_id[~late]]
    assert found.judged.ours[~late][:, 2].tolist() == early


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (["first", "second"], "the champion does not know class 'third': the two cannot be compared"),
        (["third", "second", "first"], "the champion has other classes: the two cannot be compared"),
    ],
)
def test_a_class_that_the_champion_does_not_know_is_inconclusive(later, classes, words):
    number, champion = later.champion
    forged = replace(champion, spec={**champion.spec, "classes": classes})
    verdict = hold_out(replace(later, champion=(number, forged)))
    assert (verdict.outcome, verdict.reasons) == ("inconclusive", (words,))


def test_a_champion_that_gives_no_scores_is_inconclusive(later):
    number, champion = later.champion

    def gone(frame):
        raise FileNotFoundError("lookup.csv")

    verdict = hold_out(replace(later, champion=(number, replace(champion, features=gone))))
    assert verdict.outcome == "inconclusive"
    assert verdict.reasons[0].startswith("the champion gives no scores: ")
    assert "lookup.csv" in verdict.reasons[0]


def test_a_candidate_that_answers_nan_on_later_rows_fails(later):
    spoiled = copy.deepcopy(later.package.estimator)
    spoiled.estimators_[0].estimators_[0].tree_.value[:] = np.nan
    verdict = hold_out(replace(later, package=replace(later.package, estimator=spoiled)))
    assert verdict.outcome == "fail"
    assert "not finite" in verdict.reasons[0]


def test_what_leaves_nothing_to_compare_never_passes_the_gate(wine, loop_of, tmp_path):
    """On a copy of the home: a look is written down."""
    shutil.copytree(wine.root, tmp_path / "home")
    case = loop_of(tmp_path / "home", wine.name).case(2, LAST, champion=1)
    number, champion = case.champion
    forged = replace(champion, spec={**champion.spec, "classes": ["first", "second"]})
    found = gate(replace(case, champion=(number, forged), look=2), evening_of(case.window))
    assert found.verdict.outcome == "inconclusive"
    assert found.judged is None
    outcomes = {c.name: c.verdict.outcome for c in found.checks}
    assert outcomes.pop("servability") == "pass"
    assert set(outcomes.values()) == {"inconclusive"}
    assert all("does not know class 'third'" in c.verdict.reasons[0] for c in found.checks[:4])


@pytest.fixture(scope="module")
def based(make_diabetes, loop_of, tmp_path_factory):
    """Nine nights of patients and version 1, whose model file declares a baseline."""
    root = make_diabetes(tmp_path_factory.mktemp("based"), 9, 99)
    with (root / "clinic.py").open("a") as f:
        f.write(BASELINES)
    path = root / "configs/models/progression.yaml"
    path.write_text(path.read_text().replace("gate: {", 'gate: {baseline: "clinic:usual", '))
    loop = loop_of(root, "progression")
    for i in range(9):
        loop.ingest(i)
        loop.labels(i)
    window = loop.calendar.window("2024-01-09")
    train_and_register(loop.stores, loop.model, window, evening_of(window), reason="test")
    return loop


def held_against(loop, name):
    """The first model's case, its package's baseline another function of the same code."""
    case = loop.case(1, 8)
    user = {**case.package.spec["user"], "baseline": f"clinic:{name}" if name else None}
    return replace(case, package=replace(case.package, spec={**case.package.spec, "user": user}))


@pytest.mark.parametrize(("name", "outcome"), [("usual", "pass"), ("oracle", "fail")])
def test_a_first_model_has_to_beat_the_declared_baseline(based, name, outcome):
    case = held_against(based, name)
    constant, base = hold_out(case), against_baseline(case)
    assert isinstance(constant, HoldOut)
    assert len(base.judged) == len(constant.judged) == 7 * 36
    assert np.array_equal(base.judged.ours, constant.judged.ours)
    check = first_performance(based.model, constant.judged, base.judged)
    assert check.verdict.outcome == outcome, check.verdict.reasons
    assert any("over the baseline" in line.reason for line in check.lines)
    # The same rows against a constant alone are no pass: the model file asks for more.
    alone = first_performance(based.model, constant.judged, None)
    assert alone.verdict.outcome == "inconclusive"
    assert alone.verdict.reasons == ("the declared baseline clinic:usual gave no scores",)


def test_without_a_declared_baseline_there_is_none(based):
    assert against_baseline(held_against(based, None)) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken", "expected a score for each row, found KeyError: 'no such rule'"),
        ("three", r"expected finite scores of shape \(252,\), found shape \(3,\), 0 not finite"),
        ("silent", r"found shape \(252,\), 252 not finite"),
    ],
)
def test_a_baseline_that_gives_no_scores_is_a_fault_of_the_users_code(based, name, words):
    with pytest.raises(SourceError, match=words):
        against_baseline(held_against(based, name))


def test_a_baseline_that_raises_fails_the_gate_with_the_reason(based):
    case = held_against(based, "broken")
    found = gate(case, evening_of(case.window))
    assert found.verdict.outcome == "fail"
    [reason] = [r for r in found.verdict.reasons if r.startswith("performance: ")]
    assert "user code clinic:broken" in reason
    assert "no such rule" in reason
    assert "Next: mend the user code" in reason


def test_a_baseline_that_is_not_there_is_told_before_anything_is_trained(based, loop_of, tmp_path):
    shutil.copytree(based.root, tmp_path / "home")
    path = tmp_path / "home/configs/models/progression.yaml"
    path.write_text(path.read_text().replace("clinic:usual", "clinic:nowhere"))
    loop = loop_of(tmp_path / "home", "progression")
    with pytest.raises(ConfigError, match="clinic:nowhere: expected a function 'nowhere' in clinic, found none"):
        loop.retrain(8, "requested")
    assert len(loop.stores.records.versions(loop.name)) == 1
