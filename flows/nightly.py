"""The `nightly` flow: everything that happens to a model on one window, or on every one that is due."""

from __future__ import annotations

from prefect import flow, get_run_logger

from flows.approval import invite
from flows.artifacts import publish_night, publish_report
from flows.bodies import Night, night
from flows.dispatch import by_event
from flows.parameters import Nights, window_of
from tasks.night import deliver_alerts
from tasks.report import draw_report
from tasks.retrain import look_back, reconcile_model
from tidegate.clock import now
from tidegate.config.home import Home
from tidegate.errors import UsageError
from tidegate.steps.due import due_windows, finish
from tidegate.steps.stores import open_stores
from tidegate.windows import Window


@flow(name="nightly")
def nightly(request: Nights) -> list[Night]:
    """Ingest, score, labels, performance, drift, alarms, decision, retrain if it was decided; a report with a page.

    Missed nights are caught up, the oldest first. Of these, only the newest may leave its retraining to a run of its
    own: the others' comes before the night after them, as it would have.
    """
    home = request.resolved()
    stores = open_stores(home)
    model = stores.project.model(request.model)
    asked = [window_of(home, model.dataset, request.window)] if request.window else None
    with stores.leases.holding(f"nightly/{model.name}", model.owner, of_the_dead=True) as lease:
        if lease is None and asked:
            raise UsageError(f"nights of {model.name}", "no other run of them", "one", "wait until it is over")
        if lease is None:
            get_run_logger().warning("another run is busy with the nights of %s", model.name)
            return []
        reconcile_model(home, model.name, now())
        windows = asked if asked is not None else due_windows(stores, model, now())
        done = [_one(home, model.name, w, last=w == windows[-1]) for w in windows]
        look_back(home, model.name, now())
    return done


def _one(home: Home, model: str, window: Window, *, last: bool) -> Night:
    done = night(home, model, window.id, now(), elsewhere=by_event if last else None,
                 tell=lambda: deliver_alerts(home, now()))  # fmt: skip
    publish_night(model, done)
    invite(home, done.asked)
    if done.quality.passed and any(a.severity == "page" for a in done.alarms):
        publish_report(draw_report(home, model, window.id, now()))
    stores = open_stores(home)
    finish(stores, stores.project.model(model), window, now())
    return done
