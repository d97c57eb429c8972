"""The `nightly` flow: everything that happens to a model on one window."""

from __future__ import annotations

from prefect import flow

from flows.artifacts import publish_night
from flows.bodies import Night, night
from flows.parameters import ModelNight, window_of
from tidegate.clock import now
from tidegate.config.project import load_project


@flow(name="nightly")
def nightly(request: ModelNight) -> Night:
    """Ingest, score, labels, performance, drift, alarms, decision, and retrain if it was decided."""
    home = request.resolved()
    window = window_of(home, load_project(home).model(request.model).dataset, request.window)
    done = night(home, request.model, window.id, now())
    publish_night(request.model, done)
    return done
