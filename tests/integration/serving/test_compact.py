"""Housekeeping of a home whose model has a log."""

import os
import time
from datetime import timedelta
from pathlib import Path

import deltalake
import pytest
import yaml

from tidegate.adapters import ledger
from tidegate.config.home import Home
from tidegate.config.project import load_project
from tidegate.errors import IntegrityError, StoreError
from tidegate.privacy.retention import RETIRED
from tidegate.steps.collect import collect, plan_of
from tidegate.steps.compact import compact
from tidegate.steps.stores import stores_of

DAY = "2024-01-01"


@pytest.fixture
def parts(shop):
    """Three collections of one day: three parts of a window."""
    for i in range(3):
        log = shop.log(f"w{i}")
        shop.answer(log, range(i * 3, i * 3 + 3))
        log.close()
        collect(shop.stores, shop.model, shop.now + timedelta(minutes=i))
    return shop


def ids(shop):
    return sorted(shop.stores.lake.read("served", "bought")["inference_id"].to_pylist())


def outside(shop):
    """What another reader of the Delta table sees."""
    table = deltalake.DeltaTable(str(shop.stores.lake.path("served", "bought")))
    return sorted(table.to_pyarrow_dataset().to_table()["inference_id"].to_pylist())


def files(shop):
    return sorted(shop.stores.lake.path("served", "bought").glob("window=*/*.parquet"))


def aged(shop, days=3):
    for file in files(shop):
        os.utime(file, (time.time() - days * 86_400,) * 2)


def test_the_parts_of_a_day_become_one_file_and_nothing_else_changes(parts):
    before, was = parts.stores.lake.stored("served", "bought", DAY), ids(parts)
    assert len(before.files) == 3
    assert compact(parts.stores, parts.now + timedelta(hours=30)).merged == 0
    later = parts.now + timedelta(days=4)
    assert compact(parts.stores, later).merged == 1
    after = parts.stores.lake.stored("served", "bought", DAY)
    assert (after.digest, after.rows, after.known_at, len(after.files)) == (
        before.digest, before.rows, before.known_at, 1)  # fmt: skip
    assert ids(parts) == outside(parts) == was
    assert compact(parts.stores, later).merged == 0
    # What still names the parts, as of then, can be read for as long as is promised.
    assert parts.stores.lake.read("served", "bought", as_of=parts.now).num_rows == 3
    log = parts.log("late")
    more = parts.answer(log, range(20, 22))
    log.close()
    collect(parts.stores, parts.model, later)
    assert ids(parts) == outside(parts) == sorted([*was, *more])


def test_a_part_that_may_come_again_keeps_its_name(parts):
    folder = parts.stores.home.state / "spool" / "shop" / "bought"
    folder.mkdir(parents=True, exist_ok=True)
    plan_of(folder).write_text('{"part": "x", "segments": []}')
    assert compact(parts.stores, parts.now + timedelta(days=4)).merged == 0


def test_former_contents_and_strays_go_and_what_is_in_force_stays(parts):
    was, later = ids(parts), parts.now + timedelta(days=200)
    compact(parts.stores, parts.now + timedelta(days=4))
    stray = files(parts)[0].parent / "stray.parquet"
    stray.write_bytes(b"left by a kill")
    assert len(files(parts)) == 5
    done = compact(parts.stores, later)
    assert (done.former, done.strays) == (2, 0)
    aged(parts)
    assert compact(parts.stores, later).strays == 4
    assert len(files(parts)) == 1
    assert ids(parts) == outside(parts) == was
    with pytest.raises(IntegrityError, match=r"as known at .* given up by retention"):
        parts.stores.lake.read("served", "bought", as_of=parts.now)


def settings(shop, **retention):
    path = shop.root / "configs" / "tidegate.yaml"
    path.write_text(yaml.safe_dump({"namespace": "shop", "retention": retention}))
    load_project.cache_clear()
    return stores_of(Home.at(shop.root))


def test_a_window_past_its_time_is_given_up_and_the_ledger_says_so(parts):
    stores, later = settings(parts, tables={"served": "120d"}), parts.now + timedelta(days=130)
    dry = compact(stores, later, dry=True)
    assert dry.retired == {"served": 1}
    assert len(ids(parts)) == 9
    was = stores.lake.stored("served", "bought", DAY)
    assert compact(stores, later).retired == {"served": 1}
    assert stores.lake.read("served", "bought").num_rows == len(outside(parts)) == 0
    now = stores.lake.stored("served", "bought", DAY)
    assert (now.digest, now.rows) == (RETIRED, 0)
    (entry,) = ledger.entries(stores.control, "shop", "bought", "retired")
    assert entry["body"] == {"table": "served", "windows": {DAY: was.digest}, "rows": 9}
    aged(parts)
    assert compact(stores, later).retired == {}
    assert files(parts) == []


def test_one_run_at_a_time(parts):
    with parts.stores.leases.holding("housekeeping"), pytest.raises(StoreError, match="one run at a time"):
        compact(parts.stores, parts.now)


def test_above_the_budget_the_verdict_fails_and_says_what_is_large(parts):
    state = parts.stores.home.state
    (state / "logs").mkdir()
    (state / "logs" / "big.log").write_bytes(b"x" * 12_000_000)
    done = compact(settings(parts, budget=10**7), parts.now)
    assert done.verdict.outcome == "fail"
    assert "logs 12.0 MB" in done.verdict.reasons[0]
    os.utime(state / "logs" / "big.log", (parts.now.timestamp(),) * 2)
    done = compact(settings(parts, budget=10**7), parts.now + timedelta(days=31))
    assert (done.files, done.verdict.outcome) == (1, "pass")


KILLS = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from sqlalchemy import event
from tidegate.config.home import Home
from tidegate.steps.compact import compact
from tidegate.steps.stores import stores_of

home, last = Path(sys.argv[1]), int(sys.argv[2])
done = 0

def step():
    global done
    done += 1
    if done == last:
        os.kill(os.getpid(), 9)

def counted(function):
    def call(*args, **named):
        step()
        return function(*args, **named)
    return call

stores = stores_of(Home.at(home))
for name in ("fsync", "rename", "unlink", "rmdir"):
    setattr(os, name, counted(getattr(os, name)))
event.listen(stores.control.engine, "commit", lambda c: step())
import deltalake
deltalake.DeltaTable.create_write_transaction = counted(deltalake.DeltaTable.create_write_transaction)
compact(stores, datetime(2024, 1, 6, tzinfo=UTC))
print(done)
"""


@pytest.mark.parametrize("last", [3, 5, 7, pytest.param(0, marks=pytest.mark.slow)])
def test_a_kill_loses_nothing_and_the_next_run_goes_on(parts, last):
    import subprocess
    import sys

    was, steps = ids(parts), [last] if last else range(1, 40)
    script = parts.root / "kill.py"
    script.write_text(KILLS)
    for k in steps:
        words, known = [sys.executable, script, parts.root, str(k)], {"PYTHONPATH": str(Path(__file__).parents[3])}
        done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **known}, check=False)
        assert done.returncode in (0, -9), done.stderr
        stores = stores_of(Home.at(parts.root))
        assert sorted(stores.lake.read("served", "bought")["inference_id"].to_pylist()) == was
        stores.leases.free()
        if done.returncode == 0:
            break
    compact(stores, parts.now + timedelta(days=5))
    assert len(stores.lake.stored("served", "bought", DAY).files) == 1
    assert ids(parts) == outside(parts) == was
