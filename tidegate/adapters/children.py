"""Servers that are started, watched, started again when they die, and stopped: one object each."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before a server that died is started again; the last one for all later ones."""
DEATHS, WITHIN = 6, 300.0
"""So many deaths within so many seconds, and it is left alone."""
Say = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Service:
    """What is started: a command with its environment, and how it shows that it is healthy.

    ``health`` is an address that answers with one of ``fine``, or a file that is newer than the start.
    """

    name: str
    command: tuple[str, ...]
    health: str | Path
    url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    fine: tuple[int, ...] = (200,)
    grace: float = 10.0
    hush: str = ""
    """Lines that match go to the log only."""


class Child:
    """A running service. `poll` is called again and again by one thread."""

    def __init__(self, service: Service, log: Path, log_bytes: int, say: Say) -> None:
        self.service, self.log, self.log_bytes, self.say = service, log, log_bytes, say
        self.process: subprocess.Popen[bytes] | None = None
        self.began, self.wall = 0.0, 0.0
        self.healthy_at: float | None = None
        self.gave_up = False
        self.deaths: deque[float] = deque(maxlen=DEATHS)
        self._again = 0.0
        self._reader: threading.Thread | None = None
        self._unlogged = False

    def start(self) -> None:
        """Start it in a session of its own, so that a Ctrl-C of the terminal is not its end before ours."""
        self.began, self.wall, self.healthy_at = time.monotonic(), time.time(), None
        self.process = subprocess.Popen(
            self.service.command, env=dict(self.service.environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    @property
    def healthy(self) -> bool:
        """Whether it has answered since it was started."""
        return self.running and self.healthy_at is not None

    def poll(self) -> None:
        """Notice that it became healthy, or died; start it again when it is time."""
        if self.gave_up:
            return
        if self.running:
            if self.healthy_at is None and answers(self.service, self.wall):
                self.healthy_at = time.monotonic()
            return
        now = time.monotonic()
        if self.process is not None:
            self._died(self.process.returncode, now)
        elif now >= self._again:
            self.say(self.service.name, "starting again")
            self.start()

    def _died(self, code: int, now: float) -> None:
        self.process = None
        self.deaths.append(now)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if len(self.deaths) == DEATHS and now - self.deaths[0] < WITHIN:
            self.gave_up = True
            often = f"for the {DEATHS}th time within {WITHIN / 60:.0f} minutes"
            words = f"ended ({how}) {often} and is left alone; the others go on. Its last lines are in {self.log}"
            self.say(self.service.name, words)
            return
        lately = sum(now - d < WITHIN for d in self.deaths)
        pause = PAUSES[min(lately, len(PAUSES)) - 1]
        self._again = now + pause
        self.say(self.service.name, f"ended ({how}); starting again in {pause:.0f} s")

    def stop(self, grace: float | None = None) -> None:
        """Ask its process group to end, and kill what is left of it."""
        process, self.gave_up = self.process, True
        if process is None:
            return
        try:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=self.service.grace if grace is None else grace)
        except subprocess.TimeoutExpired:
            self.say(self.service.name, "did not end when asked to, and was killed")
        except ProcessLookupError:
            process.wait(timeout=1)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
        if self._reader is not None:
            self._reader.join(timeout=2)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """Each line to the terminal with the service's name, and to its log."""
        assert process.stdout is not None
        terse = Terse(self.log, self.service.hush)
        with process.stdout as lines:
            for raw in lines:
                line = raw[:10_000].decode(errors="replace").rstrip()
                if line:
                    self._write(line)
                    for told in terse(line):
                        self.say(self.service.name, told)

    def _write(self, line: str) -> None:
        try:
            if self.log.exists() and self.log.stat().st_size > self.log_bytes:
                self.log.replace(self.log.with_suffix(".1.log"))
            with self.log.open("a") as out:
                out.write(line + "\n")
            self._unlogged = False
        except OSError as fault:
            if not self._unlogged:
                self._unlogged = True
                self.say(self.service.name, f"its log cannot be written: {fault.strerror}; it goes on without")


class Terse:
    """What of a server's lines a person sees: a traceback is its last line, and where the rest is.

    >>> terse = Terse(Path("prefect.log"), hush="^banner")
    >>> [told for line in ("banner", "Traceback (most recent call last):", "  File x", "ValueError: no", "on")
    ...  for told in terse(line)]
    ['ValueError: no (traceback in prefect.log)', 'on']
    """

    INSIDE = re.compile(r"\s|Traceback \(most recent call last\)|The above exception was|During handling of the above")

    def __init__(self, log: Path, hush: str = "") -> None:
        self.log, self.hush, self._inside = log, re.compile(hush) if hush else None, False

    def __call__(self, line: str) -> tuple[str, ...]:
        """The lines to be shown for one that was read: itself, another, or none."""
        if self.hush is not None and self.hush.search(line):
            return ()
        bare = line.lstrip(" |+-")
        if self._inside and self.INSIDE.match(line):
            return ()
        if bare.startswith("Traceback (most recent call last)"):
            self._inside = True
            return ()
        if self._inside:
            self._inside = False
            return (f"{line} (traceback in {self.log})",)
        return (line,)


def answers(service: Service, since: float) -> bool:
    """Whether a service is healthy: its address answers, or its file was written since it was started."""
    if isinstance(service.health, Path):
        try:
            return service.health.stat().st_mtime >= since - 1
        except OSError:
            return False
    try:
        with urllib.request.urlopen(service.health, timeout=2) as answer:  # noqa: S310  # our own loopback address
            return answer.status in service.fine
    except urllib.error.HTTPError as fault:
        return fault.code in service.fine
    except (OSError, ValueError):
        return False


__all__ = ["Child", "Service", "Terse", "answers"]
