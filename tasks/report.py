"""The task that draws a drift report."""

from __future__ import annotations

from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.night import at
from tasks.said import said
from tidegate.config.home import Home
from tidegate.steps import drift_report as drawing
from tidegate.steps.drift_report import DriftReport


@task(cache_policy=NO_CACHE)
@said
def draw_report(home: Home, model_name: str, window: str, now: datetime) -> DriftReport:
    """Draw one window against the champion's reference, and log the page."""
    return drawing.drift_report(*at(home, model_name, window), now)
