"""`tidegate ci`: the table, the exit codes, and what it makes of bad input; nothing is written to the home."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[3]
MODEL, DATASET = "configs/models/cultivars.yaml", "configs/datasets/tastings.yaml"
TESTS = "configs/models/cultivars/behaviour.yaml"
GOOD = """\
rows: 200
invariance:
  - {name: the price list, column: tasting}
direction:
  - {name: proline is the first's, column: proline, from: 400, to: 1400, expect: not_lower, of: first, share: 0.9}
minimum:
  - {name: strong and dark, row: {proline: 1400, alcohol: 14, flavanoids: 3}, expect: first}
slices:
  - {name: the north, where: {cellar: north}, metric: accuracy, at_least: 0.5, rows: 50}
"""


@pytest.fixture(scope="session")
def ci_wine(make_wine, tmp_path_factory):
    """Sixteen nights of tastings and their labels; no test changes them."""
    return make_wine(tmp_path_factory.mktemp("ci") / "home", 16, 99)


@pytest.fixture
def home(ci_wine, tmp_path):
    import shutil

    return Path(shutil.copytree(ci_wine, tmp_path / "home"))


@pytest.fixture
def ci(tidegate, home):
    """Runs it with JSON; whatever happens there is no traceback, and the home is as it was."""

    def run(*words, model="cultivars"):
        before = files(home)
        said = tidegate("--home", home, "ci", model, "--rows", "220", "--json", *words)
        assert files(home) == before
        assert "Traceback" not in said.out + said.err
        return said.code, json.loads(said.out) if said.out else said.one_line()

    return run


def files(home):
    return {p.relative_to(home): p.read_bytes() for p in home.rglob("*") if p.is_file()}


def change(home, name, old, new, count=1):
    text = (home / name).read_text()
    assert old in text
    (home / name).write_text(text.replace(old, new, count))


def steps(told):
    return {s["name"]: s for s in told["steps"]}


def first_bad(told):
    """The first step that was asked and did not pass, with its reasons."""
    step = next(s for s in told["steps"] if s["asked"] and s["outcome"] != "pass")
    return step["name"], step["outcome"], " ".join(step["reasons"])


def declare(home, text=GOOD):
    (home / TESTS).parent.mkdir(exist_ok=True)
    (home / TESTS).write_text(text)


def test_a_good_model_passes_every_step_and_says_so_in_three_ways(tidegate, home, tmp_path):
    declare(home)
    said = tidegate("--home", home, "ci", "cultivars", "--rows", "220", "--out", tmp_path / "ci.json",
                    "--junit", tmp_path / "ci.xml")  # fmt: skip
    assert said.code == 0, said.out
    assert not (home / "var").exists()
    lines = said.out.rstrip().splitlines()
    assert re.fullmatch(r"ci of cultivars: pass, 16 steps in \d+ s", lines[-1])
    told = json.loads((tmp_path / "ci.json").read_text())
    assert (told["code"], told["verdict"]["outcome"], told["next"]) == (0, "pass", "")
    # The classes' column has its values declared: there is no category left that was never seen.
    asked = {n for n, s in steps(told).items() if s["asked"]}
    assert {s["outcome"] for s in told["steps"] if s["asked"]} == {"pass"}
    assert steps(told).keys() - asked == {"unseen categories"}
    behaviour = steps(told)["behaviour"]["lines"]
    assert [t["name"] for t in behaviour] == ["the price list", "proline is the first's", "strong and dark",
                                              "the north"]  # fmt: skip
    suite = ET.fromstring((tmp_path / "ci.xml").read_text().split("\n", 1)[1])
    counts = {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "20", "failures": "0", "errors": "0", "skipped": "1"}
    assert all(s["seconds"] < 30 for s in told["steps"])


def test_without_a_file_of_tests_it_is_told_and_does_not_fail(ci):
    code, told = ci()
    assert code == 0
    step = steps(told)["behaviour"]
    assert not step["asked"]
    assert step["reasons"] == ["no tests declared: configs/models/cultivars/behaviour.yaml is not there"]


def test_a_behaviour_that_does_not_hold_fails_with_the_worst_row(ci, home, tidegate):
    declare(home, GOOD.replace("expect: not_lower", "expect: not_higher"))
    code, told = ci()
    assert code == 3
    name, outcome, reasons = first_bad(told)
    assert (name, outcome) == ("behaviour", "fail")
    assert re.search(
        r"proline is the first's: \d+ of 200 rows go up .*; worst: row .*, proline 400 → 1400, score", reasons
    )
    said = tidegate("--home", home, "ci", "cultivars", "--rows", "220")
    assert said.code == 3
    last = said.out.rstrip().splitlines()[-1]
    assert last.startswith("ci of cultivars: fail, 16 steps")
    assert last.endswith(f"Next: look at the features, or at {TESTS}")


def test_too_few_rows_for_a_test_are_inconclusive(ci, home):
    declare(home, GOOD.replace("rows: 50", "rows: 5000"))
    code, told = ci()
    assert (code, first_bad(told)[:2]) == (4, ("behaviour", "inconclusive"))


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (TESTS, "column: tasting", "column: tastng", "invariance.0.column: expected a column of dataset tastings"),
        (TESTS, "share:", "shar:", "did you mean 'share'?"),
        (TESTS, "of: first", "of: fourth", "direction.0.of: expected one of"),
        (MODEL, "owner:", "ownr:", "did you mean 'owner'?"),
        (DATASET, "max: 20, unit", "max: high, unit", "columns.alcohol.max: expected"),
    ],
)
def test_a_wrong_file_is_the_configuration_s_fault(ci, home, file, old, new, words):
    declare(home)
    change(home, file, old, new)
    code, told = ci()
    assert code == 2
    name, outcome, reasons = first_bad(told)
    assert (name, outcome) == ("configuration", "fail")
    assert words in f"{reasons} {told['next']}"
    assert {s["outcome"] for s in told["steps"][1:]} == {"inconclusive"}


def test_wrong_use(ci, tidegate, home):
    code, line = ci(model="cultivar")
    assert (code, "did you mean 'cultivars'" in line) == (2, True)
    said = tidegate("--home", home, "ci", "cultivars", "--rows", "5")
    assert said.code == 2
    assert "--rows: expected 100 or more" in said.one_line()
    code, told = ci("--window", "2024-13-01")
    assert (code, first_bad(told)[0]) == (2, "contract")
    code, told = ci("--window", "2999-01-01")
    assert (code, "a night that is over" in first_bad(told)[2]) == (2, True)
    change(home, MODEL, "owner:", "ownr:")
    said = tidegate("--home", home, "ci", "cultivars", "--out", home / "no/where.json")
    assert said.code == 1
    assert "a file that can be written" in said.one_line()


BUILD = "    return ExtraTreesClassifier(**params)"
FEATURES = "    return frame.assign("


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "step", "words"),
    [
        ("def build", "1 / 0\ndef build", "user code", "ZeroDivisionError"),
        ("def build", "raise SystemExit(0)\ndef build", "user code", "SystemExit"),
        ("def build", "def built", "user code", "expected a function 'build'"),
        (BUILD, "    raise ValueError('no\\n model')", "training", "winery:build: expected an estimator that fits"),
        (BUILD, "    raise SystemExit(0)", "training", "SystemExit"),
        (FEATURES, "    raise KeyError('hue')\n" + FEATURES, "training", "winery:features: expected a frame of"),
        (FEATURES, "    return frame.head(3)\n" + FEATURES, "training", "winery:features: expected a DataFrame of"),
        (FEATURES, "    return frame.sort_values('hue')\n" + FEATURES, "training", "expected rows in the order"),
        ("frame[\"cellar\"] == \"north\"", "pd.factorize(frame[\"hue\"])[0] > 3", "single rows", "one row at a time"),
        (FEATURES, "    assert len(frame)\n" + FEATURES, "empty batch", "winery:features"),
        (FEATURES, "    assert frame.empty or frame['hue'].notna().any()\n" + FEATURES, "nulls", "hue=null"),
        (FEATURES, "    assert frame.empty or (frame['hue'] != 3).any()\n" + FEATURES, "extremes", "hue=3"),
    ],
)  # fmt: skip
def test_user_code_that_is_no_good_fails_its_step(ci, home, old, new, step, words):
    change(home, "winery.py", old, new)
    code, told = ci()
    name, outcome, reasons = first_bad(told)
    assert (name, outcome) == (step, "fail"), (name, reasons)
    assert words in reasons
    assert told["next"]
    assert code == (2 if "expected a function" in words else 3)


NAN = """
class Silent(ExtraTreesClassifier):
    def predict_proba(self, X):
        return super().predict_proba(X) * float("nan")


def build(params):
    return Silent(**params)
"""
MOODY = """
import numpy as np


def build(params):
    return ExtraTreesClassifier(**{**params, "random_state": int(np.random.default_rng().integers(2**31))})
"""
WRONG = """
class Wrong(ExtraTreesClassifier):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, [1, 2, 0]]


