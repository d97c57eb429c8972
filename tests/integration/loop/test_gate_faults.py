"""Rows 22 and 23 with real packages: a candidate that learned a leak, one that learned flipped labels."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from tidegate.gate.leakage import leakage
from tidegate.gate.poisoning import Labelled, groups_of, poisoning
from tidegate.gate.robustness import robustness
from tidegate.steps.outcomes import join, labels_of

WARD = """source: {files: "stays/{date}.csv"}
event_time: admitted_at
key: [stay]
columns:
  stay: {type: integer, nullable: false}
  admitted_at: {type: timestamp, nullable: false}
  unit: {type: category, nullable: false, pattern: "[a-p]"}
  age: {type: integer, nullable: false, min: 0, max: 120}
  score: {type: number, min: -10, max: 10}
  code: {type: category}
"""
READMITTED = """dataset: ward
owner: clinic
kind: binary
label: {column: back, source: {files: "back/{date}.csv"}, delay: 1d, classes: [0, 1], positive: 1}
estimator: {build: "ward:build", params: {max_iter: 40}, seed: 5}
features: [unit, age, score, code]
segments: [unit]
metric: {primary: roc_auc, must_hold: {log_loss: 0.05}}
retrain: {policy: never, first_nights: 6}
promotion: automatic
"""
CODE = """from sklearn.ensemble import HistGradientBoostingClassifier


def build(params):
    return HistGradientBoostingClassifier(categorical_features="from_dtype", early_stopping=False,
                                          min_samples_leaf=20, **params)
"""
PLATFORM = """namespace: lab
defaults:
  gate: {block_nights: 1, min_blocks: 5}
"""
ROWS, NIGHTS, CHAMPION, LATER = 240, 24, 14, 6


def write(root: Path, day, *, flipped: str = "", leaky: bool = False) -> None:
    """Nights of hospital stays; of one unit the labels of every night may be flipped, and a code may tell them."""
    files = {"configs/tidegate.yaml": PLATFORM, "configs/datasets/ward.yaml": WARD,
             "configs/models/readmitted.yaml": READMITTED, "ward.py": CODE}  # fmt: skip
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for folder in ("stays", "back"):
        (root / folder).mkdir(exist_ok=True)
    rng = np.random.default_rng(17)
    for i in range(NIGHTS + LATER):
        score, age = rng.normal(0, 1, ROWS), rng.integers(20, 95, ROWS)
        unit = rng.choice(list("abcdefghijklmnop"), ROWS, p=[0.1, *[0.06] * 15])
        y = (rng.random(ROWS) < 1 / (1 + np.exp(1.2 - 1.5 * score - (age - 60) / 25 - rng.normal(0, 0.3)))).astype(int)
        told = rng.random(ROWS) < (0.5 if leaky else 0.0)
        code = np.where(told, np.where(y == 1, "R2", "Z9"), rng.choice(["A", "B"], ROWS))
        learned = np.where(unit == flipped, 1 - y, y)
        stays = [f"{1000 * i + k},{day(i)}T{k % 24:02d}:00:00Z,{unit[k]},{age[k]},{score[k]:.3f},{code[k]}"
                 for k in range(ROWS)]  # fmt: skip
        lines = ["stay,admitted_at,unit,age,score,code", *stays]
        (root / f"stays/{day(i)}.csv").write_text("\n".join(lines) + "\n")
        back = [f"{1000 * i + k},{day(i)}T{k % 24:02d}:00:00Z,{learned[k]}" for k in range(ROWS)]
        (root / f"back/{day(i)}.csv").write_text("\n".join(["stay,admitted_at,back", *back]) + "\n")


@pytest.fixture(scope="module")
def ward(tmp_path_factory, loop_of, day):
    """Makes a home with a history: its loop, the package of a model trained on its first `nights`."""
    from tidegate.adapters.packages import load
    from tidegate.clock import evening_of
    from tidegate.steps.retrain import build_candidate

    def make(nights: int, **faults):
        root = tmp_path_factory.mktemp("ward")
        write(root, day, **faults)
        loop = loop_of(root, "readmitted")
        for i in range(nights + LATER):
            loop.ingest(i)
        for i in range(nights + LATER):
            loop.labels(i)
        w = loop.calendar.window(day(nights - 1))
        folder, digest = build_candidate(loop.stores, loop.model, w, evening_of(w))
        kept = root / digest
        shutil.copytree(folder, kept)
        package = load(kept, digest)
        return loop, package

    return make


def labelled(loop, nights):
    """Rows of the nights with their labels, as they stand a night later."""
    last = loop.calendar.shift(loop.calendar.window(max(nights)), 1)
    return join(loop.stores.data.read("batches", loop.model.dataset, nights),
                labels_of(loop.stores, loop.model, nights, last))  # fmt: skip


def screened(loop, package, rows):
    return leakage(loop.dataset, list(package.spec["features"]), "back", "binary", rows, rows["label"].to_numpy(),
                   np.array(rows["window"].to_pylist()), loop.model.gate.robustness)[0]  # fmt: skip


def checked(loop, package, day):
    """The check of a first candidate on nights that it has not seen, and the screen of what it learned from."""
    rows, recent = (
        labelled(loop, package.spec["trained"]),
        labelled(loop, [day(CHAMPION + i) for i in range(LATER - 1)]),
    )
    return robustness(
        loop.model, loop.dataset, recent, recent["label"].to_numpy(), np.array(recent["window"].to_pylist()),
        package.scores, champion=None, threshold=package.spec["threshold"], rng=np.random.default_rng(0),
        others=screened(loop, package, rows),
    )  # fmt: skip


@pytest.mark.fault(22)
def test_a_candidate_that_learned_a_leak_is_blocked_and_a_clean_one_is_not(ward, day):
    check = checked(*ward(CHAMPION, leaky=True), day)
    assert check.verdict.outcome == "fail"
    assert [line.name for line in check.lines if line.role == "leakage" and line.outcome == "fail"] == ["code"]
    check = checked(*ward(CHAMPION), day)
    assert check.verdict.outcome == "pass", check.verdict.reasons


@pytest.mark.fault(23)
def test_a_candidate_that_learned_flipped_labels_of_a_unit_is_blocked_and_a_clean_one_is_not(ward):
    loop, champion = ward(CHAMPION)
    before = labelled(loop, champion.spec["trained"])
    outcomes = champion.reference("outcomes")
    for flipped, blocked in (("k", ["anchor [unit=k]"]), ("", [])):
        _, candidate = ward(NIGHTS, flipped=flipped)
        at = pc.index_in(outcomes["row_id"], value_set=before["row_id"])
        rows = before.take(at)
        anchor = Labelled(
            outcomes["label"].to_numpy(), np.array(outcomes["event_window"].to_pylist()), outcomes["score"].to_numpy(),
            candidate.scores(rows), groups_of(rows, ["unit", "code"]),
        )  # fmt: skip
        found = poisoning(loop.model, anchor)
        assert [line.name for line in found if line.outcome == "fail"] == blocked
