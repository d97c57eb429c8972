"""The `drift_report` flow: one window against the champion's reference, as a page."""

from __future__ import annotations

from prefect import flow

from flows.artifacts import publish_report
from flows.parameters import ModelNight, window_of
from tasks.report import draw_report
from tidegate.clock import now
from tidegate.config.project import load_project
from tidegate.steps.drift_report import DriftReport


@flow(name="drift_report")
def drift_report(request: ModelNight) -> DriftReport:
    """Draw a window with Evidently, log the page to MLflow, link it from this run."""
    home = request.resolved()
    window = window_of(home, load_project(home).model(request.model).dataset, request.window)
    drawn = draw_report(home, request.model, window.id, now())
    publish_report(drawn)
    return drawn
