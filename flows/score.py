"""The `score` flow: batch inference of one window with the champion."""

from __future__ import annotations

from prefect import flow

from flows.parameters import ModelNight, window_of
from tasks.night import score_batch
from tidegate.clock import now
from tidegate.config.project import load_project


@flow(name="score")
def score(request: ModelNight) -> int | None:
    """Score a window that has been ingested; returns the rows, None without a champion."""
    home = request.resolved()
    window = window_of(home, load_project(home).model(request.model).dataset, request.window)
    return score_batch(home, request.model, window.id, now())
