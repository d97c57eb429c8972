"""A page of counters that outlives its process.

The page is mapped into memory, so a count is a store and no system call, and what was stored is with the operating
system when the process is killed. Its blocks are there before it is mapped: a store into a hole of a full disk
would end the process by SIGBUS.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path

MAGIC = int.from_bytes(b"TGCOUNT1", "little")
SIZE = 4096
ADMITTED, STORED, DROPPED, LOST, ENDED = 1, 2, 3, 4, 5
_SLOTS = struct.Struct("<6Q")


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows that a writer admitted, stored and dropped; ``lost``, a part of the dropped, fell to a killed writer.

    ``lasting`` is whether the counts outlive the process: not where their page could not be made.
    """

    admitted: int
    stored: int
    dropped: int
    lost: int = 0
    ended: bool = False
    lasting: bool = True


class CounterPage:
    """Six counters, eight bytes each; each is stored at once, so a kill leaves none half-written."""

    def __init__(self, path: Path, first: Counts) -> None:
        """Raises `OSError` when there is no room for it; nothing is left behind then."""
        made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(made, 0, SIZE)
            # Written and not only allocated: a file system that copies on write has its blocks by then.
            os.pwrite(made, bytes(SIZE), 0)
            self.map = mmap.mmap(made, SIZE)
        except BaseException:
            path.unlink()
            raise
        finally:
            os.close(made)
        self.slots = memoryview(self.map).cast("Q")
        for at, value in ((ADMITTED, first.admitted), (STORED, first.stored), (DROPPED, first.dropped), (0, MAGIC)):
            self.slots[at] = value

    def close(self) -> None:
        self.slots.release()
        self.map.close()


def read_page(path: Path) -> Counts | None:
    """The counters of a writer, alive or dead; None where the file is no such page."""
    try:
        with path.open("rb") as file:
            raw = file.read(_SLOTS.size)
    except OSError:
        return None
    if len(raw) < _SLOTS.size:
        return None
    magic, admitted, stored, dropped, lost, ended = _SLOTS.unpack(raw)
    return Counts(admitted, stored, dropped, lost, bool(ended)) if magic == MAGIC else None


def end_page(path: Path, stored: int) -> Counts | None:
    """Close the books of a dead writer: what it admitted and is not stored was dropped."""
    found = read_page(path)
    if found is None or found.ended:
        return found
    stored = max(stored, found.stored)
    admitted = max(found.admitted, stored)
    dropped = admitted - stored
    counts = Counts(admitted, stored, dropped, max(0, dropped - found.dropped), True)
    raw = _SLOTS.pack(MAGIC, admitted, stored, dropped, counts.lost, 1)
    with path.open("r+b", buffering=0) as file:
        file.write(raw)
        os.fsync(file.fileno())
    return counts


__all__ = ["ADMITTED", "DROPPED", "ENDED", "LOST", "STORED", "CounterPage", "Counts", "end_page", "read_page"]
