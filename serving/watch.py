"""The last minute, looked at every few seconds by one worker for all: bursts of errors and latency become alarms."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from serving.gauges import Gauges, Seen, bucket_of
from serving.lane import Lane
from tidegate.config.home import Home
from tidegate.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.steps.stores import Stores

EVERY, SPAN = 5.0, 60.0
said = logging.getLogger("tidegate.serving")


class Watch:
    """Keeps readings of the shared counters; whichever worker holds the lock file tells what it sees."""

    def __init__(self, home: Home, lanes: dict[str, Lane], gauges: Gauges, live: Path) -> None:
        self.home, self.lanes, self.gauges, self.lock = home, lanes, gauges, live / "watch.lock"
        self.held: int | None = None
        self.readings: deque[tuple[float, NDArray[np.uint64]]] = deque()
        self.last = 0.0

    def look(self) -> None:
        """Every few seconds: what changed within the last minute, to the alarms."""
        now = time.monotonic()
        if now - self.last < EVERY or not self._mine():
            return
        self.last = now
        self.readings.append((now, self.gauges.gather()))
        while len(self.readings) > 2 and self.readings[1][0] <= now - SPAN:
            self.readings.popleft()
        (then, old), (_, new) = self.readings[0], self.readings[-1]
        if now - then < EVERY / 2:
            return
        for name, lane in self.lanes.items():
            at = self.gauges.models.index(name)
            seen = Seen(new[at] - np.minimum(old[at], new[at]))
            if seen.requests:
                self._tell(lane, seen, now - then)

    def _mine(self) -> bool:
        if self.held is None:
            fd = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(fd)
                return False
            self.held = fd
        return True

    def _tell(self, lane: Lane, seen: Seen, seconds: float) -> None:
        from tidegate.steps.service import LastMinute, service_alarm
        from tidegate.steps.stores import open_stores

        minute = LastMinute(
            requests=seen.requests, failed=seen.of("failed"), throttled=seen.of("throttled"),
            p99=seen.quantile(0.99), seconds=seconds, refused=seen.of("refused"), slow=_slow(lane, seen),
        )  # fmt: skip
        try:
            stores, at = open_stores(self.home), datetime.now(UTC)
            if service_alarm(stores, lane.model, minute, at):
                # Not awaited: a channel that does not answer must not hold the watch.
                threading.Thread(target=_deliver, args=(stores, at), name="alerts", daemon=True).start()
        except TidegateError as fault:
            said.warning("%s: the last minute could not be judged: %s", lane.model.name, fault)


def _deliver(stores: Stores, at: datetime) -> None:
    from tidegate.steps.alerts import deliver

    try:
        for fault in deliver(stores, at).faults:
            said.warning("an alert was not delivered: %s", fault)
    except TidegateError as fault:
        said.warning("alerts could not be delivered: %s", fault)


def _slow(lane: Lane, seen: Seen) -> int | None:
    """Answers that surely took longer than the declared p99; None where none is declared."""
    limit = lane.model.serving.max_p99
    return None if limit is None else int(seen.latencies[bucket_of(int(limit.total_seconds() * 1e9)) + 1 :].sum())


__all__ = ["Watch"]
