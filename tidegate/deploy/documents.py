"""The deployments of a home, made from its model files: what `prefect deploy` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tidegate.config.dataset import Dataset
from tidegate.config.model import Model
from tidegate.config.schedule import Schedule

POOL = "tidegate"
TAG, WATCHED = "tidegate", "tidegate-watched"
"""Tags of every run, and of those whose failure somebody is told of."""
HOME = "{{ $TIDEGATE_HOME }}"
"""How the file refers to the home: `prefect deploy` puts the variable's value in its place."""
HEARTBEAT = 30
"""Seconds between the signs of life of a run; Prefect takes no less."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a flow is deployed: once a model (``each``), or once."""

    flow: str
    about: str
    each: bool = False
    collision: Literal["ENQUEUE", "CANCEL_NEW"] | None = None
    watched: bool = False
    schedule: str = ""


KINDS = (
    Kind("ingest", "Read, judge and land one window of a dataset.", watched=True),
    Kind("score", "Score one window that has been ingested, with the champion."),
    Kind(
        "nightly", "Everything that happens to {model} on a window. Without a window: every night that is due and not "
        "done, the oldest first.", each=True, collision="ENQUEUE", watched=True, schedule="model",
    ),
    Kind("drift_report", "Draw one window against the champion's reference."),
    Kind(
        "retrain", "Train a candidate of {model} and put it through the gate. One at a time: another is cancelled.",
        each=True, collision="CANCEL_NEW", watched=True,
    ),
    Kind("recalibrate", "Adjust the champion or its threshold, and gate the result."),
    Kind("approval", "Show a person the verdict on a version and take the answer."),
    Kind("rollback", "Make a former champion the champion again."),
    Kind("replay", "History, night by night, in a home of its own.", collision="ENQUEUE"),
    Kind("failure", "Tell of a run that failed, and start a crashed night again, once.", collision="ENQUEUE"),
    Kind("drill", "Measure the way back beside production, model by model.", collision="CANCEL_NEW", watched=True,
         schedule="drill"),
    Kind("deliver", "Send the alerts that wait.", collision="CANCEL_NEW", watched=True, schedule="deliver"),
    Kind("compact", "Housekeeping: small files together, what is no longer needed away.", collision="CANCEL_NEW",
         watched=True, schedule="compact"),
)  # fmt: skip
"""Every flow that is deployed; `deployments` takes those that there are."""


def deployments(
    models: Sequence[tuple[Model, Dataset]], schedule: Schedule, flows: Sequence[str], home: str = HOME
) -> list[dict[str, Any]]:
    """The deployments in the form of `prefect.yaml`, in a fixed order.

    `nightly` and `retrain` are deployed once a model: their limit of one run at a time is the model's, and with one
    limit for all, the retraining of one model would cancel that of another.

    Parameters
    ----------
    flows : sequence of str
        Names of the flows that there are.
    home : str
        Folder of the home.

    Examples
    --------
    >>> [d["name"] for d in deployments((), Schedule(), ["replay", "score"])]
    ['score', 'replay']
    """
    out = []
    for kind in KINDS:
        if kind.flow not in flows:
            continue
        if kind.each:
            out += [_deployment(kind, one, schedule, home) for one in sorted(models, key=lambda m: m[0].name)]
        else:
            out.append(_deployment(kind, None, schedule, home))
    return out


def _deployment(kind: Kind, of: tuple[Model, Dataset] | None, schedule: Schedule, home: str) -> dict[str, Any]:
    model, dataset = of or (None, None)
    request = {"home": home, **({"model": model.name} if model else {})}
    tags = [TAG, *([WATCHED] if kind.watched else []), *([f"model:{model.name}"] if model else [])]
    made: dict[str, Any] = {
        "name": model.name if model else kind.flow,
        "description": kind.about.format(model=model.name if model else ""),
        "entrypoint": f"flows.{kind.flow}.{kind.flow}",
        "tags": tags,
        "parameters": {"request": request},
        "enforce_parameter_schema": True,
        "work_pool": {"name": POOL, "job_variables": {"env": environment(home)}},
    }
    if kind.collision:
        made["concurrency_limit"] = {"limit": 1, "collision_strategy": kind.collision}
    if model and dataset and kind.schedule == "model":
        made["schedules"] = [_cron(model.schedule, dataset.calendar.time_zone, "nightly")]
    elif kind.schedule:
        made["schedules"] = [_cron(getattr(schedule, kind.schedule), schedule.time_zone, kind.schedule)]
    return made


def _cron(line: str, time_zone: str, slug: str) -> dict[str, Any]:
    return {"cron": line, "timezone": time_zone, "slug": slug, "active": True}


def environment(home: str) -> dict[str, str]:
    """Environment of a run's process."""
    return {
        "TIDEGATE_HOME": home,
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT),
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "GX_ANALYTICS_ENABLED": "false",
    }


def full_name(deployment: Mapping[str, Any]) -> str:
    """``flow/deployment``, as Prefect calls it.

    Examples
    --------
    >>> full_name({"name": "flights", "entrypoint": "flows.retrain.retrain"})
    'retrain/flights'
    """
    return f"{str(deployment['entrypoint']).rpartition('.')[2]}/{deployment['name']}"
