"""The gateway beside `mlflow models serve` and a plain FastAPI application: the same packages, rows and client.

`python benchmarks/gateway.py [--seconds 8] [--rounds 3]` writes var/bench/serving.json. Each server has one worker and
runs alone with the client on the machine; rounds go through the servers in turn, and medians are taken. CPU is that
of the server's processes, without the client's. The gateway logs every row; the others log nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from served_home import MODELS, ROOT, prepare

from tidegate.config.home import Home
from tidegate.steps.stores import open_stores

HERE = Path(__file__).resolve().parent
SERVERS = ("tidegate", "mlflow", "fastapi")
CASES = ((1, 1), (8, 1), (1, 100))
"""Connections, and rows of a request."""
PEER = """
import os
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
from tidegate.adapters.packages import load

folder = Path(os.environ["PACKAGE"])
package = load(folder, folder.name)
kinds = {"number": pa.float64(), "integer": pa.int64(), "category": pa.string(), "boolean": pa.bool_(),
         "timestamp": pa.timestamp("us", tz="UTC")}


def scores(records):
    names = list(package.spec["features"])
    frame = pd.DataFrame(records, columns=names)
    for name in names:
        if package.spec["features"][name] == "timestamp":
            frame[name] = pd.to_datetime(frame[name], utc=True)
    table = pa.table({n: pa.array(frame[n], kinds[package.spec["features"][n]], from_pandas=True) for n in names})
    return package.scores(table)
"""
FASTAPI = (
    PEER
    + """
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Request(BaseModel):
    dataframe_records: list[dict[str, Any]]


@app.get("/ping")
def ping():
    return {}


@app.post("/invocations")
def invocations(request: Request):
    found = scores(request.dataframe_records)
    return {"predictions": (found >= 0.5).astype(int).tolist(), "scores": found.tolist()}
"""
)
PYFUNC = (
    PEER
    + """
import mlflow


