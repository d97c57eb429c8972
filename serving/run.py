"""Starts the gateway: checks, binds, and hands the socket to uvicorn's workers."""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from serving.worker import TOLD
from tidegate.config.home import Home
from tidegate.config.project import Project, load_project
from tidegate.errors import ConfigError, StoreError, UsageError

said = logging.getLogger("tidegate.serving")
GRACE = 20
"""Seconds in which requests in hand are answered after the gateway was told to stop."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the gateway listens, what it serves, and whether it asks for keys."""

    url: str
    models: tuple[str, ...]
    workers: int
    guarded: bool


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(
    home: Home, models: tuple[str, ...] = (), *, host: str | None = None, port: int | None = None,
    workers: int | None = None, auth: bool = False, told: Callable[[Listening], None] = lambda _: None,
) -> None:  # fmt: skip
    """Serve until a signal ends it: SIGTERM and SIGINT let requests in hand be answered.

    Parameters
    ----------
    models : tuple of str
        Left out, every model of the home.
    host, port, workers
        Left out, those of `configs/tidegate.yaml`.
    auth : bool
        Ask for API keys on loopback, too; elsewhere they are always asked for.
    told : callable
        Called once the socket is bound.

    Raises
    ------
    UsageError
        If a model is unknown, the port is taken, or it would listen beyond loopback without any key.
    """
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    project = load_project(home)
    settings = project.platform.serving
    names = models or _sound(project)
    for name in names:
        project.model(name)
    if not names:
        raise UsageError("the gateway", "a model to serve", "none in configs/models", "write a model file")
    host, port, workers = host or settings.host, settings.port if port is None else port, workers or settings.workers
    guarded = auth or not is_loopback(host)
    if guarded:
        _need_keys(home, project.platform.namespace, host)
    sock = _bound(host, port)
    live = Path(tempfile.mkdtemp(prefix=f"live-{os.getpid()}-", dir=_folder(home)))
    told_workers = {"root": str(home.root), "state": str(home.state), "shared": str(home.shared), "models": names,
                    "guarded": guarded, "live": str(live), "parent": os.getpid() if workers > 1 else None}  # fmt: skip
    os.environ[TOLD] = json.dumps(told_workers)
    config = uvicorn.Config(
        "serving.worker:application", factory=True, host=host, port=port, workers=workers, loop="uvloop",
        http="httptools", lifespan="on", log_level="warning", access_log=False, server_header=False, date_header=False,
        timeout_graceful_shutdown=GRACE, ws="none",
    )  # fmt: skip
    address = f"[{host}]" if ":" in host else host
    try:
        told(Listening(f"http://{address}:{sock.getsockname()[1]}", names, workers, guarded))
        if workers == 1:
            for ends in (signal.SIGTERM, signal.SIGINT):
                signal.signal(ends, lambda *_: None)  # uvicorn raises it again after a stop that was in order
            uvicorn.Server(config).run(sockets=[sock])
        else:
            Multiprocess(config, sockets=[sock]).run()
    finally:
        sock.close()
        shutil.rmtree(live, ignore_errors=True)


def _sound(project: Project) -> tuple[str, ...]:
    """Every model whose file loads: one that is broken is told, and holds no other back.

    Raises
    ------
    ConfigError
        If none does.
    """
    good: list[str] = []
    faults: list[ConfigError] = []
    for path in sorted((project.home.root / "configs" / "models").glob("*.yaml")):
        try:
            project.model(path.stem)
            good.append(path.stem)
        except ConfigError as fault:
            faults.append(fault)
            said.error("%s is not served: %s", path.stem, " ".join(str(fault).split()))
    if faults and not good:
        raise faults[0]
    return tuple(good)


def _need_keys(home: Home, namespace: str, host: str) -> None:
    from tidegate.adapters.apikeys import ApiKeys
    from tidegate.adapters.control import open_control

    if not ApiKeys(open_control(home.state), namespace).running():
        raise UsageError(f"the gateway on {host}", "an API key, as others can reach it", "none",
                         "tidegate keys add NAME --role predict, or listen on 127.0.0.1")  # fmt: skip


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(2048)
        sock.set_inheritable(True)
    except (OSError, OverflowError) as fault:
        sock.close()
        found = getattr(fault, "strerror", None) or str(fault)
        raise UsageError(f"address {host}:{port}", "one that is free on this machine", found,
                         "choose another with --host and --port") from None  # fmt: skip
    return sock


def _folder(home: Home) -> Path:
    """Where workers share their counters: the state folder, or the machine's own where that cannot be written."""
    folder = home.state / "serving"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = tempfile.mkdtemp(dir=folder)
        os.rmdir(probe)
    except OSError as fault:
        raise StoreError(f"state folder {folder}", "one that can be written", fault.strerror or str(fault),
                         "mend its permissions, or free some space") from None  # fmt: skip
    for left in folder.glob("live-*"):  # of a gateway that was killed
        if not psutil.pid_exists(int(left.name.split("-")[1])):
            shutil.rmtree(left, ignore_errors=True)
    return folder


__all__ = ["GRACE", "Listening", "is_loopback", "serve"]
