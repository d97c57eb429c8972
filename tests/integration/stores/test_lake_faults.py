import errno
import json
import os
import random
import shutil
import signal
import subprocess

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from tidegate.adapters import lake as module
from tidegate.adapters import parquet
from tidegate.adapters.lake import Lake
from tidegate.adapters.leases import Leases
from tidegate.adapters.parquet import checked
from tidegate.errors import IntegrityError, StaleToken, StoreError

DAY = "2013-03-01"
OLD, NEW = pa.table({"n": [1]}), pa.table({"n": [2]})


def the_file(lake, stored):
    (name,) = stored.files
    return lake.path("batch", "flights") / name


def converges(lake, known_at):
    """The old window is readable, and three reruns end in one content, however often."""
    assert lake.read("batch", "flights")["n"].to_pylist() == [1]
    runs = [lake.put("batch", "flights", DAY, NEW, known_at) for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]
    assert lake.read("batch", "flights")["n"].to_pylist() == [2]
    table = DeltaTable(str(lake.path("batch", "flights")))
    assert table.to_pyarrow_dataset().to_table()["n"].to_pylist() == [2]


@pytest.mark.fault(14)
def test_a_fault_between_commit_and_record_leaves_the_old_window(lake, known_at, monkeypatch):
    lake.put("batch", "flights", DAY, OLD, known_at)
    commit = lake._commit

    def and_fail(*args):
        commit(*args)
        raise RuntimeError

    with monkeypatch.context() as m:
        m.setattr(lake, "_commit", and_fail)
        with pytest.raises(RuntimeError):
            lake.put("batch", "flights", DAY, NEW, known_at)
    converges(lake, known_at)


@pytest.mark.fault(14)
def test_a_kill_between_commit_and_record_leaves_the_old_window(lake, known_at, actor):
    lake.put("batch", "flights", DAY, OLD, known_at)
    victim = actor("killed", lake.folder)
    assert victim.wait(timeout=30) == -signal.SIGKILL
    table = DeltaTable(str(lake.path("batch", "flights")))
    assert table.to_pyarrow_dataset().to_table()["n"].to_pylist() == [2]  # it died where it should
    # The old content once more: the record is unchanged, the Delta log is put right.
    before = lake.stored("batch", "flights", DAY)
    assert lake.put("batch", "flights", DAY, OLD, known_at).known_at == before.known_at
    table.update_incremental()
    assert table.to_pyarrow_dataset().to_table()["n"].to_pylist() == [1]
    converges(lake, known_at)


@pytest.mark.fault(14)
def test_the_same_nights_give_the_same_digests_in_any_home(tmp_path, control, known_at):
    data = pa.table({"x": np.random.default_rng(7).normal(size=500), "s": ["a", "b"] * 250})
    digests = {Lake(tmp_path / str(n), control, f"n{n}").put("batch", "flights", DAY, data, known_at).digest
               for n in range(3)}  # fmt: skip
    assert len(digests) == 1


@pytest.mark.fault(29)
def test_no_flipped_bit_and_no_truncation_is_silent(lake, known_at):
    data = pa.table({"x": np.random.default_rng(7).normal(size=500), "s": ["a", "b"] * 250})
    stored = lake.put("batch", "flights", DAY, data, known_at)
    path, (sha,) = the_file(lake, stored), stored.files.values()
    good = path.read_bytes()
    assert checked(good, sha, "") is good
    rng = random.Random(7)
    damaged = []
    for _ in range(2000):
        bit = rng.randrange(len(good) * 8)
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    damaged += [good[: rng.randrange(len(good))] for _ in range(200)] + [b"", good + b"\0"]
    for bad in damaged:
        with pytest.raises(IntegrityError):
            checked(bad, sha, "")
    for bad in [*rng.sample(damaged, 20), b""]:
        path.write_bytes(bad)
        with pytest.raises(IntegrityError, match="SHA-256"):
            lake.read("batch", "flights", columns=["x"])
    path.write_bytes(good)
    assert lake.read("batch", "flights").drop(["window"]).equals(data)


@pytest.mark.fault(29)
def test_the_pages_carry_checksums_for_other_readers(lake, known_at):
    import pyarrow.parquet as pq

    stored = lake.put("batch", "flights", DAY, pa.table({"x": np.arange(1000.0)}), known_at)
    path = the_file(lake, stored)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(pa.BufferReader(bytes(data)), page_checksum_verification=True)


