"""Segments: the files of a spool, how their records are framed, how a dead writer's are recovered.

A spool is a folder a model; each writer has a folder of its own in it, for as long as it holds the lock there::

    <state>/spool/<namespace>/<model>/<time>-<token>-<writer>/
        lock                        held (flock) while the writer lives
        counts                      its counters, see `counterpage`
        <time>-<token>-<n>.open     the segment being written
        <time>-<token>-<n>.<rows>.seg    sealed: waits for collection
        <time>-<token>-<n>.<lost>.bad    collected, but damaged: kept for people to look at

Names sort by time and are never used again. A segment is a header and records; a record is its length, how many rows
it holds, a CRC-32 over those and the payload. What follows a torn record is no record.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tidegate.adapters.counterpage import Counts, end_page, read_page

MAGIC = b"TGSPOOL1"
HEADER = struct.Struct("<8sQQI")  # magic, rows stored before, time of creation in ns, CRC-32 of these
FRAME = struct.Struct("<III")  # bytes of the payload, rows, CRC-32 of both and the payload
_LENGTHS = struct.Struct("<II")
LOCK, COUNTS = "lock", "counts"
LARGEST = 2**30


def header(base: int, now_ns: int) -> bytes:
    """The beginning of a segment; `base` is how many rows its writer had stored before."""
    raw = HEADER.pack(MAGIC, base, now_ns, 0)[:-4]
    return raw + struct.pack("<I", zlib.crc32(raw))


def frame(payload: bytes, rows: int) -> bytes:
    """A record as it is written."""
    lengths = _LENGTHS.pack(len(payload), rows)
    return FRAME.pack(len(payload), rows, zlib.crc32(payload, zlib.crc32(lengths))) + payload


def base_of(path: Path) -> int | None:
    """How many rows the writer had stored before this segment; None for a torn header."""
    with path.open("rb") as file:
        raw = file.read(HEADER.size)
    if len(raw) < HEADER.size:
        return None
    magic, base, _, crc = HEADER.unpack(raw)
    return int(base) if magic == MAGIC and zlib.crc32(raw[:-4]) == crc else None


def records(path: Path) -> Iterator[tuple[int, bytes, int]]:
    """Rows, payload and end (in bytes) of each record, up to the first one that is torn or damaged."""
    if base_of(path) is None:
        return
    with path.open("rb") as file:
        at = file.seek(HEADER.size)
        while len(head := file.read(FRAME.size)) == FRAME.size:
            length, rows, crc = FRAME.unpack(head)
            if length > LARGEST:
                return
            payload = file.read(length)
            if len(payload) < length or zlib.crc32(payload, zlib.crc32(head[:8])) != crc:
                return
            at += FRAME.size + length
            yield rows, payload, at


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment: its id, how many rows its writer stored in it."""

    path: Path
    id: str
    rows: int

    @property
    def writer(self) -> Path:
        return self.path.parent

    @property
    def size(self) -> int:
        return self.path.stat().st_size


def sealed_name(open_name: str, rows: int) -> str:
    return f"{open_name.removesuffix('.open')}.{rows}.seg"


def sealed(writer: Path) -> list[Segment]:
    """The sealed segments of a writer, oldest first."""
    found = []
    for path in sorted(writer.glob("*.seg")):
        name, rows, _ = path.name.split(".")
        found.append(Segment(path, name, int(rows)))
    return found


def writers(spool: Path) -> list[Path]:
    """The folders of all writers, dead or alive, oldest first."""
    return sorted(p for p in spool.iterdir() if p.is_dir() and p.name[0] != ".") if spool.is_dir() else []


def waiting(spool: Path) -> int:
    """Bytes of the segments that wait in a spool."""
    total = 0
    for writer in writers(spool):
        with suppress(FileNotFoundError), os.scandir(writer) as found:  # the collector removes folders and files
            for entry in found:
                if entry.name.endswith((".open", ".seg", ".bad")):
                    with suppress(FileNotFoundError):
                        total += entry.stat().st_size
    return total


def claim(writer: Path) -> int | None:
    """The lock of a dead writer's folder as a file descriptor; None while the writer lives."""
    try:
        held = os.open(writer / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


def recover(writer: Path) -> Counts | None:
    """Seal what a dead writer left open and close its books; again changes nothing. The caller has `claim`\\ ed it.

    A record whose write was cut short is cut off and counted as dropped.
    """
    counts = read_page(writer / COUNTS)
    if counts is None or not counts.ended:
        for path in sorted(writer.glob("*.open")):
            _seal(path)
    if counts is None or counts.ended:
        return counts
    stored = 0
    for segment in sealed(writer)[-1:]:
        stored = (base_of(segment.path) or 0) + segment.rows
    return end_page(writer / COUNTS, stored)


def _seal(path: Path) -> None:
    rows, end = 0, 0
    for more, _, at in records(path):
        rows, end = rows + more, at
    if not end:
        path.unlink()
        return
    with path.open("r+b") as file:
        file.truncate(end)
        os.fsync(file.fileno())
    path.rename(path.with_name(sealed_name(path.name, rows)))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


__all__ = [
    "COUNTS", "LOCK", "Segment", "base_of", "claim", "frame", "header", "records", "recover", "sealed",
    "sealed_name", "sync_folder", "waiting", "writers",
]  # fmt: skip
