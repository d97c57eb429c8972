"""Tasks of a night: each wraps one step for Prefect and passes names and small values."""

from __future__ import annotations

from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.said import said
from tidegate.config.home import Home
from tidegate.config.model import Model
from tidegate.steps import alerts, collect, estimate, labels, measure, score, served, service, skew, surroundings, watch
from tidegate.steps import decide as deciding
from tidegate.steps import ingest as ingesting
from tidegate.steps.alerts import Delivered
from tidegate.steps.stores import Stores, open_stores
from tidegate.verdicts import Alarm, Decision, Verdict
from tidegate.windows import Window


def at(home: Home, model_name: str, window: str) -> tuple[Stores, Model, Window]:
    """A model and one of its windows."""
    stores = open_stores(home)
    model = stores.project.model(model_name)
    return stores, model, stores.project.calendar(stores.project.dataset(model.dataset)).window(window)


@task(
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[1, 5],
    retry_condition_fn=lambda t, run, state: _passing(state),
)
@said
def ingest_batch(home: Home, dataset_name: str, window: str, now: datetime, again: bool = False) -> Verdict:
    """Read, judge, land and profile one window of a dataset."""
    stores = open_stores(home)
    dataset = stores.project.dataset(dataset_name)
    return ingesting.ingest(stores, dataset, stores.project.calendar(dataset).window(window), now, again=again)


@task(cache_policy=NO_CACHE)
@said
def score_batch(home: Home, model_name: str, window: str, now: datetime) -> int | None:
    """Score one window with the champion."""
    return score.score(*at(home, model_name, window), now)


@task(cache_policy=NO_CACHE)
@said
def watch_window(home: Home, model_name: str, window: str, now: datetime) -> list[Alarm]:
    """Take in what was served and labelled, measure what has matured, estimate the rest, compare with the reference.

    One task and not three: a task run costs more than these steps do.
    """
    stores, model, night = at(home, model_name, window)
    collect.collect(stores, model, now)
    service.measure_service(stores, model, night, now)
    skew.replay_served(stores, model, night, now)
    labels.collect_labels(stores, model, night, now)
    measure.measure(stores, model, night, now)
    served.measure_served(stores, model, night, now)
    estimate.estimate(stores, model, night, now)
    surroundings.note_surroundings(stores, model, night, now)
    return watch.watch(stores, model, night, now)


@task(cache_policy=NO_CACHE)
@said
def deliver_alerts(home: Home, now: datetime) -> Delivered:
    """Send what is due to the channels."""
    return alerts.deliver(open_stores(home), now)


@task(cache_policy=NO_CACHE)
@said
def decide_window(home: Home, model_name: str, window: str, now: datetime) -> Decision:
    """Choose what to do."""
    return deciding.decide_window(*at(home, model_name, window), now)


def _passing(state: object) -> bool:
    """Only faults of the outside world are worth another try."""
    from tidegate.errors import StaleToken, StoreError

    fault = getattr(state, "data", None)
    return isinstance(fault, StoreError) and not isinstance(fault, StaleToken)
