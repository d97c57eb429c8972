"""A version from the registry, in a fresh process: what it bears, and what it is blocked for."""

import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tidegate.adapters.freshload import fresh
from tidegate.adapters.packages import load
from tidegate.config.gating import Servability
from tidegate.gate.servability import servability
from tidegate.steps.digests import window_digests
from tidegate.steps.servable import contract_of, recent_rows, servable

SETTINGS = Servability()
HEAD = "from sklearn.linear_model import Ridge\n\n\ndef build(params):\n    return Ridge()\n\n\n"


@pytest.fixture
def check(registered):
    """Runs the fresh process on a folder, and judges its report."""

    def run(folder, digest, *, settings=SETTINGS, recent=None, expected=None):
        columns = contract_of(registered.stores, registered.model)
        report = fresh(
            lambda target: shutil.copytree(folder, target),
            digest,
            columns=columns,
            settings=settings,
            recent=recent,
            expected=expected,
        )
        return servability(report, settings)

    return run


@pytest.fixture
def rows(registered):
    """10,000 rows: those of all nights over and over, each with a little noise."""
    window = registered.calendar.window("2024-01-09")
    found = recent_rows(registered.stores, registered.model, window)
    rng = np.random.default_rng(3)
    many = found.take(np.arange(10_000) % found.num_rows)
    noisy = pa.array(many["bmi"].to_numpy() + rng.normal(0, 1, 10_000))
    return many.set_column(many.column_names.index("bmi"), "bmi", noisy)


def lines(check):
    return {line.name: line for line in check.lines}


def features(body):
    return HEAD + "def features(frame):\n" + "".join(f"    {line}\n" for line in body)


def test_a_sound_version_passes_every_line(registered):
    version, window = 1, registered.calendar.window("2024-01-09")
    found = servable(registered.stores, registered.model, version, registered.package(version), window)
    assert found.verdict.outcome == "pass", found.verdict.reasons
    told = lines(found)
    assert {line.role for line in found.lines} == {"servability", "digests"}
    assert {"package", "loads", "probe", "replay", "alone", "latency", "batch", "memory", "libraries", "batches",
            "labels", "training files"} < set(told)  # fmt: skip
    assert told["probe"].n == 64
    assert told["probe"].observed <= 1e-9
    assert told["replay"].n == 9 * 36
    assert told["edge rows: missing values"].n == 6
    assert told["libraries"].n == 5
    assert 0 < told["latency"].observed < 200
    assert 0 < told["memory"].observed < 1024
    assert told["batches"].n == 7


@pytest.mark.fault(24)
def test_a_replay_of_ten_thousand_rows_scores_as_in_training(registered, copy, check, rows):
    expected = registered.package(1).scores(rows)
    found = lines(check(*copy, recent=rows, expected=expected))["replay"]
    assert (found.outcome, found.n) == ("pass", 10_000)
    assert found.observed <= 1e-9
    expected[7] += 1e-6
    found = lines(check(*copy, recent=rows, expected=expected))["replay"]
    assert found.outcome == "fail"
    assert found.observed > 1e-9


@pytest.mark.fault(24)
def test_features_that_lean_on_the_other_rows_or_the_process_are_blocked(copy, check, forge, rows):
    folder, _ = copy
    plain = ['frame = frame.assign(sex=(frame["sex"] == "f").astype(float))']
    for body, line in (
        ([*plain, 'return frame.assign(bmi=frame["bmi"] - frame["bmi"].mean())'], "alone"),
        (["import os", *plain, 'return frame.assign(bmi=frame["bmi"] + os.getpid())'], "replay"),
    ):
        digest = forge(folder, code=features(body))
        load.cache_clear()
        expected = load(folder, digest).scores(rows)
        found = check(folder, digest, recent=rows, expected=expected)
        assert found.verdict.outcome == "fail"
        assert lines(found)[line].outcome == "fail", line


@pytest.mark.fault(9)
def test_a_class_that_is_gone_is_blocked(make_diabetes, loop_of, check, forge, tmp_path):
    from tidegate.clock import evening_of
    from tidegate.steps.candidate import train_and_register

    own = (
        "from sklearn.linear_model import Ridge\n\n\nclass Own(Ridge):\n    pass\n\n\n"
        "def build(params):\n    return Own(alpha=params['alpha'])\n\n\n"
        "def features(frame):\n    return frame.fillna(0).assign(sex=(frame['sex'] == 'f').astype(float))\n"
    )
    root = make_diabetes(tmp_path / "home", 9, 99)
    # A null in a column of categories has no zero.
    (root / "clinic.py").write_text(own.replace("frame.fillna(0).assign", "frame.drop(columns='sex').fillna(0).assign"))
    loop = loop_of(root, "progression")
    for i in range(9):
        loop.ingest(i)
        loop.labels(i)
    window = loop.calendar.window("2024-01-09")
    train_and_register(loop.stores, loop.model, window, evening_of(window), reason="test")
    folder = loop.stores.package_folder(loop.name, loop.record(1)["digest"])
    whole = check(folder, folder.name)
    assert [line.reason for line in whole.lines if line.outcome == "fail"] == []
    text = (folder / "tidegate/user/clinic.py").read_text()
    copied = tmp_path / "copied"
    for old, new, words in (
        ("class Own", "class Other", "Own"),
        ("def features", "def others", "no function 'features'|expected a function 'features'"),
        ("class Own", "import clinic\n\n\nclass Own", "No module named 'clinic'"),
        ("class Own", "import examples.flights.model\n\n\nclass Own", "No module named 'examples'"),
    ):
        shutil.copytree(folder, copied)
        found = check(copied, forge(copied, code=text.replace(old, new)))
        shutil.rmtree(copied)
        assert found.verdict.outcome == "fail"
        assert any(w in lines(found)["loads"].reason for w in words.split("|")), found.verdict.reasons


