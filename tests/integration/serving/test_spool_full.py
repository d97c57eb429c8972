"""A full disk, a spool above its bound, a broken write: dropped, counted, and over when there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from tidegate.adapters import spool as spooling
from tidegate.adapters.counterpage import read_page
from tidegate.adapters.segments import COUNTS, FRAME, HEADER, records, sealed, waiting, writers
from tidegate.adapters.spool import Spool
from tidegate.config.serving import LogSettings

SETTINGS = LogSettings(segment_bytes=2**16, max_bytes=2**30)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(file: Path, step: int) -> None:
    with suppress(OSError), file.open("wb", buffering=0) as out:
        while out.write(bytes(step)):
            pass


def read(folder: Path) -> list[bytes]:
    return [payload for w in writers(folder) for s in sealed(w) for _, payload, _ in records(s.path)]


@pytest.mark.fault(27)
def test_a_full_disk_drops_and_counts_and_is_written_to_again_when_there_is_room(small_disk: Path) -> None:
    folder = small_disk / "spool"
    spool = Spool(folder, SETTINGS, writer="w")
    told = [spool.append(b"%06d" % i + bytes(1000), 2) for i in range(4000)]
    counts = spool.counts()
    assert counts.admitted == 8000
    assert (counts.stored, counts.dropped) == (2 * told.count(True), 2 * told.count(False))
    assert 0 < counts.dropped < 8000
    assert "space" in spool.fault
    (writer,) = writers(folder)
    assert read_page(writer / COUNTS) == counts
    for segment in sealed(writer)[:5]:
        segment.path.unlink()
    freed = [spool.append(b"later" + bytes(1000), 1) for _ in range(100)]
    assert all(freed)
    spool.close()
    kept = [i for i in read(folder) if not i.startswith(b"later")]
    assert len(read(folder)) - len(kept) == 100
    assert {int(i[:6]) for i in kept} < {i for i, stored in enumerate(told) if stored}


@pytest.mark.fault(27)
def test_a_disk_that_is_full_from_the_start_counts_in_memory_and_says_so(small_disk: Path) -> None:
    filler = small_disk / "filler"
    fill(filler, 2**16)
    fill(small_disk / "rest", 512)
    spool = Spool(small_disk / "spool", SETTINGS, writer="w")
    assert not spool.append(b"x", 3)
    counts = spool.counts()
    assert (counts.admitted, counts.stored, counts.dropped, counts.lasting) == (3, 0, 3, False)
    filler.unlink()
    spool._again = 0.0
    assert spool.append(b"x", 1)
    (writer,) = writers(small_disk / "spool")
    kept = read_page(writer / COUNTS)
    assert kept is not None
    assert (kept.admitted, kept.stored, kept.dropped) == (4, 1, 3)
    assert spool.counts().lasting
    spool.close()


@pytest.mark.fault(27)
def test_the_bound_holds_for_all_writers_together(tmp_path: Path) -> None:
    bound = LogSettings(segment_bytes=2**16, max_bytes=2**18)
    both = [Spool(tmp_path, bound, writer=f"w{i}") for i in range(2)]
    stored = sum(s.append(bytes(1000), 1) for _ in range(400) for s in both)
    assert waiting(tmp_path) <= 2**18 * 9 // 8
    counts = [s.counts() for s in both]
    assert sum(c.stored for c in counts) == stored
    assert sum(c.dropped for c in counts) == 800 - stored > 400
    for s in both:
        s.close()


def test_a_torn_write_is_cut_off_and_what_follows_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, SETTINGS, writer="w")
    assert spool.append(b"first", 1)
    whole = os.pwrite
    monkeypatch.setattr(spooling.os, "pwrite", lambda f, data, at: whole(f, data[:-3], at))
    assert not spool.append(b"the second one", 1)
    monkeypatch.setattr(spooling.os, "pwrite", whole)
    assert spool.append(b"third", 1)
    spool.close()
    assert read(tmp_path) == [b"first", b"third"]
    assert waiting(tmp_path) == HEADER.size + 2 * FRAME.size + len(b"firstthird")  # a full disk gets its bytes back
    assert not spool.append(b"late", 1)
    assert spool.counts().dropped == 2


def test_segments_are_sealed_by_age_and_size_and_tell_what_they_refer_to_once_each(tmp_path: Path) -> None:
    now = [10**18]
    settings = LogSettings(segment_bytes=2**16, seal_after=timedelta(minutes=1))
    spool = Spool(tmp_path, settings, writer="w", clock_ns=lambda: now[0])
    about = (1, b"about")
    for _ in range(2):
        spool.append(b"x", 1, about)
    (writer,) = writers(tmp_path)
    spool.tick()
    assert not sealed(writer)
    now[0] += 61 * 10**9
    spool.tick()
    assert [s.rows for s in sealed(writer)] == [2]
    spool.append(b"y", 1, about)
    spool.append(bytes(2**16), 1, about)
    spool.append(b"z", 1, about)
    spool.close()
    assert [s.rows for s in sealed(writer)] == [2, 1, 1, 1]
    assert read(tmp_path) == [b"about", b"x", b"x", b"about", b"y", b"about", bytes(2**16), b"about", b"z"]


def test_a_disk_that_cannot_sync_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, LogSettings(durability="sync"), writer="w")
    assert spool.append(b"x", 1)
    assert spool.sync()
    assert spool.append(b"y", 1)

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as m:
        m.setattr(spooling.os, "fdatasync", broken)
        assert not spool.sync()
    assert not spool.sync()
    assert spool.append(b"z", 1)
    assert spool.sync()
    spool.close()
