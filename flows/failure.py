"""The `failure` flow: tells of a run that failed, and starts a crashed night again, once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect import flow, get_client, get_run_logger
from prefect.client.schemas.objects import FlowRun

from flows.parameters import FailedRun
from tidegate.clock import now
from tidegate.errors import UsageError
from tidegate.steps.failure import tell
from tidegate.steps.stores import open_stores
from tidegate.verdicts import Alarm

AGAIN = "tidegate-again"
"""Tag of a night that was started again: it is not a second time."""


@flow(name="failure")
def failure(request: FailedRun) -> list[Alarm]:
    """Open an incident of the run, or continue it; a night that crashed is started again."""
    try:
        run_id = UUID(request.run.removeprefix("prefect.flow-run."))
    except ValueError:
        raise UsageError("run", "the id of a flow run", repr(request.run), "correct it") from None
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
        name = client.read_flow(run.flow_id).name
        again = _again(client, run, name, request.state)
    state = request.state.removeprefix("prefect.flow-run.")
    what = (run.state.message if run.state else "") or "no more is known"
    stores = open_stores(request.resolved())
    found = tell(stores, name, _asked(run), state, what, str(run.id), now(), by_itself=_by_itself(run), again=again)
    get_run_logger().info("%s run %s: %s; %d new alarms%s", name, run.name, state, len(found), ", again" * again)
    return found


def _asked(run: FlowRun) -> dict[str, Any]:
    request = run.parameters.get("request")
    return dict(request) if isinstance(request, dict) else {}


def _by_itself(run: FlowRun) -> bool:
    """Whether a schedule or an automation started it, and nobody looks at it."""
    return run.auto_scheduled or (run.created_by is not None and run.created_by.type != "USER")


def _again(client: Any, run: FlowRun, name: str, state: str) -> bool:
    crashed = state.endswith("Crashed") and name == "nightly" and run.deployment_id is not None
    if not crashed or AGAIN in run.tags:
        return False
    client.create_flow_run_from_deployment(
        run.deployment_id, parameters=run.parameters, tags=[AGAIN], idempotency_key=f"again/{run.id}",
        name=f"{run.name} again",
    )  # fmt: skip
    return True
