"""A fresh process that loads one package and scores: run by path, isolated, with a request on stdin.

Started by `freshload` as ``python -I -S -B freshchild.py``: no site, no working folder and no
home on the path. It may import the standard library, installed libraries and `tidegate`
itself, and nothing of the tree that the model was trained in. The answer is one JSON on stdout.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from tidegate.adapters.packages import Loaded

ROWS = 10_000
SINGLES = 100
FEW = 1000
ROUNDS = 3
GRACE = 5


def main() -> None:
    """Answer the request on stdin."""
    request: dict[str, Any] = json.load(sys.stdin)
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the user's code prints is not the answer
    # Ended by the parent, who says so; by itself if the parent is gone.
    signal.setitimer(signal.ITIMER_REAL, request["time_limit"] + GRACE)
    _limit(request["limits"])
    _paths(request["paths"], request["tidegate"])
    json.dump(_answer(request), answer)
    answer.close()


def _limit(limits: dict[str, int]) -> None:
    for name, value in {"RLIMIT_CORE": 0, **limits}.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _paths(installed: list[str], tidegate: str) -> None:
    """Installed libraries, without their `.pth` files, and Tidegate alone from wherever it lies."""
    sys.path[:] = [*sys.path, *installed]
    parts = [str(Path(tidegate).parent)]
    spec = importlib.util.spec_from_file_location("tidegate", tidegate, submodule_search_locations=parts)
    assert spec is not None
    assert spec.loader is not None
    sys.modules["tidegate"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    import pyarrow.parquet as pq
    import skops.io  # noqa: F401  (its memory is the library's, not the model's)

    from tidegate.adapters.packages import load
    from tidegate.errors import TidegateError
    from tidegate.lineage.digest import folder_digest

    folder = Path(request["folder"])
    before, started = _resident(), time.perf_counter()
    told: dict[str, Any] = {"digest": folder_digest(folder), "found": _versions(folder)}
    try:
        package = load(folder, request["digest"])
    except TidegateError as fault:
        return {**told, "refused": str(fault)}
    told["load_seconds"] = time.perf_counter() - started
    probe = package.reference("probe")
    recent = pq.read_table(request["recent"]) if request["recent"] else None
    base = probe if recent is None or not recent.num_rows else recent
    told["probe"], told["recent"] = _scored(package, probe), None if recent is None else _scored(package, recent)
    told["edges"] = _edges(package, base.select(list(package.spec["features"])).slice(0, FEW), request)
    told |= _speed(package, base, float(request["max_latency"]))
    told["memory_mib"] = (_peak() - before) / 2**20
    return told


def _scored(package: Loaded, rows: pa.Table) -> dict[str, Any]:
    try:
        return {"scores": package.scores(rows).tolist()}
    except Exception as fault:
        return {"fault": _said(fault)}


def _edges(package: Loaded, rows: pa.Table, request: dict[str, Any]) -> list[dict[str, Any]]:
    """What became of each edge: the fault, if it had one, and how far it is from what it must be."""
    from tidegate.gate.edges import edges_of

    told = []
    try:
        usual = package.scores(rows)
    except Exception:  # told of the probe and the recent rows already
        usual = None
    for edge in edges_of(rows, package.spec["features"], request["columns"]):
        one: dict[str, Any] = {"name": edge.name, "kind": edge.kind, "rows": edge.rows.num_rows}
        try:
            scores = package.scores(edge.rows)
            one["fault"] = _wrong(scores, edge.rows.num_rows, package.spec)
            if edge.like is not None and usual is not None and one["fault"] is None:
                one["difference"] = _apart(scores, usual[edge.like])
        except Exception as fault:
            one["fault"] = _said(fault)
        told.append(one)
    return told


def _wrong(scores: NDArray[np.float64], rows: int, spec: dict[str, Any]) -> str | None:
    import numpy as np

    wanted = (rows, len(spec["classes"])) if spec["kind"] == "multiclass" else (rows,)
    if scores.shape != wanted:
        return f"scores of shape {scores.shape} and not {wanted}"
    if not np.isfinite(scores).all():
        return "scores that are not finite"
    if spec["kind"] != "regression" and ((scores < 0) | (scores > 1)).any():
        return "probabilities outside [0, 1]"
    if scores.ndim == 2 and len(scores) and float(np.abs(scores.sum(axis=1) - 1).max()) > 1e-6:
        return "probabilities that do not add up to 1"
    return None


def _apart(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    import numpy as np

    if a.shape != b.shape:
        return None
    return float((np.abs(a - b) / np.maximum(1, np.abs(b))).max()) if a.size else 0.0


def _speed(package: Loaded, rows: pa.Table, limit: float) -> dict[str, Any]:
    """Seconds for 10,000 rows; milliseconds of single rows, and whether alone they score as in company."""
    import numpy as np

    if not rows.num_rows:
        return {"speed_fault": "no rows to score"}
    try:
        many = rows.take(np.arange(ROWS) % rows.num_rows)
        started = time.perf_counter()
        scores = package.scores(many)
        seconds = time.perf_counter() - started
        for _ in range(ROUNDS):
            p50, p95, p99, apart = _singles(package, many, scores)
            # What else the machine does can only add: a round that keeps the limit shows what the model needs.
            if p95 <= limit:
                break
    except Exception as fault:
        return {"speed_fault": _said(fault)}
    return {"batch_seconds": seconds, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "alone": apart, "singles": SINGLES}


def _singles(package: Loaded, rows: pa.Table, scores: NDArray[np.float64]) -> tuple[float, float, float, float | None]:
    """Quantiles of milliseconds, and the largest difference from the same rows' scores in company."""
    import numpy as np

    spent, apart = [], []
    for i in np.linspace(0, rows.num_rows - 1, SINGLES).astype(int).tolist():
        at = rows.slice(i, 1)
        started, queued = time.perf_counter(), _queued()
        alone = package.scores(at)
        spent.append((time.perf_counter() - started - (_queued() - queued)) * 1e3)
        apart.append(_apart(alone, scores[i : i + 1]))
    p50, p95, p99 = np.quantile(spent, (0.5, 0.95, 0.99)).tolist()
    return p50, p95, p99, None if None in apart else max(a for a in apart if a is not None)


def _queued() -> float:
    """Seconds that this thread has waited for a free core so far: no fault of the model's. 0 where nobody says."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _versions(folder: Path) -> dict[str, list[str | None]]:
    """Each library that the package names: its version there, and the installed one."""
    import importlib.metadata as meta

    out: dict[str, list[str | None]] = {}
    try:
        recorded = json.loads((folder / "tidegate" / "spec.json").read_text())["libraries"]
        for name, _, version in (str(r).partition("==") for r in recorded):
            try:
                out[name] = [version, meta.version(name)]
            except meta.PackageNotFoundError:
                out[name] = [version, None]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return out


def _resident() -> int:
    return _status("VmRSS") or _peak()


def _peak() -> int:
    # Linux carries ru_maxrss over an exec, so that there it would be the parent's.
    units = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * units


def _status(key: str) -> int:
    """Bytes of an entry of /proc/self/status, 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), 0)


def _said(fault: BaseException) -> str:
    return " ".join(f"{type(fault).__name__}: {fault}".split())[:400]


if __name__ == "__main__":
    main()
