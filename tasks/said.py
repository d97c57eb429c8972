"""What a task did, as a line of the structured log, under the id of the flow run that it belongs to."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect.runtime import flow_run

from tidegate.config.home import Home
from tidegate.logs import told
from tidegate.verdicts import Decision, Verdict

P = ParamSpec("P")
R = TypeVar("R")
NAMES = {"model_name": "model", "dataset_name": "dataset", "window": "window", "version": "version"}
"""Arguments of tasks that a line names, by what it calls them."""


def said(work: Callable[P, R]) -> Callable[P, R]:
    """Let a function of (home, ...) say what it did when it is over."""
    signature = inspect.signature(work)

    @wraps(work)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs).arguments
        home = given["home"]
        assert isinstance(home, Home)
        named = {name: given[key] for key, name in NAMES.items() if key in given}
        run = {"run": str(flow_run.id), "flow": flow_run.flow_name} if flow_run.id else {}
        with told(home.state, work.__name__, **run, **named) as result:
            found = work(*args, **kwargs)
            result.update(_came_of(found))
        return found

    return wrapped


def _came_of(found: Any) -> dict[str, Any]:
    if isinstance(found, Verdict):
        return {"outcome": found.outcome, "reasons": len(found.reasons)}
    if isinstance(found, Decision):
        return {"outcome": found.action}
    if isinstance(found, list | tuple):
        return {"outcome": "done", "count": len(found)}
    if isinstance(found, int):
        return {"outcome": "done", "result": found}
    return {"outcome": "done" if found is not None else "nothing"}


__all__ = ["said"]