@pytest.mark.fault(29)
@pytest.mark.parametrize("damage", ["flip", "gone", "all gone", "swapped"])
def test_running_a_damaged_window_again_mends_it(lake, known_at, damage):
    stored = lake.put("batch", "flights", DAY, OLD, known_at)
    other = lake.put("batch", "flights", "2013-03-02", NEW, known_at)
    path = the_file(lake, stored)
    if damage == "flip":
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
    elif damage == "swapped":
        shutil.copy(the_file(lake, other), path)
    elif damage == "gone":
        path.unlink()
    else:
        shutil.rmtree(lake.path("batch", "flights"))
    with pytest.raises(IntegrityError, match=r"lake file .*Next: run the window again"):
        lake.read("batch", "flights", [DAY])
    mended = lake.put("batch", "flights", DAY, OLD, known_at)
    assert (mended.digest, mended.known_at) == (stored.digest, stored.known_at)
    assert lake.read("batch", "flights", [DAY], as_of=known_at)["n"].to_pylist() == [1]
    assert lake.stored("batch", "flights", DAY) == mended


def test_two_processes_write_windows_of_one_table_at_once(lake, actor):
    days = [f"2013-03-0{n}" for n in range(1, 4)]
    writers = [actor("windows", lake.folder, day, ",".join(map(str, range(8)))) for day in days]
    assert [w.communicate(timeout=60)[0] for w in writers] == ['"done"\n'] * 3
    assert lake.read("batch", "shared")["n"].to_pylist() == [7] * 3
    table = DeltaTable(str(lake.path("batch", "shared")))
    assert sorted(table.to_pyarrow_dataset().to_table()["window"].to_pylist()) == days


def test_two_processes_write_one_window_at_once(lake, actor):
    writers = [actor("windows", lake.folder, DAY, f"{n},{n + 10},{n + 20}") for n in range(2)]
    assert [w.communicate(timeout=60)[0] for w in writers] == ['"done"\n'] * 2
    last = lake.read("batch", "shared")["n"].to_pylist()
    assert last in ([20], [21])
    lake.put("batch", "shared", DAY, pa.table({"n": last}), lake.stored("batch", "shared", DAY).known_at)
    table = DeltaTable(str(lake.path("batch", "shared")))
    assert table.to_pyarrow_dataset().to_table()["n"].to_pylist() == last


def test_conflicts_are_retried_a_bounded_number_of_times(lake, known_at, monkeypatch):
    lake.put("batch", "flights", DAY, OLD, known_at)
    replace, tries = lake._replace, []
    monkeypatch.setattr(module.time, "sleep", lambda _: None)

    def conflict(*args, luck=3):
        tries.append(1)
        if len(tries) < luck:
            raise DeltaError("Failed to commit transaction: 3\nmore lines")
        return replace(*args)

    monkeypatch.setattr(lake, "_replace", conflict)
    lake.put("batch", "flights", DAY, NEW, known_at)
    assert len(tries) == 3
    tries.clear()
    monkeypatch.setattr(lake, "_replace", lambda *args: conflict(*args, luck=99))
    with pytest.raises(StoreError, match=r"found Failed to commit transaction: 3\. Next"):
        lake.put("batch", "flights", DAY, OLD, known_at)
    assert len(tries) == module.ATTEMPTS
    assert lake.read("batch", "flights")["n"].to_pylist() == [2]


def test_a_lost_lease_writes_nothing_to_lake_or_control(lake, known_at, control):
    leases = Leases(control, "default", 60)
    lease = leases.acquire("night")
    lake.put("batch", "flights", DAY, OLD, known_at, lease)
    leases.release(lease)
    leases.acquire("night")
    with pytest.raises(StaleToken):
        lake.put("batch", "flights", DAY, NEW, known_at, lease)
    assert DeltaTable(str(lake.path("batch", "flights"))).version() == 1
    assert lake.read("batch", "flights")["n"].to_pylist() == [1]


