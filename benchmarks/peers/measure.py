"""One run of one script in a fresh process: CPU seconds, wall seconds, peak memory, its answer."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Nothing leaves the machine, and no peer waits for a server that it cannot reach.
QUIET = {
    "DO_NOT_TRACK": "true",
    "ITERATIVE_DO_NOT_TRACK": "true",
    "NML_DISABLE_USAGE_LOGGING": "1",
    "WHYLOGS_NO_ANALYTICS": "True",
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "ARROW_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Run:
    """CPU is user and system time of the process and its children; memory is its peak RSS.

    ``work_s`` is the part of the CPU that came after the imports, as the process itself saw it.
    """

    cpu_s: float
    work_s: float
    wall_s: float
    peak_mb: float
    load: float
    verdicts: Mapping[str, bool | str] = field(default_factory=dict)
    fault: str = ""


def run(command: Sequence[str | Path], root: Path, limit_s: float = 900.0) -> Run:
    """Run a peer's script; a fault or more than `limit_s` seconds of wall time is recorded, not raised.

    The environment is a user's: bytecode is cached and no library is told how many threads to
    use. This process must stay small (standard library only): Linux counts the memory that the
    parent had at the fork into the child's peak.
    """
    env = {k: v for k, v in os.environ.items() if k not in (*THREADS, "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")}
    env |= QUIET | {"PYTHONPATH": str(root)}
    load = os.getloadavg()[0]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        child = subprocess.Popen([str(c) for c in command], env=env, stdout=out, stderr=err, cwd=root)
        alarm = threading.Timer(limit_s, child.kill)
        alarm.start()
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        alarm.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        said, fault = _answer(child.returncode, out.read(), err.read())
    if child.returncode < 0 and wall >= limit_s:
        fault = f"stopped after {limit_s:.0f} s"
    cpu = used.ru_utime + used.ru_stime
    peak = round(used.ru_maxrss / 1024, 1)
    return Run(round(cpu, 3), said["work_s"], round(wall, 3), peak, round(load, 2), said["verdicts"], fault)


def _answer(code: int, out: bytes, err: bytes) -> tuple[dict[str, Any], str]:
    """What the script printed last, and why it failed if it did."""
    if code:
        last = err.decode(errors="replace").strip().splitlines()[-1:]
        return {"work_s": 0.0, "verdicts": {}}, (last[0] if last else f"left with {code}")[:300]
    return json.loads(out.decode().strip().splitlines()[-1]), ""


def forget(paths: Sequence[Path]) -> None:
    """Ask the kernel to drop the files from its page cache."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
