import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.adapters.control import open_control
from tidegate.adapters.lake import Lake

NIGHT = dt.datetime(2013, 3, 2, 5, tzinfo=dt.UTC)


@pytest.fixture
def control(tmp_path):
    return open_control(tmp_path / "var")


@pytest.fixture
def lake(tmp_path, control):
    return Lake(tmp_path / "var", control, "default")


@pytest.fixture
def known_at():
    return NIGHT


@pytest.fixture
def actor():
    """Starts `actors.py` in a process of its own; whatever still runs at the end is ended."""
    started = []

    def start(*args, wrap=()):
        command = [*wrap, sys.executable, str(Path(__file__).with_name("actors.py")), *map(str, args)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
