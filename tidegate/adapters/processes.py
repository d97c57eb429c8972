"""Which process this is, and whether one that wrote its name down is surely gone."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def me() -> str:
    """This process's name: host, pid namespace, pid, when it began."""
    return f"{_place()}:{os.getpid()}:{_began(os.getpid()):.2f}"


def dead(name: str) -> bool:
    """Whether the process of that name is surely gone; False for one of another host or in another form.

    A process that was killed and that its parent has not waited for is gone, a stopped one is not.
    """
    place, _, rest = name.partition(":")
    pid, _, began = rest.partition(":")
    if place != _place() or not pid.isdigit():
        return False
    try:
        return abs(_began(int(pid)) - float(began)) > 1.0
    except ValueError:
        return False
    except ProcessLookupError:
        return True


def began() -> float:
    """When this process was started, in seconds since the epoch."""
    return _began(os.getpid())


def _place() -> str:
    """Host and pid namespace: the same pid of another container is another process."""
    try:
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        space = 0
    return f"{socket.gethostname()[-60:]}/{space}"


def _began(pid: int) -> float:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            raise ProcessLookupError(pid)
        return float(process.create_time())
    except psutil.NoSuchProcess:
        raise ProcessLookupError(pid) from None
    except psutil.AccessDenied:
        return float("nan")  # somebody else's, so alive: no comparison with it is true


__all__ = ["began", "dead", "me"]