@pytest.mark.fault(9)
@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        (["scikit-learn==1.2.0"], "scikit-learn 1.2.0 recorded, "),
        (["no-such-library==1.0"], "no-such-library 1.0 recorded, none found"),
        ([], "no versions are recorded"),
        (None, "no versions are recorded"),
    ],
)
def test_another_library_version_is_blocked(copy, check, forge, recorded, words):
    folder, _ = copy
    found = check(folder, forge(folder, libraries=recorded))
    assert found.verdict.outcome == "fail"
    assert words in lines(found)["libraries"].reason


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        (['return frame.assign(sex=(frame["sex"] == "f").astype(int), bmi=frame["bmi"].astype(int))'],
         "edge rows: missing values", "bmi null"),
        (["import math",
          'return frame.drop(columns="sex").fillna(9).assign(age=[math.log(a) for a in frame["age"].fillna(9)])'],
         "edge rows: the contract's bounds", "age least"),
        (["import os", "os.abort()"], "loads", "ended by SIGABRT"),
        (["import os", "os._exit(3)"], "loads", "exit code 3"),
        (["import numpy", "x = []", "while True:", "    x.append(numpy.empty(1 << 28, 'u1'))"],
         "probe", "Unable to allocate"),
        (['return frame.drop(columns="sex").fillna(0).head(1)'], "probe", "1 rows"),
    ],
)  # fmt: skip
def test_what_breaks_in_the_fresh_process_is_a_line_with_its_reason(copy, check, forge, body, line, words):
    folder, _ = copy
    found = check(folder, forge(folder, code=features(body)))
    assert found.verdict.outcome == "fail"
    assert lines(found)[line].outcome == "fail"
    assert words in lines(found)[line].reason


def test_a_model_that_never_answers_is_ended_with_all_that_it_started(copy, check, forge, tmp_path):
    folder, _ = copy
    pids = tmp_path / "pids"
    code = features([
        "import os, subprocess, time", "child = subprocess.Popen(['sleep', '300'])",
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')", "time.sleep(300)",
    ])  # fmt: skip
    started = time.monotonic()
    found = check(folder, forge(folder, code=code), settings=Servability(time_limit=15))
    assert time.monotonic() - started < 60
    assert "no answer within 15 s" in lines(found)["loads"].reason
    time.sleep(0.5)
    for pid in pids.read_text().split():
        state = Path(f"/proc/{pid}/stat")
        # One that nobody has asked after yet is gone as well.
        assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_the_process_has_no_secret_no_home_and_no_source_tree(copy, check, forge, monkeypatch, registered):
    monkeypatch.setenv("TIDEGATE_SECRET", "hush")
    monkeypatch.setenv("PYTHONPATH", str(registered.root))
    code = features([
        "import os, sys", "print('this is not the answer')",
        "raise ValueError(' '.join(['env', *os.environ, 'path', *sys.path, 'at', os.getcwd()]))",
    ])  # fmt: skip
    folder, _ = copy
    reason = lines(check(folder, forge(folder, code=code)))["probe"].reason
    assert "env OMP_NUM_THREADS" in reason or "env LANG" in reason or "HOME" in reason
    assert "SECRET" not in reason
    assert "PYTHONPATH" not in reason
    assert str(registered.root) not in reason


def test_digests_of_the_windows_are_held_against_control(make_diabetes, loop_of, tmp_path, day):
    loop = loop_of(make_diabetes(tmp_path / "home", 4, 99), "progression")
    for i in range(4):
        loop.ingest(i)
        loop.labels(i)
    stores, model = loop.stores, loop.model
    spec = {
        "batches": {s.window: s.digest for s in stores.data.many("batches", model.dataset)},
        "labels": {s.window: s.digest for s in stores.lake.many("labels", model.name)},
    }

    def told(**changed):
        return {line.name: line for line in window_digests(stores, model, spec | changed)}

    assert {line.outcome for line in told().values()} == {"pass"}
    assert {line.role for line in told().values()} == {"digests"}
    forged = told(batches=spec["batches"] | {day(1): "0" * 64})
    assert forged["batches"].outcome == "fail"
    assert day(1) in forged["batches"].reason
    assert told(labels=spec["labels"] | {"1999-01-01": "0" * 64})["labels"].outcome == "fail"
    for nothing in ({}, None, "all"):
        assert told(batches=nothing)["batches"].outcome == "fail"
    # A restatement since is told, and the older digest is still known.
    table = stores.data.read("batches", model.dataset, [day(1)]).drop_columns(["window"])
    known_at = stores.data.stored("batches", model.dataset, day(1)).known_at
    stores.data.put("batches", model.dataset, day(1), table.slice(1), known_at)
    assert told()["batches"].outcome == "pass"
    assert "1 restated since" in told()["batches"].reason
    stored = stores.data.stored("batches", model.dataset, day(2))
    [name] = stored.files
    path = stores.data.path("batches", model.dataset) / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert told()["training files"].outcome == "fail"
    assert day(2) in told()["training files"].reason
    path.unlink()
    assert told()["training files"].outcome == "fail"
