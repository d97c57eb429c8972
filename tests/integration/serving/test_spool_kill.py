"""A writer that is killed at any time: what it acknowledged is there, what it admitted is accounted for."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from tidegate.adapters.counterpage import Counts
from tidegate.adapters.segments import claim, records, recover, sealed, writers

CHILD = """
import os, sys, time
from datetime import timedelta
from pathlib import Path
import msgspec
from tidegate.adapters.spool import Spool
from tidegate.config.serving import LogSettings

for home in sys.argv[2:]:  # one start of Python for all of them
    pid = os.fork()
    if not pid:
        break
    print(pid, flush=True)
else:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            sys.exit()
folder, durability = Path(home), sys.argv[1]
out = os.open(home + ".acks", os.O_CREAT | os.O_WRONLY)
spool = Spool(folder, LogSettings(durability=durability, segment_bytes=65_536, max_bytes=2**27), writer="w")
n = 0
while True:
    rows = 1 + n % 3
    names = list(range(n, n + rows))
    if spool.append(msgspec.msgpack.encode(names) + bytes(200), rows) and (durability == "buffered" or spool.sync()):
        os.write(out, b"".join(b"%d\\n" % i for i in names))
    n += rows
"""


def survivors(spool: Path) -> tuple[list[int], Counts]:
    """The rows that are there after a kill, and the books of the one writer."""
    (writer,) = writers(spool)
    held = claim(writer)
    assert held is not None
    counts = recover(writer)
    assert counts == recover(writer)
    os.close(held)
    assert counts is not None
    assert not list(writer.glob("*.open"))
    found = []
    for segment in sealed(writer):
        rows = [i for _, payload, _ in records(segment.path) for i in msgspec.msgpack.decode(payload[:-200])]
        assert len(rows) == segment.rows
        found += rows
    return found, counts


@pytest.mark.fault(41)
@pytest.mark.parametrize("durability", ["buffered", "sync"])
def test_ten_kills_at_any_time(tmp_path: Path, durability: str) -> None:
    rng, total = random.Random(durability), 0
    homes = [tmp_path / str(k) for k in range(10)]
    command = [sys.executable, "-c", CHILD, durability, *map(str, homes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pids = [int(parent.stdout.readline()) for _ in homes]
        until = time.monotonic() + 30
        try:
            for pid, home in zip(pids, homes, strict=True):
                acks = Path(f"{home}.acks")
                while not (acks.exists() and acks.stat().st_size) and time.monotonic() < until:
                    time.sleep(0.005)
                time.sleep(rng.uniform(0, 0.03))
                os.kill(pid, signal.SIGKILL)
                pids = pids[1:]
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
    for home in homes:
        said = (tmp_path / f"{home.name}.acks").read_bytes()
        acknowledged = {int(i) for i in said[: said.rfind(b"\n") + 1].split()}
        stored, counts = survivors(home)
        assert acknowledged <= set(stored)
        assert stored == list(range(len(stored)))
        assert counts.stored == len(stored)
        assert counts.admitted == counts.stored + counts.dropped
        assert counts.dropped == counts.lost <= 3
        total += len(acknowledged)
    assert total > 100


def test_a_record_cut_short_is_counted_as_dropped(tmp_path: Path) -> None:
    from tidegate.adapters.spool import Spool
    from tidegate.config.serving import LogSettings

    code = (
        "import os, sys; from pathlib import Path; from tidegate.adapters.spool import Spool\n"
        "from tidegate.config.serving import LogSettings\n"
        "s = Spool(Path(sys.argv[1]), LogSettings(), writer='w')\n"
        "s.append(b'x' * 100, 2)\n"
        "full, os.pwrite = os.pwrite, lambda f, d, at: (full(f, d[:50], at), os.kill(os.getpid(), 9))\n"
        "s.append(b'y' * 100, 3)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path], check=False).returncode == -9
    (writer,) = writers(tmp_path)
    alive = Spool(tmp_path, LogSettings(), writer="w")
    assert [claim(w) is None for w in writers(tmp_path)] == [False, True]
    held = claim(writer)
    counts = recover(writer)
    assert counts == Counts(5, 2, 3, 3, True)
    (segment,) = sealed(writer)
    assert [(rows, payload) for rows, payload, _ in records(segment.path)] == [(2, b"x" * 100)]
    alive.close()
    if held is not None:
        os.close(held)
