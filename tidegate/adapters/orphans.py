"""Processes that belong to one `tidegate up`: known by a mark in their environment, ended when it is gone.

A mark is passed on to whatever a server starts, also when that begins a session of its own. A guardian, a process
that does nothing but wait for the end of its parent, ends all that carry the mark: also after a kill -9.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tidegate.adapters.processes import dead, me

MARK = "TIDEGATE_UP"
GRACE = 5.0
"""Seconds that processes have to end by themselves."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A process with a mark: its pid, its command, and whether the `tidegate up` that it belongs to is gone."""

    pid: int
    command: str
    orphan: bool


def mark_of(state: Path) -> str:
    """The mark of this process's children, in this home."""
    return f"{me()}|{state.resolve()}"


def marked(state: Path, mark: str = "") -> list[Marked]:
    """Processes of a home's `tidegate up`, of one of them if `mark` is given; never this one."""
    out = []
    for pid in psutil.pids():
        try:
            found = _mark(pid)
            owner, _, home = found.partition("|")
            if home != str(state.resolve()) or (mark and found != mark) or pid == os.getpid():
                continue
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                out.append(Marked(pid, " ".join(process.cmdline())[:120], dead(owner)))
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or somebody else's
    return out


def _mark(pid: int) -> str:
    start = f"{MARK}=".encode()
    for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if entry.startswith(start):
            return entry[len(start) :].decode(errors="replace")
    return ""


def end(state: Path, mark: str = "", grace: float = GRACE, *, orphans: bool = False) -> int:
    """End marked processes, by kill -9 those that are there after `grace` seconds; how many there were.

    With `orphans` only those whose `tidegate up` is gone.
    """
    return _end(state, mark, grace, orphans=orphans, keep=())


def _end(state: Path, mark: str, grace: float, *, orphans: bool, keep: tuple[int, ...]) -> int:
    seen: set[int] = set()
    until = time.monotonic() + grace
    while True:
        there = [m.pid for m in marked(state, mark) if (m.orphan or not orphans) and m.pid not in keep]
        if not there:
            return len(seen)
        late = time.monotonic() > until
        for pid in there:
            if late or pid not in seen:
                try:
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                except ProcessLookupError:
                    continue
        seen |= set(there)
        time.sleep(0.1)


def guard(state: Path, mark: str) -> int:
    """Start the guardian of this process; its pid. It ends by itself when nobody is left."""
    mine, theirs = os.pipe()
    pid = os.fork()
    if pid:
        os.close(mine)
        os.set_inheritable(theirs, False)
        return pid
    try:
        os.setsid()
        os.close(theirs)
        for ends in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ends, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        while os.read(mine, 1):  # until the last process that has the other end is gone
            pass
        _end(state, mark, GRACE, orphans=False, keep=(os.getpid(),))
    finally:
        os._exit(0)


if sys.platform != "linux":  # pragma: no cover

    def _mark(pid: int) -> str:
        return str(psutil.Process(pid).environ().get(MARK, ""))


__all__ = ["GRACE", "MARK", "Marked", "end", "guard", "mark_of", "marked"]
