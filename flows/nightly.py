"""The `nightly` flow: everything that happens to a model on one window."""

from __future__ import annotations

from prefect import flow

from flows.approval import invite
from flows.artifacts import publish_night, publish_report
from flows.bodies import Night, night
from flows.parameters import ModelNight, window_of
from tasks.night import deliver_alerts
from tasks.report import draw_report
from tasks.retrain import look_back, reconcile_model
from tidegate.clock import now
from tidegate.config.project import load_project


@flow(name="nightly")
def nightly(request: ModelNight) -> Night:
    """Ingest, score, labels, performance, drift, alarms, decision, retrain if it was decided; a report with a page."""
    home = request.resolved()
    window = window_of(home, load_project(home).model(request.model).dataset, request.window)
    reconcile_model(home, request.model, now())
    done = night(home, request.model, window.id, now(), tell=lambda: deliver_alerts(home, now()))
    look_back(home, request.model, now())
    publish_night(request.model, done)
    invite(home, done.asked)
    if done.quality.passed and any(a.severity == "page" for a in done.alarms):
        publish_report(draw_report(home, request.model, window.id, now()))
    return done
