"""What a candidate must bear, each disturbance for itself, and what happens to one that cannot answer."""

import numpy as np
import pyarrow as pa
import pytest

from tidegate.config.dataset import Column, Dataset, Source
from tidegate.errors import SourceError
from tidegate.gate.disturb import emptied, extreme, noisy, strange, thinned
from tidegate.gate.line import Line
from tidegate.gate.replayed import replayed
from tidegate.gate.robustness import robustness

COLUMNS = {
    "at": Column(type="timestamp"),
    "age": Column(type="integer", min=0, max=120, nullable=False),
    "bmi": Column(type="number"),
    "sex": Column(type="category", values=("f", "m")),
}
DATASET = Dataset(name="d", source=Source(files="{date}.csv"), event_time="at", key=("at",), columns=COLUMNS)
N = 1200


def history(kind="binary", n=N):
    rng = np.random.default_rng(1)
    rows = pa.table({
        "age": pa.array(rng.integers(18, 90, n), pa.int64()), "bmi": pa.array(rng.normal(25, 4, n)),
        "sex": pa.array(rng.choice(["f", "m"], n).tolist(), pa.string()),
    })  # fmt: skip
    z = truth(rows)
    y = z * 10 + rng.normal(0, 5, n) if kind == "regression" else (rng.random(n) < 1 / (1 + np.exp(-z))).astype(float)
    return rows, y, np.repeat([f"2024-01-{i + 1:02d}" for i in range(24)], n // 24)[:n]


def truth(rows, sharp=1.0):
    age = rows["age"].to_numpy(zero_copy_only=False).astype(float)
    bmi = np.nan_to_num(rows["bmi"].to_numpy(zero_copy_only=False), nan=25)
    man = np.array([s == "m" for s in rows["sex"].to_pylist()])
    return sharp * np.clip((age - 50) / 20 + (bmi - 25) / 4 + man - 0.5, -3, 3)


def sane(rows):
    return 1 / (1 + np.exp(-truth(rows)))


def check(a_model, score, *, champion=None, kind="binary", rows=None, others=(), **gate):
    table, y, night = history(kind) if rows is None else rows
    model = a_model(kind, features=["age", "bmi", "sex"], gate=gate)
    return robustness(model, DATASET, table, y, night, score, champion=champion, threshold=0.5,
                      rng=np.random.default_rng(3), others=others)  # fmt: skip


def by_name(found):
    return {line.name: line for line in found.lines}


def test_a_sane_model_bears_everything(a_model):
    found = check(a_model, sane)
    assert found.verdict.outcome == "pass", found.verdict.reasons
    names = set(by_name(found))
    assert {"replay", "noise", "missing cells", "empty column", "unseen category", "extremes"} <= names
    assert by_name(found)["small steps"].role == by_name(found)["nearest flip"].role == "shown"
    assert 0 < by_name(found)["small steps"].observed < 0.5


def test_it_is_the_same_again(a_model):
    assert check(a_model, sane) == check(a_model, sane)


def test_a_regression_has_moves_and_no_flips(a_model):
    found = check(a_model, lambda t: truth(t) * 10, kind="regression")
    assert found.verdict.outcome == "pass", found.verdict.reasons
    assert "nearest flip" not in by_name(found)
    assert by_name(found)["small steps"].observed == pytest.approx(1.0, abs=0.1)


def test_several_classes(a_model):
    def score(rows):
        p = sane(rows)
        return np.column_stack([1 - p, p * 0.8, p * 0.2])

    rows, y, night = history()
    y = np.where((y == 1) & (np.arange(N) % 5 == 0), 2.0, y)
    found = check(a_model, score, kind="multiclass", rows=(rows, y, night))
    assert found.verdict.outcome == "pass", found.verdict.reasons


def test_a_model_that_learned_its_rows_by_heart_fails_on_noise(a_model):
    rows, _, _ = history()
    seen = set(rows["bmi"].to_pylist())

    def score(table):
        by_heart = np.array([b in seen for b in table["bmi"].to_pylist()])
        return np.where(by_heart, sane(table), 1 - sane(table))

    found = by_name(check(a_model, score))
    assert found["noise"].outcome == "fail"
    assert found["noise"].lower > found["noise"].limit
    assert "at least" in found["noise"].reason


def test_no_worse_than_the_champion_passes(a_model):
    def brittle(rows):
        holes = rows["bmi"].is_null().to_numpy(zero_copy_only=False)
        return np.where(holes, np.where(sane(rows) > 0.5, 0.001, 0.999), sane(rows))

    assert by_name(check(a_model, brittle))["missing cells"].outcome == "fail"
    line = by_name(check(a_model, brittle, champion=brittle))["missing cells"]
    assert (line.outcome, "the champion's by" in line.reason) == ("pass", True)
    assert by_name(check(a_model, brittle, champion=sane))["missing cells"].outcome == "fail"


def broken(when):
    def score(rows):
        if when(rows):
            raise SourceError("the estimator of shop:build", "scores of every class", "ValueError: no", "mend it")
        return sane(rows)

    return score


@pytest.mark.parametrize(
    ("when", "name"),
    [
        (lambda t: t["bmi"].null_count == t.num_rows, "empty column [bmi]"),
        (lambda t: t["sex"].null_count == t.num_rows, "empty column [sex]"),
        (lambda t: set(t["sex"].to_pylist()) - {"f", "m", None}, "unseen category [sex]"),
        (lambda t: max(t["age"].to_pylist()) == 120, "extremes [age, most]"),
        (lambda t: min(t["bmi"].drop_null().to_pylist() or [0]) < -10, "extremes [bmi, least]"),
        (lambda t: t["bmi"].null_count, "missing cells"),
        (lambda _: True, "replay"),
        (lambda t: t.num_rows == 1, "replay"),
    ],
)
def test_no_answer_is_a_failed_line_with_its_reason(a_model, when, name):
    found = check(a_model, broken(when))
    assert found.verdict.outcome == "fail"
    assert "ValueError: no" in by_name(found)[name].reason
    assert by_name(found)[name].outcome == "fail"


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1.5, -0.1])
def test_scores_that_are_none_fail(a_model, bad):
    found = check(a_model, lambda t: np.where(np.arange(t.num_rows) == 0, bad, sane(t)))
    assert found.verdict.outcome == "fail"