class Whole(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return scores(model_input)


mlflow.models.set_model(Whole())
"""
)


def bodies(home: Home, model: str, rows: int) -> list[str]:
    """Requests with real rows of two later nights, each another."""
    stores = open_stores(home)
    names = list(stores.project.model(model).features)
    table = stores.data.read("batches", "flights", ["2013-03-05", "2013-03-06"], columns=names).drop_columns("window")
    found = [{k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()} for row in table.to_pylist()]
    return [json.dumps({"dataframe_records": found[i : i + rows]}) for i in range(0, len(found) - rows, rows)]


def commands(home: Home, model: str, port: int, scratch: Path) -> dict[str, tuple[list[str], str, dict[str, str]]]:
    """How each server is started, the path it answers at, and its environment."""
    stores = open_stores(home)
    plan = stores.plans.get(model)
    assert plan.champion_digest
    folder = stores.package_folder(model, plan.champion_digest).resolve()
    own = {"PACKAGE": str(folder), "PYTHONPATH": f"{scratch}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1",
           "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # fmt: skip
    (scratch / "peer_app.py").write_text(FASTAPI)
    uvicorn = [sys.executable, "-m", "uvicorn", "--port", str(port), "--log-level", "warning", "--no-access-log"]
    mlflow = [str(Path(sys.executable).parent / "mlflow"), "models", "serve", "--env-manager", "local", "--port",
              str(port), "--workers", "1", "--model-uri", str(flavour(scratch, model, folder, own))]  # fmt: skip
    gateway = [sys.executable, "-m", "tidegate.cli.main", "--home", str(home.root), "serve", model, "--port", str(port),
               "--workers", "1"]  # fmt: skip
    return {
        "tidegate": (gateway, "/invocations", {"PYTHONPATH": str(ROOT)}),
        "mlflow": (mlflow, "/invocations", own),
        "fastapi": ([*uvicorn, "peer_app:app"], "/invocations", own),
    }


def flavour(scratch: Path, model: str, folder: Path, environment: dict[str, str]) -> Path:
    """A model that `mlflow models serve` takes: MLflow's own flavour, or with the user's features a Python model."""
    spec = json.loads((folder / "tidegate" / "spec.json").read_text())
    target = scratch / f"{model}-pyfunc"
    if target.exists():
        return target
    if not spec["user"].get("features"):
        shutil.copytree(folder, target)
        return target
    code = scratch / f"{model}_whole.py"
    code.write_text(PYFUNC)
    made = f"import mlflow; mlflow.pyfunc.save_model({str(target)!r}, python_model={str(code)!r}, pip_requirements=[])"
    subprocess.run([sys.executable, "-c", made], env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE)
    return target


def cpu(pid: int) -> float:
    """CPU seconds of a process and all below it."""
    root, total = psutil.Process(pid), 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            times = process.cpu_times()
            total += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return total


Sent = dict[tuple[int, int], list[str]]


def measured(
    command: list[str], path: str, environment: dict[str, str], port: int, sent: Sent, seconds: float, log: Path
) -> dict[str, dict[str, Any]]:
    """One server, started, warmed, measured in every case, and stopped."""
    with log.open("ab") as out:
        server = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=out, stderr=out, start_new_session=True
        )
    try:
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5)
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > until:
                    sys.exit(f"{command[:6]} did not start; see {log}")
                time.sleep(0.2)
        out_of = {}
        for (connections, rows), requests in sent.items():
            call = [sys.executable, str(HERE / "load.py"), "127.0.0.1", str(port), path, str(connections)]
            subprocess.run([*call, "1"], input=json.dumps(requests), text=True, check=True, stdout=subprocess.PIPE)
            before = cpu(server.pid)
            done = subprocess.run(
                [*call, str(seconds)], input=json.dumps(requests), text=True, check=True, capture_output=True
            )
            used, found = cpu(server.pid) - before, json.loads(done.stdout)
            took, n = found["took"], len(found["took"])
            if set(found["statuses"]) != {"200"}:
                sys.exit(f"{command[:6]} answered {found['statuses']}")
            out_of[f"{connections} connections, {rows} rows"] = {
                "cpu_us": used / n * 1e6, "per_second": n / found["seconds"], "requests": n,
                **{f"p{int(q * 100)}_ms": took[min(n - 1, int(q * n))] * 1e3 for q in (0.5, 0.95, 0.99)},
            }  # fmt: skip
        return out_of
    finally:
        try:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=30)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def main() -> None:
    """Measure and write."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=6.0)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--home", type=Path, default=ROOT / "var" / "bench" / "serving")
    asked.add_argument("--out", type=Path, default=ROOT / "var" / "bench" / "serving.json")
    given = asked.parse_args()
    home = prepare(given.home.resolve())
    scratch = home.root / "peers"
    scratch.mkdir(exist_ok=True)
    result: dict[str, Any] = {}
    for model in MODELS:
        sent = {(c, r): bodies(home, model, r) for c, r in CASES}
        rounds: dict[str, list[dict[str, dict[str, Any]]]] = {}
        for _ in range(given.rounds):
            for name in SERVERS:
                with socket.socket() as free:
                    free.bind(("127.0.0.1", 0))
                    port = free.getsockname()[1]
                command, path, environment = commands(home, model, port, scratch)[name]
                found = measured(command, path, environment, port, sent, given.seconds, scratch / f"{name}.log")
                rounds.setdefault(name, []).append(found)
        result[model] = {
            name: {case: {k: statistics.median(r[case][k] for r in runs) for k in runs[0][case]} for case in runs[0]}
            for name, runs in rounds.items()
        }
        ours = result[model]["tidegate"]
        for name in ("mlflow", "fastapi"):
            for case, peer in result[model][name].items():
                peer["cpu_ratio"] = peer["cpu_us"] / ours[case]["cpu_us"]
                peer["throughput_ratio"] = ours[case]["per_second"] / peer["per_second"]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1))
    for model, servers in result.items():
        for name, cases in servers.items():
            for case, found in cases.items():
                sys.stdout.write(
                    f"{model:8} {name:9} {case:26}" + " ".join(f"{k} {v:,.4g}" for k, v in found.items()) + "\n"
                )


if __name__ == "__main__":
    main()
