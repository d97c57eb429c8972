"""The automations of a home: which event starts what, as data with deployments by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.deploy.documents import HEARTBEAT, TAG, WATCHED, full_name

WANTED = "tidegate.retrain.wanted"
"""The event of a night that decided to retrain; its payload has the `request` of the flow `retrain`."""
ENDS = ("Completed", "Failed", "Cancelled", "Crashed", "Cancelling", "Suspended", "Paused", "AwaitingRetry", "TimedOut")
"""States after which no sign of life is due."""


def resource_of(model: str) -> str:
    """The name of a model among Prefect's resources."""
    return f"tidegate.model.{model}"


def name_of(model: str) -> str:
    """The name of a model's retraining automation."""
    return f"Tidegate: retrain {model} when a night wants it"


def automations(deployments: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Automations in Prefect's form; an action names its deployment as ``flow/name`` instead of by its id.

    Examples
    --------
    >>> [a["name"] for a in automations([])]
    ['Tidegate: a run without a sign of life has crashed']
    """
    names = [full_name(d) for d in deployments]
    out = [_wanted(name.partition("/")[2], name) for name in names if name.startswith("retrain/")]
    out.append(_silent())
    if "failure/failure" in names:
        out.append(_failed())
    return out


def _wanted(model: str, deployment: str) -> dict[str, Any]:
    return {
        "name": name_of(model),
        "description": "A night's decision is carried out by a run of its own.",
        "tags": [TAG],
        "trigger": {
            "type": "event",
            "posture": "Reactive",
            "match": {"prefect.resource.id": resource_of(model)},
            "expect": [WANTED],
            "for_each": ["prefect.resource.id"],
            "threshold": 1,
            "within": 0,
        },
        "actions": [_run(deployment, "{{ event.payload.request | tojson }}")],
    }


def _silent() -> dict[str, Any]:
    return {
        "name": "Tidegate: a run without a sign of life has crashed",
        "description": "A process that was killed cannot say so: its heartbeat stops.",
        "tags": [TAG],
        "trigger": {
            "type": "event",
            "posture": "Proactive",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "match_related": _tagged(TAG),
            "after": ["prefect.flow-run.heartbeat"],
            "expect": ["prefect.flow-run.heartbeat", *(f"prefect.flow-run.{state}" for state in ENDS)],
            "for_each": ["prefect.resource.id"],
            "threshold": 1,
            "within": 2 * HEARTBEAT,
        },
        "actions": [
            {
                "type": "change-flow-run-state",
                "state": "CRASHED",
                "message": f"no sign of life for {2 * HEARTBEAT} s: its process was killed or stopped",
            }
        ],
    }


def _failed() -> dict[str, Any]:
    return {
        "name": "Tidegate: a run that failed is told of",
        "description": "Opens an incident; starts a crashed night again, once.",
        "tags": [TAG],
        "trigger": {
            "type": "event",
            "posture": "Reactive",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "match_related": _tagged(WATCHED),
            "expect": [f"prefect.flow-run.{state}" for state in ("Failed", "Crashed", "TimedOut")],
            "for_each": ["prefect.resource.id"],
            "threshold": 1,
            "within": 0,
        },
        "actions": [
            _run("failure/failure", '{"run": "{{ event.resource.id }}", "state": "{{ event.event }}"}'),
        ],
    }


def _tagged(tag: str) -> dict[str, str]:
    return {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{tag}"}


def _run(deployment: str, request: str) -> dict[str, Any]:
    typed = {"__prefect_kind": "json", "value": {"__prefect_kind": "jinja", "template": request}}
    return {"type": "run-deployment", "source": "selected", "deployment": deployment, "parameters": {"request": typed}}
