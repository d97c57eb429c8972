"""The user's code raises, changes or answers nonsense: one line, and nothing half-written."""

import numpy as np
import pytest

from tidegate.errors import ConfigError, SourceError


@pytest.fixture
def small(make_diabetes, loop_of, tmp_path):
    """Six nights of patients, ingested."""
    loop = loop_of(make_diabetes(tmp_path / "home", 6, 99), "progression")
    for i in range(6):
        loop.ingest(i)
        loop.labels(i)
    return loop


def files(loop):
    """Every file of the state, without SQLite's own and Python's caches."""
    return {
        p.relative_to(loop.root).as_posix()
        for p in loop.root.glob("var/**/*")
        if p.is_file() and not p.name.startswith("control.db") and "__pycache__" not in p.parts
    }


def edit(loop, old, new, name="clinic.py"):
    path = loop.root / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    return make_pipeline(", "    raise ValueError('no model')\n    return make_pipeline(", "clinic:build"),
        ("    return frame", "    raise KeyError('bmi')\n    return frame", "clinic:features"),
        ("    return frame", "    return frame.head(3)\n    return frame", "clinic:features"),
        ("def build", "1 / 0\ndef build", "user code clinic:"),
    ],
)
def test_code_that_raises_while_training_is_one_fault(small, old, new, words, day):
    edit(small, old, new)
    before, digests = files(small), small.digests()
    with pytest.raises(SourceError) as caught:
        small.retrain(5, "requested")
    assert words in str(caught.value)
    assert "Next: " in str(caught.value)
    assert files(small) == before
    assert small.digests() == digests
    assert small.stores.records.versions(small.name) == []


def test_a_label_that_is_no_number_is_a_fault_and_stores_nothing(small, day):
    path = small.root / f"progression/{day(2)}.csv"
    text = path.read_text()
    path.write_text(text.rsplit(",", 1)[0] + ",much\n")
    before = small.digests()
    with pytest.raises(SourceError, match="label progression: expected finite numbers, found 'much'"):
        small.labels(4)
    assert small.digests() == before


def test_a_label_outside_the_classes_is_a_fault_and_stores_nothing(make_wine, loop_of, tmp_path):
    loop = loop_of(make_wine(tmp_path / "home", 3, 99), "cultivars")
    edit(loop, "third", "fourth", "verdicts.csv")
    loop.ingest(0)
    loop.labels(0)
    before = loop.digests()
    # Some of the night's labels are good: they are not stored either.
    with pytest.raises(SourceError, match=r"label cultivar: expected one of .*, found 'fourth'.* Next: "):
        loop.labels(3)
    assert loop.digests() == before


def test_a_source_that_raises_is_a_fault_and_lands_nothing(make_wine, loop_of, tmp_path):
    root = make_wine(tmp_path / "home", 2, 99)
    dataset = root / "configs/datasets/tastings.yaml"
    dataset.write_text(dataset.read_text().replace('{files: "wine/{date}.csv"}', '{python: "winery:tastings"}'))
    with (root / "winery.py").open("a") as f:
        f.write("\n\ndef tastings(window, files):\n    raise RuntimeError('the cellar\\nis flooded')\n")
    loop = loop_of(root, "cultivars")
    with pytest.raises(SourceError, match=r"winery:tastings.*the cellar is flooded") as caught:
        loop.ingest(0)
    assert "\n" not in str(caught.value)
    assert loop.digests() == {}


def test_an_edited_module_does_not_change_what_a_version_predicts(diabetes, day):
    batch = diabetes.stores.data.read("batches", "patients", [day(20)])
    before = diabetes.package(2).scores(batch)
    module = diabetes.root / "clinic.py"
    text = module.read_text()
    try:
        module.write_text(
            text.replace('frame["sex"] == "f"', 'frame["sex"] == "m"').replace("return frame", "return -frame")
        )
        from tidegate.adapters.packages import load

        load.cache_clear()
        assert np.array_equal(diabetes.package(2).scores(batch), before)
        assert fresh_process(diabetes, batch["row_id"].to_pylist(), day(20)) == before.tolist()
    finally:
        module.write_text(text)


def fresh_process(loop, row_ids, night):
    """The scores of the champion's package in a process that has never seen the module."""
    import json
    import subprocess
    import sys

    code = (
        "import json, sys; from pathlib import Path; from tidegate.config.home import Home\n"
        "from tidegate.steps.stores import open_stores\n"
        "s = open_stores(Home.at(Path(sys.argv[1])))\n"
        "batch = s.data.read('batches', 'patients', [sys.argv[2]])\n"
        "print(json.dumps(s.champion('progression')[1].scores(batch).tolist()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(loop.root), night], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ("price", "expected columns known at the event, found 'price', known later"),
        ("cultivar", "expected no label among them, found 'cultivar'"),
        ("told_at", "expected a column of dataset tastings, found 'told_at'"),
    ],
)
def test_columns_that_leak_the_label_are_refused(make_wine, loop_of, tmp_path, feature, words):
    root = make_wine(tmp_path / "home", 1, 99)
    path = root / "configs/models/cultivars.yaml"
    path.write_text(path.read_text().replace("hue, proline]", f"hue, proline, {feature}]"))
    with pytest.raises(ConfigError, match=words):
        loop_of(root, "cultivars")


@pytest.mark.fault(22)
def test_a_batch_that_carries_the_answer_is_stored_without_it(make_wine, loop_of, tmp_path, day):
    """The source has the price, which is known later, from the first day on: no model gets to see it."""
    import pandas as pd

    root = make_wine(tmp_path / "home", 1, 99)
    path = root / f"wine/{day(0)}.csv"
    pd.read_csv(path).assign(price=1.5).to_csv(path, index=False)
    loop = loop_of(root, "cultivars")
    assert loop.ingest(0).passed
    assert "price" not in loop.stores.data.read("batches", "tastings", [day(0)]).column_names
