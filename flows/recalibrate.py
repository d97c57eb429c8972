"""The `recalibrate` flow: adjust the champion, gate the result, and promote it where the model says so."""

from __future__ import annotations

from prefect import flow

from flows.approval import invite
from flows.artifacts import publish_gate
from flows.bodies import Attempt, adjusted
from flows.parameters import RecalibrateRequest, window_of
from tidegate.clock import now
from tidegate.config.project import load_project


@flow(name="recalibrate")
def recalibrate(request: RecalibrateRequest) -> Attempt:
    """Fit a map or a threshold to what was known on the evening of the window and put it through the gate."""
    home = request.resolved()
    window = window_of(home, load_project(home).model(request.model).dataset, request.window)
    what = "move_threshold" if request.threshold_only else "recalibrate"
    done = adjusted(home, request.model, window.id, now(), what, request.reason)
    publish_gate(request.model, window.id, done.version, done.gate, done.promoted)
    invite(home, done.asked)
    return done
