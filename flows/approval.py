"""The `approval` flow: shows a person the verdict on a version, takes the answer, starts the rollout.

The run suspends itself while it waits: its process ends and holds no lease, and Prefect starts it again with the
answer. At the request's lapse Prefect fails it for good; a fresh run, or `tidegate approve`, asks or answers anew.
"""

from __future__ import annotations

from itertools import count
from typing import Literal

from prefect import flow, get_client, runtime, suspend_flow_run
from prefect.exceptions import ObjectNotFound
from prefect.input import RunInput
from pydantic import Field

from flows.artifacts import publish_question
from flows.parameters import ApprovalRequest
from tasks.approval import take_answer
from tidegate.clock import now
from tidegate.config.home import Home
from tidegate.errors import UsageError
from tidegate.gate.form import plain
from tidegate.steps.approval import Asked, ask, page, waiting
from tidegate.steps.stores import open_stores
from tidegate.text import plain_line

DEPLOYMENT = "approval/approval"


class Answer(RunInput):
    """The form."""

    decision: Literal["approve", "reject"] = Field(description="Approve: it is promoted now. Reject: it never is.")
    by: str = Field(min_length=1, max_length=120, description="Who you are; kept in the ledger.")
    reason: str = Field("", max_length=1000, description="Why; kept in the ledger. A rejection needs one.")


@flow(name="approval")
def approval(request: ApprovalRequest) -> str:
    """Ask whether a challenger may go live, and do as the answer says."""
    home = request.resolved()
    stores = open_stores(home)
    model = stores.project.model(request.model)
    version = waiting(stores, model, request.version)
    if request.decision != "ask":
        return take_answer(home, model.name, version, request.decision, request.by, request.reason, now())
    asked = ask(stores, model, version, now())
    text = page(stores, model, version, now())
    if asked is None or runtime.deployment.id is None:
        found = "a run without a deployment, which cannot wait" if asked else "an answer, or none needed"
        do = asked.command if asked else f"look at tidegate lineage {model.name}"
        raise UsageError(f"question about version {version} of {model.name}", "one that can be asked", found, do)
    publish_question(asked, text)
    answer = _answer(text, asked)
    return take_answer(home, model.name, version, answer.decision, answer.by, answer.reason, now())


def _answer(text: str, asked: Asked) -> Answer:
    """What the form says; one that lacks a name or a reason is shown again, with what is wrong."""
    wrong = ""
    for attempt in count(1):
        form = Answer.with_initial_data(description=wrong + text)
        left = max(int((asked.until - now()).total_seconds()), 1)
        # Prefect knows a resumed form by its key: what was answered before is read again, not asked again.
        answer = suspend_flow_run(wait_for_input=form, timeout=left, key=f"answer-{attempt}")
        try:
            plain_line(answer.by, "by", 120)
            plain_line(answer.reason, "reason", 1000, empty=answer.decision == "approve")
        except UsageError as fault:
            wrong = f"**Not taken.** {plain(fault)}\n\n"
        else:
            return answer
    raise AssertionError


def invite(home: Home, asked: Asked | None) -> None:
    """Start an `approval` run where the server has a deployment of it; else the command is all there is."""
    if asked is None:
        return
    key = f"{home.state}/{asked.model}/{asked.version}/{asked.at.isoformat()}"
    parameters = {"request": {"home": str(home.root), "model": asked.model, "version": asked.version}}
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound:
            return
        client.create_flow_run_from_deployment(
            deployment.id, parameters=parameters, idempotency_key=key, name=f"{asked.model} version {asked.version}"
        )
