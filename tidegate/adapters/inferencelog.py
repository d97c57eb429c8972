"""The log of inferences: what a model answered, to whom, from what, into its spool.

The hot path of serving. A record is a MessagePack array; what is the same for many of them is a record of its own,
once a segment, that they name by a number. The privacy policy is applied here, before anything is written.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tidegate.adapters.counterpage import Counts
from tidegate.adapters.inferenceids import drawn, new_ids
from tidegate.adapters.secrets import FILE, pseudonym_key
from tidegate.adapters.spool import Spool, spool_folder
from tidegate.config.dataset import Dataset
from tidegate.config.model import Model
from tidegate.config.serving import LogSettings
from tidegate.contract.rowid import row_id_of
from tidegate.errors import StoreError
from tidegate.privacy.policy import Policy, compile_policy

REFUSALS = 100
"""Refused requests that are stored one by one, a second; the rest is stored as counts."""

ABOUT, INFERENCES, REFUSAL, LABELS, RESOURCES = 0, 1, 2, 3, 4
"""What a record is: its first item."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What is the same for all rows of a request.

    ``code`` is the digest of the user's code (the version of the features), ``environment`` one of Python and its
    libraries; ``route`` says who decided, ``source`` is gateway, logger or batch; ``caller`` is the name of an API
    key, ``trace`` a W3C trace id, both empty where there is none.
    """

    received_ns: int
    latency_ns: int
    version: int
    package: str
    code: str
    environment: str
    route: str
    source: str
    caller: str = ""
    trace: str = ""


def log_columns(dataset: Dataset, model: Model) -> tuple[str, ...]:
    """The columns that a logged row has: features, key, segments, protected ones and the event time, once each."""
    wanted = (*model.features, *dataset.key, *model.segments, *model.protected, dataset.event_time)
    return tuple(dict.fromkeys(c for c in wanted if c in dataset.columns))


class InferenceLog:
    """Writes to the spool of one model. Nothing is raised to the caller: what cannot be stored is counted.

    Parameters
    ----------
    state : Path
        The home's state folder.
    writer : str
        Who writes, for people: a worker's name.
    """

    def __init__(
        self, state: Path, namespace: str, dataset: Dataset, model: Model, settings: LogSettings, *, writer: str,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self.columns = log_columns(dataset, model)
        self.state, self.dataset, self.clock_ns = state, dataset, clock_ns
        self.fault = ""
        self._sample = model.serving.sample
        self._row_id = row_id_of(dataset, self.columns)
        self._secret = any(dataset.columns[c].privacy == "pseudonym" for c in self.columns)
        self._version = -1.0
        self._policy: Policy | None = None
        self._encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode
        self._about: dict[tuple[Any, ...], tuple[int, bytes]] = {}
        self._number = 0
        self._refusing = threading.Lock()
        self._second, self._stored = 0, 0
        self._more: dict[tuple[int, str, str], int] = {}
        self._learn()
        self.spool = Spool(spool_folder(state, namespace, model.name), settings, writer=writer, clock_ns=clock_ns)

    def append(
        self, answered: Answered, rows: Sequence[tuple[Any, ...]], ids: Sequence[str],
        caller_ids: Sequence[str | None], scores: Sequence[Any], predictions: Sequence[Any],
        confidence: Sequence[float | None],
    ) -> bool:  # fmt: skip
        """Log the rows of a request; True when they are with the operating system, or not in the sample.

        Rows have the values of `columns`, in the contract's types. Scores are numbers, or a list a row with one a
        class; predictions are positions of classes, or numbers for a regression.
        """
        asked = len(rows)
        if self._sample < 1:
            kept = [i for i, name in enumerate(ids) if drawn(name, self._sample)]
            if not kept:
                return True
            if len(kept) < asked:
                rows, ids, caller_ids = _of(rows, kept), _of(ids, kept), _of(caller_ids, kept)
                scores, predictions, confidence = _of(scores, kept), _of(predictions, kept), _of(confidence, kept)
        n = len(rows)
        try:
            if self._policy is None:
                self._learn()
            policy = self._policy
            if policy is None:
                raise StoreError(self.fault)
            a = answered
            about = self._about_of((a.version, a.package, a.code, a.environment, a.route, a.source, a.caller), policy)
            apply, row_id = policy.apply, self._row_id
            payload = self._encode(
                (INFERENCES, about[0], a.received_ns, a.latency_ns, a.trace, asked, ids, caller_ids,
                 [row_id(r) for r in rows], [apply(r) for r in rows], scores, predictions, confidence)
            )  # fmt: skip
        except Exception as fault:  # whatever a value was: the answer has gone out, and a drop is counted
            # Only the kind of fault: its text may have the value in it.
            self.fault = self.fault or type(fault).__name__
            self.spool.drop(n)
            return False
        return self.spool.append(payload, n, about)

    def refused(self, received_ns: int, latency_ns: int, status: int, why: str, caller: str) -> bool:
        """Log a request that was not answered; beyond a hundred a second only how many of a kind."""
        with self._refusing:
            second = self.clock_ns() // 1_000_000_000
            if second != self._second:
                self._flush()
                self._second, self._stored = second, 0
            if self._stored < REFUSALS:
                self._stored += 1
                return self._refusal(received_ns, latency_ns, status, why[:300], caller, 1)
            kind = (status, why[:300], caller)
            if kind not in self._more and len(self._more) >= REFUSALS:
                kind = (status, "several reasons", "")
            self._more[kind] = self._more.get(kind, 0) + 1
            return True

    def labels(
        self, posted: Sequence[tuple[str | None, str | None, Any, int | None]], received_ns: int, caller: str
    ) -> bool:
        """Log labels: (inference id or None, row id or None, label, known at in ns); acknowledge only on True."""
        return self.spool.append(self._encode((LABELS, received_ns, caller, posted)), 0)

    def resources(
        self, at_ns: int, worker: str, seconds: float, cpu_s: float, memory: int, models: int, gpu: float | None,
        gpu_memory: float | None,
    ) -> bool:  # fmt: skip
        """Log what a worker took: CPU seconds within the last `seconds`, bytes of memory now, share of its GPU.

        `models`: how many models share the worker.
        """
        body = (RESOURCES, at_ns, worker, seconds, cpu_s, memory, models, gpu, gpu_memory)
        return self.spool.append(self._encode(body), 0)

    def counts(self) -> Counts:
        """Rows admitted to the log, stored, and dropped."""
        return self.spool.counts()

    def tick(self) -> None:
        """To be called every second or so: seals what is old, writes counts of refusals, notices a new key."""
        with self._refusing:
            if self.clock_ns() // 1_000_000_000 != self._second:
                self._flush()
        if self._secret and self._changed() != self._version:
            self._learn()
        self.spool.tick()

    def sync(self) -> bool:
        """Wait until all that was appended is on the disk; False if the disk says no."""
        return self.spool.sync()

    def close(self) -> None:
        """Seal; nothing can be logged afterwards."""
        with self._refusing:
            self._flush()
        self.spool.close()

    def _learn(self) -> None:
        """The policy with the newest key; without one nothing can be logged, since nothing may be left in clear."""
        try:
            key = pseudonym_key(self.state) if self._secret else None
            self._version = self._changed() if self._secret else 0.0
            self._policy, self.fault = compile_policy(self.dataset, self.columns, key), ""
        except StoreError as fault:
            self.fault = str(fault)

    def _changed(self) -> float:
        try:
            return (self.state / FILE).stat().st_mtime
        except OSError:
            return -1.0

    def _about_of(self, key: tuple[Any, ...], policy: Policy) -> tuple[int, bytes]:
        known = self._about.get((*key, policy.columns, policy.kinds))
        if known is None:
            if len(self._about) >= 256:
                self._about.clear()
            self._number += 1
            fields = (ABOUT, self._number, *key, self._sample, policy.columns, policy.kinds)
            known = self._about[(*key, policy.columns, policy.kinds)] = (self._number, self._encode(fields))
        return known

    def _refusal(self, received_ns: int, latency_ns: int, status: int, why: str, caller: str, count: int) -> bool:
        return self.spool.append(self._encode((REFUSAL, received_ns, latency_ns, status, why, caller, count)), 0)

    def _flush(self) -> None:
        for (status, why, caller), count in list(self._more.items()):
            # Of a count there is no latency.
            if self._refusal(self._second * 1_000_000_000, -1, status, why, caller, count):
                del self._more[(status, why, caller)]


def _of(values: Sequence[Any], kept: list[int]) -> list[Any]:
    return [values[i] for i in kept]


def _plain(value: Any) -> Any:
    """NumPy's scalars and arrays as Python's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"no value of a log: {type(value).__name__}")


__all__ = [
    "ABOUT", "INFERENCES", "LABELS", "REFUSAL", "RESOURCES", "Answered", "Counts", "InferenceLog", "log_columns",
    "new_ids",
]  # fmt: skip
