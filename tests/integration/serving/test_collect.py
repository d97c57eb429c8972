"""What is in the spool comes into the lake exactly once, and what was dropped is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tidegate.adapters.segments import writers
from tidegate.adapters.spool import spool_folder
from tidegate.contract.admit import row_ids
from tidegate.steps.collect import collect

DAY = "2024-01-01"


def spool(shop) -> Path:
    return spool_folder(shop.stores.home.state, "shop", "bought")


def served(shop) -> list[dict]:
    return shop.stores.lake.read("served", "bought").to_pylist()


def test_an_inference_is_a_row_with_all_that_is_known_of_it(shop) -> None:
    import pandas as pd

    log = shop.log()
    ids = shop.answer(log, range(2), channel="app")
    log.close()
    done = collect(shop.stores, shop.model, shop.now)
    assert (done.rows, done.windows, done.dropped, done.writers) == (2, {DAY}, 0, 1)
    first, second = served(shop)
    assert [first["inference_id"], second["inference_id"]] == ids
    assert first.pop("pseudonym_mail").startswith("p1:")
    assert first == {
        "inference_id": ids[0], "caller_id": "mine-0", "row_id": row_ids([pd.Series([0])])[0], "received_at": shop.now,
        "latency_us": 250.0, "request_rows": 2, "version": 3, "package": "p" * 64, "code": "c" * 12,
        "environment": "e" * 12, "route": "champion", "source": "gateway", "caller": "till", "trace": "t" * 32,
        "sample": 1.0, "confidence": 0.75, "score": 0.25, "prediction": 0, "in_channel": "app", "in_price": 20.5,
        "in_pages": 4, "in_visit": 0, "in_at": datetime(2024, 1, 1, 12, tzinfo=UTC), "segment_channel": "app",
        "window": DAY,
    }  # fmt: skip
    assert not writers(spool(shop))
    assert collect(shop.stores, shop.model, shop.now).rows == 0


def test_a_living_writer_keeps_its_open_segment_and_a_day_its_rows(shop) -> None:
    log = shop.log(seal_after=timedelta(minutes=1))
    shop.answer(log, range(2))
    assert collect(shop.stores, shop.model, shop.now).rows == 0
    shop.now += timedelta(hours=13)
    log.tick()
    shop.answer(log, range(2, 5))
    assert collect(shop.stores, shop.model, shop.now).rows == 2
    log.close()
    assert collect(shop.stores, shop.model, shop.now).rows == 3
    assert [r["window"] for r in served(shop)] == [DAY] * 2 + ["2024-01-02"] * 3


def test_a_sample_is_drawn_by_the_id_and_its_share_is_kept(shop) -> None:
    serving = shop.model.serving.model_copy(update={"sample": 0.3})
    shop.model = shop.model.model_copy(update={"serving": serving})
    log = shop.log()
    ids = shop.answer(log, range(400))
    log.close()
    assert 80 < log.counts().admitted < 160
    collect(shop.stores, shop.model, shop.now)
    assert {r["inference_id"] for r in served(shop)} == {i for i in ids if int(i[-8:], 16) < 0.3 * 2**32}
    assert {r["sample"] for r in served(shop)} == {0.3}


def test_refusals_are_stored_one_by_one_up_to_a_hundred_a_second(shop, nanoseconds) -> None:
    log = shop.log()
    for i in range(250):
        assert log.refused(nanoseconds(shop.now), 1000, 429 if i % 2 else 400, "too many", "till")
    shop.now += timedelta(seconds=2)
    log.tick()
    log.close()
    assert collect(shop.stores, shop.model, shop.now).refused == 250
    rows = shop.stores.lake.read("refusals", "bought").to_pylist()
    assert len(rows) == 102
    assert sum(r["count"] for r in rows if r["status"] == 429) == 125


def test_labels_are_stored_once_and_corrections_by_arrival(shop, nanoseconds) -> None:
    log = shop.log()
    (name,) = shop.answer(log, range(1))
    for label in ("no", "no", "yes", "no", "maybe"):
        shop.now += timedelta(minutes=1)
        assert log.labels([(name, None, label, None)], nanoseconds(shop.now), "till")
    log.close()
    done = collect(shop.stores, shop.model, shop.now)
    assert done.labels == 3
    assert "maybe" in done.wrong[0]
    again = shop.log()
    again.labels([(name, None, "no", None)], nanoseconds(shop.now), "till")
    again.close()
    assert collect(shop.stores, shop.model, shop.now).labels == 0
    labels = shop.stores.lake.read("posted_labels", "bought").sort_by("received_at")
    assert labels["label"].to_pylist() == [0.0, 1.0, 0.0]
    verdict = shop.stores.records.verdict("bought", "log", DAY)
    assert verdict.outcome == "fail"
    assert any("maybe" in r for r in verdict.reasons)


def test_drops_are_told_once_by_the_window_that_heard_of_them(shop, monkeypatch) -> None:
    log = shop.log()
    shop.answer(log, range(3))
    monkeypatch.setattr(log.spool, "_store", lambda *_: False)
    log.append(None, [()] * 4, ["x"] * 4, [None] * 4, [0.0] * 4, [0] * 4, [0.0] * 4)
    collect(shop.stores, shop.model, shop.now)
    verdict = shop.stores.records.verdict("bought", "log", DAY)
    assert verdict.outcome == "fail"
    assert (verdict.numbers["admitted"], verdict.numbers["stored"], verdict.numbers["dropped"]) == (7, 3, 4)
    assert collect(shop.stores, shop.model, shop.now).dropped == 4
    log.close()
    shop.now += timedelta(days=1)
    assert collect(shop.stores, shop.model, shop.now).dropped == 0
    assert shop.stores.records.verdict("bought", "log", "2024-01-02").passed


def test_a_damaged_segment_is_kept_and_told(shop) -> None:
    log = shop.log()
    for i in range(3):
        shop.answer(log, range(i, i + 1))
    log.close()
    (segment,) = spool(shop).glob("*/*.seg")
    raw = bytearray(segment.read_bytes())
    raw[-40] ^= 1
    segment.write_bytes(raw)
    done = collect(shop.stores, shop.model, shop.now)
    assert (done.rows, done.damaged) == (2, 1)
    assert [p.suffix for p in spool(shop).glob("*/*") if p.name not in ("lock", "counts")] == [".bad"]
    assert collect(shop.stores, shop.model, shop.now).damaged == 1
    assert "damaged" in shop.stores.records.verdict("bought", "log", DAY).reasons[0]


@pytest.mark.fault(39)
def test_no_value_that_is_dropped_or_a_pseudonym_reaches_the_disk(shop) -> None:
    log = shop.log()
    for k in range(0, 5000, 100):
        numbers = range(k, k + 100)
        shop.answer(log, numbers, name="canary-of-all")
        rows = [shop.row(i, mail=f"canary-m{i:05}", name=f"canary-n{i:05}") for i in numbers]
        about = None
        log.append(about, rows, [], [], [], [], [])  # broken: nothing of it may be left either
    before = scan(shop.root)
    log.close()
    assert b"mail0@shop" not in before
    collect(shop.stores, shop.model, shop.now)
    for text in (before, scan(shop.root)):
        assert text.count(b"canary") == text.count(b"Name ") == text.count(b"@shop") == 0
    assert shop.stores.lake.read("served", "bought").num_rows == 5000
    kept = shop.root / "var/private/pseudonyms.json"
    assert kept.stat().st_mode & 0o777 == 0o600


def scan(root: Path) -> bytes:
    """All bytes below a folder, Parquet files as text as well."""
    import pyarrow.parquet as pq

    whole = [p.read_bytes() for p in root.rglob("*") if p.is_file()]
    whole += [str(pq.read_table(p).to_pylist()).encode() for p in root.rglob("*.parquet")]
    return b"\n".join(whole)


KILLS = """
import json, os, shutil, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import deltalake, pyarrow.parquet, pandas
from datetime import datetime, UTC
from tidegate.adapters import control
from tidegate.config.home import Home
from tidegate.steps.collect import collect
from tidegate.steps.stores import stores_of
from sqlalchemy import event

