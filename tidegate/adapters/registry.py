"""MLflow: runs, evidence, registered versions; on SQLite and a local folder, no server.

Control's plan is the truth. Aliases here are a mirror for people, written last, never read.
"""

from __future__ import annotations

import logging
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from tidegate.adapters.processes import me
from tidegate.errors import RegistryError

PROCESS = "tidegate.process"
"""The tag that names the process of a run and version: what it left unfinished when it is gone was cut short."""
KNOWN_AT, RECORD = "tidegate.known_at", "record.json"


def existing(folder: Path) -> Registry:
    """The registry of a state folder, for what needs one that is there: none is made, which would hide the loss.

    Raises
    ------
    RegistryError
        If its database is not there, or cannot be opened.
    """
    file = folder / "mlflow.db"
    if not file.is_file():
        do = "put the registry's database back; what serves does not need it"
        raise RegistryError(f"registry {file}", "its database", "no such file", do)
    try:
        return Registry(folder)
    except Exception as fault:  # MLflow opens the database here, and each layer below it has errors of its own
        said = (str(fault).splitlines() or [type(fault).__name__])[0]
        raise RegistryError(f"registry {file}", "a database that can be opened", said, "restore it") from None


class Registry:
    """The registry of one state folder."""

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("DO_NOT_TRACK", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        import mlflow

        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        mlflow.set_tracking_uri(self.uri)
        self.client = mlflow.MlflowClient(self.uri, self.uri)

    def _experiment(self, model: str) -> str:
        found = self.client.get_experiment_by_name(model)
        if found:
            return str(found.experiment_id)
        return str(self.client.create_experiment(model, artifact_location=(self.folder / "mlartifacts").as_uri()))

    def register(
        self,
        model: str,
        package: Path,
        *,
        params: dict[str, Any],
        metrics: dict[str, float],
        tags: dict[str, str],
        evidence: dict[str, Any],
    ) -> tuple[int, str]:
        """Log a package and its evidence as one finished run; returns (version, run id).

        Raises
        ------
        RegistryError
            If MLflow refuses or cannot be written.
        """
        import mlflow
        from mlflow.exceptions import MlflowException

        try:
            tags = {**tags, PROCESS: me()}
            run = self.client.create_run(self._experiment(model), tags=tags)
            run_id = run.info.run_id
            for key, value in params.items():
                self.client.log_param(run_id, key, str(value)[:500])
            logged = self.client.create_logged_model(
                self._experiment(model), name="model", source_run_id=run_id, tags=tags, model_type="sklearn"
            )
            for key, value in metrics.items():
                if not math.isnan(value):
                    self.client.log_metric(run_id, key, value, model_id=logged.model_id)
            self.client.log_model_artifacts(logged.model_id, str(package))
            self.client.finalize_logged_model(logged.model_id, mlflow.entities.LoggedModelStatus.READY)
            for name, body in evidence.items():
                self.client.log_dict(run_id, body, name) if isinstance(body, dict) else self.client.log_text(
                    run_id, body, name
                )
            if not self.client.search_registered_models(f"name = '{model}'"):
                self.client.create_registered_model(model)
            version = self.client.create_model_version(
                model, logged.artifact_location, run_id, tags=tags, model_id=logged.model_id
            )
            self.client.set_terminated(run_id, "FINISHED")
        except (MlflowException, OSError) as fault:
            raise RegistryError(
                f"registry {self.uri}",
                "a version to be written",
                str(fault).splitlines()[0],
                "check the folder's permissions and free space",
            ) from None
        return int(version.version), run_id

    def fetch(self, model: str, version: int, target: Path) -> Path:
        """Copy a version's package to the new folder `target`."""
        import mlflow
        from mlflow.exceptions import MlflowException

        with self.answering(f"version {version} of {model}"):
            found = self.client.get_model_version(model, str(version))
        try:
            with tempfile.TemporaryDirectory(dir=target.parent) as staging:
                got = mlflow.artifacts.download_artifacts(artifact_uri=found.source, dst_path=staging)
                Path(got).rename(target)
            return target
        except (MlflowException, OSError) as fault:
            raise RegistryError(
                f"version {version} of {model}",
                "to be in the registry",
                str(fault).splitlines()[0],
                "restore the registry, or roll back",
            ) from None

    def log_evidence(self, run_id: str, name: str, body: dict[str, Any] | str) -> None:
        """Log a text or a JSON body to a run; raises `RegistryError` where the registry cannot take it."""
        from mlflow.exceptions import MlflowException

        try:
            if isinstance(body, dict):
                self.client.log_dict(run_id, body, name)
            else:
                self.client.log_text(run_id, body, name)
        except (MlflowException, OSError) as fault:
            do = "look at the disk and the registry, then run it again"
            raise RegistryError(
                f"evidence {name} of run {run_id}", "a registry that takes it", str(fault), do
            ) from fault

    def publish(
        self,
        model: str,
        version: int,
        run_id: str,
        *,
        files: Mapping[str, dict[str, Any] | str],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        description: str,
    ) -> None:
        """Log a gate's evidence: files to the run, metrics to the logged model, tags and words to the version.

        Raises
        ------
        RegistryError
            If the registry cannot take it.
        """
        from mlflow.exceptions import MlflowException

        for name, body in files.items():
            self.log_evidence(run_id, name, body)
        try:
            logged = self.logged_model(model, version)
            for key, value in metrics.items():
                if math.isfinite(value):
                    self.client.log_metric(run_id, key, value, model_id=logged)
            for key, text in tags.items():
                self.client.set_model_version_tag(model, str(version), key, text)
            self.client.update_model_version(model, str(version), description=description)
        except (MlflowException, OSError) as fault:
            do = "look at the disk and the registry, then run it again"
            raise RegistryError(
                f"evidence of version {version} of {model}", "a registry that takes it", str(fault), do
            ) from fault

    @contextmanager
    def answering(self, thing: str) -> Iterator[None]:
        """Whatever MLflow or its database raises becomes one `RegistryError`."""
        from alembic.util import CommandError
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, OSError, SQLAlchemyError, CommandError) as fault:
            said = (str(fault).splitlines() or [type(fault).__name__])[0]
            do = "look at the disk and the registry's database, then run it again"
            raise RegistryError(thing, f"an answer of the registry {self.uri}", said, do) from None

    def logged_model(self, model: str, version: int) -> str:
        """The id of the logged model behind a version; raises `RegistryError` if it is gone."""
        with self.answering(f"version {version} of {model}"):
            run = self.client.get_run(self.client.get_model_version(model, str(version)).run_id).info
            query = f"source_run_id = '{run.run_id}'"
            found = self.client.search_logged_models([run.experiment_id], filter_string=query)
        if not found:
            what = f"logged model of version {version} of {model}"
            raise RegistryError(what, "to be in the registry", "none", "restore the registry")
        return str(found[0].model_id)

    def evidence(self, run_id: str, name: str) -> Path | None:
        """The file of a logged artifact, None where there is none; a remote one is copied into the state folder.

        Raises
        ------
        RegistryError
            If the registry does not answer.
        """
        import mlflow
        from mlflow.exceptions import MlflowException

        with self.answering(f"run {run_id}"):
            where = urlparse(self.client.get_run(run_id).info.artifact_uri)
        if where.scheme in ("", "file"):
            file = Path(url2pathname(where.path)) / name
            return file if file.is_file() else None
        target = self.folder / "evidence" / run_id
        target.mkdir(parents=True, exist_ok=True)
        try:
            return Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/{name}", dst_path=str(target)))
        except (MlflowException, OSError):
            return None

    def mirror(self, model: str, alias: str, version: int, tags: dict[str, str]) -> None:
        """Point an alias at a version and tag it; raises `RegistryError` if the registry does not answer."""
        with self.answering(f"alias {alias} of version {version} of {model}"):
            self.client.set_registered_model_alias(model, alias, str(version))
            for key, value in tags.items():
                self.client.set_model_version_tag(model, str(version), key, value)
