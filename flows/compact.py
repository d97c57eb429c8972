"""The `compact` flow: housekeeping of a home."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows.parameters import CompactRequest
from tasks.housekeeping import compact_home
from tidegate.clock import now
from tidegate.gate.form import plain
from tidegate.steps.disk import megabytes
from tidegate.verdicts import Verdict


@flow(name="compact")
def compact(request: CompactRequest) -> Verdict:
    """One file a window, what is past its retention given up, the disk within its budget."""
    done = compact_home(request.resolved(), now())
    said = "".join(f"\n- {plain(t)}" for t in (*done.verdict.reasons, *done.notes))
    retired = sum(done.retired.values())
    create_markdown_artifact(
        f"# Housekeeping\n\n{megabytes(done.after)} on the disk, before {megabytes(done.before)}. {retired} windows "
        f"and {done.former} former contents given up, {done.merged} windows made one file.\n{said}\n",
        key="compact",
        description="Housekeeping",
    )
    return done.verdict
