"""Everything a worker has for one model: contract, log, counters, and the version that answers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from serving.gauges import (
    DROPPED,
    FIRST_CONFIDENCE,
    FIRST_LATENCY,
    FIRST_SCORE,
    LOGGED,
    NANOS,
    OUTCOMES,
    ROWS,
    Gauges,
    add_shares,
    bucket_of,
)
from serving.hosted import Answer, Hosted, environment
from serving.payload import Payload
from tidegate.adapters.inferencelog import Answered, InferenceLog
from tidegate.config.dataset import Dataset
from tidegate.config.model import Model
from tidegate.config.project import Project
from tidegate.errors import ConfigError

said = logging.getLogger("tidegate.serving")


@dataclass(slots=True)
class Lane:
    """One model. `hosted` is replaced as a whole; `why` says why there is none, `fault` what the last switch met."""

    model: Model
    dataset: Dataset
    payload: Payload
    log: InferenceLog
    gauges: Gauges
    first: int
    sync: bool
    hosted: Hosted | None = None
    why: str = "the serving plan was not read yet"
    fault: str = ""
    revision: int = -1
    tried: float = 0.0

    def count(self, outcome: str, rows: int = 0, nanos: int = 0) -> None:
        """One request more."""
        cells, at = self.gauges.cells, self.first
        cells[at + OUTCOMES.index(outcome)] += 1
        if rows:
            cells[at + ROWS] += rows
            cells[at + NANOS] += nanos
            cells[at + FIRST_LATENCY + bucket_of(nanos)] += 1

    def keep(
        self, hosted: Hosted, answer: Answer, rows: list[tuple[object, ...]], ids: list[str],
        given: list[str | None], began: int, nanos: int, caller: str, trace: str,
    ) -> bool:  # fmt: skip
        """Log what was answered, before the answer goes out; False if it was dropped, which is counted."""
        answered = Answered(
            began, nanos, hosted.version, hosted.package.digest, hosted.code, environment(), "champion", "gateway",
            caller, trace,
        )  # fmt: skip
        stored = self.log.append(answered, rows, ids, given, answer.scores, answer.positions, answer.confidence)
        cells, at, n = self.gauges.cells, self.first, len(rows)
        cells[at + (LOGGED if stored else DROPPED)] += n
        if self.model.kind == "binary":
            add_shares(cells, at + FIRST_SCORE, answer.scores)
        if self.model.kind != "regression":
            add_shares(cells, at + FIRST_CONFIDENCE, (c for c in answer.confidence if c is not None))
        return stored


def lanes_of(project: Project, names: tuple[str, ...], gauges: Gauges, worker: str, state: Path) -> dict[str, Lane]:
    """A lane for each model, still without a version; one whose file broke since the gateway began has none.

    Raises
    ------
    ConfigError
        If that is so of all of them.
    """
    settings, out = project.platform.serving, dict[str, Lane]()
    for name in names:
        try:
            model = project.model(name)
        except ConfigError as fault:
            if name == names[-1] and not out:
                raise
            said.error("%s is not served: %s", name, " ".join(str(fault).split()))
            continue
        dataset = project.dataset(model.dataset)
        log = InferenceLog(state, project.platform.namespace, dataset, model, settings.log, writer=worker)
        payload = Payload(
            dataset, log.columns, len(model.features), model.serving, settings.max_rows, settings.max_body
        )
        sync = settings.log.durability == "sync"
        out[name] = Lane(model, dataset, payload, log, gauges, gauges.row(name), sync)
    return out


__all__ = ["Lane", "lanes_of"]
