"""What a worker takes of the machine, into the log of each of its models every few minutes, and when it ends."""

from __future__ import annotations

import time

import psutil

from serving.graphics import graphics
from serving.lane import Lane

EVERY = 300.0


class Meter:
    """Readings of this process: CPU since the reading before, memory now, GPUs of the machine."""

    def __init__(self, lanes: dict[str, Lane], worker: str) -> None:
        self.lanes, self.worker, self.process = lanes, worker, psutil.Process()
        self.last, self.spent = time.monotonic(), self._cpu()

    def look(self, *, now: bool = False) -> None:
        """A reading, when it is time for one, or at once."""
        at = time.monotonic()
        if not now and at - self.last < EVERY:
            return
        spent, seconds = self._cpu(), at - self.last
        cards = graphics()
        busy, used = max((c.busy for c in cards), default=None), sum(c.used for c in cards) if cards else None
        for lane in self.lanes.values():
            lane.log.resources(
                time.time_ns(), self.worker, seconds, spent - self.spent, self.process.memory_info().rss,
                len(self.lanes), busy, used,
            )  # fmt: skip
        self.last, self.spent = at, spent

    def _cpu(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


__all__ = ["Meter"]
