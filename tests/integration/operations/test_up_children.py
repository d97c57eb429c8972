"""What `tidegate up` starts is watched, started again, left alone after too many deaths, and never left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from tidegate.adapters.children import DEATHS, Child, Service
from tidegate.adapters.orphans import MARK, end, mark_of, marked
from tidegate.config.home import Home
from tidegate.config.project import load_project
from tidegate.errors import StoreError, UsageError
from tidegate.steps.up import NAMES, alone, check_ports, running, services

SERVER = """
import http.server, sys
class Fine(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Fine).serve_forever()
"""
"""A server that answers; nothing of it is ours."""


def free() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def until(wanted: Callable[[], bool], seconds: float = 10.0) -> None:
    end_at = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end_at, "it did not come to pass"
        time.sleep(0.02)


@pytest.fixture
def said() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def server(tmp_path, said):
    port = free()
    command = (sys.executable, "-c", SERVER, str(port))
    service = Service("server", command, f"http://127.0.0.1:{port}/", environment=dict(os.environ))
    child = Child(service, tmp_path / "server.log", 10_000, lambda name, line: said.append((name, line)))
    yield child
    child.stop(1)


def test_healthy_only_once_it_answers(server, said):
    server.start()
    assert not server.healthy
    until(lambda: bool(server.poll() or server.healthy))
    until(lambda: ("server", "listening") in said)
    assert "listening" in server.log.read_text()


def test_a_server_that_was_killed_is_started_again_and_is_healthy_again(server, said, monkeypatch):
    monkeypatch.setattr("tidegate.adapters.children.PAUSES", (0.05,))
    server.start()
    until(lambda: bool(server.poll() or server.healthy))
    first = server.process.pid
    os.kill(first, signal.SIGKILL)
    until(lambda: bool(server.poll() or not server.running))
    assert not server.healthy
    until(lambda: bool(server.poll() or server.healthy))
    assert server.process.pid != first
    assert any("signal 9" in line for _, line in said)


def test_one_that_dies_again_and_again_is_left_alone_with_a_word(tmp_path, said, monkeypatch):
    monkeypatch.setattr("tidegate.adapters.children.PAUSES", (0.0,))
    service = Service("broken", (sys.executable, "-c", "raise SystemExit('no')"), tmp_path / "never", environment={})
    child = Child(service, tmp_path / "broken.log", 10_000, lambda name, line: said.append((name, line)))
    child.start()
    until(lambda: bool(child.poll() or child.gave_up), 30)
    child.poll()
    assert not child.running
    assert sum("starting again in" in line for _, line in said) == DEATHS - 1
    assert str(child.log) in said[-1][1]
    assert "left alone" in said[-1][1]


def test_stop_ends_what_the_server_itself_started(tmp_path, said):
    inner = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    service = Service("tree", (sys.executable, "-c", f"{inner}; print(p.pid, flush=True); time.sleep(60)"),
                      tmp_path / "never", environment=dict(os.environ))  # fmt: skip
    child = Child(service, tmp_path / "tree.log", 10_000, lambda name, line: said.append((name, line)))
    child.start()
    until(lambda: bool(said))
    grandchild = int(said[0][1])
    child.stop(1)
    until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE)


def test_a_log_begins_anew_at_its_size_and_keeps_the_one_before(tmp_path, said):
    lines = "print('x' * 999)\n" * 20
    service = Service("loud", (sys.executable, "-c", lines), tmp_path / "never", environment={})
    child = Child(service, tmp_path / "loud.log", 5_000, lambda *_: None)
    child.start()
    child._reader.join(10)
    child.stop(1)
    assert child.log.stat().st_size <= 6_000
    assert 5_000 <= (tmp_path / "loud.1.log").stat().st_size <= 6_100


PARENT = """
import os, subprocess, sys, time
from pathlib import Path
from tidegate.adapters import orphans
from tidegate.adapters.orphans import MARK, guard, mark_of
orphans.GRACE = 0.5
state = Path(sys.argv[1])
mark = mark_of(state)
guard(state, mark)
# Two generations, the second one in a session of its own, and deaf to SIGTERM.
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(90)"
inner = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {deaf!r}], start_new_session=True)"
subprocess.Popen([sys.executable, "-c", inner + "; time.sleep(90)"], env=dict(os.environ) | {MARK: mark},
                 start_new_session=True)
