"""The spool: where inferences wait for a night to collect them, bounded, and safe from a kill.

Every append is one write to the operating system, so what was acknowledged survives the process. Nothing here is
raised to the caller: a full disk, a spool above its bound or a write error drop the record and count it.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from tidegate.adapters.counterpage import ADMITTED, DROPPED, ENDED, LOST, STORED, CounterPage, Counts
from tidegate.adapters.segments import COUNTS, HEADER, LARGEST, LOCK, frame, header, sealed_name, sync_folder, waiting
from tidegate.config.serving import LogSettings

PATIENCE = 0.1
"""Seconds before the next look at a disk or a spool that was full."""


def spool_folder(state: Path, namespace: str, model: str) -> Path:
    """The spool of a model."""
    return state / "spool" / namespace / model


class Spool:
    """The writing end, one a process and model. Safe to share among threads.

    Parameters
    ----------
    folder : Path
        The model's spool, see `spool_folder`.
    writer : str
        A name for people; what it writes is named anew each time, so it may be used again.
    """

    def __init__(
        self, folder: Path, settings: LogSettings, *, writer: str, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.folder, self.settings, self.clock_ns = folder, settings, clock_ns
        self.writer = re.sub(r"[^a-z0-9_-]", "-", writer.lower())[:40] or "writer"
        self.fault = ""
        self._durable = settings.durability == "sync"
        self._lock, self._syncing = threading.Lock(), threading.Lock()
        self._own: Path | None = None
        self._lock_fd = self._fd = -1
        self._page: CounterPage | None = None
        self._memory = memoryview(bytearray(48)).cast("Q")  # until there is a page
        self._token, self._number = token_hex(4), 0
        self._path = folder
        self._size = self._rows = self._seal_at = 0
        self._told: set[int] = set()
        self._unsealed: list[tuple[Path, int]] = []
        self._allowed, self._again = 0, 0.0
        self._written = self._synced = self._failed = 0
        self._closed = False
        with self._lock:
            self._begin()

    @property
    def lasting(self) -> bool:
        """Whether the counts survive this process: not before their page could be made."""
        return self._own is not None

    def append(self, payload: bytes, rows: int, about: tuple[int, bytes] | None = None) -> bool:
        """Write a record of `rows` rows; False if it was dropped.

        `about` is a number and a record that this one refers to by it: it is written first, once a segment.
        """
        with self._lock:
            counts = self._page.slots if self._page else self._memory
            counts[ADMITTED] += rows
            stored = self._store(payload, rows, about)
            counts = self._page.slots if self._page else self._memory
            counts[STORED if stored else DROPPED] += rows
            if stored:
                self._rows += rows
            return stored

    def drop(self, rows: int) -> None:
        """Count rows that could not even become a record."""
        with self._lock:
            counts = self._page.slots if self._page else self._memory
            counts[ADMITTED] += rows
            counts[DROPPED] += rows

    def counts(self) -> Counts:
        """Rows admitted, stored and dropped by this writer."""
        with self._lock:
            c = self._page.slots if self._page else self._memory
            return Counts(c[ADMITTED], c[STORED], c[DROPPED], c[LOST], bool(c[ENDED]), self.lasting)

    def tick(self) -> None:
        """What has to happen without traffic, too: seal by age, look for room again."""
        with self._lock:
            if self._closed:
                return
            if self._fd >= 0 and self.clock_ns() >= self._seal_at:
                self._seal()
            self._seal_rest()
            if self._own is None:
                self._begin()
            self._allowed = 0

    def sync(self) -> bool:
        """Wait until every record appended so far is on the disk; False if the disk says no.

        Those who wait at the same time share one `fdatasync`. Without durability `sync` there is nothing to wait for.
        """
        if not self._durable:
            return True
        with self._lock:
            ticket = self._written
        with self._syncing:
            with self._lock:
                if ticket <= self._failed:
                    return False
                if ticket <= self._synced:
                    return True
                target, copy = self._written, os.dup(self._fd)
            try:
                os.fdatasync(copy)
            except OSError as fault:
                with self._lock:
                    # A second try would succeed without the data: the kernel forgets pages that it could not write.
                    self._failed, self.fault = target, str(fault)
                    self._seal()
                return False
            finally:
                os.close(copy)
            with self._lock:
                self._synced = max(self._synced, target)
            return True

    def close(self) -> None:
        """Seal, and leave the rest to the collector; nothing can be appended afterwards."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._seal()
            self._seal_rest()
            if self._page:
                for at in (ADMITTED, STORED, DROPPED):
                    self._memory[at] = self._page.slots[at]
                if not self._unsealed:
                    self._page.slots[ENDED] = self._memory[ENDED] = 1
                self._page.close()
                self._page = None
            if self._lock_fd >= 0:
                os.close(self._lock_fd)
                self._lock_fd = -1

    # -- below, the lock is held -------------------------------------------------------
    def _store(self, payload: bytes, rows: int, about: tuple[int, bytes] | None) -> bool:
        if self._closed or len(payload) > LARGEST:
            return False
        data = frame(payload, rows)
        now = self.clock_ns()
        if self._fd >= 0 and (self._size + len(data) > self.settings.segment_bytes or now >= self._seal_at):
            self._seal()
        if len(data) > self._allowed and not self._room(len(data)):
            return False
        if self._fd < 0 and not self._open(now):
            return False
        new = about is not None and about[0] not in self._told
        if new and about:
            data = frame(about[1], 0) + data
        try:
            written = os.pwrite(self._fd, data, self._size)
        except OSError as fault:
            written, self.fault = -1, str(fault)
        if written != len(data):
            self.fault = f"{written} of {len(data)} bytes written: no space left" if written >= 0 else self.fault
            self._cut()
            return False
        if new and about:
            self._told.add(about[0])
        self._size += written
        self._allowed -= written
        self._written += 1
        return True

    def _cut(self) -> None:
        """Take off what a full disk left of a record, so that later ones can be read."""
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self._seal()  # what is torn is the end of this segment

    def _room(self, size: int) -> bool:
        """Whether the spool has room; all writers share it, so the folder is measured again now and then."""
        if time.monotonic() < self._again:
            return False
        left = self.settings.max_bytes - waiting(self.folder)
        if size > left:
            self._again, self.fault = time.monotonic() + PATIENCE, "the spool is full"
            return False
        self._allowed = max(size, left // 8)
        return True

    def _begin(self) -> bool:
        """Make this writer's folder, locked and with its counters before anybody can see it."""
        if self._own is not None:
            return True
        if time.monotonic() < self._again:
            return False
        name = f"{self.clock_ns():020d}-{self._token}-{self.writer}"
        draft = self.folder / f".{name}"
        held = -1
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft.mkdir(mode=0o700)
            held = os.open(draft / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            m = self._memory
            page = CounterPage(draft / COUNTS, Counts(m[ADMITTED], m[STORED], m[DROPPED]))
            draft.rename(self.folder / name)
        except OSError as fault:
            self.fault, self._again = str(fault), time.monotonic() + PATIENCE
            if held >= 0:
                os.close(held)
            for path in (draft / LOCK, draft / COUNTS):
                with suppress(OSError):
                    path.unlink()
            with suppress(OSError):
                draft.rmdir()
            return False
        self._own, self._lock_fd, self._page = self.folder / name, held, page
        if self._durable:
            sync_folder(self.folder)
        return True

    def _open(self, now: int) -> bool:
        if not self._begin() or self._own is None or self._page is None:
            return False
        self._number += 1
        path = self._own / f"{now:020d}-{self._token}-{self._number:06d}.open"
        made = -1
        try:
            made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            if os.pwrite(made, header(self._page.slots[STORED], now), 0) != HEADER.size:
                raise OSError("no space left for a segment")
            if self._durable:
                sync_folder(self._own)
        except OSError as fault:
            self.fault = str(fault)
            if made >= 0:
                os.close(made)
                with suppress(OSError):
                    path.unlink()
            return False
        self._fd, self._path, self._size, self._rows = made, path, HEADER.size, 0
        self._seal_at = now + int(self.settings.seal_after.total_seconds() * 1e9)
        self._told.clear()
        return True

    def _seal(self) -> None:
        """End the open segment; one without a record leaves nothing behind."""
        if self._fd < 0:
            return
        try:
            if self._durable and self._failed < self._written:
                os.fdatasync(self._fd)
                self._synced = self._written
        except OSError as fault:
            self._failed, self.fault = self._written, str(fault)
        os.close(self._fd)
        self._fd = -1
        self._unsealed.append((self._path, -1 if self._size == HEADER.size else self._rows))
        self._seal_rest()

    def _seal_rest(self) -> None:
        left = []
        for path, rows in self._unsealed:
            try:
                if rows < 0:
                    path.unlink(missing_ok=True)
                else:
                    path.rename(path.with_name(sealed_name(path.name, rows)))
            except OSError as fault:
                self.fault = str(fault)
                left.append((path, rows))
        if self._durable and self._own and len(left) < len(self._unsealed):
            with suppress(OSError):
                sync_folder(self._own)
        self._unsealed = left


__all__ = ["Spool", "spool_folder"]
