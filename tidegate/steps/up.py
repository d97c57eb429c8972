"""What `tidegate up` starts: each server's command, environment, address and sign of health."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tidegate.adapters.children import Service
from tidegate.adapters.orphans import MARK
from tidegate.adapters.ports import taken
from tidegate.config.home import Home
from tidegate.config.project import Project
from tidegate.errors import StoreError, UsageError

NAMES = ("prefect", "runner", "mlflow", "gateway", "pages")
QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
}
"""Telemetry off, whatever the library."""
BANNER = r"^[\s_|/\\()]+$|^Configure Prefect to|prefect config set|^View the API reference|^Check out the dashboard"
NOTICES = "Registry store URI not provided|Security middleware enabled|StarletteDeprecation|starlette.middleware"
"""What Prefect's server and MLflow's say at their start; the table of addresses says it once, for all."""


def services(home: Home, project: Project, mark: str, without: tuple[str, ...] = ()) -> tuple[Service, ...]:
    """Every server, in the order in which they are started.

    Raises
    ------
    UsageError
        If one of `without` is none of them.
    """
    unknown = [name for name in without if name not in NAMES]
    if unknown:
        raise UsageError("--without", f"one of {', '.join(NAMES)}", repr(unknown[0]))
    at, gate = project.platform.operations, project.platform.serving
    host = f"[{at.host}]" if ":" in at.host else at.host
    inside = gate.host if gate.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104  # where it is asked, not bound
    inside = f"[{inside}]" if ":" in inside else inside
    prefect, mlflow, pages = (f"http://{host}:{port}" for port in (at.prefect_port, at.mlflow_port, at.pages_port))
    gateway = f"http://{inside}:{gate.port}"
    basic = _environment(home, mark, prefect)
    python, root = sys.executable, str(home.root)
    store, artifacts = f"sqlite:///{home.state / 'mlflow.db'}", (home.state / "mlartifacts").as_uri()
    found = (
        Service(
            "prefect",
            (python, "-m", "prefect", "server", "start", "--host", at.host, "--port", str(at.prefect_port)),
            f"{prefect}/api/health",
            prefect,
            basic | {"PREFECT_SERVER_LOGGING_LEVEL": "WARNING", "PREFECT_UI_API_URL": f"{prefect}/api"},
            hush=BANNER,
        ),
        Service(
            "runner",
            (python, "-m", "flows.runner", "--home", root),
            home.state / "up" / "runner.ready",
            "",
            basic | {"PREFECT_LOGGING_LEVEL": "INFO"},
            grace=20.0,
        ),
        Service(
            "mlflow",
            (python, "-m", "mlflow", "server", "--host", at.host, "--port", str(at.mlflow_port), "--workers", "1",
             "--backend-store-uri", store, "--default-artifact-root", artifacts,
             "--uvicorn-opts", "--log-level warning"),
            f"{mlflow}/health",
            mlflow,
            basic | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                     "MLFLOW_FLASK_SERVER_SECRET_KEY": _secrets(home)["mlflow"]},
            hush=NOTICES,
        ),
        Service(
            "gateway",
            (python, "-m", "tidegate.cli.main", "--home", root, "serve"),
            f"{gateway}/livez",
            gateway,
            basic,
            grace=25.0,
        ),
        Service(
            "pages",
            (python, "-m", "serving.pages", "--home", root, "--port", str(at.pages_port), "--host", at.host),
            f"{pages}/ping",
            pages,
            basic,
        ),
    )  # fmt: skip
    return tuple(s for s in found if s.name not in without)


def _environment(home: Home, mark: str, prefect: str) -> dict[str, str]:
    own = {
        MARK: mark,
        "TIDEGATE_HOME": str(home.root),
        "PREFECT_HOME": str(home.state / "prefect"),
        "PREFECT_API_URL": f"{prefect}/api",
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
    }
    return dict(os.environ) | QUIET | own


def _secrets(home: Home) -> dict[str, str]:
    """Secrets of the servers, made at the first start; in a file that only its owner can read."""
    file = home.state / "private" / "up.json"
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not file.exists():
            draft = file.with_name(f".up-{os.getpid()}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                json.dump({"mlflow": secrets.token_urlsafe(32)}, out)
            os.replace(draft, file)
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)
        found: dict[str, str] = json.loads(file.read_text())
        return found | {"mlflow": found["mlflow"]}
    except (OSError, ValueError, KeyError) as fault:
        found_words = getattr(fault, "strerror", None) or "other content"
        raise StoreError(f"secrets {file}", "a private file", found_words, "delete it: a new one is made") from None


def check_ports(home: Home, project: Project, wanted: tuple[Service, ...]) -> None:
    """Raise `UsageError` for the first port that somebody else has, and name them: nothing is started then."""
    at, gate = project.platform.operations, project.platform.serving
    places = {
        "prefect": (at.host, at.prefect_port, "operations.prefect_port"),
        "mlflow": (at.host, at.mlflow_port, "operations.mlflow_port"),
        "pages": (at.host, at.pages_port, "operations.pages_port"),
        "gateway": (gate.host, gate.port, "serving.port"),
    }
    seen: dict[int, str] = {}
    for service in wanted:
        if service.name not in places:
            continue
        host, port, key = places[service.name]
        if port in seen:
            raise UsageError(f"{key} {port}", "a port of its own", f"that of {seen[port]}", f"change {key}")
        seen[port] = service.name
        if who := taken(host, port):
            do = f"end it, or set {key} in configs/tidegate.yaml"
            raise UsageError(f"port {port} for {service.name}", "one that is free", who, do)


@contextmanager
def alone(home: Home, body: dict[str, Any]) -> Iterator[None]:
    """Hold the home's lock of `tidegate up`.

    Raises
    ------
    UsageError
        If another one has it; the message says which process, and where its servers are.
    StoreError
        If the folder cannot be written.
    """
    folder = home.state / "up"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise StoreError(f"state folder {folder}", "one that can be written", fault.strerror or str(fault),
                         "mend its permissions, or free some space") from None  # fmt: skip
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            other = running(home)
            where = f"process {other.get('pid', '?')}, {', '.join(other.get('urls', {}).values()) or 'starting'}"
            raise UsageError(f"tidegate up in {home.root}", "one at a time", f"{where}",
                             f"use it, or end it: kill {other.get('pid', 'PID')}") from None  # fmt: skip
        _write(folder / "up.json", body)
        yield
        (folder / "up.json").unlink(missing_ok=True)
    finally:
        os.close(handle)


def running(home: Home) -> dict[str, Any]:
    """What the `tidegate up` of a home said of itself: pid, since, urls; empty if there is none."""
    try:
        found: dict[str, Any] = json.loads((home.state / "up" / "up.json").read_text())
        return found
    except (OSError, ValueError):
        return {}


def _write(file: Path, body: dict[str, Any]) -> None:
    try:
        draft = file.with_name(f".{file.name}-{os.getpid()}")
        draft.write_text(json.dumps(body))
        os.replace(draft, file)
    except OSError as fault:
        raise StoreError(f"file {file}", "one that can be written", fault.strerror or str(fault),
                         "free some space") from None  # fmt: skip


__all__ = ["NAMES", "alone", "check_ports", "running", "services"]
