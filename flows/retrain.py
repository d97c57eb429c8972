"""The `retrain` flow: train, gate, register, and promote where the model says so."""

from __future__ import annotations

from prefect import flow

from flows.approval import invite
from flows.artifacts import publish_gate
from flows.bodies import retrain as body
from flows.parameters import RetrainRequest, window_of
from tasks.retrain import reconcile_model
from tidegate.clock import now
from tidegate.config.project import load_project
from tidegate.steps.stores import open_stores
from tidegate.verdicts import Verdict


@flow(name="retrain")
def retrain(request: RetrainRequest) -> Verdict:
    """Train a candidate on what was known on the evening of the window and put it through the gate."""
    home = request.resolved()
    window = window_of(home, load_project(home).model(request.model).dataset, request.window)
    reconcile_model(home, request.model, now())
    decides = open_stores(home).plans.get(request.model).champion
    if request.champion is not None and request.champion != decides:
        return Verdict("inconclusive", (f"asked for to replace version {request.champion}, but {decides} decides",))
    done = body(home, request.model, window.id, now(), request.reason)
    publish_gate(request.model, window.id, done.version, done.gate, done.promoted)
    invite(home, done.asked)
    return done.gate