def test_answers_that_hang_on_other_rows_fail():
    rows, _, _ = history()
    rng = np.random.default_rng(0)
    assert replayed(sane, rows, "binary", rng)[0].outcome == "pass"

    def centred(table):
        return 1 / (1 + np.exp(-(truth(table) - truth(table).mean())))

    def drifting(table):
        return sane(table) * (1 - 1e-8 * np.arange(table.num_rows))

    assert "alone" in replayed(centred, rows, "binary", rng)[0].reason
    assert replayed(drifting, rows, "binary", rng)[0].outcome == "fail"
    assert replayed(lambda t: sane(t)[:-1], rows, "binary", rng)[0].outcome == "fail"


@pytest.mark.parametrize(
    ("label", "why"),
    [(np.full(N, np.nan), "no row has a label"), (np.zeros(N), "every label is the same")],
)
def test_without_labels_it_is_inconclusive(a_model, label, why):
    rows, _, night = history()
    found = check(a_model, sane, rows=(rows, label, night))
    assert found.verdict.outcome == "inconclusive"
    assert why in found.verdict.reasons[0]


def test_one_block_of_nights_proves_nothing(a_model):
    rows, y, night = history()
    one = check(a_model, sane, rows=(rows.slice(0, 100), y[:100], night[:100]))
    assert one.verdict.outcome == "inconclusive"


def test_no_rows_are_inconclusive_and_other_lines_count(a_model):
    rows, y, night = history()
    none = (rows.slice(0, 0), y[:0], night[:0])
    assert check(a_model, sane, rows=none).verdict.outcome == "inconclusive"
    leak = Line("x", "leakage", "fail", 1.0, 0.95, "x: a suspected leak")
    assert check(a_model, sane, rows=none, others=[leak]).verdict.reasons == ("x: a suspected leak",)
    assert check(a_model, sane, others=[leak]).verdict.outcome == "fail"


def test_disturbances_keep_types_and_rules():
    rows, _, _ = history()
    rng, features = np.random.default_rng(0), ["age", "bmi", "sex"]
    out = noisy(rows, COLUMNS, features, 0.5, rng)
    assert out.schema == rows.schema
    assert out["sex"] == rows["sex"]
    assert 0.4 < np.std(out["bmi"].to_numpy() - rows["bmi"].to_numpy()) / 4 < 0.6
    assert min(noisy(rows, COLUMNS, features, 9.0, rng)["age"].to_pylist()) == 0
    holes = thinned(rows, COLUMNS, features, 0.2, rng)
    assert holes["age"].null_count == 0
    assert 0.15 < holes["bmi"].null_count / N < 0.25
    rare = {**COLUMNS, "bmi": Column(type="number", max_missing=0.01)}
    assert thinned(rows, rare, features, 0.2, rng)["bmi"].null_count < 0.03 * N
    assert emptied(rows, "sex")["sex"].null_count == N
    assert strange(rows, "sex")["sex"].type == rows["sex"].type
    some = np.arange(N) < 10
    assert extreme(rows, COLUMNS, "age", 1, some)["age"].to_pylist()[:11] == [120] * 10 + [rows["age"][10].as_py()]
    assert extreme(rows, COLUMNS, "bmi", -1, some)["bmi"][0].as_py() < 0
