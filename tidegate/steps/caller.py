"""Callers of a gateway: rows of the newest batch, sent over several connections until they are told to stop."""

from __future__ import annotations

import http.client
import json
import math
import threading
import time
from collections import Counter
from datetime import date, datetime
from typing import Any

from tidegate.config.model import Model
from tidegate.errors import UsageError
from tidegate.steps.stores import Stores

ROWS = 200
FAILED = (OSError, http.client.HTTPException, ValueError, KeyError)


def bodies(stores: Stores, model: Model) -> list[bytes]:
    """Requests of one row each, from the newest batch; raises `UsageError` if there is none."""
    good = [s.window for s in stores.data.many("batches", model.dataset) if s.rows]
    if not good:
        do = f"tidegate ingest {model.dataset}"
        raise UsageError(f"drill of {model.name}", "a batch to send rows of", "none", do)
    table = stores.data.read("batches", model.dataset, good[-1:])
    names = [f for f in model.features if f in table.column_names]
    rows = table.select(names).slice(0, ROWS).to_pylist()
    return [json.dumps({"dataframe_records": [{k: _plain(v) for k, v in r.items()}]}).encode() for r in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, date | datetime) else value


class Callers:
    """Threads that ask one after the other, each over a connection of its own.

    Attributes
    ----------
    errors : list of str
        What was no answer with status 200.
    """

    def __init__(self, address: str, rows: list[bytes], connections: int) -> None:
        self.address, self.rows, self.connections = address, rows, connections
        self.errors: list[str] = []
        self._count: Counter[int] = Counter()
        self._last: dict[int, float] = {}
        self._over, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(i,), daemon=True) for i in range(connections)]
        for thread in self._threads:
            thread.start()

    @property
    def answers(self) -> int:
        """Answers so far."""
        return sum(self._count.values())

    @property
    def dead(self) -> bool:
        """Whether nobody asks any more."""
        return not any(t.is_alive() for t in self._threads)

    def heard(self, version: int | None) -> int:
        """Answers of a version."""
        return self._count[version] if version is not None else 0

    def last(self, version: int | None) -> float:
        """When a version answered last, in seconds since the epoch; 0 if it never did."""
        return self._last.get(version, 0.0) if version is not None else 0.0

    def quiet(self, version: int | None) -> float:
        """Seconds since a version answered last."""
        return time.time() - self.last(version)

    def stop(self) -> None:
        """Let the requests in hand end, and ask no more."""
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _ask(self, number: int) -> None:
        line, at = http.client.HTTPConnection(self.address, timeout=20), number
        while not self._over.is_set():
            try:
                line.request("POST", "/invocations", self.rows[at % len(self.rows)],
                             {"Content-Type": "application/json"})  # fmt: skip
                answer = line.getresponse()
                body = answer.read()
                if answer.status != 200:
                    raise ValueError(f"status {answer.status}: {body[:200].decode(errors='replace')}")
                self._told(int(json.loads(body)["version"]))
            except FAILED as fault:
                with self._lock:
                    self.errors.append(f"{type(fault).__name__}: {fault}")
                line.close()
                time.sleep(0.05)
            at += self.connections
            # Enough to see each moment, and little enough that the machine has time for the rollback.
            time.sleep(0.1)
        line.close()

    def _told(self, version: int) -> None:
        with self._lock:
            self._count[version] += 1
            self._last[version] = time.time()


__all__ = ["Callers", "bodies"]
