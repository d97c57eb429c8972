"""Tasks of housekeeping."""

from __future__ import annotations

from datetime import datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.said import said
from tidegate.config.home import Home
from tidegate.steps.compact import Compacted
from tidegate.steps.compact import compact as keep_house
from tidegate.steps.stores import open_stores


@task(cache_policy=NO_CACHE)
@said
def compact_home(home: Home, now: datetime) -> Compacted:
    """Merge, give up, sweep, and hold the disk to its budget."""
    return keep_house(open_stores(home), now)
