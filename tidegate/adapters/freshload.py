"""Loads a version in a fresh process, with only what the registry holds, and reports what became of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

import tidegate
from tidegate.config.gating import Servability

CHILD = Path(__file__).with_name("freshchild.py")
KEPT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "OMP_NUM_THREADS", "SYSTEMROOT")
"""What the child gets of our environment: nothing that could name a person or open a door."""
GIB = 1 << 30
TAIL = 1 << 16
"""Bytes at the end of what a child printed that may say why it ended."""
SAME = ("probe", "recent")


def fresh(
    fetch: Callable[[Path], Path],
    digest: str,
    *,
    columns: Mapping[str, Mapping[str, Any]],
    settings: Servability,
    recent: pa.Table | None = None,
    expected: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Fetch a version from the registry, load it in a fresh process, query it.

    Parameters
    ----------
    fetch : callable
        Copies the package to a new folder, as ``Registry.fetch`` does with a model and a version.
    digest : str
        What control has of the package.
    columns : mapping of str to mapping
        The contract of the model's columns (see `tidegate.gate.edges.edges_of`).
    recent, expected : pyarrow.Table, ndarray
        Recent rows, and the scores that they have in this process: (n,), for multiclass (n, classes).

    Returns
    -------
    dict
        Plain values, for `tidegate.gate.servability.servability`. A package that is refused, crashes or takes too
        long is a report with ``refused`` or ``crashed``, not an exception.

    Raises
    ------
    RegistryError
        If the registry cannot give the version at all.
    """
    with tempfile.TemporaryDirectory(prefix="fresh-") as made:
        room = Path(made).resolve()
        folder = fetch(room / "package")
        request = {
            "folder": str(folder),
            "digest": digest,
            "columns": columns,
            "recent": None,
            "max_latency": settings.max_latency,
            "tidegate": tidegate.__file__,
            "paths": [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")],
            # The libraries need some of it; what a model takes beyond its limit is told, unless it goes on and on.
            "limits": {"RLIMIT_DATA": settings.max_memory * (1 << 20) + 2 * GIB, "RLIMIT_FSIZE": GIB // 16},
            "time_limit": settings.time_limit,
        }
        if recent is not None:
            pq.write_table(recent, room / "recent.parquet")
            request["recent"] = str(room / "recent.parquet")
        report = _run(request, room, settings.time_limit)
        if "probe" in report:
            wanted = {"probe": _probe(folder), "recent": expected}
            for name in SAME:
                report[name] = _compared(report[name], wanted[name])
    return {"expected_digest": digest, **report}


def _run(request: Mapping[str, Any], room: Path, limit: float) -> dict[str, Any]:
    """The child's answer, or how it ended."""
    home = room / "home"
    home.mkdir()
    # One thread: single rows on many threads mostly measure what else the machine does.
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | {
        k: os.environ[k] for k in KEPT if k in os.environ
    }
    environment |= {"HOME": str(home), "TMPDIR": str(home)}
    # What it prints goes to a file, whose size is limited: a pipe would be held here, however much it is.
    said = (room / "said").open("w+b")
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-X", "faulthandler", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        cwd=home,
        env=environment,
        start_new_session=True,
    )
    try:
        out, _ = child.communicate(json.dumps(request).encode(), timeout=limit)
    except subprocess.TimeoutExpired:
        return {"crashed": f"no answer within {limit:g} s, so it was ended"}
    finally:
        _end(child)
        said.seek(max(0, said.seek(0, os.SEEK_END) - TAIL))
        err = said.read()
        said.close()
    try:
        if child.returncode == 0:
            answer = json.loads(out)
            return dict(answer) if isinstance(answer, dict) else {"crashed": "no answer"}
    except ValueError:
        return {"crashed": "an answer that is no JSON"}
    return {"crashed": _why(child.returncode, err.decode(errors="replace"))}


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and all that it started: they have a session of their own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe:
            pipe.close()


def _why(code: int, said: str) -> str:
    if code < 0:
        try:
            return f"ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"ended by signal {-code}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f"{lines[-1][:400] if lines else 'nothing was said'} (exit code {code})"


def _probe(folder: Path) -> NDArray[np.float64]:
    return np.array(pq.read_table(folder / "tidegate" / "reference" / "probe.parquet")["expected"].to_pylist())


def _compared(told: Mapping[str, Any] | None, expected: NDArray[np.float64] | None) -> dict[str, Any] | None:
    """Rows, the largest difference (None where the shapes differ), and the fault if there was one."""
    if told is None or expected is None:
        return None
    if "fault" in told:
        return {"rows": len(expected), "difference": None, "fault": told["fault"]}
    found = np.asarray(told["scores"], dtype=np.float64)
    same = found.shape == expected.shape
    apart = np.abs(found - expected) / np.maximum(1, np.abs(expected)) if same else found
    return {
        "rows": len(expected),
        "difference": (float(apart.max()) if found.size else 0.0) if same else None,
        "fault": None if same else f"scores of shape {found.shape}, expected {expected.shape}",
    }
