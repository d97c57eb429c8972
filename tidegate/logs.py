"""Structured logs: a JSON object a line in `<state>/logs/tidegate.jsonl`, for machines; people have the terminal.

A line says when, what, for which model and window, in which run, how long, and what came of it. Values of data are in
none of them, and neither are texts of exceptions, which may quote data: the run's id leads to both in Prefect.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path("logs") / "tidegate.jsonl"
LIMIT = 10 * 2**20
"""Bytes at which the file begins anew; the one before is kept."""


@cache
def own_run() -> str:
    """The id of a run that nobody else named: one a process.

    Examples
    --------
    >>> own_run() == own_run()
    True
    """
    return str(uuid.uuid4())


def write(state: Path, msg: str, *, level: str = "info", run: str = "", **more: Any) -> bool:
    """Append one line; False if it cannot be written, which stops nothing.

    Lines of several processes never mix: each is one write to a file opened for appending.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = write(Path(folder), "score", model="flights", seconds=0.5)
    ...     line = json.loads((Path(folder) / FILE).read_text())
    >>> written, line["level"], line["msg"], line["model"]
    (True, 'info', 'score', 'flights')
    """
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    body = {"ts": at, "level": level, "run": run or own_run(), "pid": os.getpid(), "msg": msg, **more}
    line = (json.dumps({k: v for k, v in body.items() if v is not None}, default=str) + "\n").encode()
    file = state / FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.write(handle, line)
            if os.fstat(handle).st_size > LIMIT:
                _turn(handle, file)
        finally:
            os.close(handle)
    except OSError:
        return False
    return True


def _turn(handle: int, file: Path) -> None:
    """Put the full file aside, unless another process just did."""
    fcntl.flock(handle, fcntl.LOCK_EX)
    with suppress(FileNotFoundError):
        if file.stat().st_ino == os.fstat(handle).st_ino:
            file.replace(file.with_suffix(".1.jsonl"))


@contextmanager
def told(state: Path, msg: str, **more: Any) -> Iterator[dict[str, Any]]:
    """One line at the end of a piece of work: seconds, and what came of it, which the caller puts into the dictionary.

    An exception is told by its class, and goes on.
    """
    began, result = time.monotonic(), dict[str, Any]()
    try:
        yield result
    except BaseException as fault:
        seconds = round(time.monotonic() - began, 3)
        write(state, msg, level="error", **more, seconds=seconds, outcome="error", error=type(fault).__name__)
        raise
    write(state, msg, **more, seconds=round(time.monotonic() - began, 3), **result)


class Lines(logging.Handler):
    """Records of Python's own logging as such lines, for servers."""

    def __init__(self, state: Path, **more: Any) -> None:
        super().__init__(logging.INFO)
        self.state, self.more = state, more

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        write(self.state, record.getMessage(), level=record.levelname.lower(), logger=record.name, error=error,
              **self.more)  # fmt: skip


__all__ = ["FILE", "LIMIT", "Lines", "own_run", "told", "write"]
