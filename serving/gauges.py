"""What a worker counts while it runs: shared with the other workers by a small file, and read by `/metrics`.

A page of 64-bit counters a model: requests by outcome, rows, a latency histogram, scores. The file is reserved in
full before it is mapped (a mapped hole on a full disk would kill the process), and each counter has one writer, so
sums over workers need no lock. Histograms are added up; quantiles are taken of the sum, never averaged.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

OUTCOMES = ("ok", "refused", "throttled", "failed")
"""Answered; wrong by the caller's fault (4xx); turned away as too many (429); failed by ours (5xx)."""
SUB = 6  # bits of a latency below its highest: 64 buckets an octave, 1.6 % wide
OCTAVES = 41
LATENCIES = OCTAVES << SUB
SCORES = 20
ROWS, NANOS, LOGGED, DROPPED = 4, 5, 6, 7
FIRST_LATENCY = 8
FIRST_SCORE = FIRST_LATENCY + LATENCIES
FIRST_CONFIDENCE = FIRST_SCORE + SCORES
WIDTH = FIRST_CONFIDENCE + SCORES


def bucket_of(nanos: int) -> int:
    """The latency bucket of a time in nanoseconds."""
    high = nanos.bit_length()
    if high <= SUB + 1:
        return nanos
    place = high - SUB - 1
    return min(((place + 1) << SUB) + (nanos >> place) - (1 << SUB), LATENCIES - 1)


def edges() -> NDArray[np.float64]:
    """Lower ends of all latency buckets in nanoseconds, and the last one's upper end."""
    k = np.arange(LATENCIES + 1)
    place = np.maximum((k >> SUB) - 1, 0)
    return np.where(k < (2 << SUB), k, ((k & ((1 << SUB) - 1)) + (1 << SUB)) * 2.0**place).astype(np.float64)


class Gauges:
    """The counters of one worker, a row a model.

    Without room on the disk they are kept in memory, and only this worker's are shown; `shared` says which.
    """

    def __init__(self, path: Path, models: tuple[str, ...]) -> None:
        self.path, self.models = path, models
        size = len(models) * WIDTH * 8
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.posix_fallocate(fd, 0, size)
                self._map: mmap.mmap = mmap.mmap(fd, size)
            finally:
                os.close(fd)
            self.shared = True
        except OSError:
            self._map = mmap.mmap(-1, size)
            self.shared = False
        self.cells = memoryview(self._map).cast("Q")

    def row(self, model: str) -> int:
        """Where a model's counters start."""
        return self.models.index(model) * WIDTH

    def read(self) -> NDArray[np.uint64]:
        """A copy of all counters, shape (models, WIDTH)."""
        return np.frombuffer(self._map, dtype=np.uint64).reshape(len(self.models), WIDTH).copy()

    def gather(self) -> NDArray[np.uint64]:
        """The sum over all workers of this gateway, those that have ended included, shape (models, WIDTH)."""
        total = self.read()
        if self.shared:
            size = total.size
            for path in self.path.parent.glob("*.live"):
                if path != self.path:
                    try:
                        other = np.fromfile(path, dtype=np.uint64)
                    except OSError:
                        continue
                    if other.size == size:
                        total += other.reshape(total.shape)
        return total


@dataclass(frozen=True, slots=True)
class Seen:
    """Counters of one model over some time: the difference of two readings."""

    counts: NDArray[np.uint64]

    def of(self, outcome: str) -> int:
        """Requests with an outcome."""
        return int(self.counts[OUTCOMES.index(outcome)])

    @property
    def requests(self) -> int:
        """All requests."""
        return int(self.counts[: len(OUTCOMES)].sum())

    @property
    def latencies(self) -> NDArray[np.uint64]:
        """Answered requests by latency bucket."""
        return self.counts[FIRST_LATENCY:FIRST_SCORE]

    def quantile(self, q: float) -> float:
        """The latency in seconds that a share `q` of answered requests keeps, to 1.6 %; NaN without requests."""
        counts = self.latencies
        total = int(counts.sum())
        if not total:
            return float("nan")
        at = int(np.searchsorted(np.cumsum(counts), max(1, int(np.ceil(q * total)))))
        return float(edges()[at + 1]) / 1e9


def add_shares(cells: memoryview, first: int, values: Iterable[float]) -> None:
    """Count values in [0, 1] into twenty equal bins that start at `first`."""
    for value in values:
        cells[first + min(int(value * SCORES), SCORES - 1)] += 1


__all__ = ["OUTCOMES", "Gauges", "Seen", "add_shares", "bucket_of", "edges"]