def test_a_lease_lost_during_the_commit_makes_nothing_visible(lake, known_at, control, monkeypatch):
    leases = Leases(control, "default", 60)
    lake.put("batch", "flights", DAY, OLD, known_at)
    lease, commit = leases.acquire("night"), lake._commit

    def and_lose(*args):
        files = commit(*args)
        leases.release(lease)
        return files

    monkeypatch.setattr(lake, "_commit", and_lose)
    with pytest.raises(StaleToken):
        lake.put("batch", "flights", DAY, NEW, known_at, lease)
    assert lake.read("batch", "flights")["n"].to_pylist() == [1]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_failing_disk_leaves_no_half_file(lake, known_at, monkeypatch, code):
    lake.put("batch", "flights", DAY, OLD, known_at)
    before = sorted(lake.path("batch", "flights").rglob("*"))

    def fail(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(parquet.os, "fsync", fail)
    with pytest.raises(StoreError, match=rf"lake table {lake.path('batch', 'flights')}: .*{os.strerror(code)}"):
        lake.put("batch", "flights", DAY, NEW, known_at)
    assert sorted(lake.path("batch", "flights").rglob("*")) == before
    assert lake.read("batch", "flights")["n"].to_pylist() == [1]


def test_a_broken_delta_log_is_one_line_and_reading_goes_on(lake, known_at, monkeypatch, tmp_path, control):
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    lake.put("batch", "flights", DAY, OLD, known_at)
    for entry in (lake.path("batch", "flights") / "_delta_log").glob("*.json"):
        entry.write_text("{broken")
    fresh = Lake(tmp_path / "var", control, "default")
    with pytest.raises(StoreError, match="lake table") as fault:
        fresh.put("batch", "flights", DAY, NEW, known_at)
    assert "\n" not in str(fault.value)
    assert fresh.read("batch", "flights")["n"].to_pylist() == [1]


def in_mount_namespace(mount):
    """A command that runs the rest of its line where `mount` has been done, for itself only."""
    return ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]


@pytest.fixture
def mounts():
    probe = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True, check=False
    )
    if probe.returncode:
        pytest.skip(f"mount namespaces are not permitted here: {probe.stderr.strip()}")


@pytest.mark.fault(28)
@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize("part", ["var", "var/lake"])
def test_a_read_only_folder_is_named_and_nothing_is_half_written(lake, known_at, actor, part, tmp_path):
    lake.put("batch", "shared", DAY, OLD, known_at)
    before = {p: p.read_bytes() for p in lake.path("batch", "shared").rglob("*") if p.is_file()}
    folder = tmp_path / part
    wrap = in_mount_namespace(f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}")
    writer = actor("windows", lake.folder, DAY, "7", wrap=wrap)
    line, _ = writer.communicate(timeout=30)
    assert writer.returncode == 1
    assert str(folder) in line
    assert "read-only" in line.lower() or "readonly" in line.lower() or "unable to open" in line
    assert line.count("\n") == 1
    assert {p: p.read_bytes() for p in lake.path("batch", "shared").rglob("*") if p.is_file()} == before
    assert lake.read("batch", "shared")["n"].to_pylist() == [1]


@pytest.mark.fault(28)
@pytest.mark.usefixtures("mounts")
def test_a_new_state_folder_in_a_read_only_place_is_named(actor, tmp_path):
    wrap = in_mount_namespace(f"mount --bind {tmp_path} {tmp_path} && mount -o remount,ro,bind {tmp_path}")
    for state in (tmp_path, tmp_path / "var"):
        writer = actor("windows", state, DAY, "7", wrap=wrap)
        line, _ = writer.communicate(timeout=30)
        assert writer.returncode == 1
        assert str(state) in json.loads(line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("mounts")
def test_a_full_disk_is_said_in_one_line(lake, actor, tmp_path):
    folder = tmp_path / "var" / "lake"
    folder.mkdir(parents=True)
    wrap = in_mount_namespace(
        f"mount -t tmpfs -o size=64k none {folder} && ! dd if=/dev/zero of={folder}/fill bs=1k count=65 2>/dev/null"
    )
    writer = actor("windows", lake.folder, DAY, "7", wrap=wrap)
    line, _ = writer.communicate(timeout=30)
    assert writer.returncode == 1
    assert "No space left on device" in json.loads(line)
    assert lake.many("batch", "shared") == []
