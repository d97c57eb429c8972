"""The `rollback` flow: a person's way back to a former champion, from the Prefect UI.

The command does the same without Prefect.
"""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows.parameters import RollbackRequest
from tasks.retrain import roll_back_for
from tidegate.clock import now
from tidegate.gate.form import plain
from tidegate.verdicts import Verdict


@flow(name="rollback")
def rollback(request: RollbackRequest) -> Verdict:
    """Check the former champion on current data, switch, wait for the gateway's workers, mirror the alias."""
    home = request.resolved()
    done = roll_back_for(home, request.model, now(), request.by, request.reason, request.to, request.check)
    made = done.switched is not None
    what = "is champion again" if made else f"was refused, version {done.before} stays"
    lines = "\n".join(f"- {plain(t)}" for t in (*done.checked.reasons, *done.notes))
    create_markdown_artifact(
        f"# {request.model}: version {done.version} {what}\n\n{lines}\n",
        key=f"rollback-{request.model.replace('_', '-')}",
        description=f"Rollback by {plain(request.by)}",
    )
    return Verdict("pass", done.checked.reasons, done.checked.numbers) if made else done.checked