def build(params):
    return Wrong(**params)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "step", "outcome", "words"),
    [
        (NAN, "training", "fail", "not finite"),
        (MOODY, "repeatable", "fail", "two trainings with seed 3 differ by at most"),
        (WRONG, "better than a constant", "fail", "over a constant prediction"),
    ],
)
def test_a_model_that_is_no_good_fails_its_step(ci, home, code, step, outcome, words):
    path = home / "winery.py"
    path.write_text(path.read_text() + code)
    exit_code, told = ci()
    assert first_bad(told)[:2] == (step, outcome), first_bad(told)
    assert words in first_bad(told)[2]
    assert exit_code == 3


FOREIGN = """
import operator

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer


def build(params):
    return make_pipeline(FunctionTransformer(operator.pos), ExtraTreesClassifier(**params))
"""


@pytest.mark.fault(31)
def test_an_estimator_of_types_that_a_package_may_not_hold_fails(ci, home):
    path = home / "winery.py"
    path.write_text(path.read_text() + FOREIGN)
    code, told = ci()
    assert (code, first_bad(told)[:2]) == (3, ("training", "fail"))
    assert "expected types on Tidegate's trusted list, found " in first_bad(told)[2]


@pytest.mark.parametrize("labels", ["none", "header", "one class", "few"])
@pytest.mark.fault(16)
def test_labels_that_do_not_suffice_are_inconclusive(ci, home, labels):
    path = home / "verdicts.csv"
    told = pd.read_csv(path)
    if labels in ("none", "header"):
        told = told.head(0)
    elif labels == "one class":
        told["cultivar"] = "first"
    else:
        told = told[told["tasted_at"] >= "2024-01-12"]
    told.to_csv(path, index=False)
    if labels == "none":
        raises = "from tidegate.errors import Unreadable\n\n    raise Unreadable('labels', 'a file', 'none')"
        change(home, "winery.py", 'return pd.read_csv(Path(__file__).parent / "verdicts.csv")', raises)
    code, told = ci()
    name, outcome, reasons = first_bad(told)
    expected = {"none": "no night has labels", "header": "no night has labels", "one class": "none of class second",
                "few": "labelled nights, 3 needed"}[labels]  # fmt: skip
    assert (code, outcome) == (4, "inconclusive")
    assert name == ("labels" if labels in ("none", "header") else "training")
    assert expected in reasons


