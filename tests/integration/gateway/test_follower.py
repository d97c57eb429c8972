"""A worker's follower in this process: packages that have to be fetched, keys that are remembered."""

import shutil
import sqlite3
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from serving.follower import Follower
from serving.gauges import Gauges
from serving.lane import lanes_of
from tidegate.adapters.apikeys import ApiKeys
from tidegate.adapters.snapshot import moved
from tidegate.clock import evening_of

NAME = "cultivars"


@pytest.fixture(scope="module")
def two(tastings_made, again, loop_of, tmp_path_factory):
    """A home with two versions, of which the second decides."""
    root = tmp_path_factory.mktemp("two") / "home"
    shutil.copytree(tastings_made.root, root)
    loop = loop_of(root, NAME)
    again(loop, 8)
    return loop


@pytest.fixture
def home(two, tastings_made, loop_of, tmp_path):
    shutil.copytree(two.root, tmp_path / "home")
    for before in (two, tastings_made):
        moved(tmp_path / "home" / "var" / "mlflow.db", before.root / "var", tmp_path / "home" / "var")
    return loop_of(tmp_path / "home", NAME)


@pytest.fixture
def follow(home, tmp_path):
    made = []

    def start():
        stores = home.stores
        lanes = lanes_of(stores.project, (NAME,), Gauges(tmp_path / f"live{len(made)}", (NAME,)), "me", tmp_path / "s")
        made.append(Follower(stores.home, stores.namespace, lanes, "me", 0.1))
        return made[-1], lanes[NAME]

    yield start
    for follower in made:
        follower.stop()
        follower.lanes[NAME].log.close()


def to_first(home):
    plan, digest = home.stores.plans.get(NAME), home.record(1)["digest"]
    window = home.calendar.window("2024-01-09")
    home.stores.plans.swap(
        plan, replace(plan, champion=1, champion_digest=digest), owner="me", window=window.id, at=evening_of(window),
        why={"by": "test"},
    )  # fmt: skip
    return digest


def looks(follower, true):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        follower.look()
        time.sleep(0.05)


def test_a_package_that_is_not_here_is_fetched_beside_while_the_old_version_answers(home, follow):
    follower, lane = follow()
    follower.look()
    digest = to_first(home)
    shutil.rmtree(home.stores.package_folder(NAME, digest))
    follower.look()
    assert lane.hosted.version == 2
    assert "it is being fetched" in lane.fault
    looks(follower, lambda: lane.hosted.version == 1)
    assert (lane.fault, home.stores.package_folder(NAME, digest).is_dir()) == ("", True)


@pytest.mark.fault(30)
def test_a_registry_that_hangs_holds_up_neither_the_loop_nor_the_answers(home, follow):
    follower, lane = follow()
    follower.look()
    digest = to_first(home)
    shutil.rmtree(home.stores.package_folder(NAME, digest))
    hung = sqlite3.connect(home.root / "var" / "mlflow.db", isolation_level=None)
    hung.execute("BEGIN EXCLUSIVE")
    try:
        for _ in range(3):
            follower.look()
            assert follower.shelf._fetching[digest].is_alive()
            assert lane.hosted.version == 2
    finally:
        hung.rollback()
        hung.close()
    looks(follower, lambda: lane.hosted.version == 1)


def test_a_package_that_is_nowhere_says_so_and_is_tried_again(home, follow):
    follower, lane = follow()
    follower.look()
    digest = to_first(home)
    shutil.rmtree(home.stores.package_folder(NAME, digest))
    away = home.root / "var" / "mlartifacts"
    away.rename(away.with_name("away"))
    looks(follower, lambda: lane.fault and "being fetched" not in lane.fault)
    assert "mend the registry, or tidegate rollback" in lane.fault
    assert lane.hosted.version == 2
    away.with_name("away").rename(away)
    lane.tried -= 60
    looks(follower, lambda: lane.hosted.version == 1)


@pytest.mark.fault(38)
def test_keys_that_control_told_last_hold_while_it_cannot_be_read(home, follow):
    keys = ApiKeys(home.stores.control, home.stores.namespace)
    keys.add("till", "predict", owner="me", at=datetime.now(UTC))
    first, _ = follow()
    first.look()
    assert [name for name, _ in first.keys.values()] == ["till"]
    file = home.root / "var" / "serving" / "keys.json"
    assert file.stat().st_mode & 0o777 == 0o600
    for path in (home.root / "var").glob("control.db*"):
        path.unlink()
    (home.root / "var" / "control.db").write_bytes(b"no database at all, and certainly no SQLite" * 100)
    second, lane = follow()
    second._control = None
    from tidegate.adapters import control

    control._opened.clear()
    second.look()
    assert (second.up, second.keys, lane.hosted.version) == (False, first.keys, 2)