NOW = datetime(2024, 1, 2, 12, tzinfo=UTC)
prepared, work, steps = Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])

def run(home, at):
    count = [0]
    def step():
        count[0] += 1
        if count[0] == at:
            os.kill(os.getpid(), 9)
    def counted(function):
        def call(*args, **named):
            step()
            done = function(*args, **named)
            step()
            return done
        return call
    for name in ("fsync", "rename", "unlink", "link", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    stores = stores_of(Home.at(home))
    event.listen(stores.control.engine, "commit", lambda c: step())
    collect(stores, stores.project.model("bought"), NOW)
    return stores, count[0]

def child(call):
    r, w = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(w, json.dumps(call()).encode())
        os._exit(0)
    os.close(w)
    said = os.read(r, 2**20)
    os.close(r)
    os.waitpid(pid, 0)
    return json.loads(said) if said else None

def whole(home):
    stores, _ = run(home, 0)
    run(home, 0)
    delta = deltalake.DeltaTable(str(stores.lake.path("served", "bought"))).to_pyarrow_dataset().to_table()
    ours = stores.lake.read("served", "bought")
    verdict = stores.records.verdicts("bought", "log")
    left = [p.name for p in (home / "var/spool/shop/bought").iterdir() if not p.name.startswith(".lock")]
    return {"ours": sorted(ours["inference_id"].to_pylist()), "delta": sorted(delta["inference_id"].to_pylist()),
            "labels": stores.lake.read("posted_labels", "bought")["label"].to_pylist(), "left": left,
            "refused": stores.lake.read("refusals", "bought")["count"].to_pylist(),
            "told": {w: [v.numbers[k] for k in ("admitted", "stored", "dropped", "lost")] for w, v in verdict.items()}}

for k in steps:
    if k is None:  # every step that a whole run has
        steps += range(1, ran + 1)
        continue
    home = work / str(k)
    shutil.copytree(prepared, home)
    ran = child(lambda: run(home, k)[1])
    print(json.dumps([k, ran, child(lambda: whole(home))]), flush=True)
    shutil.rmtree(home)
"""


def killed(shop, nanoseconds, tmp_path_factory, steps: list[int | None]) -> list[list]:
    """A collection killed at each of some steps, and what the next ones make of it; beside the ids that were logged."""
    log, names = shop.log(segment_bytes=65_536), []
    for k in range(0, 400, 40):
        if k == 200:
            shop.now += timedelta(days=1)
        names += shop.answer(log, range(k, k + 40))
        log.labels([(names[-1], None, "yes", None)], nanoseconds(shop.now), "till")
        log.refused(nanoseconds(shop.now), 5, 400, "no", "till")
    log.close()
    dead = shop.log()
    names += shop.answer(dead, range(400, 440))
    # As a kill leaves it: open, its lock free.
    os.close(dead.spool._lock_fd)
    dead.spool._lock_fd = -1
    work = tmp_path_factory.mktemp("kills")
    command = [sys.executable, "-c", KILLS, os.getcwd(), shop.root, work, json.dumps(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr[-2000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    expected = {
        "ours": sorted(names), "delta": sorted(names), "labels": [1.0] * 10, "left": [], "refused": [1] * 10,
        "told": {"2024-01-02": [440, 440, 0, 0]},
    }  # fmt: skip
    for k, _, whole in found:
        assert whole == expected, f"killed at step {k}"
    return found


@pytest.mark.fault(41)
def test_a_collection_that_is_killed_is_completed_exactly_once(shop, nanoseconds, tmp_path_factory) -> None:
    found = killed(shop, nanoseconds, tmp_path_factory, [6, 20])
    assert [ran is None for _, ran, _ in found] == [True, True]


@pytest.mark.slow
@pytest.mark.fault(41)
def test_killed_at_every_step(shop, nanoseconds, tmp_path_factory) -> None:
    found = killed(shop, nanoseconds, tmp_path_factory, [10**6, None])
    steps = found[0][1]
    assert steps > 40
    assert [k for k, ran, _ in found if ran is None] == list(range(1, steps + 1))