def test_a_label_that_is_no_class_fails(ci, home):
    change(home, "verdicts.csv", "second", "zweite", 10_000)
    code, told = ci()
    assert (code, first_bad(told)[:2]) == (3, ("labels", "fail"))


def test_one_bad_file_is_told_and_left_out_unless_it_was_named(ci, home):
    (home / "wine/2024-01-16.csv").write_text("")
    code, told = ci()
    assert code == 0
    assert "2024-01-16 blocked: " in " ".join(steps(told)["contract"]["reasons"])
    code, told = ci("--window", "2024-01-16")
    assert (code, first_bad(told)[:2]) == (3, ("contract", "fail"))
    code, told = ci("--window", "2024-01-14", "--window", "2024-01-15")
    assert code == 0
    assert "blocked: " not in " ".join(steps(told)["contract"]["reasons"])


@pytest.mark.slow
def test_a_contract_that_refuses_most_nights_fails(ci, home):
    change(home, DATASET, "alcohol: {type: number, min: 5", "alcohol: {type: number, min: 13")
    code, told = ci()
    assert (code, first_bad(told)[:2]) == (3, ("contract", "fail"))
    for file in (home / "wine").iterdir():
        file.unlink()
    code, told = ci()
    assert (code, first_bad(told)[:2]) == (3, ("contract", "fail"))
    assert "expected files like wine/{date}.csv, found none" in first_bad(told)[2]