print("started", flush=True)
time.sleep(90)
"""


@pytest.fixture
def parent(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"started\n"
    until(lambda: len(marked(tmp_path)) == 2)
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    end(tmp_path, grace=0.2)


def test_kill_9_of_up_takes_all_of_its_servers_with_it(tmp_path, parent):
    parent.kill()
    parent.wait()
    until(lambda: not marked(tmp_path), 15)


def test_orphans_are_told_from_the_servers_of_one_that_runs(tmp_path, parent):
    assert end(tmp_path, orphans=True) == 0
    assert all(not m.orphan for m in marked(tmp_path))
    assert end(tmp_path / "another home") == 0
    assert len(marked(tmp_path)) == 2


def test_a_second_start_is_refused_and_says_where_the_first_is(tmp_path):
    home = Home(tmp_path, tmp_path / "var", tmp_path / "var")
    with alone(home, {"pid": 4711, "urls": {"pages": "http://127.0.0.1:8081"}}):
        assert running(home)["pid"] == 4711
        with pytest.raises(UsageError, match=r"4711, http://127\.0\.0\.1:8081.*kill 4711"), alone(home, {}):
            pass
    assert running(home) == {}
    with alone(home, {"pid": 1}):
        pass


@pytest.mark.fault(28)
def test_a_state_folder_that_cannot_be_written_is_named_and_nothing_is_started(tmp_path):
    (tmp_path / "var").write_text("a file where the folder should be")  # also root cannot write below it
    home = Home(tmp_path, tmp_path / "var", tmp_path / "var")
    with pytest.raises(StoreError, match=r"state folder .*var/up.*one that can be written"), alone(home, {}):
        pass


@pytest.fixture
def home(tmp_path) -> Home:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tidegate.yaml").write_text("namespace: t\nstate: var\n")
    return Home.at(tmp_path)


def test_a_port_that_somebody_has_is_refused_with_who_it_is(home):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)
        port = sock.getsockname()[1]
        file = home.root / "configs" / "tidegate.yaml"
        file.write_text(file.read_text() + f"operations: {{mlflow_port: {port}}}\n")
        load_project.cache_clear()
        project = load_project(home)
        wanted = services(home, project, "mark")
        only = tuple(s for s in wanted if s.name == "mlflow")
        with pytest.raises(
            UsageError, match=rf"port {port} for mlflow.*process {os.getpid()} .*operations.mlflow_port"
        ):
            check_ports(home, project, only)


def test_two_servers_cannot_have_one_port(home):
    port = free()
    file = home.root / "configs" / "tidegate.yaml"
    file.write_text(file.read_text() + f"operations: {{mlflow_port: {port}, prefect_port: {port}}}\n")
    load_project.cache_clear()
    project = load_project(home)
    with pytest.raises(UsageError, match="a port of its own, found that of prefect"):
        check_ports(home, project, services(home, project, "mark"))


def test_secrets_are_private_made_once_and_never_on_a_command_line(home):
    project = load_project(home)
    first, second = (services(home, project, mark_of(home.state)) for _ in range(2))
    file = home.state / "private" / "up.json"
    assert file.stat().st_mode & 0o777 == 0o600
    by_name = {s.name: s for s in first}
    secret = by_name["mlflow"].environment["MLFLOW_FLASK_SERVER_SECRET_KEY"]
    assert secret == {s.name: s for s in second}["mlflow"].environment["MLFLOW_FLASK_SERVER_SECRET_KEY"]
    assert len(secret) > 30
    assert not any(secret in word for s in first for word in s.command)
    assert all(MARK in s.environment and s.environment["DO_NOT_TRACK"] == "true" for s in first)


def test_an_unknown_server_is_refused(home):
    with pytest.raises(UsageError, match="one of prefect, runner"):
        services(home, load_project(home), "mark", ("grafana",))
    assert [s.name for s in services(home, load_project(home), "mark", ("pages",))] == list(NAMES[:-1])
