"""The `ingest` flow: one window of a dataset, judged and landed."""

from __future__ import annotations

from prefect import flow

from flows.artifacts import publish_quality
from flows.parameters import DatasetNight, window_of
from tasks.night import ingest_batch
from tidegate.clock import now
from tidegate.verdicts import Verdict


@flow(name="ingest")
def ingest(request: DatasetNight) -> Verdict:
    """Read a window, judge it, quarantine or block, land it, profile it."""
    home = request.resolved()
    window = window_of(home, request.dataset, request.window)
    verdict = ingest_batch(home, request.dataset, window.id, now(), again=request.again)
    publish_quality(request.dataset, window.id, verdict)
    return verdict
