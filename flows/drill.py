"""The `drill` flow: how long the way back takes, measured beside production."""

from __future__ import annotations

from prefect import flow, get_run_logger

from flows.parameters import DrillRequest
from tasks.retrain import drill_model
from tidegate.clock import now
from tidegate.errors import UsageError
from tidegate.steps.stores import open_stores
from tidegate.verdicts import Verdict


@flow(name="drill")
def drill(request: DrillRequest) -> dict[str, Verdict]:
    """Drill every model that has a way back; one that has none is named in the log."""
    home = request.resolved()
    names = [request.model] if request.model else sorted(open_stores(home).project.models())
    out = {}
    for name in names:
        try:
            out[name] = drill_model(home, name, now())
        except UsageError as fault:
            if request.model:
                raise
            get_run_logger().info("no drill of %s: %s", name, fault)
    return out
