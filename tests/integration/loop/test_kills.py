"""A process is killed at its durable steps; one pass of `reconcile` leads to old xor new, and nothing is left over."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tidegate.clock import evening_of
from tidegate.steps.switch import mirrored, undo

LAST = 23


@pytest.fixture
def undone(wine, loop_of, day, tmp_path):
    """A copy of the wine's home in which version 2 waits: its promotion was taken back."""
    shutil.copytree(wine.root, tmp_path / "home")
    loop = loop_of(tmp_path / "home", wine.name)
    plan = loop.stores.plans.get(loop.name)
    before = replace(plan, champion=1, champion_digest=loop.record(1)["digest"])
    undo(loop.stores, loop.model, plan, before, day(LAST), evening_of(loop.calendar.window(day(LAST))), "test")
    assert mirrored(loop.stores, loop.model) == ""
    assert [loop.record(v)["status"] for v in (1, 2)] == ["champion", "challenger"]
    return loop


def killed(what, root, folder, night, first, every):
    words = [sys.executable, str(Path(__file__).with_name("kills.py")), what, root, folder, night, first, every]
    root_of = str(Path(__file__).parents[3])
    done = subprocess.run(
        [str(w) for w in words], capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": root_of}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for f in found:
        assert (f["owed"], f["again"]) == ([], []), f
        assert (f["digest"], f["loads"], f["chain"]) == (True, True, None), f
        assert [v for v, s in f["statuses"].items() if s == "champion"] == [str(f["champion"])], f
        assert f["alias"] == f["champion"], f
        assert (f["running"], f["unknown"], f["packages"], f["missing"]) == (0, [], [], []), f
        assert f["seconds"] < 10, f
    assert [f["finished"] for f in found] == [False] * (len(found) - 1) + [True]
    return found


@pytest.mark.fault(5)
def test_a_rollback_killed_right_after_the_switch_is_finished(wine, day, tmp_path):
    first, last = killed("roll_back", wine.root, tmp_path, day(LAST), 4, 60)
    assert (first["champion"], last["champion"]) == (1, 1)
    assert first["statuses"] == last["statuses"] == {"1": "champion", "2": "rolled_back"}
    assert "version 2 is rolled_back" in first["done"]


@pytest.mark.slow
@pytest.mark.fault(5)
def test_a_promotion_killed_at_any_step_is_old_or_new(undone, day, tmp_path):
    found = killed("promote", undone.root, tmp_path, day(LAST), 1, 1)
    assert len(found) > 8
    kept = {2: {"1": "retired", "2": "champion"}, 1: {"1": "champion", "2": "challenger"}}
    assert all(f["statuses"] == kept[f["champion"]] for f in found)
    # Before the switch the old one, from then on the new one.
    assert [f["champion"] for f in found] == sorted(f["champion"] for f in found)
    assert {f["champion"] for f in found} == {1, 2}


@pytest.mark.slow
@pytest.mark.fault(5)
def test_a_rollback_killed_at_any_step_is_old_or_new(wine, day, tmp_path):
    found = killed("roll_back", wine.root, tmp_path, day(LAST), 1, 1)
    assert len(found) > 7
    kept = {2: {"1": "retired", "2": "champion"}, 1: {"1": "champion", "2": "rolled_back"}}
    assert all(f["statuses"] == kept[f["champion"]] for f in found)
    assert [f["champion"] for f in found] == sorted((f["champion"] for f in found), reverse=True)


@pytest.mark.slow
@pytest.mark.fault(8)
def test_a_training_killed_at_any_step_leaves_no_orphan(wine, day, tmp_path):
    found = killed("train", wine.root, tmp_path, day(LAST), 1, 1)
    assert len(found) > 40
    old, new = {"1": "retired", "2": "champion"}, {"1": "retired", "2": "champion", "3": "candidate"}
    assert all(f["statuses"] in (old, new) for f in found)
    # What the registry had whole is recorded and not trained again.
    assert next(f["k"] for f in found if f["statuses"] == new) < found[-1]["k"]
    assert any("staging" in t for f in found for t in f["done"])
    assert any("of a killed process is closed" in t for f in found for t in f["done"])
