"""Runs that failed and that no automation told of: the runner looks, and starts `failure` for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort

from tidegate.deploy.documents import WATCHED

BACK = timedelta(hours=1)
"""How long ago a run may have ended: what is older is the dead-man's switch's."""
LEAVE = timedelta(seconds=15)
"""Time that the automation has to tell by itself."""
MOST = 200
"""Runs that the server gives at once."""
BAD = (StateType.FAILED, StateType.CRASHED)
TRIES = 3
"""Runs of `failure` that may fail themselves for one run; after that the dead-man's switch is left."""


def tell_of_untold(client: SyncPrefectClient, now: datetime) -> list[str]:
    """Start `failure` for every watched run that ended badly and has none; the ids of those runs.

    Prefect's automation does this at once, but does not see every end (`docs/deployments.md`). One run of `failure` is
    started, however often and by however many this is called; another one only if that failed itself.
    """
    failed = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            tags=FlowRunFilterTags(all_=[WATCHED]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(BAD))),
            end_time=FlowRunFilterEndTime(after_=now - BACK, before_=now - LEAVE),
        ),
        sort=FlowRunSort.END_TIME_DESC,
        limit=MOST,
    )
    if not failed:
        return []
    told = _telling(client, now)
    # A run of `failure` that failed itself has told nobody: it is a try.
    known = about(run for run in told if run.state_type not in BAD)
    tries = [one for run in told if run.state_type in BAD for one in about([run])]
    out = [run for run in failed if str(run.id) not in known and tries.count(str(run.id)) < TRIES]
    if out:
        deployment = client.read_deployment_by_name("failure/failure")
        for run in out:
            client.create_flow_run_from_deployment(
                deployment.id,
                parameters={"request": {**_request(deployment.parameters), "run": str(run.id), "state": _state(run)}},
                idempotency_key=f"untold/{run.id}/{tries.count(str(run.id))}",
            )
    return [str(run.id) for run in out]


def _telling(client: SyncPrefectClient, now: datetime) -> list[FlowRun]:
    """The runs of `failure` that may be about a run that ended since `BACK`."""
    out: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=["failure"])),
            flow_run_filter=FlowRunFilter(expected_start_time=FlowRunFilterExpectedStartTime(after_=now - BACK)),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=MOST,
            offset=len(out),
        )
        out += page
        if len(page) < MOST:
            return out


def about(told: Iterable[FlowRun]) -> set[str]:
    """The ids of the runs that runs of `failure` are about.

    Examples
    --------
    >>> from uuid import uuid4
    >>> run = FlowRun(flow_id=uuid4(), parameters={"request": {"run": "prefect.flow-run.1"}})
    >>> about([run])
    {'1'}
    """
    return {str(_request(run.parameters).get("run", "")).removeprefix("prefect.flow-run.") for run in told}


def _request(parameters: dict[str, object]) -> dict[str, object]:
    request = parameters.get("request")
    return dict(request) if isinstance(request, dict) else {}


def _state(run: FlowRun) -> str:
    return run.state_name or (run.state_type.value.capitalize() if run.state_type else "Failed")


__all__ = ["tell_of_untold"]