@pytest.mark.slow
def test_a_regression_and_a_monitor_only_model(tidegate, make_diabetes, tmp_path):
    home = make_diabetes(tmp_path / "home", 12, 99)
    command = ("--home", home, "ci", "progression", "--rows", "220", "--json")
    said = tidegate(*command)
    assert said.code == 0, said.out
    # The contract lets nulls through, and Ridge alone does not bear them.
    change(home, "clinic.py", "make_pipeline(SimpleImputer(), ", "make_pipeline(", 1)
    said = tidegate(*command)
    assert (said.code, first_bad(json.loads(said.out))[:2]) == (3, ("nulls", "fail"))
    change(home, "clinic.py", "make_pipeline(", "make_pipeline(SimpleImputer(), ", 1)
    model = home / "configs/models/progression.yaml"
    model.write_text(re.sub(r"estimator: .*\n", "", model.read_text()))
    said = tidegate(*command)
    assert said.code == 0
    assert not steps(json.loads(said.out))["training"]["asked"]


def test_the_next_step_is_that_of_what_failed():
    from tidegate.steps.cirun import Run
    from tidegate.verdicts import Verdict

    run = Run("m")
    run.step("one", lambda: Verdict("inconclusive", ("too few",)), "wait")
    assert (run.code, run.next) == (4, "wait")
    run.step("two", lambda: Verdict("fail", ("wrong",)), "mend")
    assert (run.code, run.next, run.verdict.reasons) == (3, "mend", ("two: wrong",))


def test_the_workflow_is_valid_and_its_commands_are_the_makefile_s():
    text = (ROOT / ".github/workflows/models.yml").read_text()
    flow = yaml.safe_load(text)
    assert flow["permissions"] == {"contents": "read"}
    assert flow["concurrency"]["cancel-in-progress"] is True
    assert {"configs/**", "examples/**"} <= set(flow["on"]["pull_request"]["paths"])
    assert "secrets" not in text
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    ran = []
    for job in flow["jobs"].values():
        assert job["timeout-minutes"] <= 30
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
            else:
                ran += step["run"].splitlines()
    assert ran
    for command in ran:
        program, target = command.split()
        assert (program, target in made) == ("make", True), command


def test_the_demo_s_tests_are_declared_and_fit_its_contract():
    from tidegate.config.behaviour import load_behaviour
    from tidegate.config.home import Home
    from tidegate.config.project import Project

    project = Project(Home.at(ROOT))
    tests = load_behaviour(ROOT, project.model("flights"), project.dataset("flights"))
    assert tests is not None
    assert min(len(getattr(tests, k)) for k in ("invariance", "direction", "minimum", "slices")) >= 2


def test_every_key_of_the_file_is_on_its_page():
    from tidegate.config.behaviour import Behaviour
    from tidegate.config.reference import keys

    page = (ROOT / "docs/ci.md").read_text()
    for key, field in keys(Behaviour):
        assert re.search(rf"^\| `{re.escape(key)}` \|.*\| {re.escape(field.description)} \|$", page, re.M), key
