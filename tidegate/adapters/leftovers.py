"""What killed processes left in MLflow: runs that nobody runs, versions that nobody recorded."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from tidegate.adapters.processes import dead
from tidegate.adapters.registry import KNOWN_AT, PROCESS, RECORD, Registry

OLD = 86_400.0
"""Seconds after which a run counts as left that says of no process that it is its own."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A registered version that control has no record of: what its record was to be (JSON; empty without one)."""

    version: int
    run_id: str
    digest: str
    record: str
    known_at: str


class Leftovers:
    """The leftovers of one model."""

    def __init__(self, registry: Registry, model: str) -> None:
        self.registry, self.client, self.model = registry, registry.client, model

    def runs(self) -> list[str]:
        """The ids of the runs that are open and whose process is gone."""
        with self.registry.answering(f"runs of {self.model}"):
            experiment = self.client.get_experiment_by_name(self.model)
            if experiment is None:
                return []
            query = "attributes.status = 'RUNNING'"
            found = self.client.search_runs([experiment.experiment_id], filter_string=query, max_results=1000)
        old = (time.time() - OLD) * 1000
        return [
            r.info.run_id
            for r in found
            if dead(r.data.tags.get(PROCESS, "")) or (PROCESS not in r.data.tags and r.info.start_time < old)
        ]

    def close(self, run_id: str) -> None:
        """End a run as killed, and the model that it was logging as failed."""
        from mlflow.entities import LoggedModelStatus

        with self.registry.answering(f"run {run_id}"):
            run = self.client.get_run(run_id)
            query = f"source_run_id = '{run_id}'"
            for logged in self.client.search_logged_models([run.info.experiment_id], filter_string=query):
                if logged.status == LoggedModelStatus.PENDING:
                    self.client.finalize_logged_model(logged.model_id, LoggedModelStatus.FAILED)
            self.client.set_tag(run_id, "tidegate.status", "killed")
            self.client.set_terminated(run_id, "KILLED")

    def finish(self, run_id: str) -> None:
        """End a run that had done all its work."""
        with self.registry.answering(f"run {run_id}"):
            self.client.set_terminated(run_id, "FINISHED")

    def versions(self, known: Collection[int]) -> list[Unknown]:
        """Registered versions that are not among the known ones and whose process is gone, oldest first."""
        with self.registry.answering(f"versions of {self.model}"):
            found = self.client.search_model_versions(f"name = '{self.model}'", max_results=1000)
        out = []
        for version in sorted(found, key=lambda v: int(v.version)):
            tags = version.tags
            if int(version.version) in known or not dead(tags.get(PROCESS, "")):
                continue
            record = self.registry.evidence(version.run_id, RECORD)
            out.append(
                Unknown(int(version.version), version.run_id, tags.get("tidegate.package", ""),
                        record.read_text() if record else "", tags.get(KNOWN_AT, ""))
            )  # fmt: skip
        return out

    def delete(self, version: int) -> None:
        """Take a version back that there is nothing behind."""
        with self.registry.answering(f"version {version} of {self.model}"):
            self.client.delete_model_version(self.model, str(version))


__all__ = ["Leftovers", "Unknown"]
